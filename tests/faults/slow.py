"""Connections that send one byte of a header now and then, and a login that must not notice."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

import httpx

from server.http import HEADER_SECONDS
from tests.support.accounts import Account

SLOW = 500
BETWEEN = 5.0
"""Seconds between two bytes of one connection."""
LOGINS = 80
PACE = 0.05
"""Seconds from one login to the next: what is measured is the wait, not the most there can be."""
SLACK = 5.0


class Crowd:
    """The slow connections, and somebody who logs in with a password."""

    def __init__(self, url: str, ann: Account) -> None:
        self._address = (httpx.URL(url).host, httpx.URL(url).port or 80)
        self._ann = ann

    def measure(self) -> tuple[list[float], list[float]]:
        """Milliseconds of each login alone, and of each in the crowd, which is closed in time."""
        quiet = self._logins()
        began = time.monotonic()
        slow = [socket.create_connection(self._address, 10) for _ in range(SLOW)]
        stop = threading.Event()
        dripping = threading.Thread(target=self._drip, args=(slow, stop))
        dripping.start()
        try:
            crowded = self._logins()
            assert time.monotonic() - began < HEADER_SECONDS, "the crowd has gone home meanwhile"
            assert sum(map(_is_open, slow)) == SLOW
            while any(map(_is_open, slow)):
                late = time.monotonic() - began > HEADER_SECONDS + BETWEEN + SLACK
                assert not late, "the slow ones are not closed"
                time.sleep(0.1)
        finally:
            stop.set()
            dripping.join()
            for each in slow:
                each.close()
        return quiet, crowded

    def _logins(self) -> list[float]:
        times = []
        for _ in range(LOGINS):
            before = time.perf_counter()
            self._ann.begin()
            taken = time.perf_counter() - before
            times.append(1000 * taken)
            time.sleep(max(0.0, PACE - taken))
        return times

    def _drip(self, slow: list[socket.socket], stop: threading.Event) -> None:
        text = b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"x" * 1000
        for byte in text:
            for each in slow:
                with suppress(OSError):
                    each.send(bytes([byte]))
            if stop.wait(BETWEEN):
                return


def _is_open(connection: socket.socket) -> bool:
    """Whether the other end has neither closed nor reset it. It never has anything to say."""
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def percentile(times: list[float], share: float = 0.95) -> float:
    return sorted(times)[int(share * (len(times) - 1))]
