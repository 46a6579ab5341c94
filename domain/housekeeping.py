"""Purging what no rule needs any more, without a scheduler."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Lock

from domain.errors import Unavailable
from domain.ports import Store

INTERVAL = timedelta(minutes=1)
# Bounded, so that the login that happens to sweep does not wait for a backlog.
ROWS_PER_TABLE = 5_000


class Housekeeper:
    """Sweeps at most once a minute in a process, whoever comes by."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._next: datetime | None = None

    def sweep(self, store: Store, now: datetime) -> None:
        """Purge if it is time. The caller's own work is committed and does not depend on this."""
        if not self._due(now):
            return
        try:
            with store.write() as tx:
                tx.purge(now, ROWS_PER_TABLE)
                tx.commit()
        except Unavailable:
            # Rows that outlive their use cost space; a login that fails for them costs a user.
            return

    def _due(self, now: datetime) -> bool:
        with self._lock:
            if self._next is not None and now < self._next:
                return False
            self._next = now + INTERVAL
            return True
