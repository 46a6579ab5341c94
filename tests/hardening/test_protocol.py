"""Messages that are no HTTP, nearly HTTP, or HTTP that two readers could read in two ways."""

from __future__ import annotations

import pytest

from server.http import HEADER_BYTES, PIPELINED
from tests.hardening.site import REFRESH, Renewal, Site
from tests.hardening.wire import Fields, chunk, chunked, json_fields, message
from tests.support.accounts import Account

LIVE = message("GET", "/health/live")


def live(fields: Fields) -> bytes:
    return message("GET", "/health/live", fields)


NO_REQUESTS = {
    "garbage": b"\x00\x01\x02\x03\xff\xfe\r\n\r\n",
    "a TLS client hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "one word": b"HELLO\r\n\r\n",
    "no version": b"GET /health/live\r\n\r\n",
    "HTTP/0.9": b"GET /health/live HTTP/0.9\r\n\r\n",
    "HTTP/2.0": b"GET /health/live HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/1.2": b"GET /health/live HTTP/1.2\r\nHost: a\r\n\r\n",
    "lower-case http": b"GET /health/live http/1.1\r\nHost: a\r\n\r\n",
    "another protocol": b"GET /health/live SMTP/1.0\r\nHost: a\r\n\r\n",
    "a space in the target": message("GET", "/health/live x"),
    "a tab in the target": message("GET", "/health/li\tve"),
    "a target without a slash": message("GET", "health/live"),
    "a backslash": message("GET", "\\health\\live"),
    "no target": message("GET", ""),
    "a fragment": message("GET", "/health/live#x"),
    "a URL without a host": message("GET", "http://"),
    "a URL without a path": message("GET", "http://localhost"),
    "a URL with half an address": message("GET", "http://[::1/health/live"),
    "a URL with an impossible port": message("GET", "http://a:999999/health/live"),
    "a method that is no token": message("G(T", "/health/live"),
    "a method without end": b"A" * 100 + b" /health/live HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT to a host": message("CONNECT", "localhost:443"),
    "line feeds alone": LIVE.replace(b"\r\n", b"\n"),
    "a line feed alone within": b"GET /health/live HTTP/1.1\nHost: a\r\n\r\n",
    "carriage returns alone": LIVE.replace(b"\r\n", b"\r"),
    "a folded field": live({"X-A": "a\r\n b"}),
    "a folded first field": b"GET /health/live HTTP/1.1\r\n Host: a\r\n\r\n",
    "NUL in a value": live({"X-A": "a\0b"}),
    "NUL in a name": live({"X-\0A": "a"}),
    "a carriage return in a value": live({"X-A": "a\rb"}),
    "a space before the colon": live({"X-A ": "a"}),
    "a name with a space": live({"X A": "a"}),
    "a field without a colon": b"GET /health/live HTTP/1.1\r\nHost: a\r\nX-A\r\n\r\n",
    "a field without a name": live({"": "a"}),
    "no host": message("GET", "/health/live", host=None),
    "two hosts": live([("Host", "a"), ("Host", "b")]),
    "the same host twice": live([("Host", "a"), ("host", "a")]),
}


@pytest.mark.parametrize("name", NO_REQUESTS)
def test_what_is_no_request_gets_the_envelope_and_the_end(site: Site, name: str) -> None:
    answer = site.say(NO_REQUESTS[name])
    assert (answer.status, answer.code, answer.closing) == (400, "invalid_request", True)


def test_the_same_made_valid_is_served(site: Site) -> None:
    for data in (
        LIVE,
        b"GET /health/live HTTP/1.1\r\nhost:a\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET /health/live HTTP/1.0\r\n\r\n",
        b"\r\n\r\n" + LIVE,
        live({"X-A": "\t a b \t"}),
        message("GET", "http://localhost:80/health/live"),
    ):
        assert site.say(data, "GET", "/health/live").status == 200


def framed(body: bytes, *fields: tuple[str, str]) -> bytes:
    return message("POST", REFRESH, [*json_fields().items(), *fields], body)


CHUNKED = ("Transfer-Encoding", "chunked")


def test_a_length_that_is_none_or_two_is_refused(site: Site, renewal: Renewal) -> None:
    body = renewal.body()
    right = str(len(body))
    for length in ("-1", "+5", "0x5", "5,5", "5 5", "", " ", "1_0", "1.0", "9" * 30, right + "a"):
        assert site.say(framed(body, ("Content-Length", length))).status == 400, length
    for other in (right, "5"):
        two = framed(body, ("Content-Length", right), ("content-length", other))
        assert site.say(two).status == 400
    renewal.accepted(site.say(framed(body, ("Content-Length", right)), "POST", REFRESH))


