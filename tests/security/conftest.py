"""Each configuration's servers, started once a run; each test's own view of them; the verdict."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.security import catalogue, report
from tests.security.site import CONFIGURATIONS, House, Site, house_of

VERDICT = report.Verdict()
"""Of this run; the process that starts distributed workers hears of every test."""
PAGE = "SECURITY_PAGE"
"""The environment variable that names the page to write."""
ROWS = "SECURITY_ROWS"
"""Names another folder with the tests of the rows."""


# The client's own lines hold the queries that it was told to send, secrets included.
for _client in ("httpx", "httpcore"):
    logging.getLogger(_client).setLevel(logging.WARNING)


@pytest.fixture(scope="session", params=CONFIGURATIONS)
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """The servers of one configuration. Tests want ``site``."""
    with house_of(request.param, tmp_path_factory.mktemp(request.param)) as servers:
        yield servers


@pytest.fixture
def site(house: House) -> Iterator[Site]:
    """The servers, all of them running, from an address that is the test's own."""
    house.heal()
    view = Site(house)
    yield view
    view.close()


class _Households(LoadScopeScheduling):
    """Hands out the tests of a distributed run by configuration, so that each starts once."""

    def _split_scope(self, nodeid: str) -> str:
        place = report.configuration(nodeid.partition("[")[2])
        return nodeid.partition("::")[0] if place == report.ALONE else place


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Households:
    return _Households(config, log)


def _row_tests() -> list[catalogue.RowTest]:
    return list(catalogue.row_tests(Path(os.environ.get(ROWS, catalogue.FOLDER))))


def _faults() -> list[str]:
    tests = _row_tests()
    return catalogue.faults(tests) + VERDICT.idle(tests)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    why = report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
    VERDICT.note(report.nodeid, report.outcome, report.when or "", report.duration, why)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the page where one is asked for. A row without a test fails the run that writes it."""
    target = os.environ.get(PAGE)
    if target is None or hasattr(session.config, "workeroutput"):
        return
    Path(target).write_text(report.page(VERDICT, _row_tests()), encoding="utf-8")
    if _faults():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if PAGE not in os.environ:
        return
    for fault in _faults():
        terminalreporter.write_line(f"CATALOGUE {fault}", red=True)
    terminalreporter.write_line(f"slowest rows: {', '.join(report.slowest(VERDICT))}")
