"""What became of the mutations of a run: one line for each, counts for each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.mutation.mutators import EXEMPT
from tests.mutation.values import Value
from tests.support.servers import ROOT

REPORT = ROOT / "build" / "mutations.txt"
_PROPERTY = "mutation"

if TYPE_CHECKING:
    from tests.mutation.engine import Outcome

Line = tuple[str, str, str, str]
"""Kind, place, verdict and how the change was seen."""


def note(request: pytest.FixtureRequest, value: Value, outcome: Outcome | None) -> None:
    """Keep what became of a value with the test's report, which crosses processes."""
    verdict, seen = "survived", ""
    if outcome is not None:
        verdict = ("told and seen" if outcome.told else "seen") if outcome.seen else "told only"
        seen = outcome.seen or outcome.told
        if outcome.companions:
            verdict += f", with {outcome.companions} companions"
    request.node.user_properties.append((_PROPERTY, (value.kind, value.place, verdict, seen)))


def of_reports(reports: Iterable[pytest.TestReport]) -> list[Line]:
    return [
        tuple(line)
        for report in reports
        if report.when == "call"
        for name, line in report.user_properties
        if name == _PROPERTY
    ]


def write(lines: list[Line], folder: Path = REPORT.parent) -> list[str]:
    """Write the report; its head, which counts."""
    head = summary(lines)
    body = ["\t".join(line) for line in sorted(lines)]
    exempt = [f"exempt\t{place}\t{reason}" for place, reason in EXEMPT.items()]
    folder.mkdir(exist_ok=True)
    (folder / REPORT.name).write_text("\n".join([*head, "", *exempt, *body, ""]), encoding="utf-8")
    return head


def summary(lines: list[Line]) -> list[str]:
    """Killed and all of each kind, then the survivors."""
    total = Counter(kind for kind, *_ in lines)
    killed = Counter(kind for kind, _, verdict, _ in lines if verdict != "survived")
    verdicts = Counter(verdict for _, _, verdict, _ in lines)
    counts = [f"{killed[kind]:4} of {number:4}  {kind}" for kind, number in sorted(total.items())]
    survivors = [f"survived: {place}" for _, place, verdict, _ in lines if verdict == "survived"]
    told = ", ".join(f"{number} {verdict}" for verdict, number in sorted(verdicts.items()))
    return [*counts, f"mutations: {sum(killed.values())} of {len(lines)} ({told})", *survivors]
