"""The verdict on the catalogue: results by row and configuration, and docs/security.md."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.security.catalogue import NOT_APPLICABLE, SECTIONS, RowTest, row_of
from tests.security.site import CONFIGURATIONS

ALONE = "alone"
"""The configuration of a test that brings servers of its own."""
PASS, FAIL, LEFT_OUT, NOT_RUN = "pass", "**FAIL**", "–", "not run"

_ID = re.compile(r"::(?P<test>\w+)(?:\[(?P<parameters>[^\]]*)\])?")

HEAD = """\
# The security catalogue, carried out

Every row is a test in `tests/security/`, with the row's ID in its name. Each runs against real
`countersign serve` processes: on SQLite and on PostgreSQL, with one worker and with two (two
processes on two ports over one database and one key directory; requests alternate between them).
The servers' clock is moved, never waited for; codes come from `oathtool`; where a row is about a
refusal, the same request made valid is accepted. `make security` runs the rows and writes this
page; `make security-full` runs the long forms too (rows marked †). `–` stands for a configuration
that a row says nothing about; `pass*` for a row that brings servers of its own.

ASVS is OWASP ASVS 5.0, NIST is SP 800-63B-4, API1 to API10 are the OWASP API Security Top 10 2023.
"""


@dataclass
class Verdict:
    """What a run has shown. ``failed`` and ``passed`` map rows to configurations."""

    passed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    failed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    left_out: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def note(self, nodeid: str, outcome: str, when: str, seconds: float, why: str = "") -> None:
        """One phase of one test, as pytest reports it."""
        match = _ID.search(nodeid)
        row = row_of(match["test"]) if match else None
        if match is None or row is None:
            return
        place = configuration(match["parameters"] or "")
        self.seconds[row] += seconds
        if outcome == "failed":
            self.failed[row].add(place)
        elif outcome == "skipped":
            self.left_out[row][place] = why
        elif when == "call":
            self.passed[row].add(place)

    def cell(self, row: str, configuration: str) -> str:
        if {configuration, ALONE} & self.failed[row]:
            return FAIL
        if configuration in self.passed[row]:
            return PASS
        if ALONE in self.passed[row]:
            return f"{PASS}*"
        return LEFT_OUT if {configuration, ALONE} & set(self.left_out[row]) else NOT_RUN

    def idle(self, tests: Iterable[RowTest]) -> list[str]:
        """Rows of the short run that have passed nowhere, so that nothing is shown; a line each."""
        rows = dict.fromkeys(test.row for test in tests if not test.full)
        return [f"{row}: passed in no configuration" for row in rows if not self.passed[row]]


def configuration(parameters: str) -> str:
    """The configuration among a test's parameters as its node ID has them, or ``ALONE``."""
    return next((name for name in CONFIGURATIONS if name in parameters), ALONE)


def page(verdict: Verdict, tests: list[RowTest], argued: dict[str, str] | None = None) -> str:
    """docs/security.md. The same results make the same page: no times, no dates."""
    reasons = NOT_APPLICABLE if argued is None else argued
    parts = [HEAD]
    for title, rows in SECTIONS.values():
        parts.append(_section(verdict, tests, reasons, title, rows))
    return "\n".join(parts)


def _section(
    verdict: Verdict,
    tests: list[RowTest],
    reasons: dict[str, str],
    title: str,
    rows: dict[str, str],
) -> str:
    columns = ["ID", "Promise", "Source", *CONFIGURATIONS]
    lines = [f"## {title}", "", _line(columns), _line(["---"] * len(columns))]
    for row, source in rows.items():
        own = [test for test in tests if test.row == row]
        lines.append(_line(_row(verdict, row, own, source, reasons.get(row))))
    notes = [note for row in rows for note in _notes(verdict, row)]
    return "\n".join([*lines, "", *notes, *([""] if notes else [])])


def _row(
    verdict: Verdict, row: str, own: list[RowTest], source: str, reason: str | None
) -> list[str]:
    if reason is not None:
        return [row, f"Does not apply: {reason}", source, *[LEFT_OUT] * len(CONFIGURATIONS)]
    mark = " †" if any(test.full for test in own) else ""
    promise = own[0].promise if own else "No test and no reason"
    results = [verdict.cell(row, configuration) for configuration in CONFIGURATIONS]
    return [row + mark, promise, source, *results]


def _notes(verdict: Verdict, row: str) -> list[str]:
    """Why a row is left out somewhere, each reason once."""
    places: dict[str, list[str]] = defaultdict(list)
    for place, why in sorted(verdict.left_out[row].items()):
        if place == ALONE or verdict.cell(row, place) == LEFT_OUT:
            places[why].append(place)
    return [f"- {row}, {', '.join(names)}: {why}" for why, names in places.items()]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def slowest(verdict: Verdict, number: int = 10) -> list[str]:
    """The rows that took longest, for the terminal."""
    order = sorted(verdict.seconds.items(), key=lambda pair: -pair[1])
    return [f"{row} {seconds:.1f} s" for row, seconds in order[:number]]
