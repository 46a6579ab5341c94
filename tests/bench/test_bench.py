"""The benchmark measures what it says. Nothing here looks at how long anything takes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import NoPendingEnrollment
from server.keys import KINDS
from tests.bench import report
from tests.bench.acts import refused
from tests.bench.earlier import command, exported
from tests.bench.load import Job, Outcome, measure
from tests.bench.run import EARLIER, PROGRAMS, RESPONDER, Rates, Spread, Unexpected, check
from tests.bench.scene import CONNECTIONS, Operation, Scene
from tests.support.servers import serving

REQUEST = "GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
CONFLICT = b"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def once() -> Iterator[int]:
    """The port of a server that answers one request of one connection, with 409, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(CONFLICT)

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def operation(expected: int) -> Operation:
    return Operation("GET /health/live", lambda: (REQUEST,), dict.fromkeys(PROGRAMS, expected))


def test_replies_are_counted_by_status_over_the_time_that_passed(tmp_path: Path) -> None:
    with serving(tmp_path, program=RESPONDER) as server:
        port = int(server.url.rpartition(":")[2])
        outcome = measure(Job(port, CONNECTIONS * (REQUEST,), 0.05, 0.1))
    assert set(outcome.statuses) == {200}
    assert outcome.statuses[200] >= CONNECTIONS
    assert outcome.seconds == pytest.approx(0.1, rel=0.5)
    assert outcome.rate == outcome.statuses[200] / outcome.seconds


def test_a_server_that_closes_a_connection_ends_the_run(once: int) -> None:
    with pytest.raises(RuntimeError, match="closed a connection"):
        measure(Job(once, (REQUEST,), 0, 5))


@pytest.mark.parametrize("statuses", [{200: 9, 503: 1}, {503: 10}, {}])
def test_another_status_than_the_measured_one_ends_the_run(statuses: dict[int, int]) -> None:
    check(operation(200), "bare", Outcome({200: 10}, 1))
    with pytest.raises(Unexpected):
        check(operation(200), "bare", Outcome(statuses, 1))


def test_ratios_are_taken_within_a_round() -> None:
    rates = Rates()
    for ours, stock, bare in [(100, 50, 100), (10, 2, 20), (1000, 250, 4000)]:
        rates.add("op", "countersign", ours)
        rates.add("op", "stock", stock)
        rates.add("op", "bare", bare)
    assert rates.ratio("op", "stock") == Spread(4, 2, 5)
    assert rates.ratio("op", "bare") == Spread(0.5, 0.25, 1)


def test_the_page_has_a_row_for_each_operation_in_both_tables() -> None:
    rates = Rates(ceiling=[40_000.0])
    for title, _peer, wanted in report.TARGETS:
        for name in PROGRAMS:
            rates.add(title, name, 1200.0 if name == "countersign" else 1200 / (wanted + 1))
    for title, peer, wanted in report.TARGETS:
        assert f"| {title} | 1,200 |" in report.absolutes(rates)
        line = f"{title} against {report.NAMES[peer]}: at least {wanted:.2f}× wanted"
        reached = f"{wanted + 1:.2f}"
        assert f"{line}, {reached}× ({reached} to {reached}) measured." in report.targets(rates)
    page = report.page(rates, seconds=2, load=0.5)
    assert all(page.count(f"| {title} |") == 2 for title, _, _ in report.TARGETS)
    assert "load average before the run 0.50" in page
    assert "{" not in page


def test_the_copies_share_rows_and_keys_and_no_file(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    folders = [tmp_path / name for name in ("one", "two")]
    first, second = (scene.copy(folder) for folder in folders)
    assert first["COUNTERSIGN_DATABASE_URL"] != second["COUNTERSIGN_DATABASE_URL"]
    names = [sorted(path.name for path in (folder / "keys").glob("*-*")) for folder in folders]
    assert names[0] == names[1]
    assert [name.partition("-")[0] for name in names[0]] == sorted(KINDS)


def test_an_earlier_revision_runs_its_own_code(tmp_path: Path) -> None:
    with exported("HEAD") as folder:
        module = folder / "domain" / "meta.py"
        text = module.read_text("utf-8")
        assert text.count('OK = Health("ok")') == 1
        module.write_text(text.replace('OK = Health("ok")', 'OK = Health("OK")'), "utf-8")
        with (
            pytest.raises(AssertionError, match='"/data/status" can be "OK"'),
            serving(tmp_path, program=command(folder)),
        ):
            pass


def test_an_earlier_revision_is_a_row_of_its_own() -> None:
    rates = Rates()
    for ours, theirs in [(100, 50), (90, 100), (100, 100)]:
        rates.add("op", "countersign", ours)
        rates.add("op", EARLIER, theirs)
    assert "| op | 1.00× (0.90 to 2.00) |" in report.against(rates, "v1")


def test_a_refusal_of_the_rules_has_its_envelope_on_the_servers_compared_with() -> None:
    body, status = refused(NoPendingEnrollment())
    assert (status, body["error"]["code"]) == (409, "no_pending_enrollment")
    assert body["message"] == "No pending enrollment"
