"""A broken edit is refused with its file, line and column, and all of them in one go."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.diagnostics import SpecError
from server.spec import read
from tests.contract.broken import BROKEN, SYNTAX, Broken, make
from tests.contract.notes import copy
from tests.support.servers import ROOT

FILES = sorted({edit.file for edit in BROKEN.values()})
READABLE = [edit for name, edit in BROKEN.items() if name not in SYNTAX]


def told(spec: Path) -> list[str]:
    """The errors, a line each, of a spec that is refused."""
    with pytest.raises(SpecError) as refusal:
        read(spec / "openapi.yaml")
    return [str(each) for each in refusal.value.diagnostics if each.severity == "error"]


def test_there_are_at_least_two_in_each_kind_of_file() -> None:
    assert len(BROKEN) > 20
    kinds = {path.parent.name for path in (ROOT / "spec").rglob("*.yaml")} - {"workflows"}
    assert {(ROOT / "spec" / file).parent.name for file in FILES} == kinds
    components = {path.name for path in (ROOT / "spec" / "components").glob("*.yaml")}
    assert components == {Path(file).name for file in FILES if "components" in file}
    assert all(sum(edit.file == file for edit in BROKEN.values()) >= 2 for file in FILES)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_edit_is_told_where_it_stands(tmp_path: Path, name: str) -> None:
    spec = copy(tmp_path, ROOT / "spec")
    (place,) = make(spec, BROKEN[name])
    first, *more = told(spec)
    assert first.startswith(f"{place}: error: ")
    assert BROKEN[name].says in first
    assert more == []


@pytest.mark.parametrize("file", FILES)
def test_all_errors_of_a_file_are_told_in_one_go(tmp_path: Path, file: str) -> None:
    spec = copy(tmp_path, ROOT / "spec")
    edits = [edit for edit in READABLE if edit.file == file]
    assert len(edits) >= 2
    held(spec, edits)


def test_all_errors_of_all_files_are_told_in_one_go(tmp_path: Path) -> None:
    # Which operations there are is not known while a path is broken.
    known = [e for e in READABLE if e is not BROKEN["links: an operation that is not there"]]
    held(copy(tmp_path, ROOT / "spec"), known)


def held(spec: Path, edits: list[Broken]) -> None:
    places = make(spec, *edits)
    assert len(set(places)) == len(edits)
    assert {line.partition(": ")[0] for line in told(spec)} == set(places)
