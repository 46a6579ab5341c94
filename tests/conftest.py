"""The books of the whole run: log lines, replies and contract cells are kept and judged."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from server import logs
from tests.support.coverage import RECORDER
from tests.support.ledger import LEDGER
from tests.support.world import World, world_in


class _Keeper(logging.Handler):
    """Puts every line that any logger writes, at any level, into the ledger."""

    def emit(self, record: logging.LogRecord) -> None:
        LEDGER.lines.append((record.name, self.format(record)))


def pytest_configure() -> None:
    logs.configure(logging.DEBUG)
    root = logging.getLogger()
    keeper = _Keeper()
    keeper.setFormatter(root.handlers[0].formatter)
    root.handlers[:] = [keeper]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    RECORDER.save()
    leaks = LEDGER.leaks()
    for leak in leaks[:20]:
        print(f"\nLEAK {leak}")
    if leaks:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(
        f"ledger: {len(LEDGER.secrets)} secrets looked for in {len(LEDGER.replies)} replies and "
        f"{len(LEDGER.lines)} log lines"
    )


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh Countersign on SQLite, in this process."""
    return world_in(tmp_path)
