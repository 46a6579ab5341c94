"""What reaches a handler, and what is refused before."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from contract import body as body_module
from contract.bridge import THREADS, WAITING
from contract.compile import Contract
from contract.replies import ConnectionReplies
from tests.contract.lab.stage import Answer, Lab, Refusal, contract, exchange, scope
from tests.contract.lab.variants import edited

COMPILED: Contract = contract()
CREATE = COMPILED.operations["createThing"].body
assert CREATE is not None
LIMIT = CREATE.limit
SERVED = Lab(COMPILED)
BOLT = {"name": "bolt"}
SECRET = "hunter2hunter2"


@pytest.fixture
def lab() -> Lab:
    return SERVED.fresh()


def refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.code) == (status, code)


def keywords(answer: Answer) -> list[tuple[str, str, str]]:
    refused(answer, 400, "invalid_request")
    return sorted((d["location"], d["pointer"], d["keyword"]) for d in answer.details)


# -- bodies -----------------------------------------------------------------------------------


def test_a_good_body_reaches_the_handler_as_it_is(lab: Lab) -> None:
    body = BOLT | {"size": 0.5, "count": -3, "tags": ["red"], "colour": None, "made_at": None}
    answer = lab.call("POST", "/things", body)
    assert answer.status == 201
    assert answer.json == {"success": True, "message": "Thing made", "data": answer.json["data"]}
    assert lab.stage.calls == [("createThing", {"body": body, "caller": "192.0.2.7"})]


@pytest.mark.parametrize(
    "text",
    [
        b'{"name":"\xff\xfe"}',
        b"\x89PNG\r\n\x1a\n",
        b"\xef\xbb\xbf" + b'{"name":"bolt"}',
        b"[" * LIMIT,
        b'{"a":' * (LIMIT // 5),
        b'{"name":' + b"1" * (LIMIT - 9) + b"}",
        b'{"size":NaN,"name":"bolt"}',
        b'{"size":Infinity,"name":"bolt"}',
        b'{"size":1e999,"name":"bolt"}',
        b'{"name":"bolt","name":"nut"}',
        b'{"name":"\\ud800"}',
        b'{"name":"bolt"',
        b"name=bolt",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_body_that_is_no_acceptable_json_is_a_400(lab: Lab, text: bytes) -> None:
    answer = lab.post("/things", text)
    refused(answer, 400, "invalid_request")
    assert [d["pointer"] for d in answer.details] == [""]
    assert lab.stage.calls == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("body", "", "required")]),
        ({"name": 1}, [("body", "/name", "type")]),
        ({"name": "bolt\n"}, [("body", "/name", "pattern")]),
        ({"name": "123456\n"}, [("body", "/name", "pattern")]),
        ({"name": "١٢٣٤٥٦"}, [("body", "/name", "pattern")]),
        (BOLT | {"id": "a-1"}, [("body", "/id", "not")]),
        (BOLT | {"key": "x"}, [("body", "/key", "format")]),
        (BOLT | {"made_at": "yesterday"}, [("body", "/made_at", "format")]),
        (BOLT | {"size": 0}, [("body", "/size", "exclusiveMinimum")]),
        (BOLT | {"count": 2**31}, [("body", "/count", "maximum")]),
        (BOLT | {"tags": ["a"] * 4}, [("body", "/tags", "maxItems")]),
        (BOLT | {SECRET: 1}, [("body", "", "additionalProperties")]),
        (
            {"name": "", "size": "1", "zz": 1},
            [
                ("body", "", "additionalProperties"),
                ("body", "/name", "minLength"),
                ("body", "/name", "pattern"),
                ("body", "/size", "type"),
            ],
        ),
        ([], [("body", "", "type")]),
        ("bolt", [("body", "", "type")]),
    ],
    ids=repr,
)
def test_every_violation_of_a_body_is_listed(lab: Lab, body: Any, expected: list[Any]) -> None:
    answer = lab.call("POST", "/things", body)
    assert keywords(answer) == expected
    assert lab.stage.calls == []


def test_no_submitted_value_or_name_is_repeated_or_logged(lab: Lab) -> None:
    sent = [
        lab.call("POST", "/things", {"name": SECRET, SECRET: SECRET}),
        lab.call("POST", "/login", {"name": 1, "word": SECRET * 9}),
        lab.call("POST", "/login", {"ticket": SECRET * 9, SECRET: 1}),
        lab.post("/things", b'{"' + SECRET.encode() + b'":NaN}'),
        lab.call("GET", f"/things?{SECRET}={SECRET}&limit={SECRET}&fresh={SECRET}"),
        lab.call("GET", f"/things/{SECRET.upper()}"),
        lab.call("GET", f"/{SECRET}"),
        lab.call("GET", "/things", headers=[("X-Trace", SECRET)]),
        lab.call("POST", "/secret", {"word": "x"}, token=SECRET),
        lab.call(SECRET, "/things"),
    ]
    with capture_logs() as logs:
        for answer in sent:
            assert 400 <= answer.status < 500
            assert SECRET not in repr(answer).lower()
    assert logs == []


def test_chunks_without_a_length_are_one_body(lab: Lab) -> None:
    json_type = [("Content-Type", "application/json")]
    answer = lab.call(
        "POST", "/things", chunks=[b'{"na', b"", b'me":"bo', b'lt"}'], headers=json_type
    )
    assert answer.status == 201
    assert lab.stage.calls[0][1]["body"] == BOLT


def test_a_missing_body_is_a_400(lab: Lab) -> None:
    expected = [("body", "", "required")]
    assert keywords(lab.call("POST", "/things")) == expected
    assert keywords(lab.post("/things", b"")) == expected
    assert keywords(lab.call("POST", "/things", chunks=[b"", b""])) == expected


def test_an_optional_body_may_be_left_out(tmp_path: Path) -> None:
    old = 'required: true\n      content:\n        application/json:\n          schema:\n            $ref: "../schemas/things.yaml#/NewThing"'
    lab = Lab(contract(edited(tmp_path, "paths/things.yaml", old, old.replace("true", "false"))))
    assert lab.call("POST", "/things").status == 201
    assert lab.stage.calls[0][1]["body"] is None
    assert lab.call("POST", "/things", {}).status == 400


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_body_where_none_is_declared_is_a_400(lab: Lab, method: str) -> None:
    answer = lab.call(method, "/things/a-1", {"x": 1}, token="good")
    assert answer.status == 400
    assert lab.stage.calls == []
    chunked = lab.call(method, "/things/a-1", chunks=[b"", b"x" * 10, b"y"], token="good")
    assert chunked.status == 400
    assert chunked.header("connection") == "close"


def test_an_announced_empty_body_is_none(lab: Lab) -> None:
    assert lab.call("GET", "/things/a-1", content=b"").status == 200
    assert lab.call("GET", "/things/a-1", chunks=[b""]).status == 200


# -- size and time ----------------------------------------------------------------------------


def test_a_body_over_the_limit_is_refused_by_its_length_before_it_is_read(lab: Lab) -> None:
    read: list[int] = []

    async def receive() -> dict[str, Any]:
        read.append(1)
        return {"type": "http.request", "body": b"x", "more_body": True}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    fields = [("Content-Length", str(LIMIT + 1)), ("Content-Type", "application/json")]
    asyncio.run(lab.app(scope("POST", "/things", fields), receive, send))
    assert sent[0]["status"] == 413
    assert (b"connection", b"close") in sent[0]["headers"]
    assert read == []


@pytest.mark.parametrize("length", [str(LIMIT + 1), "65537", "9" * 30, "9" * 5000])
def test_no_length_is_too_long_to_be_refused(lab: Lab, length: str) -> None:
    fields = [("Content-Length", length), ("Content-Type", "application/json")]
    answer = asyncio.run(exchange(lab.app, scope("POST", "/things", fields), [b"{}"]))
    refused(answer, 413, "payload_too_large")


def test_an_endless_body_is_refused_when_the_limit_is_passed(lab: Lab) -> None:
    read: list[int] = []

    async def receive() -> dict[str, Any]:
        read.append(1)
        return {"type": "http.request", "body": b"x" * 1024, "more_body": True}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    fields = [("Transfer-Encoding", "chunked"), ("Content-Type", "application/json")]
    asyncio.run(lab.app(scope("POST", "/things", fields), receive, send))
    assert sent[0]["status"] == 413
    assert json.loads(sent[1]["body"])["error"]["code"] == "payload_too_large"
    assert len(read) == LIMIT // 1024 + 1


def test_a_body_of_exactly_the_limit_is_read(lab: Lab) -> None:
    text = b'{"name":"bolt"}'
    assert lab.post("/things", text + b" " * (LIMIT - len(text))).status == 201
    answer = lab.post("/things", text + b" " * (LIMIT - len(text) + 1))
    refused(answer, 413, "payload_too_large")
    assert answer.details == [
        {
            "location": "body",
            "pointer": "",
            "keyword": "size",
            "message": f"is larger than {LIMIT} bytes",
        }
    ]


def test_a_body_that_does_not_arrive_is_a_400_in_time(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_module, "PATIENCE", 0.1)
    first = iter([{"type": "http.request", "body": b"{", "more_body": True}])

    async def receive() -> dict[str, Any]:
        for message in first:
            return message
        await asyncio.sleep(60)
        raise AssertionError

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    began = time.perf_counter()
    fields = [("Content-Length", "20"), ("Content-Type", "application/json")]
    asyncio.run(lab.app(scope("POST", "/things", fields), receive, send))
    assert time.perf_counter() - began < 2
    assert sent[0]["status"] == 400
    assert (b"connection", b"close") in sent[0]["headers"]
    assert json.loads(sent[1]["body"])["error"]["details"][0]["keyword"] == "timeout"


def test_a_peer_that_leaves_within_its_body_gets_nothing(lab: Lab) -> None:
    incoming = iter(
        [
            {"type": "http.request", "body": b"{", "more_body": True},
            {"type": "http.disconnect"},
        ]
    )
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return next(incoming)

    async def send(message: Any) -> None:
        sent.append(message)

    fields = [("Content-Length", "20"), ("Content-Type", "application/json")]
    asyncio.run(lab.app(scope("POST", "/things", fields), receive, send))
    assert (sent, lab.stage.calls) == ([], [])


# -- content types ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        'Application/Json;Charset="UTF-8"',
        "application/json ; charset=UTF-8 ",
    ],
)
def test_json_is_json_whatever_its_case(lab: Lab, content_type: str) -> None:
    assert lab.post("/things", b'{"name":"bolt"}', content_type).status == 201
    refused(lab.post("/things", b'{"name":1}', content_type), 400, "invalid_request")


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/vnd.api+json",
        "application/problem+json",
        "application/jsonx",
        "application/json; charset=nope",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/json; charset=utf-8; x=y",
        "application/json; version=1",
        "application/json;",
        "application/json, text/plain",
        "json",
        "*/*",
        "application/json\x00",
    ],
)
def test_any_other_content_type_is_a_415(lab: Lab, content_type: str) -> None:
    refused(lab.post("/things", b'{"name":"bolt"}', content_type), 415, "unsupported_media_type")
    assert lab.stage.calls == []


def test_an_absent_content_type_is_a_415(lab: Lab) -> None:
    refused(lab.call("POST", "/things", content=b"{}"), 415, "unsupported_media_type")


def test_two_content_types_are_a_415(lab: Lab) -> None:
    fields = [("Content-Type", "application/json")] * 2
    refused(
        lab.call("POST", "/things", content=b"{}", headers=fields), 415, "unsupported_media_type"
    )


@pytest.mark.parametrize("coding", ["gzip", "br", "identity", ""])
def test_any_content_encoding_is_a_415(lab: Lab, coding: str) -> None:
    answer = lab.call("POST", "/things", BOLT, headers=[("Content-Encoding", coding)])
    refused(answer, 415, "unsupported_media_type")


# -- parameters -------------------------------------------------------------------------------


def test_parameters_reach_the_handler_typed_and_with_their_defaults(lab: Lab) -> None:
    query = "/things?limit=5&named=a%20b+c&fresh=true&ratio=-1.5e1"
    assert lab.call("GET", query, headers=[("x-trace", "t1")]).status == 200
    assert lab.call("GET", "/things").status == 200
    assert [given for _, given in lab.stage.calls] == [
        {"limit": 5, "named": "a b c", "fresh": True, "ratio": -15.0, "x_trace": "t1"},
        {"limit": 10, "named": None, "fresh": None, "ratio": None, "x_trace": None},
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=0", ("/limit", "minimum")),
        ("limit=51", ("/limit", "maximum")),
        ("limit=", ("/limit", "type")),
        ("limit", ("/limit", "type")),
        ("limit=1.0", ("/limit", "type")),
        ("limit=%2B1", ("/limit", "type")),
        ("limit=01", ("/limit", "type")),
        ("limit=1_0", ("/limit", "type")),
        ("limit=%D9%A1", ("/limit", "type")),
        ("limit=1%0A", ("/limit", "type")),
        ("limit=" + "9" * 5000, ("/limit", "type")),
        ("fresh=True", ("/fresh", "type")),
        ("fresh=1", ("/fresh", "type")),
        ("ratio=NaN", ("/ratio", "type")),
        ("ratio=1e999", ("/ratio", "type")),
        ("ratio=Infinity", ("/ratio", "type")),
        ("named=" + "a" * 21, ("/named", "maxLength")),
        ("named=%ff", ("/named", "utf-8")),
        ("limit=1&limit=1", ("/limit", "maxItems")),
        ("x=1", ("", "additionalProperties")),
        ("=1", ("", "additionalProperties")),
        ("%ff=1", ("", "additionalProperties")),
        ("Limit=1", ("", "additionalProperties")),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_query_that_does_not_fit_is_a_400(
    lab: Lab, query: str, expected: tuple[str, str]
) -> None:
    assert keywords(lab.call("GET", f"/things?{query}")) == [("query", *expected)]


def test_a_query_where_none_is_declared_is_a_400(lab: Lab) -> None:
    answer = lab.call("POST", "/things?debug=1", BOLT)
    assert keywords(answer) == [("query", "", "additionalProperties")]
    assert lab.call("POST", "/things?", BOLT).status == 201


def test_violations_of_every_part_are_listed_together(lab: Lab) -> None:
    answer = lab.call("GET", "/things?limit=x&y=1", headers=[("X-Trace", "far too long")])
    assert keywords(answer) == [
        ("header", "/X-Trace", "maxLength"),
        ("query", "", "additionalProperties"),
        ("query", "/limit", "type"),
    ]
    both = lab.call("POST", "/things?x=1", {"name": 1})
    assert keywords(both) == [
        ("body", "/name", "type"),
        ("query", "", "additionalProperties"),
    ]


def test_a_path_parameter_is_held_against_its_schema(lab: Lab) -> None:
    assert keywords(lab.call("GET", "/things/A")) == [("path", "/thing_id", "pattern")]
    assert keywords(lab.call("GET", "/things/" + "a" * 17)) == [("path", "/thing_id", "maxLength")]


# -- tokens -----------------------------------------------------------------------------------

SECRET_DOOR = ("POST", "/secret", {"word": "sesame"})


def test_a_good_token_gives_the_handler_its_session(lab: Lab) -> None:
    for scheme in ("Bearer", "bearer", "BEARER", "Bearer "):
        answer = lab.call(*SECRET_DOOR, headers=[("Authorization", f"{scheme} good")])
        assert answer.status == 200
        assert lab.stage.calls[-1][1]["session"] == "session for openSecret"


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [""],
        [" "],
        ["Bearer"],
        ["Bearer "],
        ["good"],
        ["Basic good"],
        ["BearerXgood"],
    ],
    ids=repr,
)
def test_without_one_bearer_token_the_challenge_is_a_bare_one(lab: Lab, fields: list[str]) -> None:
    answer = lab.call(*SECRET_DOOR, headers=[("Authorization", value) for value in fields])
    refused(answer, 401, "invalid_token")
    assert answer.header("www-authenticate") == "Bearer"
    assert lab.stage.calls == []


@pytest.mark.parametrize(
    "fields",
    [
        ["Bearer good good"],
        ["Bearer good,"],
        ["Bearer go\u00f6d"],
        ["Bearer !!!"],
        ["Bearer good", "Bearer good"],
        ["Bearer good", "Basic x"],
    ],
    ids=repr,
)
def test_what_was_sent_and_is_no_token_is_called_invalid(lab: Lab, fields: list[str]) -> None:
    answer = lab.call(*SECRET_DOOR, headers=[("Authorization", value) for value in fields])
    refused(answer, 401, "invalid_token")
    assert answer.header("www-authenticate") == 'Bearer error="invalid_token"'
    assert lab.stage.calls == []


def test_a_bad_token_has_the_challenge_of_its_refusal(lab: Lab) -> None:
    answer = lab.call(*SECRET_DOOR, token="stale")
    refused(answer, 401, "invalid_token")
    assert answer.header("www-authenticate") == 'Bearer error="invalid_token"'


def test_a_wrong_code_is_not_taken_for_a_dead_token(lab: Lab) -> None:
    lab.stage.answers |= {
        "openSecret": Refusal(401, "wrong_guess"),
        "logIn": Refusal(401, "wrong_guess"),
    }
    behind_token = lab.call(*SECRET_DOOR, token="good")
    expected = 'Bearer error="insufficient_user_authentication"'
    assert behind_token.header("www-authenticate") == expected
    at_the_door = lab.call("POST", "/login", {"ticket": "t"})
    assert at_the_door.header("www-authenticate") == "Bearer"
    lab.stage.answers["openSecret"] = Refusal(401, "wrong_guess", {"WWW-Authenticate": "Bearer x"})
    assert lab.call(*SECRET_DOOR, token="good").header("www-authenticate") == "Bearer x"


@pytest.mark.parametrize(
    ("token", "session"),
    [(None, None), ("stale", None), ("good", "session for logIn")],
)
def test_where_a_token_is_optional_a_bad_one_is_none(
    lab: Lab, token: str | None, session: str | None
) -> None:
    answer = lab.call("POST", "/login", {"ticket": "t"}, token=token)
    assert answer.status == 200
    assert lab.stage.calls[-1][1]["session"] == session


def test_a_refusal_other_than_401_holds_where_a_token_is_optional(lab: Lab) -> None:
    with capture_logs() as logs:
        answer = lab.call("POST", "/login", {"ticket": "t"}, token="down")
    assert answer.status == 500  # the lab declares no 503 there
    assert logs[0]["status"] == 503


def test_the_token_comes_before_the_body(lab: Lab) -> None:
    """Nobody without a token learns what the schema says, and no bad body hides a dead token."""
    refused(lab.call("POST", "/secret", {}), 401, "invalid_token")
    refused(lab.post("/secret", b"x", "text/plain"), 401, "invalid_token")
    refused(lab.call("DELETE", "/things/a-1", {"x": 1}), 401, "invalid_token")


# -- bytes that are no request ----------------------------------------------------------------


LISTED = """    BadRequest:
      $ref: "components/responses.yaml#/BadRequest"
    Unavailable:
      $ref: "components/responses.yaml#/Unavailable"
