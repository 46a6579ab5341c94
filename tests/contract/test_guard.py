"""Nothing leaves that the spec does not declare: each lie is withheld, its honest twin passes."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from contract.compile import Contract
from contract.guard import Guard
from contract.operation import rule_for
from tests.contract.lab.stage import THING, Lab, Refusal, contract, exchange, reply, scope
from tests.contract.lab.variants import edited

COMPILED: Contract = contract()
SECRET = "hunter2hunter2"


ENFORCING, REPORTING = Lab(COMPILED), Lab(COMPILED, mode="report")


@pytest.fixture
def lab() -> Lab:
    return ENFORCING.fresh()


@pytest.fixture
def reporting() -> Lab:
    return REPORTING.fresh()


def thing(**changes: Any) -> dict[str, Any]:
    return {"success": True, "message": "Thing found", "data": THING | changes}


def part(**members: Any) -> dict[str, Any]:
    return thing(parts=[{"number": 7} | members])


def error(code: str) -> dict[str, Any]:
    return {
        "success": False,
        "message": "No",
        "error": {"code": code, "details": [], "request_id": "x"},
    }


GET, PLAIN, LIST = ("GET", "/things/a-1"), ("GET", "/plain"), ("GET", "/things")
REMOVE = ("DELETE", "/things/a-1")
OPERATIONS = {GET: "getThing", PLAIN: "getPlain", LIST: "listThings", REMOVE: "removeThing"}
FINE = {"state": "fine"}
COUNTED = {"X-Total": "3"}

LIES: dict[str, tuple[tuple[str, str], Any, Any, tuple[str, str, str]]] = {
    # target, the lie, its honest twin, what is logged of it: location, pointer, keyword
    "a status that is not declared": (
        GET,
        lambda: reply(thing(), 202),
        lambda: reply(thing(), 200),
        ("status", "", "undeclared"),
    ),
    "an error status that is not declared": (
        GET,
        lambda: reply(error("taken"), 409),
        lambda: reply(error("not_found"), 404),
        ("status", "", "undeclared"),
    ),
    "a refusal that the operation does not declare": (
        GET,
        lambda: Refusal(409, "taken"),
        lambda: Refusal(404, "not_found"),
        ("status", "", "undeclared"),
    ),
    "a refusal with a code that is not in the list": (
        GET,
        lambda: Refusal(404, SECRET),
        lambda: Refusal(404, "not_found"),
        ("body", "/error/code", "enum"),
    ),
    "a redirect": (
        GET,
        lambda: reply("", 302, {"Location": "/x"}),
        lambda: reply(thing()),
        ("status", "", "undeclared"),
    ),
    "a property of the wrong type": (
        GET,
        lambda: THING | {"name": 7},
        lambda: THING | {"name": "7"},
        ("body", "/data/name", "type"),
    ),
    "a body that is no object": (
        GET,
        lambda: reply([SECRET]),
        lambda: reply(thing()),
        ("body", "", "type"),
    ),
    "a missing property": (
        GET,
        lambda: {"id": SECRET, "name": "bolt"},
        lambda: THING,
        ("body", "/data", "required"),
    ),
    "data where none is due": (
        ("POST", "/secret"),
        lambda: {"x": SECRET},
        dict,
        ("body", "/data", "additionalProperties"),
    ),
    "no data where some is due": (
        GET,
        lambda: None,
        lambda: THING,
        ("body", "", "required"),
    ),
    "an extra property at the top": (
        GET,
        lambda: reply(thing() | {"debug": SECRET}),
        lambda: reply(thing()),
        ("body", "", "additionalProperties"),
    ),
    "an extra property in the data": (
        GET,
        lambda: THING | {"password": SECRET},
        lambda: THING | {"labels": {"colour": "red"}},
        ("body", "/data", "additionalProperties"),
    ),
    "an extra property merged out of an allOf": (
        GET,
        lambda: reply(part(maker={"name": "Acme", "owner": SECRET})),
        lambda: reply(part(maker={"name": "Acme", "country": "PT"})),
        ("body", "/data/parts/0/maker", "additionalProperties"),
    ),
    "an extra property in an array under an allOf": (
        GET,
        lambda: reply(part(price=SECRET)),
        lambda: reply(part(maker={})),
        ("body", "/data/parts/0", "additionalProperties"),
    ),
    "a property that is for requests only": (
        GET,
        lambda: THING | {"secret": SECRET},
        lambda: THING,
        ("body", "/data/secret", "not"),
    ),
    "a free name with a value of the wrong type": (
        GET,
        lambda: THING | {"labels": {SECRET: 1}},
        lambda: THING | {"labels": {SECRET: "1"}},
        ("body", "/data/labels", "type"),
    ),
    "a string that is no time": (
        GET,
        lambda: THING | {"made_at": SECRET},
        lambda: THING | {"made_at": None},
        ("body", "/data/made_at", "format"),
    ),
    "a success with the properties of two forms": (
        ("POST", "/login"),
        lambda: {"token": "a", "ticket": "b"},
        lambda: {"ticket": "b"},
        ("body", "/data", "oneOf"),
    ),
    "a missing header": (
        PLAIN,
        lambda: reply(FINE),
        lambda: reply(FINE, headers=COUNTED),
        ("header", "x-total", "required"),
    ),
    "a header of the wrong type": (
        PLAIN,
        lambda: reply(FINE, headers={"X-Total": SECRET}),
        lambda: reply(FINE, headers={"X-Total": "0"}),
        ("header", "x-total", "type"),
    ),
    "a header out of range": (
        PLAIN,
        lambda: reply(FINE, headers={"X-Total": "-1"}),
        lambda: reply(FINE, headers=COUNTED),
        ("header", "x-total", "minimum"),
    ),
    "a header that is not declared": (
        LIST,
        lambda: reply(
            {"success": True, "message": "x", "data": {"things": []}},
            headers={"X-Powered-By": SECRET},
        ),
        lambda: reply(
            {"success": True, "message": "x", "data": {"things": []}}, headers={"X-Hint": "fresh"}
        ),
        ("header", "x-powered-by", "undeclared"),
    ),
    "a cookie": (
        GET,
        lambda: reply(thing(), headers={"Set-Cookie": f"a={SECRET}"}),
        lambda: reply(thing()),
        ("header", "set-cookie", "undeclared"),
    ),
    "a fixed header with another value": (
        GET,
        lambda: reply(thing(), headers={"Cache-Control": "public"}),
        lambda: reply(thing(), headers={"Cache-Control": "no-store"}),
        ("header", "cache-control", "enum"),
    ),
    "a media type that is not declared": (
        GET,
        lambda: reply(thing(), content_type="application/problem+json"),
        lambda: reply(thing()),
        ("media-type", "", "undeclared"),
    ),
    "an HTML page": (
        GET,
        lambda: reply(f"<h1>{SECRET}</h1>", 404, content_type="text/html"),
        lambda: reply(error("not_found"), 404),
        ("media-type", "", "undeclared"),
    ),
    "HTML that says it is JSON": (
        GET,
        lambda: reply("<h1>x</h1>"),
        lambda: reply(thing()),
        ("body", "", "json"),
    ),
    "another charset": (
        GET,
        lambda: reply(thing(), content_type="application/json; charset=latin-1"),
        lambda: reply(thing(), content_type="application/json; charset=utf-8"),
        ("media-type", "", "undeclared"),
    ),
    "the same name twice": (
        PLAIN,
        lambda: reply('{"state":"a","state":"b"}', headers=COUNTED),
        lambda: reply('{"state":"a"}', headers=COUNTED),
        ("body", "", "duplicate"),
    ),
    "an empty body where one is due": (
        GET,
        lambda: reply(""),
        lambda: reply(thing()),
        ("body", "", "json"),
    ),
    "a body on a 204": (
        REMOVE,
        lambda: reply({"x": SECRET}, 204),
        lambda: reply("", 204),
        ("body", "", "undeclared"),
    ),
    "data on a 204": (
        REMOVE,
        lambda: {"x": SECRET},
        lambda: None,
        ("body", "", "undeclared"),
    ),
    "a 401 without a challenge": (
        REMOVE,
        lambda: reply(error("invalid_token"), 401),
        lambda: reply(error("invalid_token"), 401, {"WWW-Authenticate": "Bearer"}),
        ("header", "www-authenticate", "required"),
    ),
}


def play(lab: Lab, target: tuple[str, str], answer: Any) -> Any:
    method, path = target
    bodies = {"/secret": {"word": "x"}, "/login": {"ticket": "t"}}
    name = OPERATIONS.get(target) or {"/secret": "openSecret", "/login": "logIn"}[path]
    lab.stage.answers[name] = answer()
    return lab.call(method, path, bodies.get(path), token="good")


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_withheld(lab: Lab, name: str) -> None:
    target, lie, _, (location, pointer, keyword) = LIES[name]
    with capture_logs() as logs:
        answer = play(lab, target, lie)
    assert (answer.status, answer.code) == (500, "contract_violation")
    assert answer.header("content-type") == "application/json"
    logged = [(e["location"], e["pointer"], e["keyword"]) for e in logs]
    assert (location, pointer, keyword) in logged
    assert {e["event"] for e in logs} == {"contract_violation"}
    assert SECRET not in repr(logs) + repr(answer)


@pytest.mark.parametrize("name", LIES)
def test_its_honest_twin_passes(lab: Lab, name: str) -> None:
    target, _, truth, _ = LIES[name]
    with capture_logs() as logs:
        answer = play(lab, target, truth)
    assert answer.status != 500
    assert logs == []


@pytest.mark.parametrize("name", LIES)
def test_report_mode_logs_a_lie_and_lets_it_pass(reporting: Lab, name: str) -> None:
    target, lie, _, breach = LIES[name]
    with capture_logs() as logs:
        answer = play(reporting, target, lie)
    assert b"contract_violation" not in answer.body
    assert breach in [(e["location"], e["pointer"], e["keyword"]) for e in logs]
    assert not any(e["withheld"] for e in logs)


# -- what goes wrong further in ---------------------------------------------------------------


@pytest.mark.parametrize(
    "exc",
    [
        ValueError(SECRET),
        KeyError(SECRET),
        SystemExit(SECRET),
        KeyboardInterrupt(SECRET),
        GeneratorExit(),
        StopIteration(SECRET),
        RecursionError(SECRET),
        MemoryError(),
        asyncio.CancelledError(),
        BaseExceptionGroup("x", [ValueError(SECRET)]),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_whatever_a_handler_raises_becomes_an_internal_error(lab: Lab, exc: BaseException) -> None:
    lab.stage.answers["getThing"] = exc
    with capture_logs() as logs:
        answer = lab.call(*GET)
    assert (answer.status, answer.code) == (500, "internal_error")
    (event,) = logs
    assert (event["event"], event["operation"]) == ("internal_error", "getThing")
    assert event["kind"].endswith(type(exc).__name__)
    assert event["request_id"] == answer.header("x-request-id")
    assert any("things.py" in frame and "get_thing" in frame for frame in event["frames"])
    assert SECRET not in repr(logs) + repr(answer)


def test_the_causes_of_an_exception_are_named(lab: Lab) -> None:
    def fail(**_: Any) -> None:
        try:
            raise KeyError(SECRET)
        except KeyError as exc:
            raise ValueError(SECRET) from exc

    lab.stage.answers["getThing"] = fail
    with capture_logs() as logs:
        lab.call(*GET)
    assert (logs[0]["kind"], logs[0]["causes"]) == ("ValueError", ["KeyError"])
    assert SECRET not in repr(logs)


@pytest.mark.parametrize("data", [{1, 2}, float("nan"), object(), {"a": b"x"}, {"a": "\ud800"}])
def test_data_that_is_not_json_becomes_an_internal_error(lab: Lab, data: Any) -> None:
    lab.stage.answers["getThing"] = data
    with capture_logs():
        answer = lab.call(*GET)
    assert (answer.status, answer.code) == (500, "internal_error")


def test_an_error_of_flask_never_gets_out(lab: Lab) -> None:
    import werkzeug.exceptions

    for exc in (werkzeug.exceptions.ImATeapot(), werkzeug.exceptions.NotFound()):
        lab.stage.answers["getThing"] = exc
        with capture_logs():
            answer = lab.call(*GET)
        assert (answer.status, answer.code) == (500, "internal_error")
        assert b"<" not in answer.body


def test_a_failure_outside_flask_becomes_an_internal_error() -> None:
    lab = Lab(COMPILED)

    def broken(*_: Any) -> Any:
        raise OSError(SECRET)

    lab.app.app.wsgi_app = broken  # type: ignore[method-assign]
    with capture_logs() as logs:
        answer = lab.call(*GET)
    assert (answer.status, answer.code) == (500, "internal_error")
    assert SECRET not in repr(logs)


@pytest.mark.parametrize("fault", [OSError(SECRET), None], ids=["raises", "is silent"])
def test_a_layer_that_fails_without_an_operation_becomes_an_internal_error(
    fault: Exception | None,
) -> None:
    async def layer(*_: Any) -> None:
        if fault is not None:
            raise fault

    guard = Guard(layer, contract=COMPILED, mode="enforce")
    with capture_logs() as logs:
        answer = asyncio.run(exchange(guard, scope("GET", "/things", ()), [b""]))
    assert (answer.status, answer.code) == (500, "internal_error")
    assert [event["event"] for event in logs] == ["internal_error"]
    assert answer.header("cache-control") == "no-store"
    assert SECRET not in repr(logs) + repr(answer)


def test_the_last_resort_is_sent_where_the_declared_500_has_no_room(tmp_path: Path) -> None:
    codes = "        - internal_error\n        - contract_violation\n"
    lab = Lab(contract(edited(tmp_path, "schemas/things.yaml", codes, "")))
    lab.stage.answers["getThing"] = reply("<h1>", 200)
    with capture_logs():
        answer = lab.call(*GET)
    assert (answer.status, answer.code) == (500, "contract_violation")
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("cache-control") == "no-store"
    assert answer.json["error"]["request_id"] == answer.header("x-request-id")


# -- what every reply carries -----------------------------------------------------------------

EVERY = [
    GET,
    PLAIN,
    LIST,
    ("GET", "/nope"),
    ("PUT", "/things"),
    ("OPTIONS", "/things"),
    REMOVE,
    ("HEAD", "/things"),
    ("GET", "/things?x=1"),
]


@pytest.mark.parametrize("target", EVERY)
def test_every_reply_has_an_id_of_its_own(lab: Lab, target: tuple[str, str]) -> None:
    claimed = "0" * 32
    ids = {
        lab.call(*target, headers=[("X-Request-ID", claimed)]).header("x-request-id")
        for _ in range(3)
    }
    assert len(ids) == 3
    assert claimed not in ids
    assert all(re.fullmatch("[0-9a-f]{32}", str(name)) for name in ids)


def test_the_id_of_a_handler_is_replaced(lab: Lab) -> None:
    lab.stage.answers["getThing"] = reply(thing(), headers={"X-Request-ID": "f" * 32})
    assert lab.call(*GET).header("x-request-id") != "f" * 32


def test_the_id_in_an_error_is_the_one_in_the_header(lab: Lab) -> None:
    answer = lab.call("GET", "/nope")
    assert answer.json["error"]["request_id"] == answer.header("x-request-id")


def test_a_required_header_with_one_value_is_sent_unasked(lab: Lab) -> None:
    assert lab.call(*GET).header("cache-control") == "no-store"
    assert lab.call("GET", "/nope").header("cache-control") == "no-store"
    assert lab.call(*PLAIN).header("cache-control") is None


def test_the_length_is_that_of_the_body(lab: Lab) -> None:
    lab.stage.answers["getThing"] = reply(thing(), headers={"Content-Length": "1"})
    answer = lab.call(*GET)
    assert answer.header("content-length") == str(len(answer.body))


def test_the_observer_hears_of_every_reply_after_the_check(lab: Lab) -> None:
    lab.call(*GET)
    lab.call("GET", "/nope")
    lab.call("OPTIONS", "/things")
    lab.stage.answers["getThing"] = reply("<h1>", 200)
    with capture_logs():
        lab.call(*GET)
    told = [(seen.operation and seen.operation.id, sent.status) for seen, sent, _ in lab.seen]
    assert told == [("getThing", 200), (None, 404), (None, 204), ("getThing", 500)]
    last, sent, _ = lab.seen[-1]
    assert b"contract_violation" in sent.body
    assert sent.value("x-request-id") == last.request_id


def test_the_observer_hears_how_long_it_took(lab: Lab) -> None:
    before = time.perf_counter()
    lab.call(*GET)
    within = time.perf_counter() - before
    ((_, _, seconds),) = lab.seen
    assert 0 < seconds < within


def test_the_observer_hears_of_the_whole_reply_to_a_head(lab: Lab) -> None:
    assert lab.call("HEAD", GET[1]).body == b""
    ((_, sent, _),) = lab.seen
    assert sent.body


def test_a_class_of_statuses_and_a_default_are_declarations() -> None:
    one = COMPILED.errors["404"]
    assert rule_for({"4XX": one}, 418) is one
    assert rule_for({"4XX": one}, 500) is None
    assert rule_for({"default": one}, 507) is one
    exact = COMPILED.errors["405"]
    assert rule_for({"405": exact, "4XX": one, "default": one}, 405) is exact


# -- pages, disconnects, other protocols ------------------------------------------------------


async def page(_scope: Any, _receive: Any, send: Any) -> None:
    headers = [(b"content-type", b"text/html"), (b"x-frame-options", b"DENY")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"<h1>docs</h1>"})


def test_a_page_is_served_as_it_is_and_still_named() -> None:
    lab = Lab(COMPILED, docs=lambda document: {f"/{document['info']['title'].lower()}": page})
    answer = lab.call("GET", "/lab")
    assert (answer.status, answer.body) == (200, b"<h1>docs</h1>")
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("x-frame-options") == "DENY"
    assert answer.header("x-request-id")
    assert lab.call("HEAD", "/lab").body == b""
    assert lab.call("POST", "/lab").header("allow") == "GET, HEAD, OPTIONS"
    assert lab.call("OPTIONS", "/lab").status == 204
    assert lab.call("GET", "/lab/x").status == 404


def test_a_page_that_fails_becomes_an_internal_error() -> None:
    async def broken(*_: Any) -> None:
        raise ValueError(SECRET)

    lab = Lab(COMPILED, docs=lambda _document: {"/lab": broken})
    with capture_logs():
        answer = lab.call("GET", "/lab")
    assert (answer.status, answer.code) == (500, "internal_error")
    assert "text/html" not in str(answer.headers)


def test_nothing_is_said_to_a_peer_that_has_gone(lab: Lab) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    with capture_logs() as logs:
        asyncio.run(lab.app(scope("GET", "/things", ()), receive, send))
    assert sent == []
    assert logs == []
    assert lab.stage.calls == []


def test_the_life_span_is_answered_and_a_websocket_is_not(lab: Lab) -> None:
    def run(kind: str, *messages: str) -> list[str]:
        incoming = iter(messages)
        sent: list[str] = []

        async def receive() -> dict[str, Any]:
            return {"type": next(incoming)}

        async def send(message: Any) -> None:
            sent.append(message["type"])

        asyncio.run(lab.app({"type": kind}, receive, send))
        return sent

    life = run("lifespan", "lifespan.startup", "lifespan.shutdown")
    assert life == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert run("websocket", "websocket.connect") == ["websocket.close"]


def test_many_requests_at_once_keep_apart(lab: Lab) -> None:
    lab.stage.answers["getThing"] = lambda thing_id: THING | {"id": thing_id}

    async def together() -> list[Any]:
        calls = (exchange(lab.app, scope("GET", f"/things/a{n}", ()), [b""]) for n in range(300))
        return list(await asyncio.gather(*calls))

    answers = asyncio.run(together())
    assert [a.json["data"]["id"] for a in answers] == [f"a{n}" for n in range(300)]
    assert len({a.header("x-request-id") for a in answers}) == 300
