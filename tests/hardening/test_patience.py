"""Peers that take their time, or never finish. All of them wait at once, so the suite need not."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import pytest

from contract.body import PATIENCE
from server.http import HEADER_SECONDS, STALL_SECONDS
from server.serve import GRACE, KEEP_ALIVE
from tests.hardening.site import REFRESH, Site
from tests.hardening.wire import Connection, json_fields, message
from tests.support.accounts import Account
from tests.support.servers import serving

SLACK = 5.0
"""Seconds that a busy machine may add."""
CROWD = 500
LIVE = message("GET", "/health/live")
HALF = message("POST", REFRESH, json_fields(**{"Content-Length": "60"}), b'{"refresh_token":')

Outcome = tuple[float, list[int]]
"""Seconds until the server closed the connection, and the statuses of what it sent before."""


Ending = tuple[int, float, bool]
"""Exit status, seconds from the signal, and whether nobody listens any more."""


def outcome(connection: Connection, start: float) -> Outcome:
    statuses = []
    while (answer := connection.answer()) is not None:
        statuses.append(answer.status)
    return time.monotonic() - start, statuses


def read_nothing(connection: Connection, start: float) -> Outcome:
    """Ask for more than the buffers of both ends hold, and leave it there."""
    ask = message("GET", "/openapi.json") * 90
    for _ in range(40):
        if not connection.try_to_send(ask, seconds=0.2):
            break
    while connection.try_to_send(b"\r\n", seconds=0.5):
        time.sleep(0.3)
    return time.monotonic() - start, []


def keep_sending(connection: Connection, start: float) -> Outcome:
    """One byte of a header every half second, for as long as the server takes it."""
    while connection.try_to_send(b"a") and not connection.is_closed():
        time.sleep(0.3)
    return time.monotonic() - start, []


@pytest.fixture(scope="module")
def crowd(site: Site) -> Iterator[tuple[float, list[Connection]]]:
    """Many connections that have sent one byte each, and when they did."""
    with ExitStack() as stack:
        start = time.monotonic()
        crowd = [stack.enter_context(site.connect()) for _ in range(CROWD)]
        for connection in crowd:
            connection.send(b"G")
        yield start, crowd


@pytest.fixture(scope="module")
def waiting(site: Site, crowd: object) -> Iterator[dict[str, Future[Outcome]]]:
    """What becomes of each kind of slow peer, to be had when it has happened."""
    openings = {
        "silent": b"",
        "half a head": b"GET /health/live HTTP/1.1\r\nX-A: ",
        "half a body": HALF,
        "idle": LIVE,
        "an empty line after a reply": LIVE,
        "half a head after a reply": LIVE + b"GET /hea",
    }
    with ExitStack() as stack, ThreadPoolExecutor(len(openings) + 2) as pool:
        found = {}
        start = time.monotonic()
        for name, opening in openings.items():
            connection = stack.enter_context(site.connect())
            connection.send(opening)
            if name == "an empty line after a reply":
                site.hear(connection, "GET", "/health/live")
                connection.send(b"\r\n")
            found[name] = pool.submit(outcome, connection, start)
        slow, blind = (stack.enter_context(site.connect()) for _ in range(2))
        slow.send(b"GET /health/live HTTP/1.1\r\nX-A: ")
        blind.shrink()
        found["a byte now and then"] = pool.submit(keep_sending, slow, start)
        found["nothing read"] = pool.submit(read_nothing, blind, start)
        yield found


@pytest.fixture(scope="module")
def ending(crowd: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[Ending]]:
    """The end of another server, which happens while the slow peers are waited for."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(end, tmp_path_factory.mktemp("ending"))


def end(folder: Path) -> Ending:
    with serving(folder) as server:
        port = int(server.url.rsplit(":", 1)[1])
        with (
            Connection(port) as half_a_body,
            Connection(port) as half_a_head,
            Connection(port) as idle,
        ):
            half_a_body.send(HALF)
            half_a_head.send(b"GET /health")
            idle.send(LIVE)
            assert idle.answer() is not None
            start = time.monotonic()
            status = server.stop(signal.SIGTERM, GRACE + SLACK)
            seconds = time.monotonic() - start
        try:
            Connection(port)
        except ConnectionRefusedError:
            return status, seconds, True
        return status, seconds, False


def seconds_of_sign_in(account: Account) -> float:
    start = time.monotonic()
    account.another_device().sign_in()
    return time.monotonic() - start


def test_a_crowd_that_says_nothing_does_not_stop_a_sign_in(
    site: Site, account: Account, request: pytest.FixtureRequest
) -> None:
    before = median(seconds_of_sign_in(account) for _ in range(5))
    start, crowd = request.getfixturevalue("crowd")
    request.getfixturevalue("waiting")
    during = median(seconds_of_sign_in(account) for _ in range(5))
    assert time.monotonic() - start < HEADER_SECONDS, "the crowd was gone by then"
    assert not crowd[0].is_closed()
    assert during < 2 * before + 0.5
    request.getfixturevalue("ending")


EXPECTED: dict[str, tuple[float, list[int]]] = {
    "silent": (HEADER_SECONDS, []),
    "half a head": (HEADER_SECONDS, []),
    "a byte now and then": (HEADER_SECONDS, []),
    "nothing read": (STALL_SECONDS, []),
    "half a body": (PATIENCE, [400]),
    "an empty line after a reply": (HEADER_SECONDS, []),
    "half a head after a reply": (HEADER_SECONDS, [200]),
    "idle": (KEEP_ALIVE, [200]),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_slow_peer_is_let_go_in_time(waiting: dict[str, Future[Outcome]], name: str) -> None:
    limit, expected = EXPECTED[name]
    seconds, statuses = waiting[name].result()
    assert limit - 1 < seconds < limit + SLACK
    assert statuses == expected


def test_the_crowd_is_let_go_in_time(crowd: tuple[float, list[Connection]]) -> None:
    start, connections = crowd
    assert all(connection.answer() is None for connection in connections)
    assert time.monotonic() - start < HEADER_SECONDS + KEEP_ALIVE + SLACK


@pytest.mark.slow
def test_a_half_sent_body_does_not_hold_up_the_end(ending: Future[Ending]) -> None:
    status, seconds, refused = ending.result()
    assert status == 0
    assert seconds < GRACE + SLACK
    assert refused