"""
SAID = """      example:
        success: false
        message: {message}
        error: {{code: {code}, details: [], request_id: x}}
"""


def test_what_no_operation_answers_is_as_the_root_has_it(tmp_path: Path) -> None:
    """Wording and constant headers alike; what it does not list is sent in a built-in form."""
    root = contract(_listing(tmp_path))
    replies = ConnectionReplies(root.errors)
    said = {"400": replies.malformed(), "503": replies.turned_away()}
    for status, message in (("400", "Gibberish"), ("503", "Full house")):
        line, fields, body = parsed(said[status])
        assert line.startswith(f"HTTP/1.1 {status} ")
        assert fields["connection"] == "close"
        assert fields["content-length"] == str(len(body))
        assert fields["cache-control"] == "no-store"
        assert "x-content-type-options" not in fields  # the lab declares none
        assert "retry-after" not in fields
        answer = json.loads(body)
        assert answer["message"] == message
        assert answer["error"]["request_id"] == fields["x-request-id"]
        assert root.errors[status].content["application/json"].admits(answer)


def _listing(folder: Path) -> Path:
    """The lab with both replies in its root, each with an example."""
    options = '#/Options"\n'
    root = edited(folder, "openapi.yaml", options, options + LISTED)
    path = root.parent / "components" / "responses.yaml"
    text, schema = path.read_text("utf-8"), 'things.yaml#/ErrorResponse"\n'
    for name, code, message in (
        ("BadRequest", "invalid_request", "Gibberish"),
        ("Unavailable", "unavailable", "Full house"),
    ):
        before, found, after = text.partition(f"{name}:\n")
        said = schema + SAID.format(message=message, code=code)
        text = before + found + after.replace(schema, said, 1)
    path.write_text(text, "utf-8")
    return root


def test_where_no_contract_can_be_reached_a_hardened_form_is_sent() -> None:
    replies = ConnectionReplies({})
    for message, status in ((replies.malformed(), "400"), (replies.turned_away(), "503")):
        line, fields, body = parsed(message)
        assert line.startswith(f"HTTP/1.1 {status} ")
        assert fields["x-content-type-options"] == "nosniff"
        assert fields["cache-control"] == "no-store"
        rule = COMPILED.operations["getThing"].responses["400"]
        assert rule.content["application/json"].admits(json.loads(body))
    assert parsed(replies.turned_away())[1]["retry-after"] == "1"


def test_each_has_a_request_id_of_its_own() -> None:
    replies = ConnectionReplies(COMPILED.errors)
    sent = [make() for make in (replies.malformed, replies.turned_away) for _ in range(3)]
    assert len({parsed(message)[1]["x-request-id"] for message in sent}) == 6


def parsed(message: bytes) -> tuple[str, dict[str, str], bytes]:
    """Status line, fields by lower-case name, body."""
    head, _, body = message.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    split = (field.partition(": ") for field in fields)
    return line, {name.lower(): value for name, _, value in split}, body


# -- the assembled application ----------------------------------------------------------------


def test_everything_is_assembled_before_the_first_request() -> None:
    lab = Lab(COMPILED)
    assert lab.app.middleware.middleware_stack is not None
    with pytest.raises(RuntimeError):
        lab.app.add_api(COMPILED.bundle.root)


def test_an_application_is_made_from_the_root_file_as_well() -> None:
    assert Lab(COMPILED.bundle.root).call("GET", "/things").status == 200


def test_a_start_is_refused_where_connexion_understands_something_else() -> None:
    with pytest.raises(RuntimeError, match="disagree"):
        Lab(dataclasses.replace(COMPILED, base_path="/elsewhere"))


def test_what_becomes_of_the_files_after_they_were_read_changes_nothing(tmp_path: Path) -> None:
    compiled = contract(
        edited(tmp_path, "paths/things.yaml", "summary: getPlain", "summary: plain")
    )
    compiled.bundle.root.write_text("half of a fi", encoding="utf-8")
    assert Lab(compiled).call("GET", "/plain").status == 200


def test_a_request_costs_no_compiling_inspecting_or_copying(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    import copy
    import inspect

    import jsonschema_rs

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError

    lab.call("GET", "/things")
    for module, name in (
        (copy, "deepcopy"),
        (inspect, "signature"),
        (jsonschema_rs, "Draft4Validator"),
    ):
        monkeypatch.setattr(module, name, never)
    assert lab.call("GET", "/things?limit=3").status == 200
    assert lab.call("POST", "/things", {"name": 1}).status == 400
    assert lab.call(*SECRET_DOOR, token="good").status == 200


def test_a_host_that_is_none_changes_nothing(lab: Lab) -> None:
    for host in ("", "a b", "\xff", "x" * 300, "evil.example", "[::"):
        assert lab.call("GET", "/things", headers=[("Host", host)]).status == 200


def test_requests_run_beside_each_other(lab: Lab) -> None:
    """A slow handler occupies a thread, never the loop."""
    lab.stage.answers["getPlain"] = lambda **_: time.sleep(0.2) or lab.stage.answers["getThing"]

    async def together() -> float:
        began = time.perf_counter()
        calls = (exchange(lab.app, scope("GET", "/plain", ()), [b""]) for _ in range(20))
        await asyncio.gather(*calls)
        return time.perf_counter() - began

    with capture_logs():
        assert asyncio.run(together()) < 2


# -- crowds -----------------------------------------------------------------------------------


def test_a_crowd_is_refused_at_once_and_what_depends_on_nothing_is_served(lab: Lab) -> None:
    """`createThing` declares a 503 and may wait; `latestThing` declares none and never does."""
    leave = threading.Event()

    def work(**_given: Any) -> Any:
        leave.wait(30)
        return {"id": "a-1", "name": "bolt", "parts": []}

    lab.stage.answers["createThing"] = work
    content = json.dumps(BOLT).encode()
    fields = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]

    async def make() -> Answer:
        return await exchange(lab.app, scope("POST", "/things", fields), [content])

    async def crowd() -> tuple[list[Answer], Answer, list[Answer]]:
        served = [asyncio.create_task(make()) for _ in range(THREADS + WAITING)]
        await asyncio.sleep(0.1)
        turned_away = await asyncio.gather(*(make() for _ in range(10)))
        quick = await exchange(lab.app, scope("GET", "/things/latest", []), [b""])
        leave.set()
        return turned_away, quick, await asyncio.gather(*served)

    turned_away, quick, served = asyncio.run(asyncio.wait_for(crowd(), 60))
    assert {(a.status, a.code) for a in turned_away} == {(503, "unavailable")}
    assert quick.status == 200
    assert {a.status for a in served} == {201}
