"""The judge of this suite finds every kind of lie that it is there to find."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.hardening.judge import MALFORMED, Judge
from tests.hardening.site import Site
from tests.hardening.wire import Answer
from tests.support.accounts import Account

Lie = Callable[[Answer], Answer]


def with_header(name: str, value: str | None) -> Lie:
    def tell(answer: Answer) -> Answer:
        fields = [(n, v) for n, v in answer.headers.multi_items() if n != name]
        return replace(answer, headers=httpx.Headers(fields + ([(name, value)] if value else [])))

    return tell


def with_second(name: str, value: str) -> Lie:
    return lambda answer: replace(
        answer, headers=httpx.Headers([*answer.headers.multi_items(), (name, value)])
    )


def with_body(change: Callable[[Any], Any]) -> Lie:
    def tell(answer: Answer) -> Answer:
        body = answer.json
        change(body)
        return replace(answer, content=json.dumps(body).encode())

    return tell


LIES: dict[str, Lie] = {
    "an undeclared status": lambda answer: replace(answer, status=202),
    "a redirect": lambda answer: replace(answer, status=307),
    "no body": lambda answer: replace(answer, content=b""),
    "another media type": with_header("content-type", "application/problem+json"),
    "no media type": with_header("content-type", None),
    "no request id": with_header("x-request-id", None),
    "a request id of another shape": with_header("x-request-id", "1"),
    "no nosniff": with_header("x-content-type-options", None),
    "cached": with_header("cache-control", "public"),
    "a cache rule missing": with_header("cache-control", None),
    "two cache rules": with_second("cache-control", "no-store"),
    "an undeclared header": with_header("x-debug", "1"),
    "the software's name": with_header("server", "uvicorn"),
    "a property too many": with_body(lambda body: body.update(debug=1)),
    "a property too many in data": with_body(lambda body: body["data"].update(password="x")),
    "a property missing": with_body(lambda body: body["data"].pop("acr")),
    "a value of another type": with_body(lambda body: body["data"].update(amr="pwd")),
    "a value not listed": with_body(lambda body: body["data"].update(acr="aal9")),
    "null where it is not nullable": with_body(lambda body: body["data"].update(acr=None)),
    "success that is none": with_body(lambda body: body.update(success="yes")),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_found(site: Site, account: Account, name: str) -> None:
    honest = site.ask("GET", "/auth/session", token=account.token)
    judge = Judge(site.api.get("/openapi.json").json)
    assert judge.faults("GET", "/auth/session", honest) == []
    fresh = Judge(site.api.get("/openapi.json").json)
    assert fresh.faults("GET", "/auth/session", LIES[name](honest))


REFUSALS: dict[str, Lie] = {
    "an error beside data": with_body(lambda body: body.update(data={})),
    "an unlisted code": with_body(lambda body: body["error"].update(code="oops")),
    "another request id": with_body(lambda body: body["error"].update(request_id="0" * 32)),
    "success": with_body(lambda body: body.update(success=True)),
    "a trace": with_body(lambda body: body["error"].update(trace="at line 1")),
    "no challenge": with_header("www-authenticate", None),
    "two challenges": with_second("www-authenticate", "Bearer"),
    "a challenge of another scheme": with_header("www-authenticate", "Basic"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_lie_in_a_refusal_is_found(site: Site, name: str) -> None:
    honest = site.ask("GET", "/auth/session")
    judge = Judge(site.api.get("/openapi.json").json)
    assert judge.faults("GET", "/auth/session", REFUSALS[name](honest))


def test_a_request_id_that_was_used_before_is_found(site: Site) -> None:
    answer = site.ask("GET", "/health/live")
    assert site.judge.faults("GET", "/health/live", answer) == ["the request id is not fresh"]


def test_an_error_without_an_operation_is_held_to_its_component(site: Site) -> None:
    missing, wrong = site.ask("GET", "/nowhere"), site.ask("PUT", "/health/live")
    judge = Judge(site.api.get("/openapi.json").json)
    assert judge.faults("GET", "/nowhere", replace(missing, status=200))
    assert judge.faults("PUT", "/health/live", with_header("allow", None)(wrong))
    assert judge.faults("GET", MALFORMED, replace(missing, status=404))


def test_a_failure_is_never_taken_for_declared_by_accident(site: Site) -> None:
    """A 500 is declared by every operation; this suite sees none, and says so by the status."""
    assert all("500" in operation["responses"] for _, _, operation in site.judge.operations())
