"""What holds a SQLite file, or keeps it from growing."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.faults.scene import Scene


@contextmanager
def held(scene: Scene, seconds: float | None = None) -> Iterator[None]:
    """The write lock, taken by another process's connection, for so long or until the end."""
    file = scene.house.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(seconds or 0, other.rollback)
        if seconds is not None:
            release.start()
        yield
        if seconds is not None:
            release.join()


def a_disk(folder: Path, megabytes: int) -> str | None:
    """Mount a small disk at ``folder``; why not, where that is not possible."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "countersign", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip() or "mount failed" if done.returncode else None


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Not a byte is left on the disk."""
    file = folder / "filler"
    try:
        with file.open("wb", buffering=0) as filler:
            for size in (1 << 16, 1 << 12, 1):
                _fill(filler, size)
        yield
    finally:
        file.unlink(missing_ok=True)


def _fill(filler: object, size: int) -> None:
    try:
        while filler.write(bytes(size)):  # type: ignore[attr-defined]
            pass
    except OSError:
        return


@contextmanager
def limited(scene: Scene) -> Iterator[None]:
    """No file of the server may grow: its own disk is full (RLIMIT_FSIZE, write(2) EFBIG)."""
    pid = scene.site.server().process.pid
    file = Path(scene.house.database_url.removeprefix("sqlite:///") + "-wal")
    free = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (file.stat().st_size, free[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, free)
