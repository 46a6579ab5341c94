"""The gate: asked about each request that has an operation, before anything is done for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from contract.asgi import App, Receive, Scope, Send
from contract.request import Request
from tests.contract.lab.stage import Answer, Lab, Refusal, contract, scope


class Gate:
    """Refuses with what a test sets, and remembers whom it was asked about."""

    def __init__(self) -> None:
        self.refusal: Exception | None = None
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, request: Request) -> None:
        self.asked.append((request.operation.id, request.client))
        if self.refusal is not None:
            raise self.refusal


GATE = Gate()


def signing(app: App) -> App:
    """Stands around the application and leaves its mark on every reply."""

    async def around(scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-around", b"yes")]
            await send(message)

        await app(scope, receive, marked)

    return around


GUARDED = Lab(contract(), gate=GATE, around=signing)
BOLT = {"name": "bolt"}


@pytest.fixture
def lab() -> Lab:
    GATE.refusal = None
    GATE.asked.clear()
    return GUARDED.fresh()


def unread(lab: Lab, method: str, target: str, headers: Iterable[tuple[str, str]]) -> Answer:
    """A request whose body must not be asked for."""
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was asked for")

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(lab.app(scope(method, target, headers), receive, send))
    start, body = sent
    fields = [(name.decode(), value.decode()) for name, value in start["headers"]]
    return Answer(start["status"], fields, body["body"])


def test_who_is_let_in_is_served(lab: Lab) -> None:
    assert lab.call("POST", "/things", BOLT).status == 201
    assert GATE.asked == [("createThing", "192.0.2.7")]


def test_who_is_refused_is_answered_without_a_look_at_the_body(lab: Lab) -> None:
    GATE.refusal = Refusal(400, "invalid_request")
    for framing in (("Content-Length", "14"), ("Transfer-Encoding", "chunked")):
        answer = unread(lab, "POST", "/things", [("Content-Type", "application/json"), framing])
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert answer.header("connection") == "close"
    assert lab.stage.calls == []


@pytest.mark.parametrize("headers", [[], [("Content-Length", "0")]])
def test_without_a_body_the_connection_goes_on(lab: Lab, headers: list[tuple[str, str]]) -> None:
    GATE.refusal = Refusal(400, "invalid_request")
    answer = unread(lab, "GET", "/things", headers)
    assert answer.status == 400
    assert answer.header("connection") is None


def test_head_is_asked_about_as_its_get(lab: Lab) -> None:
    GATE.refusal = Refusal(400, "invalid_request")
    answer = unread(lab, "HEAD", "/things", [])
    assert (answer.status, answer.body) == (400, b"")
    assert GATE.asked == [("listThings", "192.0.2.7")]


def test_what_has_no_operation_is_not_asked_about(lab: Lab) -> None:
    GATE.refusal = Refusal(400, "invalid_request")
    statuses = [
        lab.call("GET", "/nowhere").status,
        lab.call("PUT", "/things").status,
        lab.call("OPTIONS", "/things").status,
    ]
    assert (statuses, GATE.asked) == ([404, 405, 204], [])


def test_a_refusal_that_is_not_declared_is_withheld(lab: Lab) -> None:
    GATE.refusal = Refusal(418, "invalid_request")
    answer = unread(lab, "GET", "/things", [])
    assert (answer.status, answer.code) == (500, "contract_violation")


def test_a_gate_that_fails_does_not_stand_open(lab: Lab) -> None:
    GATE.refusal = ZeroDivisionError()
    answer = unread(lab, "GET", "/things", [])
    assert (answer.status, answer.code) == (500, "internal_error")
    assert lab.stage.calls == []


def test_what_stands_around_sees_every_reply_and_is_not_held_against_the_spec(lab: Lab) -> None:
    for method, target in (("GET", "/things"), ("GET", "/nowhere"), ("OPTIONS", "/things")):
        answer = lab.call(method, target)
        assert answer.header("x-around") == "yes"
        assert answer.status != 500
