"""Migrations, run from code: no configuration file is needed to bring a database up to date.

Alembic is imported by whoever migrates. A server asks only which revision the database is at, and
reading Alembic in would make each of its processes start later.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from storage import faults, sqlite
from storage.engine import create_engine

if TYPE_CHECKING:
    from alembic.config import Config

_SCRIPTS = Path(__file__).parent / "migrations"
_REVISION_FILES = "[0-9][0-9][0-9][0-9]_*.py"
_TABLE = "alembic_version"
_PRESENT = text("SELECT version_num FROM alembic_version")
# Any number that nothing else in the database takes for an advisory lock.
_LOCK = 0x436F756E74657273
_LOCK_SECONDS = 60


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database up to ``revision``; does nothing where it is there already, or further.

    Two processes may call it at once: the second waits, then finds nothing to do. A database
    that does not answer raises ``domain.errors.Unavailable``.
    """
    with _locked(url) as connection:
        present = _revision(connection)
        if not ahead(present) and present != (head() if revision == "head" else revision):
            from alembic import command

            command.upgrade(_config(connection), revision)


def downgrade(url: str, revision: str) -> None:
    """Take the database down to ``revision`` (``base`` for an empty one)."""
    from alembic import command

    with _locked(url) as connection:
        command.downgrade(_config(connection), revision)


def current(url: str) -> str | None:
    """The revision the database is at; None where it was never migrated."""
    with _disposed(url) as engine, faults.translated(), engine.connect() as connection:
        return _revision(connection)


@cache
def head() -> str:
    """The newest revision that this version of the program knows, by the numbers of the files."""
    names = [path.name for path in (_SCRIPTS / "versions").glob(_REVISION_FILES)]
    if not names:
        raise RuntimeError("the package has lost its migrations")
    return max(names).partition("_")[0]


def serves(revision: str | None) -> bool:
    """Whether this version of the program can work at a revision: its own, or any later one.

    Migrations are numbered, and add only what the version before can leave alone; so old servers
    go on while new ones migrate and start (docs/adr/0024-migrations-only-add.md).
    """
    return revision == head() or ahead(revision)


def ahead(revision: str | None) -> bool:
    """Whether a newer version of the program has migrated the database."""
    return revision is not None and revision.isdecimal() and int(revision) > int(head())


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_TABLE):
        return None
    revision: str | None = connection.execute(_PRESENT).scalar()
    return revision


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def _disposed(url: str) -> Iterator[Engine]:
    engine = create_engine(url, pool_size=1)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _locked(url: str) -> Iterator[Connection]:
    """One transaction around everything, with the lock that keeps other migrations out."""
    with _disposed(url) as engine, faults.translated(), engine.connect() as connection:
        lock = _LOCKS[engine.dialect.name]
        with lock(connection):
            yield connection


@contextmanager
def _lock_sqlite(connection: Connection) -> Iterator[None]:
    sqlite.set_busy_timeout(connection, _LOCK_SECONDS)
    connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
    with connection.begin():
        yield


@contextmanager
def _lock_postgresql(connection: Connection) -> Iterator[None]:
    # The module is named here: without the optional driver it cannot be imported.
    from storage.postgresql import patient

    with connection.begin(), patient(connection, _LOCK_SECONDS):
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        yield


_LOCKS = {"sqlite": _lock_sqlite, "postgresql": _lock_postgresql}
