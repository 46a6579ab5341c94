"""The coverage report finds what it exists to find: the unreachable and the undeclared."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from server.spec import read
from tests.support import coverage
from tests.support.coverage import Cell, Recorder, declared, report, seen
from tests.support.servers import ROOT

JSON = "application/json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return read(ROOT / "spec" / "openapi.yaml").bundle.document


def test_all_that_is_declared_and_nothing_else_is_complete(document: dict[str, Any]) -> None:
    cells = declared(document)
    lines, complete = report(cells, cells)
    assert complete
    assert lines == [f"contract coverage: {len(cells)} of {len(cells)} cells"]


def test_every_operation_and_status_is_a_cell(document: dict[str, Any]) -> None:
    cells = declared(document)
    assert ("login", "429", JSON) in cells
    assert ("endSession", "404", JSON) in cells
    assert {("-", "404", JSON), ("-", "405", JSON), ("-", "204", "-")} <= cells
    statuses = sum(
        len(operation["responses"])
        for item in document["paths"].values()
        for operation in item.values()
    )
    assert len(cells) == statuses + 3


def test_a_declared_status_that_nothing_reaches_fails_the_report(document: dict[str, Any]) -> None:
    planted = copy.deepcopy(document)
    responses = planted["paths"]["/auth/session"]["get"]["responses"]
    responses["418"] = responses["400"]
    lines, complete = report(declared(planted), declared(document))
    assert not complete
    assert lines[0] == f"declared and never seen: getSession 418 {JSON}"


def test_a_declared_media_type_that_nothing_sends_fails_the_report(
    document: dict[str, Any],
) -> None:
    planted = copy.deepcopy(document)
    content = planted["paths"]["/auth/session"]["get"]["responses"]["200"]["content"]
    content["application/vnd.example+json"] = content[JSON]
    lines, complete = report(declared(planted), declared(document))
    assert not complete
    assert lines[0] == "declared and never seen: getSession 200 application/vnd.example+json"


@pytest.mark.parametrize(
    "cell",
    [("getSession", "404", JSON), ("getSession", "200", "text/html"), ("noSuchThing", "200", JSON)],
)
def test_a_reply_that_is_not_declared_fails_the_report(
    document: dict[str, Any], cell: Cell
) -> None:
    cells = declared(document)
    lines, complete = report(cells, cells | {cell})
    assert not complete
    assert lines[0] == f"seen and never declared: {' '.join(cell)}"


def test_a_run_that_saw_nothing_is_not_complete(document: dict[str, Any]) -> None:
    cells = declared(document)
    lines, complete = report(cells, set())
    assert not complete
    assert lines[-1] == f"contract coverage: 0 of {len(cells)} cells"


def test_static_pages_are_not_held_against_the_spec(document: dict[str, Any]) -> None:
    cells = declared(document)
    _, complete = report(cells, cells | {("-", "200", "text/html")})
    assert complete


def test_runs_add_up_in_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "SEEN", tmp_path / "build" / "seen.txt")
    assert seen() == set()
    for operation, status, media_type in (("login", 200, JSON), (None, 204, None)):
        recorder = Recorder()
        recorder(operation, status, media_type)
        recorder.save()
    assert seen() == {("login", "200", JSON), ("-", "204", "-")}


@pytest.mark.parametrize(("missing", "status"), [(0, 0), (1, 1)])
def test_the_command_tells_by_its_status(
    document: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    missing: int,
    status: int,
) -> None:
    monkeypatch.setattr(coverage, "SEEN", tmp_path / "seen.txt")
    recorder = Recorder()
    recorder.cells = set(sorted(declared(document))[missing:])
    recorder.save()
    assert coverage.main() == status
