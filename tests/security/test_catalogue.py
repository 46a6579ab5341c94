"""No row is forgotten, and no failure is missing from the page."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.security import report
from tests.security.catalogue import SECTIONS, SOURCES, RowTest, faults, row_tests
from tests.security.conftest import PAGE, ROWS
from tests.security.report import FAIL, LEFT_OUT, NOT_RUN, PASS, Verdict
from tests.security.site import CONFIGURATIONS
from tests.support.servers import ROOT

LAST = 90


def test_the_catalogue_has_ninety_rows() -> None:
    assert list(SOURCES) == [f"S-{number:02}" for number in range(1, LAST + 1)]


def test_every_row_has_a_test_or_a_reason() -> None:
    assert faults(list(row_tests())) == []


# -- the same checks where something is wrong ------------------------------------------------------


def complete() -> list[RowTest]:
    return [
        RowTest(row, f"test_{module}", f"test_s{row[2:]}_x", "A promise.", full=False)
        for module, (_, rows) in SECTIONS.items()
        for row in rows
    ]


def without(row: str) -> list[RowTest]:
    return [test for test in complete() if test.row != row]


MISPLACED = RowTest("S-01", "test_http", "test_s01_x", "A promise.", full=False)
UNKNOWN = RowTest("S-91", "test_http", "test_s91_x", "A promise.", full=False)
SILENT = RowTest("S-01", "test_login", "test_s01_y", "", full=False)


@pytest.mark.parametrize(
    ("tests", "argued", "fault"),
    [
        (without("S-42"), {}, "S-42: no test and no reason"),
        (without("S-42"), {"S-42": " "}, "S-42: an empty reason"),
        (complete(), {"S-42": "why"}, "S-42: a test and a reason to have none"),
        ([*complete(), MISPLACED], {}, "S-01: test_s01_x: does not belong into test_http"),
        ([*complete(), UNKNOWN], {}, "S-91: test_s91_x: the catalogue has no such row"),
        ([*complete(), SILENT], {}, "S-01: test_s01_y: no docstring that says what is promised"),
    ],
)
def test_a_gap_is_found(tests: list[RowTest], argued: dict[str, str], fault: str) -> None:
    assert faults(tests, argued) == [fault]


def test_a_complete_catalogue_has_no_gap() -> None:
    assert faults(complete(), {}) == []
    assert faults(without("S-42"), {"S-42": "why"}) == []


def test_tests_are_read_with_their_promise_and_form(tmp_path: Path) -> None:
    (tmp_path / "test_login.py").write_text(
        'def test_s01_short(site):\n    """One\n    promise.\n\n    And why."""\n'
        '@pytest.mark.full\ndef test_s01_long(site):\n    """It."""\n'
        "def test_other():\n    pass\n",
        encoding="utf-8",
    )
    assert list(row_tests(tmp_path)) == [
        RowTest("S-01", "test_login", "test_s01_short", "One promise.", full=False),
        RowTest("S-01", "test_login", "test_s01_long", "It.", full=True),
    ]


# -- the page --------------------------------------------------------------------------------------


def verdict(*phases: tuple[str, str, str]) -> Verdict:
    """Of (node, outcome, phase)."""
    found = Verdict()
    for node, outcome, when in phases:
        found.note(f"tests/security/test_login.py::{node}", outcome, when, 0.1, "the reason")
    return found


def cells(found: Verdict, row: str = "S-01") -> list[str]:
    return [found.cell(row, configuration) for configuration in CONFIGURATIONS]


def test_results_stand_in_the_column_of_their_configuration() -> None:
    found = verdict(
        ("test_s01_x[sqlite-1]", "passed", "call"),
        ("test_s01_x[sqlite-2-more]", "failed", "call"),
        ("test_s01_x[postgresql-1]", "skipped", "setup"),
    )
    assert cells(found) == [PASS, FAIL, LEFT_OUT, NOT_RUN]
    assert "- S-01, postgresql-1: the reason" in report.page(found, complete(), {})


def test_a_row_with_servers_of_its_own_counts_for_all() -> None:
    assert cells(verdict(("test_s01_x", "passed", "call"))) == [f"{PASS}*"] * 4
    assert cells(verdict(("test_s01_x", "failed", "setup"))) == [FAIL] * 4


@pytest.mark.parametrize("when", ["setup", "call", "teardown"])
def test_one_failure_outweighs_any_success(when: str) -> None:
    found = verdict(
        ("test_s01_x[sqlite-1]", "passed", "call"), ("test_s01_y[sqlite-1]", "failed", when)
    )
    assert found.cell("S-01", "sqlite-1") == FAIL


def test_a_row_that_is_left_out_everywhere_is_noticed() -> None:
    found = verdict(*[(f"test_s01_x[{name}]", "skipped", "call") for name in CONFIGURATIONS])
    tests = [RowTest("S-01", "test_login", "test_s01_x", "A promise.", full=False)]
    assert found.idle(tests) == ["S-01: passed in no configuration"]
    found.note("test_login.py::test_s01_x[sqlite-1]", "passed", "call", 0.1)
    assert found.idle(tests) == []


def test_the_page_is_the_same_whatever_the_order_and_the_time() -> None:
    phases = [(f"test_s01_x[{name}]", "skipped", "setup") for name in CONFIGURATIONS]
    forwards, backwards = verdict(*phases), verdict(*reversed(phases))
    forwards.seconds["S-01"] = 99
    assert report.page(forwards, complete(), {}) == report.page(backwards, complete(), {})


def test_a_reason_stands_in_place_of_a_promise() -> None:
    text = report.page(verdict(), without("S-42"), {"S-42": "it cannot"})
    assert "| S-42 | Does not apply: it cannot |" in text


# -- a whole run -----------------------------------------------------------------------------------

TEST = '''
import pytest

@pytest.mark.parametrize("house", ["sqlite-1", "sqlite-2"])
def test_s01_planted(house):
    """A promise that is broken with two workers."""
    assert house == "sqlite-1"
'''


def run(folder: Path, *options: str, **environment: str) -> tuple[int, str, str]:
    """The exit status, what was printed and the page of a run over one planted module."""
    (folder / "test_login.py").write_text(TEST, encoding="utf-8")
    target = folder / "page.md"
    command = [sys.executable, "-m", "pytest", "-p", "tests.security.conftest", *options]
    done = subprocess.run(
        [*command, "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), str(folder)],
        cwd=ROOT,
        env=os.environ | {PAGE: str(target)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr, target.read_text(encoding="utf-8")


def row(page: str, name: str) -> list[str]:
    (line,) = [line for line in page.splitlines() if line.startswith(f"| {name} ")]
    return line.strip("| ").split(" | ")[-4:]


@pytest.mark.parametrize("options", [(), ("-n", "2", "--dist", "loadscope")], ids=["one", "two"])
def test_a_failing_row_fails_the_run_and_shows_in_the_page(
    tmp_path: Path, options: Iterable[str]
) -> None:
    status, printed, text = run(tmp_path, *options)
    assert status == pytest.ExitCode.TESTS_FAILED, printed
    assert "1 failed, 1 passed" in printed
    assert row(text, "S-01") == [PASS, FAIL, NOT_RUN, NOT_RUN]


def test_a_row_without_a_test_fails_a_run_whose_tests_pass(tmp_path: Path) -> None:
    status, printed, text = run(tmp_path, "-k", "sqlite-1", **{ROWS: str(tmp_path)})
    assert "1 passed" in printed
    assert "CATALOGUE S-42: no test and no reason" in printed
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "| S-42 | No test and no reason |" in text


def test_without_postgresql_there_is_no_verdict_in_ci() -> None:
    dead = {"CI": "true", "TEST_POSTGRES_URL": "postgresql://postgres@127.0.0.1:1/postgres"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.security"],
        cwd=ROOT,
        env=os.environ | dead,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot be carried out: no PostgreSQL answers" in done.stderr
    assert done.stdout == ""
