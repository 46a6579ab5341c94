"""Replies as a faulty program would make them, for promises that a sound one never breaks.

That `required` may lose a name is seen by a reply without that name: the shipped spec withholds
it, the edited one lets it pass. The guard is what is tested, so the lie is told to it and not by it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import pytest

from contract import guard
from contract.replies import Reply
from tests.mutation.values import Use, Value

Lie = Callable[[Reply], Reply]


def truth(reply: Reply) -> Reply:
    return reply


def lies(value: Value, use: Use) -> Iterator[Lie]:
    """What could be answered in place of the truth to tell the edited spec from the shipped one."""
    change = _change(value)
    if value.kind == "header required":
        yield _without_header(value.path[-2])
    elif change is not None:
        yield _changed(use.pointer, change)
    if use.pointer.startswith("/keys/0"):  # of the kinds of key that can be shown, one is made
        edwards = _changed("/keys/0", lambda _found: EDWARDS_KEY)
        yield edwards
        if change is not None:
            further = _changed(use.pointer, change)
            yield lambda reply: further(edwards(reply))


def _change(value: Value) -> Callable[[Any], Any] | None:
    if value.kind == "required":
        return lambda found: _less(found, value.value)
    if value.kind == "additionalProperties":
        return lambda found: found | {"surplus": "a value"}
    if value.kind == "uniqueItems":
        return lambda found: [*found[1:], found[-1]]
    if value.kind == "enum":
        return lambda _found: value.value
    if value.kind == "nullable":
        return lambda _found: None
    if value.example is not None:
        return lambda _found: value.example
    return None


EDWARDS_KEY = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "kid": "2026-11-24-5be29a47",
    "use": "sig",
    "alg": "EdDSA",
}
"""The key of RFC 8037, appendix A.2."""


@contextmanager
def told(lie: Lie) -> Iterator[None]:
    """Whatever reply is made first in here is replaced by a lie before it is checked."""
    complete, pending = guard._complete, [lie]

    def lying(exchange: Any, reply: Reply) -> None:
        complete(exchange, reply)
        if pending:
            lied = pending.pop()(reply)
            reply.headers, reply.body = lied.headers, lied.body

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guard, "_complete", lying)
        yield


def _without_header(component: str) -> Lie:
    """`component` is the name of the header or of its component, which is the same in one word."""
    wanted = _NAMES.get(component, component).lower()

    def lie(reply: Reply) -> Reply:
        kept = [(name, value) for name, value in reply.headers if name.lower() != wanted]
        return Reply(reply.status, kept, reply.body)

    return lie


_NAMES = {
    "RequestID": "X-Request-ID",
    "NoSniff": "X-Content-Type-Options",
    "NoStore": "Cache-Control",
    "Cacheable": "Cache-Control",
    "WWWAuthenticate": "WWW-Authenticate",
    "RetryAfter": "Retry-After",
    "RateLimitPolicy": "RateLimit-Policy",
}


def _changed(pointer: str, change: Callable[[Any], Any]) -> Lie:
    """A lie about what a pointer leads to; the truth where it leads nowhere."""

    def lie(reply: Reply) -> Reply:
        try:
            body = _at(json.loads(reply.body), pointer.split("/")[1:], change)
        except (KeyError, IndexError, TypeError, ValueError):
            return reply
        return Reply(reply.status, reply.headers, json.dumps(body).encode())

    return lie


def _at(body: Any, tokens: list[str], change: Callable[[Any], Any]) -> Any:
    if not tokens:
        return change(body)
    changed, token = deepcopy(body), int(tokens[0]) if isinstance(body, list) else tokens[0]
    present = body[token] if tokens[1:] or isinstance(body, list) else body.get(token)
    changed[token] = _at(present, tokens[1:], change)
    return changed


def _less(found: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != name}
