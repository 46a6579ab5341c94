"""Methods and paths: what is there, what is not, and what the server says about it."""

from __future__ import annotations

import pytest

from tests.hardening.site import Site
from tests.hardening.wire import json_fields, message
from tests.support.accounts import Account

METHODS = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "TRACE",
    "CONNECT",
    "QUERY",
    "PROPFIND",
    "PURGE",
    "FOO",
    "get",
    "PRI",
    "A.B~C",
]
NOBODY = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def concrete(path: str) -> str:
    return path.replace("{session_id}", NOBODY)


def allowed(value: str) -> set[str]:
    methods = value.split(", ")
    assert len(methods) == len(set(methods))
    return set(methods)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_that_a_path_lacks_is_405_with_the_complete_allow(site: Site, method: str) -> None:
    paths = {path for path, _, _ in site.judge.operations()}
    refused = {path for path in paths if method not in site.judge.allow(path)}
    for path in refused:
        answer = site.ask(method, concrete(path))
        assert answer.status == 405
        assert allowed(answer.headers["allow"]) == site.judge.allow(path)
    # The control: what Allow names is never 405.
    for path in paths - refused:
        assert site.ask(method, concrete(path)).status != 405


def test_a_body_does_not_keep_a_method_from_being_refused(site: Site) -> None:
    for method in ("PUT", "PATCH", "FOO"):
        assert site.ask(method, "/auth/login", json_fields(), b'{"a":1}').status == 405


def test_options_says_what_a_path_has(site: Site) -> None:
    for path in {path for path, _, _ in site.judge.operations()}:
        answer = site.ask("OPTIONS", concrete(path))
        assert (answer.status, answer.content) == (204, b"")
        assert allowed(answer.headers["allow"]) == site.judge.allow(path)
        assert "content-length" not in answer.headers  # RFC 9110 section 8.6
    assert site.ask("OPTIONS", "/nowhere").status == 404


def test_options_for_the_server_as_a_whole_is_answered(site: Site) -> None:
    assert site.ask("OPTIONS", "*").status == 404


VOLATILE = {"date", "x-request-id"}


def test_head_is_get_without_its_body(site: Site, account: Account) -> None:
    gets = [path for path, method, _ in site.judge.operations() if method == "GET"]
    assert gets
    for path in [*gets, "/openapi.json", "/docs/"]:
        for token in (account.token, None):
            get = site.ask("GET", path, token=token)
            head = site.ask("HEAD", path, token=token)
            assert (head.status, head.content) == (get.status, b"")
            same = {name: get.headers[name] for name in set(get.headers) - VOLATILE}
            assert {name: head.headers[name] for name in set(head.headers) - VOLATILE} == same


def test_a_head_on_a_path_without_get_is_405_without_a_body(site: Site) -> None:
    # That nothing follows the head is shown by the second reply on the connection.
    with site.connect() as connection:
        connection.send(message("HEAD", "/auth/login") + message("GET", "/health/live"))
        assert site.hear(connection, "HEAD", "/auth/login").status == 405
        assert site.hear(connection, "GET", "/health/live").status == 200


PATHS = {
    "/health/live": 200,
    "/he%61lth/live": 200,
    "/health/live/": 404,
    "//health/live": 404,
    "/health//live": 404,
    "/health%2Flive": 404,
    "/health%2flive": 404,
    "/health%252Flive": 404,
    "/health/live%00": 404,
    "/health/live%0A": 404,
    "/health/live%20": 404,
    "/health/%zz": 404,
    "/health/live%": 404,
    "/health/live;a=b": 404,
    "/auth/../health/live": 404,
    "/auth/%2e%2e/health/live": 404,
    "/./health/live": 404,
    "/Health/Live": 404,
    "/": 404,
    "//": 404,
    "/%": 404,
    "/%ff%fe": 404,
    "/health/live?": 200,
    "http://localhost/health/live": 200,
    "http://elsewhere.example:81/health/live": 200,
    "http://localhost/health/live/": 404,
    "/auth/sessions/": 404,
    "/docs/../spec/openapi.yaml": 404,
    "/docs/%2e%2e/server/keys.py": 404,
    "/docs/assets/../../../pyproject.toml": 404,
    "/openapi.json/": 404,
}


@pytest.mark.parametrize("target", PATHS)
def test_a_path_is_served_as_it_is_written_or_not_at_all(site: Site, target: str) -> None:
    answer = site.ask("GET", target)
    assert answer.status == PATHS[target]
    assert "location" not in answer.headers


@pytest.mark.parametrize("path", [b"/health/\xff\xfe", "/health/é".encode(), b"/health/\x80"])
def test_bytes_outside_ascii_in_a_target_are_no_request(site: Site, path: bytes) -> None:
    assert site.say(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n").status == 400


OVERRIDES = (
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-Original-Method",
    "X-Rewrite-URL",
    "X-Original-URL",
)


@pytest.mark.parametrize("name", OVERRIDES)
def test_a_method_or_path_given_in_a_header_is_ignored(site: Site, name: str) -> None:
    device = site.account()
    session = site.ask("GET", "/auth/session", token=device.token)
    path = f"/auth/sessions/{session.data['session_id']}"
    for value in ("DELETE", path):
        assert site.ask("POST", path, {name: value}, token=device.token).status == 405
        assert site.ask("GET", "/auth/session", {name: value}, token=device.token).status == 200
    # The control: the method itself does what the header could not.
    assert site.ask("DELETE", path, token=device.token).status == 200
    assert site.ask("GET", "/auth/session", token=device.token).status == 401


def test_a_method_given_in_the_query_is_refused(site: Site, account: Account) -> None:
    answer = site.ask("GET", "/auth/session?_method=DELETE", token=account.token)
    assert answer.status == 400
    assert site.ask("GET", "/auth/session", token=account.token).status == 200
