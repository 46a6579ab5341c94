"""The queue for password hashes on a real server: who waits, who is turned away, who is unharmed."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from domain.passwords import LONGEST_WAIT_SECONDS
from tests.e2e.wire import Line
from tests.support.accounts import RealClock, register
from tests.support.servers import ServerProcess, serving

CROWD = 150
QUEUE = 64
"""Hashes that wait at least, besides those at work."""
PROMISED = 5.0
"""Seconds within which a login is answered, whatever the crowd."""
SLACK = 5.0
"""Seconds that a busy machine may add."""


class Outcome(NamedTuple):
    reply: httpx.Response
    seconds: float


def login(server: ServerProcess, number: int) -> httpx.Request:
    body = {"username": f"nobody-{number}", "password": "not the right one"}
    return httpx.Request("POST", f"{server.url}/auth/login", json=body)


def finish(line: Line) -> Outcome:
    begun = time.monotonic()
    line.release()
    return Outcome(line.reply(), time.monotonic() - begun)


@pytest.mark.slow
def test_a_crowd_of_logins_is_queued_or_turned_away_and_harms_nobody_else(tmp_path: Path) -> None:
    with serving(tmp_path) as server, ExitStack() as stack:
        account = register(server.api(), RealClock()).sign_in()
        lines = [stack.enter_context(Line(server)) for _ in range(CROWD)]
        for number, line in enumerate(lines):
            line.hold(login(server, number))
        pool = stack.enter_context(ThreadPoolExecutor(CROWD))
        crowd = [pool.submit(finish, line) for line in lines]
        while not all(each.done() for each in crowd):
            begun = time.monotonic()
            assert account.api.get("/health/live").status == 200
            assert account.get("/auth/session").status == 200
            assert time.monotonic() - begun < SLACK
        _are_queued_or_turned_away(crowd)
        assert account.another_device().sign_in().get("/auth/session").status == 200


def _are_queued_or_turned_away(crowd: list[Future[Outcome]]) -> None:
    outcomes = [each.result() for each in crowd]
    assert {outcome.reply.status_code for outcome in outcomes} == {401, 503}
    refused = [outcome for outcome in outcomes if outcome.reply.status_code == 503]
    for reply, seconds in refused:
        assert reply.json()["error"]["code"] == "unavailable"
        assert reply.headers["Retry-After"] in ("1", "4")
        assert seconds < PROMISED + SLACK
    turned_away = [o for o in refused if o.reply.headers["Retry-After"] == "4"]
    at_once = [outcome for outcome in turned_away if outcome.seconds < LONGEST_WAIT_SECONDS]
    assert 0 < len(at_once) < CROWD - QUEUE
