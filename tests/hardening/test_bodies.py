"""What a body may be. Every refusal leaves the refresh token good; that is the control."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.hardening.site import REFRESH, Renewal, Site
from tests.hardening.wire import chunk, chunked, encode, json_fields, message
from tests.support.specs import body_limits

LIMIT = body_limits()["refreshTokens"]
HALF = LIMIT // 2

Body = Callable[[str], bytes]


def plain(token: str) -> bytes:
    return encode({"refresh_token": token})


def keywords(content: bytes) -> list[str]:
    return [detail["keyword"] for detail in json.loads(content)["error"]["details"]]


NOT_JSON: dict[str, tuple[str, Body]] = {
    "invalid UTF-8 in a field": ("utf-8", lambda t: b'{"refresh_token":"\xff\xfe"}'),
    "the header of a PNG": ("utf-8", lambda t: b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"),
    "overlong UTF-8": ("utf-8", lambda t: plain(t)[:-1] + b',"a":"\xc0\xaf"}'),
    "a surrogate in UTF-8": ("utf-8", lambda t: b'{"refresh_token":"\xed\xa0\x80"}'),
    "a lone surrogate, escaped": ("utf-8", lambda t: b'{"refresh_token":"\\ud800"}'),
    "a lone surrogate in a name": ("utf-8", lambda t: plain(t)[:-1] + b',"\\udfff":1}'),
    "UTF-16": ("json", lambda t: plain(t).decode().encode("utf-16-le")),
    "a byte order mark": ("json", lambda t: b"\xef\xbb\xbf" + plain(t)),
    "nothing but brackets": ("depth", lambda t: b"[" * LIMIT),
    "deep nesting in a field": (
        "depth",
        lambda t: b'{"refresh_token":' + b"[" * 800 + b"]" * 800 + b"}",
    ),
    "objects 17 deep": ("depth", lambda t: b'{"a":' * 17 + b"1" + b"}" * 17),
    "an integer of 1 700 digits": ("number", lambda t: b'{"refresh_token":' + b"9" * 1700 + b"}"),
    "1e999": ("number", lambda t: b'{"refresh_token":1e999}'),
    "NaN": ("json", lambda t: b'{"refresh_token":NaN}'),
    "Infinity": ("json", lambda t: b'{"refresh_token":Infinity}'),
    "-Infinity": ("json", lambda t: b'{"refresh_token":-Infinity}'),
    "a name twice, the good one last": (
        "duplicate",
        lambda t: b'{"refresh_token":"x",' + plain(t)[1:],
    ),
    "a name twice, the good one first": (
        "duplicate",
        lambda t: plain(t)[:-1] + b',"refresh_token":"x"}',
    ),
    "a name twice, once escaped": (
        "duplicate",
        lambda t: plain(t)[:-1] + b',"refresh\\u005ftoken":"x"}',
    ),
    "a comma too many": ("json", lambda t: plain(t)[:-1] + b",}"),
    "single quotes": ("json", lambda t: plain(t).replace(b'"', b"'")),
    "a comment": ("json", lambda t: b"/* hello */" + plain(t)),
    "two values": ("json", lambda t: plain(t) * 2),
    "a raw control character": ("json", lambda t: plain(t)[:-2] + b'\n"}'),
    "half of it": ("json", lambda t: plain(t)[:20]),
    "white space alone": ("json", lambda t: b"   "),
    "a form": ("json", lambda t: b"refresh_token=" + t.encode()),
}


@pytest.mark.parametrize("name", NOT_JSON)
def test_a_body_that_is_not_json_is_refused_and_spends_nothing(renewal: Renewal, name: str) -> None:
    keyword, body = NOT_JSON[name]
    answer = renewal.send(body=body(renewal.token))
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert keywords(answer.content) == [keyword]
    renewal.accepted()


NOT_FITTING: dict[str, tuple[str, Body]] = {
    "an unknown property": (
        "additionalProperties",
        lambda t: encode({"refresh_token": t, "is_admin": True}),
    ),
    "another type": ("type", lambda t: encode({"refresh_token": [t]})),
    "null": ("type", lambda t: encode({"refresh_token": None})),
    "an array around it": ("type", lambda t: encode([{"refresh_token": t}])),
    "a string": ("type", lambda t: encode(t)),
    "a newline before the end": ("maxLength", lambda t: encode({"refresh_token": t + "\n"})),
    "a newline in place of the end": (
        "pattern",
        lambda t: encode({"refresh_token": t[:-1] + "\n"}),
    ),
    "a NUL": ("pattern", lambda t: encode({"refresh_token": "\0" + t[1:]})),
    "nothing in the object": ("required", lambda t: b"{}"),
}


@pytest.mark.parametrize("name", NOT_FITTING)
def test_a_body_that_does_not_fit_is_refused_and_spends_nothing(
    renewal: Renewal, name: str
) -> None:
    keyword, body = NOT_FITTING[name]
    answer = renewal.send(body=body(renewal.token))
    assert answer.status == 400
    assert keyword in keywords(answer.content)
    renewal.accepted()


def test_json_as_rfc_8259_has_it_is_accepted(renewal: Renewal) -> None:
    token = "".join(f"\\u{ord(char):04x}" for char in renewal.token)
    body = f' \r\n\t{{ "refresh\\u005ftoken" :\n"{token}" }} '.encode()
    renewal.accepted(renewal.send(body=body))


@pytest.mark.parametrize("depth", [16, 17])
def test_depth_is_measured_and_not_guessed(renewal: Renewal, depth: int) -> None:
    # Sixteen levels are read, and then refused by the schema and not by the reader.
    answer = renewal.send(body=b'{"a":' * depth + b"1" + b"}" * depth)
    assert ("depth" in keywords(answer.content)) == (depth == 17)
    # Brackets in a string are no nesting.
    answer = renewal.send(body=encode({"refresh_token": "[" * 43}))
    assert keywords(answer.content) == ["pattern"]


TYPES = {
    "application/json": 200,
    "APPLICATION/JSON": 200,
    "Application/Json": 200,
    "application/json; charset=utf-8": 200,
    'application/json;charset="UTF-8"': 200,
    "application/json; charset=nope": 415,
    "application/json; charset=utf-16": 415,
    "application/json; charset=iso-8859-1": 415,
    "application/json, text/plain": 415,
    "application/jsonx": 415,
    "application/vnd.api+json": 415,
    "application/problem+json": 415,
    "text/json": 415,
    "text/plain": 415,
    "text/html": 415,
    "application/xml": 415,
    "application/x-www-form-urlencoded": 415,
    "multipart/form-data; boundary=x": 415,
    "application/octet-stream": 415,
    "json": 415,
    "*/*": 415,
    "": 415,
    ";": 415,
    "application/json; charset=utf-8\t; a=b": 415,
}


@pytest.mark.parametrize("content_type", TYPES)
def test_only_plain_json_is_taken_whatever_its_case(renewal: Renewal, content_type: str) -> None:
    answer = renewal.send({"Content-Type": content_type})
    assert answer.status == TYPES[content_type]
    if answer.status == 200:
        renewal.accepted(answer)
    else:
        assert answer.code == "unsupported_media_type"
        renewal.accepted()


@pytest.mark.parametrize("content_type", ["APPLICATION/JSON", "application/JSON;charset=UTF-8"])
def test_json_in_any_case_is_validated(renewal: Renewal, content_type: str) -> None:
    answer = renewal.send({"Content-Type": content_type}, b'{"refresh_token":1}')
    assert (answer.status, keywords(answer.content)) == (400, ["type"])


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("Content-Type", "application/json"), ("Content-Type", "application/json")],
        [("Content-Type", "application/json"), ("Content-Type", "text/plain")],
    ],
    ids=["none", "twice", "two"],
)
def test_a_missing_or_second_content_type_is_refused(
    renewal: Renewal, fields: list[tuple[str, str | bytes]]
) -> None:
    assert renewal.send(fields).status == 415
    renewal.accepted()


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity", "x"])
def test_an_encoded_body_is_refused(renewal: Renewal, encoding: str) -> None:
    assert renewal.send(json_fields(**{"Content-Encoding": encoding})).status == 415
    renewal.accepted()


def test_a_missing_body_is_refused(site: Site, renewal: Renewal) -> None:
    for fields in ({}, json_fields(), json_fields(**{"Content-Length": "0"})):
        answer = site.ask("POST", REFRESH, fields)
        assert (answer.status, keywords(answer.content)) == (400, ["required"])
    renewal.accepted()


def test_a_body_where_none_is_declared_is_refused(site: Site) -> None:
    account = site.account()
    for body in (b"{}", b'{"is_admin":true}', b"x"):
        answer = site.ask("POST", "/auth/logout", json_fields(), body, token=account.token)
        assert (answer.status, keywords(answer.content)) == (400, ["undeclared"])
        answer = site.ask("GET", "/health/live", json_fields(), body)
        assert (answer.status, keywords(answer.content)) == (400, ["undeclared"])
    assert site.ask("GET", "/health/live", {"Content-Length": "0"}).status == 200
    assert site.ask("POST", "/auth/logout", token=account.token).status == 200


# Length


def padded(renewal: Renewal, size: int) -> bytes:
    return renewal.body().ljust(size)


def test_a_body_at_the_limit_is_accepted_and_one_byte_more_is_not(renewal: Renewal) -> None:
    answer = renewal.send(body=padded(renewal, LIMIT + 1))
    assert (answer.status, answer.code) == (413, "payload_too_large")
    renewal.accepted(renewal.send(body=padded(renewal, LIMIT)))


CHUNKED = json_fields(**{"Transfer-Encoding": "chunked"})


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_chunked_body_is_accepted(renewal: Renewal, size: int) -> None:
    body = renewal.body()
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    renewal.accepted(renewal.send(CHUNKED, chunked(*pieces)))


def test_a_chunked_body_is_held_to_the_same_limit(renewal: Renewal) -> None:
    body = padded(renewal, LIMIT + 1)
    answer = renewal.send(CHUNKED, chunked(body[:HALF], body[HALF:]))
    assert (answer.status, answer.code) == (413, "payload_too_large")
    renewal.accepted(renewal.send(CHUNKED, chunked(body[:HALF], body[HALF:LIMIT])))


def test_200_000_brackets_are_refused_by_their_number(renewal: Renewal) -> None:
    assert renewal.send(body=b"[" * 200_000).status == 413
    assert renewal.send(CHUNKED, chunked(*[b"[" * 20_000] * 10)).status == 413
    renewal.accepted()


def test_413_comes_before_the_body_is_read(site: Site) -> None:
    head = message("POST", REFRESH, json_fields(**{"Content-Length": str(10**9)}))
    answer = site.say(head, "POST", REFRESH)
    assert (answer.status, answer.closing) == (413, True)


def test_an_announced_body_that_is_too_long_is_not_asked_for(site: Site) -> None:
    fields = json_fields(**{"Content-Length": str(10**6), "Expect": "100-continue"})
    with site.connect() as connection:
        connection.send(message("POST", REFRESH, fields))
        first = connection.interim()
    assert first is not None
    assert first.status == 413


def test_a_client_that_sends_everything_first_still_reads_its_413(site: Site) -> None:
    answer = site.say(message("POST", REFRESH, json_fields(), b" " * 8_000_000), "POST", REFRESH)
    assert (answer.status, answer.closing) == (413, True)


def test_an_endless_chunked_body_is_cut_off(site: Site) -> None:
    with site.connect() as connection:
        connection.send(message("POST", REFRESH, CHUNKED))
        sent, piece = 0, chunk(b" " * 60_000)
        for _ in range(2):
            connection.try_to_send(piece)
        assert site.hear(connection, "POST", REFRESH).status == 413
        while connection.try_to_send(piece):
            sent += len(piece)
        assert connection.seconds_until_closed() < 5
    assert site.is_alive()


def test_a_client_that_waits_for_100_is_told_to_continue(site: Site, renewal: Renewal) -> None:
    body = renewal.body()
    fields = json_fields(**{"Content-Length": str(len(body)), "Expect": "100-continue"})
    with site.connect() as connection:
        connection.send(message("POST", REFRESH, fields))
        interim = connection.interim()
        assert interim is not None
        assert interim.status == 100
        connection.send(body)
        renewal.accepted(site.hear(connection, "POST", REFRESH))
