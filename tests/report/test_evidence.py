"""Requests to the shipped server show what they show, and not more."""

from __future__ import annotations

import pytest

from contract.replies import Reply, failure
from contract.request import Exchange, Headers, Request
from contract.violations import Violation
from tests.api.calls import ready
from tests.report.evidence import REPLY, Evidence, Key
from tests.report.recorder import RECORDER, Recorder, shipped
from tests.support.accounts import Account
from tests.support.world import World

USERNAME = "/components/schemas/Username"
LOGIN = "/components/schemas/LoginRequest"
EVIDENCE = Evidence(shipped().bundle)


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Books of this test alone."""
    for name, empty in (("evidence", set()), ("seen", type(RECORDER.seen)())):
        monkeypatch.setattr(RECORDER, name, empty)
    return RECORDER


def shown(books: Recorder, outcome: str, operation: str) -> set[Key]:
    return {k for k, shows in books.evidence if shows == outcome and k.operation == operation}


def test_a_success_satisfies_what_its_request_holds(world: World, books: Recorder) -> None:
    call = ready(world, "registerUser")
    assert call.send().status == 201
    assert shown(books, "satisfied", "registerUser") == {
        key for key in EVIDENCE.requests if key.operation == "registerUser"
    }
    assert not shown(books, "broken", "registerUser")
    assert Key(REPLY, "", "/components/schemas/RegisteredUser/required") in shown(
        books, "satisfied", REPLY
    )


def test_a_refused_request_satisfies_nothing_and_breaks_what_is_told(
    world: World, books: Recorder
) -> None:
    body = {"username": "ab", "password": "correct horse battery staple"}
    assert world.api.post("/auth/register", json=body).status == 400
    assert not shown(books, "satisfied", "registerUser")
    broken = Key("registerUser", "body/username", f"{USERNAME}/minLength")
    assert shown(books, "broken", "registerUser") == {broken}


def test_a_refusal_of_all_alternatives_breaks_their_kind(world: World, books: Recorder) -> None:
    assert world.api.post("/auth/login", json=[]).status == 400
    branches = ("PasswordLogin", "ChallengeLogin")
    assert shown(books, "broken", "login") == {
        Key("login", "body", f"{LOGIN}/oneOf"),
        *(Key("login", "body", f"/components/schemas/{name}/type") for name in branches),
    }


def test_a_parameter_is_judged_as_the_server_reads_it(world: World, books: Recorder) -> None:
    account: Account = world.account().sign_in()
    assert account.get("/auth/events", params={"limit": "0"}).status == 400
    assert account.get("/auth/events", params={"limit": "7"}).status == 200
    schema = "/paths/~1auth~1events/get/parameters/0/schema"
    limit = {
        word: Key("listEvents", "query/limit", f"{schema}/{word}")
        for word in ("type", "minimum", "maximum")
    }
    assert shown(books, "broken", "listEvents") == {limit["minimum"]}
    assert shown(books, "satisfied", "listEvents") == set(limit.values())


def exchange(body: bytes) -> Exchange:
    operation = shipped().contract.operations["registerUser"]
    return Exchange(
        operation.responses,
        operation=operation,
        request=Request("POST", operation.path, Headers(()), "", "", operation),
        body=body,
    )


def refusal(*violations: Violation) -> Reply:
    rules = shipped().contract.operations["registerUser"].responses
    return failure(Exchange(rules), 400, "invalid_request", None, violations)


SHORT = b'{"username":"ab","password":"correct horse battery staple"}'


def test_what_is_refused_for_something_else_breaks_nothing() -> None:
    other = refusal(Violation("query", "", "x", "is wrong"))
    outcomes = {
        outcome for key, outcome in EVIDENCE.drawn(exchange(SHORT), other) if key.operation != REPLY
    }
    assert outcomes == set()


def test_a_server_that_lets_a_broken_keyword_pass_is_found() -> None:
    success = Reply(
        201, [], b'{"success":true,"message":"m","data":{"user_id":"u","username":"ab"}}'
    )
    passed = {
        key for key, outcome in EVIDENCE.drawn(exchange(SHORT), success) if outcome == "passed"
    }
    assert passed == {Key("registerUser", "body/username", f"{USERNAME}/minLength")}


def test_a_reply_that_breaks_a_keyword_shows_nothing_of_it() -> None:
    said = b'{"success":"yes","message":"m","data":{"user_id":"u","username":"ann"}}'
    keys = set(EVIDENCE.of_reply("registerUser", Reply(201, [], said)))
    broken = "/components/schemas/ApiResponse/properties/success/type"
    assert Key(REPLY, "", broken) in EVIDENCE.replies - keys
    assert Key(REPLY, "", "/components/schemas/RegisteredUser/required") in keys


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff"])
def test_a_body_that_is_none_is_no_evidence(body: bytes) -> None:
    assert not {k for k, _ in EVIDENCE.drawn(exchange(body), refusal()) if k.operation != REPLY}


def test_the_absence_of_a_body_breaks_its_being_required() -> None:
    missing = Violation("body", "", "required", "is missing")
    broken = {
        key
        for key, outcome in EVIDENCE.drawn(exchange(b""), refusal(missing))
        if outcome == "broken"
    }
    assert broken == {
        Key("registerUser", "body", "/paths/~1auth~1register/post/requestBody/required")
    }
