"""The verdict finds what it exists to find: the unreached, the undeclared, the unbroken."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from contract.bundle import load
from contract.compile import compile_contract
from server.spec import Reading
from tests.report import __main__ as command
from tests.report import declared, forms, page, recorder
from tests.report.evidence import REPLY, Evidence, Key
from tests.report.recorder import NOBODY, Recorder, shipped
from tests.report.verdict import Report, report
from tests.support.specs import with_flood

JSON = "application/json"
MADE = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
EVIDENCE = Evidence(shipped().bundle)
REHEARSED = list(declared.rehearsed(shipped()))
SATISFIED = {
    *EVIDENCE.requests,
    *(key for each in REHEARSED for key in EVIDENCE.of_reply(*each)),
}


@pytest.fixture
def books() -> Recorder:
    """The books of a run that saw everything once."""
    made = Recorder()
    codes = declared.codes(REHEARSED)
    for name, status, media_type in declared.cells(shipped().bundle.document):
        for code in [c for n, s, c in codes if (n, s) == (name, status)] or [NOBODY]:
            made.seen["api", name, status, media_type, code] += 1
    made.evidence = {(key, "satisfied") for key in SATISFIED}
    made.evidence |= {(key, "broken") for key, breakable in EVIDENCE.requests.items() if breakable}
    made.times["login"] = [1000, 2000, 9000]
    return made


def verdict(books: Recorder, reading: Reading | None = None) -> Report:
    return report(reading or shipped(), books)


def faults(books: Recorder, reading: Reading | None = None) -> list[str]:
    return [str(fault) for fault in verdict(books, reading).faults]


def edited(folder: Path, file: str, old: str, new: str) -> Reading:
    """The shipped spec with one edit, compiled and not rehearsed."""
    root = with_flood(folder, rate=50, per="PT1S", burst=500)
    path = root.parent / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    bundle = load(root, shipped().registry, links="later")
    contract = compile_contract(bundle, shipped().registry)
    return replace(shipped(), bundle=bundle, contract=contract)


def without(books: Recorder, wanted: Callable[..., bool]) -> None:
    for row in [row for row in books.seen if wanted(*row)]:
        del books.seen[row]


# -- the verdict -----------------------------------------------------------------------------


def test_a_run_that_saw_everything_and_nothing_else_is_complete(books: Recorder) -> None:
    found = verdict(books)
    assert faults(books) == []
    assert found.complete
    assert all(total.seen == total.of > 0 for total in found.totals)


def test_a_run_that_saw_nothing_is_not_complete() -> None:
    found = verdict(Recorder())
    assert {total.seen for total in found.totals} == {0}
    assert {fault.kind for fault in found.faults} == {
        *("declared and never seen", "can be sent and never seen"),
        *("keyword never satisfied", "keyword never broken", "keyword of a reply never seen"),
    }


def test_a_cell_that_nothing_reaches_is_found(books: Recorder) -> None:
    without(books, lambda _suite, *row: row[:2] == ("getSession", "200"))
    assert faults(books) == [f"declared and never seen: getSession 200 {JSON}"]


def test_a_declared_status_that_nothing_reaches_is_found(books: Recorder, tmp_path: Path) -> None:
    anchor = '      "404":\n        $ref: "../components/responses.yaml#/NotFound"\n'
    more = anchor + '      "409":\n        $ref: "../components/responses.yaml#/Conflict"\n'
    planted = edited(tmp_path, "paths/auth.yaml", anchor, more)
    assert faults(books, planted) == [f"declared and never seen: endSession 409 {JSON}"]


def test_every_operation_and_status_is_a_cell() -> None:
    document = shipped().bundle.document
    cells = declared.cells(document)
    assert {("login", "429", JSON), ("endSession", "404", JSON)} <= cells
    assert {("-", "404", JSON), ("-", "405", JSON), ("-", "204", "-")} <= cells
    operations = [o for item in document["paths"].values() for o in item.values()]
    assert len(cells) == sum(len(o["responses"]) for o in operations) + 3


@pytest.mark.parametrize(
    "cell",
    [("getSession", "404", JSON), ("getSession", "200", "text/html"), ("noSuchThing", "200", JSON)],
)
def test_a_reply_that_is_not_declared_is_found(books: Recorder, cell: tuple[str, str, str]) -> None:
    books.seen["e2e", *cell, NOBODY] += 1
    assert faults(books) == [f"seen and never declared: {' '.join(cell)}"]


def test_static_pages_are_not_held_against_the_spec(books: Recorder) -> None:
    books.seen["e2e", NOBODY, "200", "text/html", NOBODY] += 1
    assert faults(books) == []


UNKNOWN = [
    f"seen and never declared: - 418 {JSON}",
    "sent and not rehearsed: - 418 internal_error",
]


@pytest.mark.parametrize(("status", "found"), [("500", []), ("418", UNKNOWN)])
def test_a_failure_outside_every_operation_is_declared_for_all(
    books: Recorder, status: str, found: list[str]
) -> None:
    books.seen["contract", NOBODY, status, JSON, "internal_error"] += 1
    assert faults(books) == found


def test_an_error_code_that_nothing_reaches_is_found(books: Recorder) -> None:
    without(books, lambda *row: row[1:] == ("login", "401", JSON, "factor_locked"))
    assert faults(books) == ["can be sent and never seen: login 401 factor_locked"]


def test_an_error_code_that_the_rehearsal_does_not_know_is_found(books: Recorder) -> None:
    books.seen["api", "getSession", "401", JSON, "factor_locked"] += 1
    assert faults(books) == ["sent and not rehearsed: getSession 401 factor_locked"]


def test_a_code_that_no_operation_sends_is_shown_and_no_fault(
    books: Recorder, tmp_path: Path
) -> None:
    anchor = "        - invalid_request\n"
    planted = edited(tmp_path, "schemas/common.yaml", anchor, f"{anchor}        - teapot\n")
    assert faults(books, planted) == []
    assert "listed and sent by no operation: teapot\n" in forms.text(verdict(books, planted))


SHORT = Key("registerUser", "body/username", "/components/schemas/Username/minLength")
PLACE = str(shipped().bundle.where(SHORT.pointer, key=True))


def test_a_keyword_that_nothing_breaks_is_found(books: Recorder) -> None:
    books.evidence.remove((SHORT, "broken"))
    told = f"keyword never broken: registerUser body/username minLength ({PLACE})"
    assert faults(books) == [told]


def test_a_keyword_that_nothing_satisfies_is_found(books: Recorder) -> None:
    books.evidence.remove((SHORT, "satisfied"))
    told = f"keyword never satisfied: registerUser body/username minLength ({PLACE})"
    assert faults(books) == [told]


def test_a_keyword_that_is_not_enforced_is_found(books: Recorder) -> None:
    books.evidence.add((SHORT, "passed"))
    told = f"keyword broken and let pass: registerUser body/username minLength ({PLACE})"
    assert faults(books) == [told]


def test_a_keyword_of_a_reply_that_is_never_seen_is_found(books: Recorder) -> None:
    pointer = "/components/schemas/Session/required"
    books.evidence.remove((Key(REPLY, "", pointer), "satisfied"))
    place = shipped().bundle.where(pointer, key=True)
    assert faults(books) == [f"keyword of a reply never seen: required ({place})"]


def test_a_keyword_that_no_reply_has_a_value_for_is_shown_and_no_fault(books: Recorder) -> None:
    """The server makes no key of this kind, but it may come to."""
    place = shipped().bundle.where("/components/schemas/EdwardsKey/required", key=True)
    (found,) = [key for key in verdict(books).replies if key.place == str(place)]
    assert found.idle
    assert found.complete


# -- its forms -------------------------------------------------------------------------------


@pytest.fixture
def wanting(books: Recorder) -> Report:
    """A report with one fault of each of three kinds."""
    without(books, lambda _suite, *row: row[:2] == ("getSession", "200"))
    books.seen["e2e", "getSession", "404", JSON, "<b>"] += 7
    books.evidence.remove((SHORT, "broken"))
    return verdict(books)


def test_the_text_ends_with_the_totals_and_the_verdict(books: Recorder, wanting: Report) -> None:
    lines = forms.text(wanting).splitlines()
    number = len(declared.cells(shipped().bundle.document))
    assert lines[0] == f"declared and never seen: getSession 200 {JSON}"
    assert "slowest: login 2.0 ms, p95 8.3 ms, of 3" in lines
    assert f"cells: {number - 1} of {number}" in lines
    assert lines[-1].endswith(f"revision {shipped().contract.revision}: 4 faults")


def test_the_json_holds_everything(wanting: Report) -> None:
    told = json.loads(forms.document(wanting))
    assert told["complete"] is False
    assert told["faults"][0]["subject"] == f"getSession 200 {JSON}"
    assert {"cells", "codes", "requests", "replies", "times", "totals"} <= told.keys()
    (cell,) = [c for c in told["cells"] if (c["operation"], c["status"]) == ("getSession", "404")]
    assert (cell["suites"], cell["codes"]) == ({"e2e": 7}, {"<b>": 7})


def test_junit_has_a_case_for_each_cell_and_a_failure_for_each_fault(wanting: Report) -> None:
    suite = ElementTree.fromstring(forms.junit(wanting))
    cases = {(case.get("classname"), case.get("name")): case for case in suite}
    for name, *rest in declared.cells(shipped().bundle.document):
        assert (name, " ".join(rest)) in cases
    failed = {key for key, case in cases.items() if case.find("failure") is not None}
    assert ("getSession", f"200 {JSON}") in failed
    assert int(suite.get("failures", "")) == len(failed) == len(wanting.faults)


class Page(HTMLParser):
    """The elements of a page, with what they ask for from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))


