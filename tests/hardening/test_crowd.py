"""More connections than a process serves: those that are too many are told so and let go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from server.http import CONNECTIONS, LINGER_SECONDS, SPARE_FILES, TURNED_AWAY
from tests.hardening.judge import MALFORMED
from tests.hardening.site import Site
from tests.hardening.wire import Answer, Connection, message
from tests.support.api import over_http
from tests.support.servers import command, serving

SERVED = 50
FILES = SERVED + SPARE_FILES + TURNED_AWAY
LIVE = message("GET", "/health/live")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Site]:
    """A server whose system lets it open no more files than so many."""
    limited = ["prlimit", f"--nofile={FILES}:{FILES}", *command()]
    with serving(tmp_path, program=limited) as server:
        with httpx.Client(base_url=server.url) as client:
            site = Site(server, over_http(client))
        yield site  # the client's own connection is closed, or it would be one of the crowd


def live(connection: Connection) -> Answer | None:
    connection.try_to_send(LIVE)
    return connection.answer()


def test_a_connection_too_many_is_told_so_and_the_others_are_served(small: Site) -> None:
    with ExitStack() as stack:
        crowd = [stack.enter_context(small.connect()) for _ in range(SERVED)]
        assert [live(each).status for each in crowd] == [200] * SERVED  # type: ignore[union-attr]
        extra = [stack.enter_context(small.connect()) for _ in range(5)]
        for connection in extra:
            connection.try_to_send(LIVE)
            answer = small.hear(connection, "GET", MALFORMED)
            assert (answer.status, answer.code, answer.closing) == (503, "unavailable", True)
            assert answer.headers["retry-after"] == "1"
        assert live(crowd[0]).status == 200  # type: ignore[union-attr]
    time.sleep(0.5)
    with small.connect() as connection:
        assert live(connection).status == 200  # type: ignore[union-attr]


def test_a_crowd_without_end_is_cut_and_leaves_the_server_as_it_was(small: Site) -> None:
    with ExitStack() as stack:
        for _ in range(SERVED + TURNED_AWAY + 100):
            stack.enter_context(small.connect())
        beyond = stack.enter_context(small.connect())
        assert live(beyond) is None
    time.sleep(LINGER_SECONDS + 0.5)
    with small.connect() as connection:
        assert live(connection).status == 200  # type: ignore[union-attr]
    assert '"level": "error"' not in small.log()


def test_as_many_are_served_as_is_said() -> None:
    assert CONNECTIONS == 2000
