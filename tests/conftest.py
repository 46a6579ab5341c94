"""The books of the whole run: log lines, replies and contract cells are kept and judged."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from server import logs
from tests.mutation import report as mutations
from tests.report.recorder import RECORDER
from tests.support.ledger import LEDGER
from tests.support.world import World, world_in

CLOSED: list[dict[str, Any]] = []
"""The books of this process and of the workers it started."""
MOST_SHOWN = 20


class _Keeper(logging.Handler):
    """Puts every line that any logger writes, at any level, into the ledger."""

    def emit(self, record: logging.LogRecord) -> None:
        LEDGER.lines.append((record.name, self.format(record)))


# CI tries the same examples each time, so that a change is judged by what it changed; everybody
# else tries new ones.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI") == "true":
    hypothesis.settings.load_profile("ci")


def pytest_configure() -> None:
    logs.configure(logging.DEBUG)
    root = logging.getLogger()
    keeper = _Keeper()
    keeper.setFormatter(root.handlers[0].formatter)
    root.handlers[:] = [keeper]


def _books() -> dict[str, Any]:
    return {
        "leaks": LEDGER.leaks(),
        "secrets": len(LEDGER.secrets),
        "replies": len(LEDGER.replies),
        "log lines": len(LEDGER.lines),
    }


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Close the books. A worker of a distributed run hands them to the run that started it."""
    RECORDER.save()
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["books"] = _books()
        return
    CLOSED.append(_books())
    if any(books["leaks"] for books in CLOSED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    CLOSED.append(node.workeroutput["books"])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Runs after the books are closed."""
    for leak in [leak for books in CLOSED for leak in books["leaks"]][:MOST_SHOWN]:
        terminalreporter.write_line(f"LEAK {leak}", red=True)
    counts = (f"{sum(b[name] for b in CLOSED)} {name}" for name in CLOSED[0] if name != "leaks")
    terminalreporter.write_line(f"ledger: {', '.join(counts)}")
    stats = terminalreporter.stats
    reports = [r for key in ("passed", "failed") for r in stats.get(key, ())]
    if lines := mutations.of_reports(reports):
        for line in mutations.write(lines):
            terminalreporter.write_line(line)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh Countersign on SQLite, in this process."""
    return world_in(tmp_path)