def test_a_length_beside_a_coding_is_refused(site: Site, renewal: Renewal) -> None:
    body = chunked(renewal.body())
    for length in ("5", str(len(body))):
        assert site.say(framed(body, CHUNKED, ("Content-Length", length))).status == 400
        assert site.say(framed(body, ("Content-Length", length), CHUNKED)).status == 400
    renewal.accepted(site.say(framed(body, CHUNKED), "POST", REFRESH))


CODINGS = ("identity", "gzip, chunked", "chunked, gzip", "xchunked", "chunked, chunked", "", "x")


@pytest.mark.parametrize("coding", CODINGS)
def test_a_coding_other_than_chunked_is_refused(site: Site, renewal: Renewal, coding: str) -> None:
    body = chunked(renewal.body())
    assert site.say(framed(body, ("Transfer-Encoding", coding))).status == 400
    assert site.say(framed(body, CHUNKED, ("Transfer-Encoding", coding))).status == 400
    renewal.accepted(site.say(framed(body, ("Transfer-Encoding", "CHUNKED")), "POST", REFRESH))


BAD_CHUNKS = (
    b"zz\r\nabc\r\n",
    b"-5\r\nabcde\r\n",
    b"0x5\r\nabcde\r\n",
    b"+5\r\nabcde\r\n",
    b"5\r\nabcdefgh\r\n",
    b"5\nabcde\r\n",
    b"5 \r\nabcde\r\n",
    b"fffffffffffffffff\r\n",
    b"\r\n",
)


@pytest.mark.parametrize("bad", BAD_CHUNKS)
def test_a_bad_chunk_is_refused(site: Site, renewal: Renewal, bad: bytes) -> None:
    answer = site.say(framed(bad, CHUNKED))
    assert (answer.status, answer.closing) == (400, True)
    good = chunk(renewal.body())
    assert site.say(framed(good + bad, CHUNKED)).status == 400
    extended = good.replace(b"\r\n", b";a=b\r\n", 1) + b"0\r\n\r\n"
    renewal.accepted(site.say(framed(extended, CHUNKED), "POST", REFRESH))


def test_a_field_of_the_trailer_does_not_pass_for_one_of_the_head(
    site: Site, renewal: Renewal, account: Account
) -> None:
    late = b"Content-Type: application/json\r\n"
    body = chunked(renewal.body(), trailer=late)
    answer = site.say(message("POST", REFRESH, dict([CHUNKED]), body), "POST", REFRESH)
    assert answer.status == 415
    late = f"Authorization: Bearer {account.token}\r\n".encode()
    data = message("GET", "/auth/session", dict([CHUNKED]), chunked(trailer=late))
    assert site.say(data, "GET", "/auth/session").status == 401
    harmless = chunked(renewal.body(), trailer=b"X-A: a\r\n")
    renewal.accepted(site.say(framed(harmless, CHUNKED), "POST", REFRESH))


