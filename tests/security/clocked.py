"""``countersign`` with a clock that stands where a file puts it; all else is the real program.

``CLOCKED_TIME`` names the file, which holds one RFC 3339 time. ``CLOCKED_HASHES=cheap`` makes
Argon2 cheap too, for what measures neither time nor load. Logs are written at debug level, so that
what leaks there leaks here.
"""

from __future__ import annotations

import logging
import os
from datetime import datetime
from pathlib import Path

from domain.passwords import Passwords
from server import entry, foundation, logs


class FileClock:
    """Reads the file each time it is asked, so that a move is seen by every worker at once."""

    def __init__(self) -> None:
        self._path = Path(os.environ["CLOCKED_TIME"])

    def now(self) -> datetime:
        return datetime.fromisoformat(self._path.read_text(encoding="ascii"))


def cheap_passwords(concurrency: int) -> Passwords:
    return Passwords(concurrency, time_cost=1, memory_cost=8, parallelism=1)


def configure(level: int = logging.DEBUG, write: object = logs.configure) -> None:
    write(level)  # type: ignore[operator]


if "CLOCKED_TIME" in os.environ:  # in a server, and not where the tests read the names
    foundation.SystemClock = FileClock  # type: ignore[misc, assignment]
    logs.configure = configure
    if os.environ.get("CLOCKED_HASHES") == "cheap":
        foundation.Passwords = cheap_passwords  # type: ignore[attr-defined]

if __name__ == "__main__":
    entry.main()
