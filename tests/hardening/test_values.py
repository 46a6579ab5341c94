"""Values that a lax reader lets through, and what a refusal gives away of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests.hardening.site import REFRESH, Site
from tests.hardening.wire import encode, json_fields
from tests.support.accounts import Account
from tests.support.authenticator import Authenticator


def arabic(code: str) -> str:
    return "".join(chr(0x0660 + int(digit)) for digit in code)


def full_width(code: str) -> str:
    return "".join(chr(0xFF10 + int(digit)) for digit in code)


DISGUISES: dict[str, Callable[[str], object]] = {
    "a newline at the end": lambda code: code + "\n",
    "a newline in place of a digit": lambda code: code[:5] + "\n",
    "a space before": lambda code: " " + code,
    "a space within": lambda code: code[:3] + " " + code[3:],
    "a hyphen within": lambda code: code[:3] + "-" + code[3:],
    "Arabic-Indic digits": arabic,
    "one Arabic-Indic digit": lambda code: code[:5] + arabic(code[5]),
    "full-width digits": full_width,
    "a sign": lambda code: "+" + code[1:],
    "an underscore": lambda code: code[:3] + "_" + code[4:],
    "a NUL": lambda code: code + "\0",
    "an invisible character": lambda code: code + "\u200b",
    "a leading zero": lambda code: "0" + code,
    "a number": int,
    "an array": lambda code: [code],
    "nothing": lambda code: "",
}


@pytest.fixture(scope="module")
def pending(site: Site) -> Account:
    """A user whose enrolment waits for its first code."""
    account = site.account()
    setup = account.set_up()
    account.phone = Authenticator(setup["secret"], setup["digits"], setup["period"])
    return account


@pytest.mark.parametrize("name", DISGUISES)
def test_a_right_code_in_disguise_is_refused(site: Site, pending: Account, name: str) -> None:
    assert pending.phone is not None
    code = pending.phone.code(pending.clock.now())
    answer = site.ask(
        "POST", "/mfa/verify", json={"code": DISGUISES[name](code)}, token=pending.token
    )
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert {detail["pointer"] for detail in answer.json["error"]["details"]} == {"/code"}
    assert site.ask("GET", "/mfa/status", token=pending.token).data["enabled"] is False


def test_the_same_code_without_disguise_is_accepted(site: Site) -> None:
    account = site.account()
    setup = account.set_up()
    code = Authenticator(setup["secret"], setup["digits"]).code(account.clock.now())
    answer = site.ask("POST", "/mfa/verify", json={"code": code}, token=account.token)
    assert answer.status == 200
    assert site.ask("GET", "/mfa/status", token=account.token).data["enabled"] is True


NO_UUIDS: dict[str, Callable[[str], str]] = {
    "upper case": str.upper,
    "no hyphens": lambda text: text.replace("-", ""),
    "braces": lambda text: "{" + text + "}",
    "a URN": lambda text: "urn:uuid:" + text,
    "a newline": lambda text: text + "\n",
    "a NUL": lambda text: text + "\0",
    "a space": lambda text: " " + text,
    "one character short": lambda text: text[:-1],
    "full-width digits": lambda text: full_width("1") + text[1:],
    "not hexadecimal": lambda text: "g" + text[1:],
    "a number": lambda _: "1",
    "a slash": lambda text: text[:8] + "/" + text[9:],
    "SQL": lambda _: "' OR 1=1 --",
    "a long text": lambda text: text * 100,
}


@pytest.mark.parametrize("name", NO_UUIDS)
def test_an_identifier_is_a_lower_case_uuid_and_nothing_else(
    site: Site, account: Account, name: str
) -> None:
    path = "/auth/sessions/" + quote(NO_UUIDS[name](str(uuid.uuid4())), safe="")
    answer = site.ask("DELETE", path, token=account.token)
    assert (answer.status, answer.code) == (400, "invalid_request")
    detail = answer.json["error"]["details"][0]
    assert (detail["location"], detail["pointer"]) == ("path", "/session_id")


def test_bytes_that_are_no_text_are_no_identifier(site: Site, account: Account) -> None:
    answer = site.ask("DELETE", "/auth/sessions/%ff%fe", token=account.token)
    assert answer.status == 400
    assert answer.json["error"]["details"][0]["keyword"] == "utf-8"


def test_a_well_formed_identifier_is_looked_up(site: Site, account: Account) -> None:
    answer = site.ask("DELETE", f"/auth/sessions/{uuid.uuid4()}", token=account.token)
    assert (answer.status, answer.code) == (404, "not_found")
    other = account.another_device().sign_in()
    session = site.ask("GET", "/auth/session", token=other.token).data["session_id"]
    encoded = "".join(f"%{ord(char):02x}" for char in session)
    assert site.ask("DELETE", f"/auth/sessions/{encoded}", token=account.token).status == 200


QUERIES = (
    "a=1",
    "a",
    "=",
    "%ff=%fe",
    "session_id=1",
    "access_token=x",
    "&&a=1&&a=2",
    "%00",
)


@pytest.mark.parametrize("query", QUERIES)
def test_an_undeclared_query_parameter_is_refused(site: Site, account: Account, query: str) -> None:
    for path in ("/auth/session", "/health/live"):
        answer = site.ask("GET", f"{path}?{query}", token=account.token)
        assert answer.status == 400
        assert [detail["location"] for detail in answer.json["error"]["details"]] == ["query"]
        assert site.ask("GET", f"{path}?&&", token=account.token).status == 200


def test_nothing_that_was_submitted_comes_back(site: Site, account: Account) -> None:
    mark = site.mark
    secret_body = {"username": mark() + " x", "password": ""}
    requests = [
        ("POST", "/auth/login", json_fields(), encode(secret_body)),
        ("POST", "/auth/login", json_fields(), encode({mark(): mark(), "b": {mark(): 1}})),
        ("POST", "/auth/login", json_fields(), b"{" + mark().encode()),
        ("POST", "/auth/login", {"Content-Type": f"text/{mark()}"}, mark().encode()),
        ("POST", "/auth/login", json_fields(**{"Content-Encoding": mark()}), b"{}"),
        (
            "POST",
            "/auth/login",
            json_fields(),
            encode({"challenge_id": mark(), "mfa_code": mark()}),
        ),
        ("POST", REFRESH, json_fields(), encode({"refresh_token": mark()})),
        ("POST", REFRESH, json_fields(), encode([mark()])),
        ("POST", REFRESH, json_fields(), encode(mark())),
        ("POST", f"/auth/register?{mark()}={mark()}", json_fields(), b"{}"),
        ("DELETE", f"/auth/sessions/{mark()}", {}, None),
        ("GET", f"/{mark()}", {}, None),
        ("GET", f"/health/live?{mark()}", {"User-Agent": mark(), "X-Request-ID": mark()}, None),
        ("PUT", "/health/live", {"Cookie": mark(), "Referer": mark()}, mark().encode()),
        (mark()[:20], "/health/live", {}, None),
        ("GET", "/auth/session", {"Host": mark(), "X-Forwarded-Host": mark()}, None),
        ("GET", f"http://{mark()}/nowhere", {}, None),
    ]
    for method, target, fields, body in requests:
        token = account.token if target.startswith("/auth/s") else None
        answer = site.ask(method, target, fields, body, token=token)
        shown = f"{list(answer.headers.multi_items())}{answer.content.decode()}"
        assert not site.repeated_marks(shown), (method, target.partition("Mark")[0])
        assert answer.status in (200, 400, 404, 405, 415)
    assert not site.repeated_marks(site.log())


def test_what_a_malformed_request_holds_does_not_come_back(site: Site) -> None:
    for data in (
        f"GET /{site.mark()} HTTP/7.7\r\n\r\n",
        f"{site.mark()}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: a\r\n{site.mark()}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: {site.mark()}\r\n\r\n",
    ):
        assert not site.repeated_marks(site.say(data.encode()).content.decode())
    assert not site.repeated_marks(site.log())


def test_a_mark_that_came_back_would_be_seen(site: Site) -> None:
    mark = site.mark()
    assert site.repeated_marks(f"you sent {mark}") == [mark]


def test_the_name_of_an_unknown_property_is_not_repeated(site: Site) -> None:
    answer = site.ask(
        "POST", REFRESH, json_fields(), encode({"refresh_token": "x" * 43, site.mark(): {"a": 1}})
    )
    (detail,) = answer.json["error"]["details"]
    assert (detail["pointer"], detail["keyword"]) == ("", "additionalProperties")
