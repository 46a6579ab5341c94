"""``with`` over one transaction: rolled back unless committed, faults translated.

Classes and not generators: they stand around every request.
"""

from __future__ import annotations

from threading import Lock
from time import monotonic
from types import TracebackType

from sqlalchemy import Connection, Engine

from domain.errors import Unavailable
from storage import faults, patience
from storage.sqlite import BUSY_SECONDS, set_busy_timeout
from storage.transaction import SqlTransaction


class Doubt:
    """Whether the last attempt of this process to write failed; shared by threads.

    A full disk shows to nobody but who writes, so readiness asks here.
    """

    __slots__ = ("_present",)

    def __init__(self) -> None:
        self._present = False

    def __bool__(self) -> bool:
        return self._present

    def learn(self, *, failed: bool) -> None:
        self._present = failed


class Block:
    """One transaction of an engine; it writes where it is given the ``doubt`` about writing."""

    __slots__ = ("_connection", "_doubt", "_engine")

    _connection: Connection

    def __init__(self, engine: Engine, doubt: Doubt | None = None) -> None:
        self._engine = engine
        self._doubt = doubt

    def __enter__(self) -> SqlTransaction:
        try:
            return self._enter()
        except Unavailable:
            self._learn(failed=True)
            raise

    def _enter(self) -> SqlTransaction:
        with faults.translated(), patience.present():
            self._connection = self._engine.connect()
        try:
            with faults.translated(), patience.present():
                self._begin()
        except BaseException:
            self._connection.close()
            raise
        return SqlTransaction(self._connection, self._doubt is not None)

    def _begin(self) -> None:
        self._connection.begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        unavailable = error is not None and faults.is_unavailable(error)
        if unavailable or error is None:
            self._learn(failed=unavailable)
        with faults.translated():
            self._connection.close()
        if unavailable:
            raise Unavailable from error

    def _learn(self, *, failed: bool) -> None:
        if self._doubt is not None:
            self._doubt.learn(failed=failed)


class QueuedBlock(Block):
    """A writing block of SQLite, whose turn among the threads of this process comes first.

    SQLite admits one writer and lets the others poll, for up to 100 ms at a time; a queue hands
    the place on at once. Both waits together last no longer than one of them may.
    """

    __slots__ = ("_deadline", "_turn")

    def __init__(self, engine: Engine, turn: Lock, doubt: Doubt) -> None:
        super().__init__(engine, doubt)
        self._turn = turn

    def _enter(self) -> SqlTransaction:
        seconds = patience.within(BUSY_SECONDS)
        self._deadline = monotonic() + seconds
        with patience.present():
            mine = self._turn.acquire(timeout=seconds)
        if not mine:
            raise Unavailable
        try:
            return super()._enter()
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
