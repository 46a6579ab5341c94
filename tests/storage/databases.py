"""Databases for tests: a fresh SQLite file, or a database of its own on a PostgreSQL server.

``TEST_POSTGRES_URL`` names the server. Where none answers, what needs it is skipped and
says so; under ``CI=true`` that is a failure, for a skipped engine proves nothing.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import text

from storage import migrate, sqlite
from storage.engine import create_engine
from storage.models import metadata
from storage.store import SqlStore

ENGINES = ("sqlite", "postgresql")
SEEDED = ("audit_head", "chores")
"""Tables whose rows the migrations make; they are never deleted."""
SERVER = "postgresql://postgres@127.0.0.1:5432"


def postgres_server() -> sqlalchemy.URL:
    """The URL of the server, without a database; whether one answers is another question."""
    return sqlalchemy.make_url(os.environ.get("TEST_POSTGRES_URL", SERVER))


@cache
def postgres_silence() -> str | None:
    """Why PostgreSQL cannot be tested against here; None where it can."""
    try:
        with _administration() as connection:
            connection.execute(text("SELECT 1"))
    except (sqlalchemy.exc.OperationalError, ValueError) as error:
        return f"no PostgreSQL answers at TEST_POSTGRES_URL ({type(error).__name__})"
    return None


def require_postgres() -> None:
    """Skip the test where no server answers; fail it where continuous integration promises one."""
    reason = postgres_silence()
    if reason is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def postgres_database() -> Iterator[str]:
    """The URL of a new, empty database, dropped at the end with whoever still uses it."""
    require_postgres()
    name = f"countersign_test_{uuid.uuid4().hex}"
    with _administration() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield postgres_server().set(database=name).render_as_string(hide_password=False)
    finally:
        with _administration() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def sqlite_url(folder: Path) -> str:
    """The URL of a SQLite file of its own in ``folder``; nothing is there yet."""
    return f"sqlite:///{folder / uuid.uuid4().hex}.db"


def migrated_sqlite_url(folder: Path) -> str:
    """The same, brought up to date already: a copy, which is made sooner than the tables are."""
    url = sqlite_url(folder)
    path = sqlite.file_of(sqlalchemy.make_url(url))
    shutil.copyfile(_model() / "model.db", path)
    path.chmod(0o600)
    return url


@cache
def _model() -> Path:
    """A folder with an empty database that is up to date, for as long as the process lives."""
    folder = Path(tempfile.mkdtemp(prefix="countersign-model-"))
    atexit.register(shutil.rmtree, folder)
    migrate.upgrade(f"sqlite:///{folder}/model.db")
    assert [path.name for path in folder.iterdir()] == ["model.db"], "some of it is elsewhere"
    return folder


@contextmanager
def store_at(url: str) -> Iterator[SqlStore]:
    """A store over a database that is brought up to date first."""
    migrate.upgrade(url)
    engine = create_engine(url)
    try:
        yield SqlStore(engine)
    finally:
        engine.dispose()


def empty_tables(url: str) -> None:
    """Leave what the migrations leave; cheaper than a new database for each test."""
    engine = create_engine(url, pool_size=1)
    with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            if table.name not in SEEDED:
                connection.execute(table.delete())
        connection.execute(metadata.tables["audit_head"].update().values(number=0, hash=""))
        connection.execute(metadata.tables["chores"].update().values(due_at=None))
    engine.dispose()


@contextmanager
def _administration() -> Iterator[sqlalchemy.Connection]:
    url = postgres_server().set(database="postgres").render_as_string(hide_password=False)
    engine = create_engine(url, pool_size=1)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # A busy machine takes its time to copy the template database.
            connection.execute(text("SET statement_timeout = 0"))
            connection.connection.driver_connection.answer_seconds = None
            yield connection
    finally:
        engine.dispose()
