"""Engines by URL: SQLite as the embedded default, PostgreSQL for production.

Every wait has an end, and the longest chain of them stays below five seconds, so that a request
whose database does not answer ends in a 503 and not in a hanging client.
"""

from __future__ import annotations

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError

from storage import sqlite


class DatabaseURLError(ValueError):
    """The URL cannot be used. The text never repeats it, for it can hold a password."""


def create_engine(url: str, *, pool_size: int | None = None) -> Engine:
    """An engine for ``sqlite:///path`` (relative or, with four slashes, absolute) or
    ``postgresql://user@host/name``; no connection is made yet.

    ``pool_size`` is the most connections of this process (default: one for each of 100 server
    threads on SQLite, 15 on PostgreSQL). A URL that cannot be used raises
    :class:`DatabaseURLError`.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseURLError("the database URL cannot be read") from None
    maker = _MAKERS.get(parsed.drivername)
    if maker is None:
        raise DatabaseURLError("the database URL must begin with sqlite:/// or postgresql://")
    try:
        return maker(parsed, pool_size)
    except ValueError as error:
        raise DatabaseURLError(str(error)) from None


def _create_postgresql(url: URL, pool_size: int | None) -> Engine:
    try:
        # The driver is an optional extra, so the module that imports it waits until it is asked.
        from storage import postgresql
    except ImportError:
        raise ValueError(
            "this database URL needs an optional extra: pip install 'countersign[postgresql]'"
        ) from None
    return postgresql.create_postgresql(url, pool_size)


_MAKERS = {
    "sqlite": sqlite.create_sqlite,
    "postgresql": _create_postgresql,
    "postgres": _create_postgresql,
    "postgresql+psycopg": _create_postgresql,
}
