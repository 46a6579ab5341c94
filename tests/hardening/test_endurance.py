"""Floods: the server answers, lets go, and is no larger afterwards."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from tests.hardening.site import REFRESH, Site
from tests.hardening.wire import Connection, chunk, json_fields, message

MEGABYTES = 40
MOST_GROWTH = 50
CHUNKED = json_fields(**{"Transfer-Encoding": "chunked"})


def flood(start: bytes, piece: bytes) -> Callable[[Connection], None]:
    def send(connection: Connection) -> None:
        connection.send(start)
        for _ in range(MEGABYTES * 1_000_000 // len(piece)):
            if not connection.try_to_send(piece, seconds=5):
                return

    return send


FLOODS = {
    "a body": flood(
        message("POST", REFRESH, json_fields(**{"Content-Length": str(10**9)})), b" " * 65536
    ),
    "chunks": flood(message("POST", REFRESH, CHUNKED), chunk(b" " * 65536)),
    "tiny chunks": flood(message("POST", REFRESH, CHUNKED), chunk(b" ") * 10_000),
    "a header": flood(b"GET / HTTP/1.1\r\nX-A: ", b"a" * 65536),
    "a chunk extension": flood(message("POST", REFRESH, CHUNKED) + b"1;a=", b"a" * 65536),
    "requests": flood(b"", message("GET", "/health/live") * 1000),
    "requests without an answer yet": flood(
        b"", message("POST", REFRESH, CHUNKED, b"0\r\n\r\n") * 90
    ),
    "brackets": flood(b"", message("POST", REFRESH, json_fields(), b"[" * 60_000)),
    "random bytes": flood(b"", os.urandom(65536)),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_leaves_the_server_as_it_was(site: Site, name: str) -> None:
    before = site.resident_megabytes()
    with site.connect() as connection:
        reader = threading.Thread(target=connection.drain)
        reader.start()
        most = before
        FLOODS[name](connection)
        most = max(most, site.resident_megabytes())
        connection.finish_sending()
        reader.join()
    assert most - before < MOST_GROWTH
    assert site.resident_megabytes() - before < MOST_GROWTH
    assert site.is_alive()
