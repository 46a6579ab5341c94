"""The store over one engine: what the rules are given (``domain.ports.Store``)."""

from __future__ import annotations

from threading import Lock

from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from domain.errors import Unavailable
from storage import faults
from storage.blocks import Block, QueuedBlock
from storage.migrate import head
from storage.transaction import SqlTransaction

__all__ = ["SqlStore", "SqlTransaction"]

_REVISION = text("SELECT version_num FROM alembic_version")


class SqlStore:
    """The store over one engine (``domain.ports.Store``); it may be shared by threads."""

    def __init__(self, engine: Engine) -> None:
        self._reader = _reader(engine)
        self._writer = engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        self._turn = Lock() if engine.dialect.name == "sqlite" else None

    def close(self) -> None:
        """Give the idle connections back; the store opens new ones if it is used again."""
        self._reader.dispose()

    def read(self) -> Block:
        return Block(self._reader, writing=False)

    def write(self) -> Block:
        if self._turn is None:
            return Block(self._writer, writing=True)
        return QueuedBlock(self._writer, self._turn)

    def ping(self) -> None:
        if self._revision() != head():
            raise Unavailable

    def _revision(self) -> str | None:
        try:
            with faults.translated(), self._reader.connect() as connection:
                return connection.execute(_REVISION).scalar()
        except ProgrammingError as error:
            # PostgreSQL's word for a table that is not there: nobody has migrated yet.
            raise Unavailable from error


def _reader(engine: Engine) -> Engine:
    if engine.dialect.name != "postgresql":
        return engine.execution_options(sqlite_begin="BEGIN")
    # Each statement sees its own snapshot under READ COMMITTED anyway, so a transaction around
    # reads would buy two round trips and nothing else. Repositories refuse to write here.
    return engine.execution_options(isolation_level="AUTOCOMMIT")
