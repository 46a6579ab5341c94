"""Requests at the edge of what a value of the spec admits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from tests.api.calls import Call
from tests.mutation.scenarios import forms
from tests.mutation.values import Use, Value
from tests.support.api import Reply
from tests.support.ledger import HANDED_OUT, SENT
from tests.support.world import World

Options = Callable[[Call], dict[str, Any]]
IN_SECRETS, ELSEWHERE = "aA01-", "bB2"
"""What texts are filled with: no name, which is shown, must look like a password, which is not."""

SECRETS = SENT | HANDED_OUT


@dataclass(frozen=True)
class Probe:
    """One request; it is made anew, with an account of its own, each time it is sent."""

    name: str
    home: World
    operation: str
    form: int
    options: Options
    use: Use

    def __str__(self) -> str:
        return f"{self.operation} with {self.name}"

    def send(self, world: World) -> Reply:
        call = forms(self.home, self.operation)[self.form]
        options = self.options(call)
        call = replace(call, segment=options.pop("segment", call.segment))
        return call.send(world.api, **options)

    def hold(self, value: Value, before: Reply, after: Reply) -> None:
        """One of the two has to be a 400 that names the part of the request."""
        if self.use.part in ("token", "route"):
            return
        (refused,) = [reply for reply in (before, after) if reply.status == 400]
        locations = {detail["location"] for detail in refused.json["error"]["details"]}
        assert self.use.part in locations or value.kind == "parameter in", locations


def probes(world: World, value: Value) -> Iterator[Probe]:
    """The requests that can tell a mutation of the value, the plainest first."""
    for use in value.of_requests():
        if use.part == "body":
            for form, call in enumerate(forms(world, use.operation)):
                for name, options in _bodies(value, use, call):
                    yield Probe(name, world, use.operation, form, options, use)
        elif use.part == "token":
            yield Probe("no token", world, use.operation, 0, lambda _call: {"token": None}, use)
        elif use.part == "route":
            yield Probe("its path and method", world, use.operation, 0, lambda _call: {}, use)
        else:
            for name, options in _parameters(value, use):
                yield Probe(name, world, use.operation, 0, options, use)


def _bodies(value: Value, use: Use, call: Call) -> Iterator[tuple[str, Options]]:
    tokens = use.pointer.split("/")[1:]
    if value.kind == "body required":
        yield "no body", lambda _call: {"json": None}
    if tokens and tokens[0] not in call.body:
        return
    yield "a body that fits", lambda _call: {}
    if value.kind == "required":
        yield f"no {value.value}", lambda call: {"json": _without(call.body, value.value)}
    elif value.kind == "additionalProperties":
        yield "one property more", lambda call: {"json": call.body | {"surplus": "a value"}}
    elif tokens:
        for text in _texts(value, IN_SECRETS if tokens[0] in SECRETS else ELSEWHERE):
            yield (
                f"{len(text)} characters",
                lambda call, text=text: {"json": call.body | {tokens[0]: text}},
            )


def _parameters(value: Value, use: Use) -> Iterator[tuple[str, Options]]:
    name = use.pointer.removeprefix("/")
    texts = [str(value.example)] if value.example is not None else []
    if value.kind in ("minimum", "maximum"):
        texts = [str(value.value), *texts]
    for text in (
        *texts,
        *_texts(value, ELSEWHERE),
        "1",
        "20",
        "ann",
        "4711",
        "user.registered",
        _ID,
    ):
        if use.part == "query":
            yield f"{name}={text}", lambda _call, text=text: {"params": {name: text}}
        else:
            yield f"another {name}", lambda _call, text=text: {"segment": text}
    yield "no parameter", lambda _call: {}


_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def _texts(value: Value, fillings: str) -> Iterator[str]:
    if value.kind in ("minLength", "maxLength"):
        for filling in fillings:
            yield filling * value.value
        yield f"{fillings[0]}." + fillings[0] * (value.value - 2)


def _without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}
