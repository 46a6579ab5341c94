"""The thread in each serving process that keeps house, also when nobody signs in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from threading import Event, Thread

import structlog

from contract.faults import report
from domain.errors import Unavailable
from domain.housekeeping import CHORE, Housekeeper
from domain.ports import Clock, Store

LOOK_SECONDS = 1.0
"""Between two looks at the clock. The clock decides when it is time; a look costs nothing."""
REST_SECONDS = 0.1
"""Between two batches: SQLite admits one writer, and those who sign in shall have most of it."""

_log = structlog.get_logger("housekeeping")


@asynccontextmanager
async def keeping_house(store: Store, clock: Clock) -> AsyncIterator[None]:
    """Purge in the background while the block lasts; it ends after the batch of the moment."""
    rounds = Rounds(store, clock)
    thread = Thread(target=rounds.run, name="housekeeping", daemon=True)
    thread.start()
    try:
        yield
    finally:
        rounds.stopping.set()
        await asyncio.to_thread(thread.join)


class Rounds:
    """Looks whether it is time, until ``stopping`` is set; no failure ends it."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.stopping = Event()
        self._keeper = Housekeeper(store, clock, self._rest)
        self._troubled = False

    def run(self) -> None:
        while not self.stopping.wait(LOOK_SECONDS):
            if self._keeper.is_time():
                self.look()

    def look(self) -> None:
        """Take the turn if it is this process's; a trouble is told once and not every minute."""
        try:
            deleted = self._keeper.take_turn()
        except Unavailable:
            self._tell(partial(_log.warning, "the database does not answer: nothing is purged"))
        except Exception as defect:
            self._tell(partial(report, defect, CHORE, "-"))
        else:
            self._troubled = False
            if deleted:
                _log.info("purged", rows=deleted)

    def _tell(self, trouble: Callable[[], object]) -> None:
        if not self._troubled:
            trouble()
        self._troubled = True

    def _rest(self) -> bool:
        return not self.stopping.wait(REST_SECONDS)
