"""The report as a page for people: one file, nothing fetched, readable without a script."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tests.report.forms import verdict
from tests.report.recorder import NOBODY
from tests.report.verdict import Report, Seen

TEMPLATE = "page.html"
_REASONS = {"2": "successes", "4": "refusals", "5": "failures"}


def html(report: Report, made: datetime) -> str:
    """The whole page. `made` is the time that it gives as its own."""
    folder = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=folder,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["places"] = _short
    return environment.get_template(TEMPLATE).render(
        report=report,
        verdict=verdict(report),
        made=made.strftime("%Y-%m-%d %H:%M UTC"),
        classes=_classes(report),
        rows=_rows(report),
        suites=_suites(report),
        requests=_by_operation(report),
        longest=max((time.p95 for time in report.times), default=1),
        nobody=NOBODY,
    )


def _classes(report: Report) -> list[tuple[str, str, list[str]]]:
    """The columns: each class of statuses with its name and its statuses."""
    statuses = sorted({cell.status for cell in report.cells})
    return [
        (f"{first}xx", _REASONS.get(first, ""), list(group))
        for first, group in groupby(statuses, key=lambda status: status[0])
    ]


def _rows(report: Report) -> list[tuple[str, dict[str, list[Seen]]]]:
    """The operations in the order of the spec, each with its cells by status."""
    rows: dict[str, dict[str, list[Seen]]] = {name: {} for name in report.operations}
    for cell in report.cells:
        rows.setdefault(cell.operation, {}).setdefault(cell.status, []).append(cell)
    return list(rows.items())


def _suites(report: Report) -> list[tuple[str, int]]:
    totals: defaultdict[str, int] = defaultdict(int)
    for cell in report.cells:
        for suite, count in cell.suites.items():
            totals[suite] += count
    return sorted(totals.items(), key=lambda pair: -pair[1])


def _by_operation(report: Report) -> list[tuple[str, list[Any]]]:
    return [
        (name, list(group)) for name, group in groupby(report.requests, key=lambda k: k.operation)
    ]


def _short(place: str) -> str:
    return place.removeprefix("spec/")
