"""Two who append at the same moment: ``python -m tests.storage.appends URL COUNT BUG``.

Each appends ``COUNT`` events on two threads and prints how many of them it could not. ``BUG`` is
``none``, or names a guard to go without.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from domain.chain import Chain
from domain.errors import Unavailable
from domain.keyring import Fixed
from domain.records import AuditEvent, AuditHead
from storage.engine import create_engine
from storage.store import SqlStore
from tests.storage.rows import NOW

KEYS = Fixed({"a1": bytes(range(32))}, "a1")
EVENT = AuditEvent(NOW, "session.opened", "success", user_id="u")
NONE, UNLOCKED, UNGUARDED = "none", "unlocked", "unguarded"
THREADS = 2


class Standing:
    def now(self) -> Any:
        return NOW


class Guessing:
    """The head as somebody else read it, before this transaction began."""

    def __init__(self, rows: Any, seen: AuditHead, bug: str) -> None:
        self._rows, self._seen, self._bug = rows, seen, bug

    def lock_head(self) -> AuditHead:
        return self._seen

    def append(self, event: AuditEvent, seen: AuditHead) -> bool:
        if self._bug == UNLOCKED:
            return bool(self._rows.append(event, seen))
        # Whoever comes second moves the head from where it is, whatever it carries on from.
        present = self._rows.head()
        return bool(self._rows.append(replace(event, number=present.number + 1), present))


class Planted:
    """A transaction whose trail goes without a guard."""

    def __init__(self, tx: Any, seen: AuditHead, bug: str) -> None:
        self.audit = Guessing(tx.audit, seen, bug)


def append(store: SqlStore, bug: str) -> bool:
    """Append one event; False where it was refused."""
    before: AbstractContextManager[Any] = nullcontext() if bug == NONE else store.read()
    with before as reading:
        seen = AuditHead(0, "") if reading is None else reading.audit.head()
    try:
        with store.write() as tx:
            Chain(KEYS).append(tx if bug == NONE else Planted(tx, seen, bug), EVENT, Standing())
            tx.commit()
    except (Unavailable, SQLAlchemyError):
        return False
    return True


def main(url: str, count: str, bug: str) -> None:
    store = SqlStore(create_engine(url))
    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(THREADS) as threads:
        done = list(threads.map(lambda _: append(store, bug), range(int(count))))
    print(done.count(False), flush=True)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
