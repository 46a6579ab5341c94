"""``with`` over one transaction: rolled back unless committed, faults translated.

Classes and not generators: they stand around every request.
"""

from __future__ import annotations

from threading import Lock
from time import monotonic
from types import TracebackType

from sqlalchemy import Connection, Engine

from domain.errors import Unavailable
from storage import faults
from storage.sqlite import BUSY_SECONDS, set_busy_timeout
from storage.transaction import SqlTransaction


class Block:
    """One transaction of an engine."""

    __slots__ = ("_connection", "_engine", "_writing")

    _connection: Connection

    def __init__(self, engine: Engine, *, writing: bool) -> None:
        self._engine = engine
        self._writing = writing

    def __enter__(self) -> SqlTransaction:
        with faults.translated():
            self._connection = self._engine.connect()
        try:
            with faults.translated():
                self._begin()
        except BaseException:
            self._connection.close()
            raise
        return SqlTransaction(self._connection, self._writing)

    def _begin(self) -> None:
        self._connection.begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with faults.translated():
            self._connection.close()
        if error is not None and faults.is_unavailable(error):
            raise Unavailable from error


class QueuedBlock(Block):
    """A writing block of SQLite, whose turn among the threads of this process comes first.

    SQLite admits one writer and lets the others poll, for up to 100 ms at a time; a queue hands
    the place on at once. Both waits together last no longer than one of them may.
    """

    __slots__ = ("_deadline", "_turn")

    def __init__(self, engine: Engine, turn: Lock) -> None:
        super().__init__(engine, writing=True)
        self._turn = turn

    def __enter__(self) -> SqlTransaction:
        self._deadline = monotonic() + BUSY_SECONDS
        if not self._turn.acquire(timeout=BUSY_SECONDS):
            raise Unavailable
        try:
            return super().__enter__()
        except BaseException:
            self._turn.release()
            raise

    def _begin(self) -> None:
        set_busy_timeout(self._connection, max(0.0, self._deadline - monotonic()))
        super()._begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            self._turn.release()
