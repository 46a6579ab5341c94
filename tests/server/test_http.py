"""The protocol's parts; what it does on the wire is the business of tests/hardening."""

from __future__ import annotations

from collections import deque

import pytest

from server.http import _Flow
from tests.support.world import World


class Wire:
    """A transport that counts. uvloop raises where a closed one is told to read."""

    def __init__(self) -> None:
        self.closing = False
        self.resumed = 0

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        assert not self.closing
        self.resumed += 1


def test_reading_goes_on_only_when_no_request_waits() -> None:
    wire, waiting = Wire(), deque(["a request"])
    flow = _Flow(wire, waiting)  # type: ignore[arg-type]
    flow.pause_reading()
    flow.resume_reading()
    assert wire.resumed == 0
    waiting.clear()
    flow.resume_reading()
    assert wire.resumed == 1


def test_a_closed_connection_is_not_read() -> None:
    wire = Wire()
    flow = _Flow(wire, ())  # type: ignore[arg-type]
    flow.pause_reading()
    wire.closing = True
    flow.resume_reading()
    assert wire.resumed == 0


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
def test_an_offer_is_passed_over_behind_any_server(world: World, protocol: str) -> None:
    offer = {"Connection": "Upgrade", "Upgrade": protocol}
    assert world.api.get("/health/live", headers=offer).status == 200
    assert world.api.post("/auth/login", headers=offer, json={}).status == 400
