"""Who watches a spec is told of every change that can matter, however it is made."""

from __future__ import annotations

import os
import queue
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server import watch
from server.watch import watching
from tests.support.servers import ROOT

SOON = 2.0
"""Seconds; an edit takes effect within them, the making of the contract included."""
QUIET = 0.4


class Ear:
    """Hears what is told, and when nothing is."""

    def __init__(self) -> None:
        self._told: queue.Queue[None] = queue.Queue()

    def tell(self) -> None:
        self._told.put(None)

    def hears(self, seconds: float = SOON) -> bool:
        """Whether something was told in time; what is told together counts once."""
        try:
            self._told.get(timeout=seconds)
        except queue.Empty:
            return False
        while self.hears(QUIET):
            pass
        return True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "spec", tmp_path / "spec"))


@pytest.fixture
def ear(folder: Path) -> Iterator[Ear]:
    found = Ear()
    with watching(folder / "openapi.yaml", found.tell):
        assert found.hears(30)  # once at the beginning
        yield found


def _written(folder: Path) -> None:
    with (folder / "paths" / "mfa.yaml").open("a", encoding="utf-8") as file:
        file.write("# more\n")


def _written_aside(folder: Path) -> None:
    """As editors save: a new file takes the place of the old one."""
    aside = folder / "paths" / "mfa.yaml~"
    aside.write_text("new", encoding="utf-8")
    os.replace(aside, folder / "paths" / "mfa.yaml")


def _added(folder: Path) -> None:
    (folder / "schemas" / "new.yaml").write_text("new", encoding="utf-8")


def _added_in_a_new_folder(folder: Path) -> None:
    (folder / "more").mkdir()
    (folder / "more" / "new.yml").write_text("new", encoding="utf-8")


def _removed(folder: Path) -> None:
    (folder / "openapi.yaml").unlink()


def _moved_in(folder: Path) -> None:
    """A whole folder at once: only its own name is told."""
    aside = folder.parent / "aside"
    shutil.copytree(folder / "paths", aside)
    os.rename(aside, folder / "moved")


@pytest.mark.parametrize(
    "change", [_written, _written_aside, _added, _added_in_a_new_folder, _removed, _moved_in]
)
def test_a_change_is_told(folder: Path, ear: Ear, change: Callable[[Path], None]) -> None:
    change(folder)
    assert ear.hears()


@pytest.mark.parametrize(
    "name", [".openapi.yaml.swp", "openapi.yaml~", "c.db", "c.db-wal", "log.txt"]
)
def test_what_stands_beside_a_spec_is_not(folder: Path, ear: Ear, name: str) -> None:
    (folder / name).write_text("x", encoding="utf-8")
    assert not ear.hears(QUIET)
    _written(folder)
    assert ear.hears()


def test_a_file_that_came_later_is_watched_too(folder: Path, ear: Ear) -> None:
    _added_in_a_new_folder(folder)
    assert ear.hears()
    (folder / "more" / "new.yml").write_text("newer", encoding="utf-8")
    assert ear.hears()


def test_a_folder_that_was_taken_away_is_watched_again_when_it_is_back(
    folder: Path, ear: Ear
) -> None:
    aside = folder.rename(folder.with_name("aside"))
    ear.hears(watch.LOOK_SECONDS * 2)
    shutil.copytree(aside, folder)
    assert ear.hears(watch.LOOK_SECONDS + SOON)
    _written(folder)
    assert ear.hears()


def test_a_link_that_leads_to_another_folder_is_followed(folder: Path) -> None:
    ear, link, other = Ear(), folder.with_name("link"), folder.with_name("other")
    shutil.copytree(folder, other)
    link.symlink_to(folder)
    with watching(link / "openapi.yaml", ear.tell):
        assert ear.hears(30)
        (aside := folder.with_name("aside")).symlink_to(other)
        os.replace(aside, link)
        assert ear.hears(watch.LOOK_SECONDS + SOON)
        _written(other)
        assert ear.hears()


def test_nothing_is_told_after_the_block(folder: Path) -> None:
    ear = Ear()
    with watching(folder / "openapi.yaml", ear.tell):
        assert ear.hears(30)
    _written(folder)
    assert not ear.hears(QUIET)


def test_a_block_ends_at_once(folder: Path) -> None:
    ear = Ear()
    with watching(folder / "openapi.yaml", ear.tell):
        assert ear.hears(30)
        before = time.monotonic()
    assert time.monotonic() - before < 1