ENDLESS = {
    "a request line": (b"GET /", b"a"),
    "a field": (b"GET / HTTP/1.1\r\nX-A: ", b"a"),
    "a name": (b"GET / HTTP/1.1\r\nX-", b"a"),
    "fields": (b"GET / HTTP/1.1\r\n", b"a:\r\n"),
    "empty lines": (b"", b"\r\n"),
    "a chunk extension": (framed(b"1;a=", CHUNKED), b"a"),
    "a trailer": (framed(chunk(b"{") + b"0\r\n", CHUNKED), b"X-A: a\r\n"),
    "a field of a trailer": (framed(chunk(b"{") + b"0\r\nX-A: ", CHUNKED), b"a"),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_has_no_end_is_cut_off(site: Site, name: str) -> None:
    start, more = ENDLESS[name]
    piece = more * (16_000 // len(more))
    with site.connect() as connection:
        connection.send(start)
        taken = 0
        while not connection.is_closed_after(piece):
            taken += len(piece)
            assert taken < 2_000_000, "the server still listens"
        assert site.hear(connection, "POST", "MALFORMED").status == 400
    assert site.ask("GET", "/health/live").status == 200


def test_headers_are_bounded_as_they_stand_on_the_wire(site: Site) -> None:
    assert site.say(live([("a", "")] * 8_000)).status == 400
    assert site.say(live([("X-A", "a" * 1_000)] * 17)).status == 400
    assert site.say(message("GET", "/" + "a" * (HEADER_BYTES + 1))).status == 400
    assert site.ask("GET", "/health/live", [("X-A", "a" * 1_000)] * 15).status == 200
    assert site.ask("GET", "/" + "a" * 15_000).status == 404


# Several requests on a connection


def test_pipelined_requests_are_answered_in_order(site: Site, renewal: Renewal) -> None:
    data = (
        LIVE + framed(renewal.body()) + message("GET", "/nowhere") + message("PUT", "/health/live")
    )
    with site.connect() as connection:
        connection.send(data)
        assert site.hear(connection, "GET", "/health/live").status == 200
        renewal.accepted(site.hear(connection, "POST", REFRESH))
        assert site.hear(connection, "GET", "/nowhere").status == 404
        assert site.hear(connection, "PUT", "/health/live").status == 405


def test_requests_that_arrive_byte_by_byte_are_answered(site: Site, renewal: Renewal) -> None:
    with site.connect() as connection:
        for data, method, target in (
            (framed(chunked(renewal.body()), CHUNKED), "POST", REFRESH),
            (live({"Connection": "close"}), "GET", "/health/live"),
        ):
            for byte in data:
                connection.send(bytes([byte]))
            answer = site.hear(connection, method, target)
            assert answer.status == 200
            if target == REFRESH:
                renewal.accepted(answer)
        assert answer.closing


def test_garbage_after_a_request_does_not_take_the_place_of_its_reply(
    site: Site, renewal: Renewal
) -> None:
    with site.connect() as connection:
        connection.send(framed(renewal.body()) + b"\x00garbage\r\n\r\n")
        renewal.accepted(site.hear(connection, "POST", REFRESH))
        assert connection.answer() is None


def test_a_refused_body_is_not_read_as_the_next_request(site: Site, account: Account) -> None:
    # The path is unknown, so nobody reads the body; it must not be taken for a request either.
    inner = message("DELETE", "/auth/sessions/x", {"Authorization": f"Bearer {account.token}"})
    for target in ("/nowhere", "/auth/login"):
        data = message("PUT", target, json_fields(), inner)
        with site.connect() as connection:
            connection.send(data)
            assert site.hear(connection, "PUT", target).status in (404, 405)
            assert connection.answer() is None


def test_a_waiting_request_that_turns_out_malformed_is_not_served(
    site: Site, renewal: Renewal
) -> None:
    with site.connect() as connection:
        connection.send(framed(renewal.body()) + framed(chunk(b"{}") + b"zz\r\n", CHUNKED))
        renewal.accepted(site.hear(connection, "POST", REFRESH))
        assert connection.seconds_until_closed() < 5


def test_more_than_a_bounded_number_of_waiting_requests_ends_the_connection(site: Site) -> None:
    for count, ends in ((PIPELINED // 2, False), (PIPELINED * 3, True)):
        with site.connect() as connection:
            connection.send(LIVE * count)
            connection.finish_sending()
            answers = 0
            while connection.answer() is not None:
                answers += 1
            assert (answers < count) == ends


def test_a_client_that_has_finished_sending_is_answered(site: Site, renewal: Renewal) -> None:
    with site.connect() as connection:
        connection.send(framed(renewal.body()))
        connection.finish_sending()
        renewal.accepted(site.hear(connection, "POST", REFRESH))
        assert connection.answer() is None


def test_half_a_request_is_not_served(site: Site, renewal: Renewal) -> None:
    whole = framed(renewal.body())
    for size in (3, len(whole) // 2, len(whole) - 1):
        with site.connect() as connection:
            connection.send(whole[:size])
            connection.finish_sending()
            assert connection.answer() is None
    renewal.accepted()


# Other protocols

OFFERS: dict[str, dict[str, str]] = {
    "HTTP/2": {
        "Connection": "Upgrade, HTTP2-Settings",
        "Upgrade": "h2c",
        "HTTP2-Settings": "AAMAAABkAAQAAP__",
    },
    "WebSocket": {
        "Connection": "keep-alive, Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    },
    "TLS": {"Connection": "upgrade", "Upgrade": "TLS/1.0"},
}


@pytest.mark.parametrize("name", OFFERS)
def test_an_offer_of_another_protocol_is_passed_over(
    site: Site, renewal: Renewal, name: str
) -> None:
    offer = tuple(OFFERS[name].items())
    with site.connect() as connection:
        connection.send(live(OFFERS[name]) + framed(renewal.body(), *offer))
        assert site.hear(connection, "GET", "/health/live").status == 200
        renewal.accepted(site.hear(connection, "POST", REFRESH))
        connection.send(framed(chunked(renewal.body()), *offer, CHUNKED) + LIVE)
        renewal.accepted(site.hear(connection, "POST", REFRESH))
        assert site.hear(connection, "GET", "/health/live").status == 200
        connection.send(message("FOO", "/health/live", OFFERS[name]) + LIVE)
        assert site.hear(connection, "FOO", "/health/live").status == 405
        assert site.hear(connection, "GET", "/health/live").status == 200


def test_there_is_no_tunnel(site: Site) -> None:
    with site.connect() as connection:
        connection.send(message("CONNECT", "/health/live") + LIVE)
        assert site.hear(connection, "CONNECT", "/health/live").status == 405
        assert connection.answer() is None


def test_http_1_0_is_answered_and_the_connection_ends(site: Site) -> None:
    data = b"GET /health/live HTTP/1.0\r\n\r\n"
    answer = site.say(data, "GET", "/health/live")
    assert (answer.status, answer.closing) == (200, True)
