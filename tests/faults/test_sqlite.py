"""SQLite held by another, read-only, or out of room: refused in time, and sound and right after.

That it is held for three seconds or for long, and its disk full, are rows of the catalogue
(tests/security/test_reliability.py).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.acts import outage
from tests.faults.disks import held, limited
from tests.faults.scene import PROMISED, Scene, guests, timed
from tests.faults.state import told
from tests.support.accounts import ok


@contextmanager
def immutable(folder: Path) -> Iterator[None]:
    """chattr +i binds root too, and files that are open already, as a mode would not."""
    files = [str(path) for path in folder.glob("countersign.db*")]
    done = subprocess.run(["chattr", "+i", *files], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"chattr +i is not possible here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may make a file immutable")
def test_a_file_that_is_read_only(sqlite: Scene) -> None:
    outage("SQLite, read-only", sqlite, lambda: immutable(sqlite.house.folder), reads=True)
    assert sqlite.integrity() == "ok"


def test_a_file_that_may_not_grow(sqlite: Scene) -> None:
    """What stands in for a full disk where mounting is not permitted."""
    outage("SQLite, a limit to the size of its files", sqlite, lambda: limited(sqlite), reads=True)
    assert sqlite.integrity() == "ok"


def test_many_who_wait_for_one_writer_are_all_answered_in_time(sqlite: Scene) -> None:
    crowd = guests(sqlite.site, 8)
    with told("SQLite, eight who wait for one writer", sqlite.site) as tale:
        with held(sqlite), ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda guest: timed(guest.finish), crowd))
        longest = max(seconds for _, seconds in found)
        tale.note(f"{[reply.status for reply, _ in found]}, the last after {longest:.2f} s")
    assert [reply.status for reply, _ in found] == [503] * 8
    assert longest < PROMISED
    assert tale.after == tale.before
    assert [ok(guest.finish()).status for guest in crowd] == [200] * 8
