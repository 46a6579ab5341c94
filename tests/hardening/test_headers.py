"""Header fields of requests and replies: credentials, caching, and the fields of every reply."""

from __future__ import annotations

import re
import uuid

import pytest

from tests.hardening.site import REFRESH, Renewal, Site
from tests.hardening.wire import bearer, json_fields, message
from tests.support.accounts import Account

NOBODY = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
INVALID = 'Bearer error="invalid_token"'


def guarded(site: Site) -> list[tuple[str, str]]:
    """Method and path of every operation that cannot be had without a token."""
    return [
        (method, path.replace("{session_id}", NOBODY))
        for path, method, operation in site.judge.operations()
        if {} not in operation["security"] and operation["security"]
    ]


def test_without_a_token_every_guarded_operation_says_bare_bearer(site: Site) -> None:
    assert len(guarded(site)) >= 12
    for method, path in guarded(site):
        answer = site.ask(method, path)
        assert (answer.status, answer.code) == (401, "invalid_token")
        assert answer.headers.get_list("www-authenticate") == ["Bearer"]


NO_TOKENS = {
    "a JWT of nobody": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "no JWT": "x",
    "alg none": "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
    "a long one": "a" * 9000,
}


@pytest.mark.parametrize("name", NO_TOKENS)
def test_a_token_that_is_no_good_is_called_so(site: Site, name: str) -> None:
    for method, path in guarded(site):
        answer = site.ask(method, path, token=NO_TOKENS[name])
        assert (answer.status, answer.code) == (401, "invalid_token")
        assert answer.headers.get_list("www-authenticate") == [INVALID]


