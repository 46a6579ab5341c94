"""SQLite: one file, write-ahead log, the write lock taken at the start of what writes."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy import create_engine as create
from sqlalchemy.pool import QueuePool

# A writer waits this long for another process's writer. A database that stays locked is refused
# within five seconds; one that comes and goes may make a request of several writes wait again.
BUSY_SECONDS = 4.0
# One connection for each server thread: they are cheap, and then nobody waits for the pool.
POOL_SIZE = 100
POOL_SECONDS = 2.0

# FULL, not the NORMAL usual with a write-ahead log: a code that was spent must still be spent
# after a power cut, and NORMAL may lose the last commits.
_ON_CONNECT = f"""
PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)};
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA trusted_schema = OFF;
"""


def create_sqlite(url: URL, pool_size: int | None) -> Engine:
    path = file_of(url)
    _make_private(path)
    engine = create(
        url,
        creator=lambda: _connect(path),
        poolclass=QueuePool,
        pool_size=pool_size or POOL_SIZE,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        pool_use_lifo=True,
        hide_parameters=True,
    )
    event.listen(engine, "begin", _begin)
    return engine


def file_of(url: URL) -> Path:
    """The database file that a URL names; ValueError where it names none or says more."""
    if url.query or url.host or url.username:
        raise ValueError("a SQLite URL is sqlite:///path and takes no parameters")
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise ValueError("a SQLite URL must name a file: sqlite:///path")
    return Path(url.database).absolute()


def _make_private(path: Path) -> None:
    """Make folder and file for their owner alone; SQLite gives its log files the same mode."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return


def _connect(path: Path) -> sqlite3.Connection:
    # mode=rw: a file that has vanished is an error and not silently a new, empty database.
    # isolation_level None: transactions begin where _begin says, not where the driver guesses.
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        for pragma in _ON_CONNECT.strip().splitlines():
            connection.execute(pragma).close()
    except BaseException:
        connection.close()
        raise
    return connection


def set_busy_timeout(connection: Connection, seconds: float) -> None:
    """How long the next transaction on this connection waits for another process's writer."""
    _driver(connection).execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}").close()


def _begin(connection: Connection) -> None:
    # A transaction that turned into a writer half-way would fail at once with SQLITE_BUSY
    # instead of waiting, since its snapshot is already old.
    statement = connection.get_execution_options().get("sqlite_begin", "BEGIN")
    if statement == "BEGIN":
        # It takes no lock and so meets no fault to translate; every read begins with it.
        _driver(connection).execute(statement).close()
    else:
        connection.exec_driver_sql(statement)


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101
    return driver
