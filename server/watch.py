"""``serve --watch``: somebody is told when files of a spec change.

The system tells of changes (inotify and its like), so that looking costs nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from threading import Event, Thread

import watchfiles

from contract.faults import report

LOOK_SECONDS = 1.0
"""Between two looks whether the folder is still the one that is watched."""
SUFFIXES = frozenset({".yaml", ".yml", ".json", ""})
"""Of the files that count; what has none may be a folder that was moved."""

logging.getLogger("watchfiles").setLevel(logging.WARNING)


class _Specs(watchfiles.DefaultFilter):
    """Leaves out what editors write beside a file, and databases and logs that stand there too."""

    def __call__(self, change: watchfiles.Change, path: str) -> bool:
        return PurePath(path).suffix in SUFFIXES and super().__call__(change, path)


@contextmanager
def watching(root: Path, tell: Callable[[], object]) -> Iterator[None]:
    """Call ``tell`` on a thread after each change of a file beside or below ``root``.

    That lasts as long as the block. It is also called once when the watch has begun: nobody saw
    what changed before. Where a link leads to ``root``, it is watched where that leads now.
    """
    stop = Event()
    thread = Thread(target=_watch, args=(root, tell, stop), name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _watch(root: Path, tell: Callable[[], object], stop: Event) -> None:
    try:
        while not stop.is_set():
            if _folder(root).is_dir():
                for _ in _changes(root, stop):
                    tell()
            stop.wait(LOOK_SECONDS / 10)
    except Exception as fault:  # no room for one more watch, for example
        report(fault, "watch", "-")


def _folder(root: Path) -> Path:
    return root.resolve().parent


def _changes(root: Path, stop: Event) -> Iterator[None]:
    """At first, and once for all changes that come together, until the folder is another one."""
    folder = _folder(root)
    watched, begun = _identity(folder), False
    for changes in watchfiles.watch(
        folder,
        watch_filter=_Specs(),
        stop_event=stop,
        rust_timeout=int(LOOK_SECONDS * 1000),
        yield_on_timeout=True,
        raise_interrupt=False,
    ):
        if changes or not begun:
            begun = True
            yield
        if _identity(_folder(root)) != watched:
            return


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