SCHEMES = {
    "Bearer {}": 200,
    "bearer {}": 200,
    "BEARER   {}": 200,
    "Bearer": 401,
    "Bearer ": 401,
    "Bearer\t{}": 401,
    "Bearer {}, Bearer {}": 401,
    "Bearer {} x": 401,
    "Bearer={}": 401,
    "{}": 401,
    "Basic {}": 401,
    "Token {}": 401,
    'Bearer "{}"': 401,
    "": 401,
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_only_one_bearer_token_is_a_credential(site: Site, account: Account, scheme: str) -> None:
    value = scheme.replace("{}", account.token)
    answer = site.ask("GET", "/auth/session", {"Authorization": value})
    assert answer.status == SCHEMES[scheme]
    if answer.status == 401:
        assert answer.headers["www-authenticate"] in ("Bearer", INVALID)


def test_a_second_authorization_field_is_refused(site: Site, account: Account) -> None:
    good = ("Authorization", f"Bearer {account.token}")
    for fields in ([good, good], [good, ("authorization", "x")], [("Authorization", "x"), good]):
        answer = site.ask("GET", "/auth/session", list(fields))
        assert (answer.status, answer.code) == (401, "invalid_token")
    assert site.ask("GET", "/auth/session", [good]).status == 200


def test_wrong_credentials_at_sign_in_and_refresh_say_bare_bearer(
    site: Site, account: Account
) -> None:
    wrong = {"username": account.username, "password": "not the password"}
    refusals = {
        "invalid_credentials": ("/auth/login", wrong),
        "invalid_challenge": ("/auth/login", {"challenge_id": "x" * 43, "mfa_code": "123456"}),
        "invalid_token": (REFRESH, {"refresh_token": "x" * 43}),
    }
    for code, (path, body) in refusals.items():
        answer = site.ask("POST", path, json=body)
        assert (answer.status, answer.code) == (401, code)
        assert answer.headers.get_list("www-authenticate") == ["Bearer"]


def test_a_good_token_with_too_little_says_what_is_missing(site: Site, account: Account) -> None:
    answer = site.ask("POST", "/mfa/backup-codes/regenerate", token=account.token)
    assert (answer.status, answer.code) == (401, "insufficient_user_authentication")
    challenge = answer.headers["www-authenticate"]
    assert re.match(r'Bearer error="insufficient_user_authentication"', challenge)
    assert re.search(r', ?acr_values="aal2"', challenge)
    assert re.search(r', ?max_age="?600"?', challenge)


def test_a_good_token_with_a_wrong_password_is_not_called_dead(site: Site) -> None:
    account = site.account()
    body = {"current_password": "not the password", "new_password": "another one, long"}
    answer = site.ask("POST", "/auth/password", json=body, token=account.token)
    assert (answer.status, answer.code) == (401, "invalid_credentials")
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer error="insufficient_user_authentication"')
    assert site.ask("GET", "/auth/session", token=account.token).status == 200


def test_credentials_in_the_query_are_not_accepted(site: Site, account: Account) -> None:
    for name in ("access_token", "token", "authorization", "bearer"):
        answer = site.ask("GET", f"/auth/session?{name}={account.token}")
        assert answer.status in (400, 401)
    pair = f"username={account.username}&password=x"
    assert site.ask("POST", f"/auth/login?{pair}", json_fields()).status == 400
    fields = {"Content-Type": "application/x-www-form-urlencoded"}
    assert site.ask("POST", "/auth/login", fields, pair.encode()).status == 415
    form = f"access_token={account.token}".encode()
    assert site.ask("POST", "/auth/logout", fields, form).status in (400, 401)
    assert site.ask("GET", "/auth/session", token=account.token).status == 200


def test_a_cookie_is_no_credential_and_none_is_set(site: Site, account: Account) -> None:
    cookie = f"access_token={account.token}; session={account.token}"
    answer = site.ask("GET", "/auth/session", {"Cookie": cookie})
    assert answer.status == 401
    assert "set-cookie" not in site.ask("GET", "/auth/session", token=account.token).headers


def test_the_request_id_is_ours_and_fresh(site: Site) -> None:
    theirs = uuid.uuid4().hex
    fields = {"X-Request-ID": theirs, "X-Correlation-ID": theirs, "Request-Id": theirs}
    answers = [site.ask("GET", "/health/live", fields) for _ in range(5)]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 5
    assert theirs not in ids
    refused = site.ask("GET", "/nowhere", fields)
    assert refused.json["error"]["request_id"] == refused.headers["x-request-id"] != theirs


def test_what_may_hold_a_secret_is_not_cached(site: Site, account: Account) -> None:
    cacheable = {"/.well-known/jwks.json", "/health/live", "/health/ready"}
    for path, method, operation in site.judge.operations():
        for status, response in operation["responses"].items():
            if path in cacheable and status == "200":
                continue
            control = response["headers"]["Cache-Control"]
            assert (control["required"], control["schema"]["enum"]) == (True, ["no-store"]), (
                method,
                path,
                status,
            )
    for path in ("/auth/session", "/mfa/status", "/auth/sessions"):
        answer = site.ask("GET", path, token=account.token)
        assert answer.headers["cache-control"] == "no-store"


def test_the_replies_that_carry_secrets_are_not_cached(site: Site) -> None:
    account = site.account()
    body = {"username": account.username, "password": account.password}
    for answer in (
        site.ask("POST", "/auth/login", json=body),
        site.ask("POST", "/mfa/setup", token=account.token),
    ):
        assert answer.status == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_a_client_would_rather_have_changes_nothing(site: Site) -> None:
    fields = {"Accept": "text/html", "Accept-Encoding": "gzip, br", "Accept-Charset": "utf-16"}
    fields |= {"Range": "bytes=0-1", "If-None-Match": "*", "TE": "trailers", "Origin": "http://x"}
    plain, fussy = site.ask("GET", "/health/live"), site.ask("GET", "/health/live", fields)
    assert (fussy.status, fussy.content) == (200, plain.content)
    assert not [name for name in fussy.headers if name.startswith("access-control")]


def test_a_header_of_64_kib_is_refused_and_one_of_8_is_not(site: Site) -> None:
    assert site.say(message("GET", "/health/live", {"X-A": "a" * 65536})).status == 400
    assert site.ask("GET", "/health/live", {"X-A": "a" * 8192}).status == 200


def test_header_bytes_outside_ascii_do_no_harm(site: Site, renewal: Renewal) -> None:
    fields = [("User-Agent", b"\xff\xfe\x80"), ("X-A", "é".encode()), ("Cookie", b"\xc3")]
    answer = site.ask("GET", "/health/live", fields)
    assert answer.status == 200
    strange = [("Authorization", b"Bearer \xff\xfe")]
    assert site.ask("GET", "/auth/session", strange).status == 401
    assert (
        site.ask("POST", REFRESH, [("Content-Type", b"application/json\xff")], b"{}").status == 415
    )
    renewal.accepted(renewal.send([*json_fields().items(), *fields]))


def test_a_header_with_an_underscore_does_not_pass_for_one_with_a_hyphen(
    site: Site, account: Account
) -> None:
    assert site.ask("POST", REFRESH, {"Content_Type": "application/json"}, b"{}").status == 415
    fields = bearer(account.token) | {"X_Forwarded_For": "203.0.113.9"}
    assert site.ask("GET", "/auth/session", fields).status == 200
