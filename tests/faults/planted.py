"""``countersign`` with the clock of the catalogue, and with what a fault needs inside the process.

The file that ``PLANTED_BUG`` names holds the name of the bug of the moment; the empty text is none.
``PLANTED_PAUSE`` names a folder: where it holds a file ``armed``, the next request that has spent
a second factor or opened a session stops right after it has committed, and says so in ``paused``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from server import entry, http, serve
from storage import postgresql, store
from storage.migrate import head
from storage.repositories.sessions import Sessions
from storage.transaction import SqlTransaction
from tests.security import clocked  # noqa: F401 - sets the clock, the hashes and the log level

LOST = "a lost commit is taken for done"
UNWAITED = "commits are not waited for"
HELPERS = "every helper commits"
EXACT = "only the very revision is served"
HURRIED = "who is in flight is dropped"
ENDLESS = "a header may take for ever"


def planted(bug: str) -> bool:
    return Path(os.environ["PLANTED_BUG"]).read_text(encoding="utf-8") == bug


def careless(commit: Callable[[SqlTransaction], None]) -> Callable[[SqlTransaction], None]:
    def commit_or_not(transaction: SqlTransaction) -> None:
        if planted(LOST):
            with suppress(Exception):
                commit(transaction)
        else:
            commit(transaction)

    return commit_or_not


def hasty(add: Callable[..., None]) -> Callable[..., None]:
    def add_and_commit(self: Sessions, session: Any) -> None:
        add(self, session)
        if planted(HELPERS):
            SqlTransaction(self._connection, True).commit()
            self._connection.begin()

    return add_and_commit


def pausing(commit: Callable[[SqlTransaction], None]) -> Callable[[SqlTransaction], None]:
    """Only a transaction that has opened a session pauses: the last one of a login."""
    folder = Path(os.environ["PLANTED_PAUSE"])

    def commit_and_pause(transaction: SqlTransaction) -> None:
        opened = transaction._connection.info.pop("opened", False)
        commit(transaction)
        if opened and (folder / "armed").exists():
            (folder / "paused").touch()
            time.sleep(60)

    return commit_and_pause


def marking(add: Callable[..., None]) -> Callable[..., None]:
    def add_and_mark(self: Sessions, session: Any) -> None:
        self._connection.info["opened"] = True
        add(self, session)

    return add_and_mark


if "PLANTED_PAUSE" in os.environ:
    SqlTransaction.commit = pausing(SqlTransaction.commit)  # type: ignore[method-assign]
    Sessions.add = marking(Sessions.add)  # type: ignore[method-assign]

if "PLANTED_BUG" in os.environ:  # in a server, and not where the tests read the names
    SqlTransaction.commit = careless(SqlTransaction.commit)  # type: ignore[method-assign]
    Sessions.add = hasty(Sessions.add)  # type: ignore[method-assign]
    if planted(UNWAITED):
        postgresql._SESSION["synchronous_commit"] = "off"
    if planted(EXACT):
        store.serves = lambda revision: revision == head()
    if planted(HURRIED):
        serve.GRACE = 0
    if planted(ENDLESS):
        http.HEADER_SECONDS = 600.0

if __name__ == "__main__":
    entry.main()
