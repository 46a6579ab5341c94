"""Real faults, planted and taken away again: the database's, the clock's and the program's own."""

from __future__ import annotations

import functools
import sqlite3
import types
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from server import spec
from storage import blocks
from tests.support.world import World

PATIENCE = 0.05
"""Seconds that a writer waits for a lock here, instead of the shipped four."""


def database(world: World) -> Path:
    return Path(world.settings.database_url.removeprefix("sqlite:///"))


def change(world: World, statement: str, *values: object) -> int:
    """Run one statement behind the application's back; the number of rows that it changed."""
    with closing(sqlite3.connect(database(world))) as connection, connection:
        return connection.execute(statement, values).rowcount


def release(world: World) -> None:
    """Close the pooled connections, which would keep a file alive that is gone."""
    world.services.store.close()


@contextmanager
def vanished(world: World) -> Iterator[None]:
    """The database file is not where it was, and nothing holds it open any more."""
    path = database(world)
    release(world)
    hidden = path.rename(path.with_suffix(".hidden"))
    try:
        yield
    finally:
        hidden.rename(path)


@contextmanager
def damaged(world: World) -> Iterator[None]:
    """The database file is there and holds something that is no database."""
    with vanished(world):
        database(world).write_bytes(b"not a database " * 1000)
        yield
        release(world)
        database(world).unlink()


@contextmanager
def locked(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another process writes and does not finish; readers are not disturbed."""
    with closing(sqlite3.connect(database(world), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with monkeypatch.context() as patch:
            patch.setattr(blocks, "BUSY_SECONDS", PATIENCE)
            yield
        other.execute("ROLLBACK")


@contextmanager
def revision(world: World, number: str) -> Iterator[None]:
    """The schema is that of another version."""
    with closing(sqlite3.connect(database(world))) as connection:
        (right,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    change(world, "UPDATE alembic_version SET version_num = ?", number)
    try:
        yield
    finally:
        change(world, "UPDATE alembic_version SET version_num = ?", right)


class ClockFault(Exception):
    """What a broken clock raises; its text holds a secret that no log line may repeat."""


@contextmanager
def broken_clock(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def now() -> datetime:
        raise ClockFault(world.settings.database_url)

    with monkeypatch.context() as patch:
        patch.setattr(world.clock, "now", now)
        yield


Change = Callable[[Callable[..., Any]], Callable[..., Any]]


def with_handlers(world: World, change_one: Change) -> World:
    """The same world, whose every handler is what ``change_one`` makes of the shipped one."""
    with handlers(change_one):
        return World(world.settings, world.clock)


@contextmanager
def handlers(change_one: Change) -> Iterator[None]:
    """What is made in here has handlers that are what ``change_one`` makes of the shipped ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spec, "HANDLERS", {k: _module(m, change_one) for k, m in HANDLERS.items()})
        yield


HANDLERS = dict(spec.HANDLERS)


def _module(shipped: types.ModuleType, change_one: Change) -> types.ModuleType:
    module = types.ModuleType(shipped.__name__)
    for name, value in vars(shipped).items():
        if isinstance(value, types.FunctionType) and value.__module__ == shipped.__name__:
            setattr(module, name, functools.wraps(value)(change_one(value)))
    return module


def raising(_handler: Callable[..., Any]) -> Callable[..., Any]:
    def handler(*_positional: Any, **_named: Any) -> Any:
        raise ZeroDivisionError("one part in no parts")

    return handler


def adding_a_property(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Answers truly, and adds a property that no operation declares."""

    def lying(*positional: Any, **named: Any) -> Any:
        return {**(handler(*positional, **named) or {}), "surplus": "a value"}

    return lying
