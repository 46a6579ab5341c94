"""Purging what no rule needs any more: by whoever is running, one process at a time.

Nothing else schedules it. Each process looks now and then whether the turn is due; the turn belongs
to the one whose guarded UPDATE moves the time at which the next is due. A process that dies in its
turn has moved it already, so the others go on an interval later.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from domain.ports import Clock, Store

CHORE = "purge"
INTERVAL = timedelta(minutes=1)
ROWS_PER_TABLE = 1_000
"""Bounded, so that sign-ins, which need SQLite's one place to write, wait for no backlog."""


class Housekeeper:
    """Purges when it is time. ``rest`` pauses between batches; False from it ends the turn."""

    def __init__(self, store: Store, clock: Clock, rest: Callable[[], bool]) -> None:
        self._store, self._clock, self._rest = store, clock, rest
        self._looks_again: datetime | None = None

    def is_time(self) -> bool:
        """Whether to ask the database whose turn it is: once an interval, whatever it answered.

        Also where the clock was put back: nobody waits longer than an interval.
        """
        now, due = self._clock.now(), self._looks_again
        return due is None or not now < due <= now + INTERVAL

    def take_turn(self) -> int:
        """Take the turn if it is due, and purge: how many rows went; none where it is not ours.

        Raises :class:`domain.errors.Unavailable`; what was purged until then stays purged.
        """
        now = self._clock.now()
        next_at = self._looks_again = now + INTERVAL
        with self._store.write() as tx:
            mine = tx.chores.take(CHORE, now, next_at)
            tx.commit()
        return self._purge(now, next_at) if mine else 0

    def _purge(self, now: datetime, next_at: datetime) -> int:
        """Batch after batch until nothing is left, or somebody else may have the next turn."""
        total = deleted = self._batch(now)
        while deleted >= ROWS_PER_TABLE and self._rest() and self._clock.now() < next_at:
            deleted = self._batch(now)
            total += deleted
        return total

    def _batch(self, now: datetime) -> int:
        with self._store.write() as tx:
            deleted = tx.purge(now, ROWS_PER_TABLE)
            tx.commit()
        return deleted
