"""The store over one engine: what the rules are given (``domain.ports.Store``)."""

from __future__ import annotations

from threading import Lock

from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from domain.errors import Unavailable
from storage import faults
from storage.blocks import Block, Doubt, QueuedBlock
from storage.migrate import serves
from storage.transaction import SqlTransaction

__all__ = ["SqlStore", "SqlTransaction"]

_REVISION = {
    "sqlite": text("SELECT version_num, 'off' FROM alembic_version"),
    "postgresql": text(
        "SELECT version_num, current_setting('transaction_read_only') FROM alembic_version"
    ),
}
_TOUCH = text("UPDATE alembic_version SET version_num = version_num")


class SqlStore:
    """The store over one engine (``domain.ports.Store``); it may be shared by threads."""

    def __init__(self, engine: Engine) -> None:
        self._reader = _reader(engine)
        self._writer = engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        self._turn = Lock() if engine.dialect.name == "sqlite" else None
        self._doubt = Doubt()

    def close(self) -> None:
        """Give the idle connections back; the store opens new ones if it is used again."""
        self._reader.dispose()

    def read(self) -> Block:
        return Block(self._reader)

    def write(self) -> Block:
        if self._turn is None:
            return Block(self._writer, doubt=self._doubt)
        return QueuedBlock(self._writer, self._turn, self._doubt)

    def ping(self) -> None:
        revision, read_only = self._state()
        if not serves(revision) or read_only == "on":
            raise Unavailable
        if self._doubt:
            self._write_something()
        elif self._turn is not None:
            # SQLite tells nobody but a writer that its file is read-only or held by another.
            with self.write():
                return

    def _state(self) -> tuple[str | None, str]:
        """The revision, and whether the database says that it takes no writes."""
        try:
            with faults.translated(), self._reader.connect() as connection:
                row = connection.execute(_REVISION[connection.dialect.name]).first()
        except ProgrammingError as error:
            # PostgreSQL's word for a table that is not there: nobody has migrated yet.
            raise Unavailable from error
        return (None, "off") if row is None else (row[0], row[1])

    def _write_something(self) -> None:
        """See whether writing works again; the success of it ends the doubt."""
        with faults.translated(), self.write() as transaction:
            transaction._connection.execute(_TOUCH)
            transaction.commit()


def _reader(engine: Engine) -> Engine:
    if engine.dialect.name != "postgresql":
        return engine.execution_options(sqlite_begin="BEGIN")
    # Each statement sees its own snapshot under READ COMMITTED anyway, so a transaction around
    # reads would buy two round trips and nothing else. Repositories refuse to write here.
    return engine.execution_options(isolation_level="AUTOCOMMIT")