def test_the_page_stands_alone_and_escapes_what_was_seen(wanting: Report) -> None:
    text = page.html(wanting, MADE)
    elements = Page(text).elements
    assert not [(tag, a) for tag, a in elements if {"src", "href", "action"} & a.keys()]
    assert "url(" not in text
    assert "@import" not in text
    assert "&lt;b&gt;" in text
    assert "<b>7" not in text
    assert all("scope" in attributes for tag, attributes in elements if tag == "th")


def test_the_page_tells_the_verdict_the_revision_and_the_time(
    books: Recorder, wanting: Report
) -> None:
    text = page.html(wanting, MADE)
    for told in ("4 faults", shipped().contract.revision, "2026-11-24 09:30 UTC", "7 undeclared"):
        assert told in text
    for name in wanting.operations:
        assert f'<th scope="row">{name} ' in text


def test_a_page_without_faults_says_so(books: Recorder) -> None:
    text = page.html(verdict(books), MADE)
    assert ">complete<" in text
    assert "What is wrong" not in text
    assert ">never<" not in text.replace('<span class="cell bad">never</span>', "")


@pytest.mark.parametrize("complete", [True, False])
def test_the_command_tells_by_its_status_and_leaves_every_form(
    books: Recorder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    complete: bool,
) -> None:
    monkeypatch.setattr(recorder, "SEEN", tmp_path / "seen")
    if not complete:
        books.evidence.remove((SHORT, "broken"))
    books.save()
    assert command.main(tmp_path / "seen", tmp_path / "build") == (0 if complete else 1)
    text = (tmp_path / "build" / "contract.txt").read_text(encoding="utf-8")
    assert capsys.readouterr().out == text
    assert text.strip().endswith("complete" if complete else "1 fault")
    assert {path.name for path in (tmp_path / "build").iterdir()} == {
        f"contract.{kind}" for kind in ("txt", "json", "xml", "html")
    }
