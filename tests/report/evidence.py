"""What one exchange shows of the keywords of its operation's request and of its reply."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs

from contract.bundle import Bundle
from contract.extensions import Registry
from contract.lint.lens import Found, Lens, Operation
from contract.media import JSON_TYPE
from contract.operation import rule_for
from contract.parse import Malformed, parse
from contract.replies import Reply
from contract.request import Exchange
from contract.scalars import read
from contract.violations import step
from tests.report.keywords import Finding, Schema, Schemas, generalised

Outcome = Literal["satisfied", "broken", "passed"]
"""Of a request: admitted with it, refused for it, admitted in spite of it. Of a reply: there."""
_ALTERNATIVES = ("oneOf", "anyOf")
REPLY = "reply"
"""Stands for the operation of a keyword in a reply: what a schema says there holds for all."""


class Key(NamedTuple):
    """A keyword: ``where`` is the location and the pointer to the value, as in a refusal."""

    operation: str
    where: str
    pointer: str


@dataclass(frozen=True)
class Part:
    """A body or a parameter of an operation; ``required`` points to that keyword, if it is set."""

    location: str
    at: str
    schema: Schema
    required: str | None
    type: str | None = None

    def keys(self, operation: str) -> Iterator[tuple[Key, bool]]:
        """Every keyword, and whether a request can break it."""
        if self.required is not None:
            # Without its path parameter a request would be one for another path.
            yield Key(operation, self.location + self.at, self.required), self.location != "path"
        for place in self.schema.places(self.at):
            any_text = self.type == "string" and place.pointer.endswith("/type")
            yield self._key(operation, place), place.breakable and not any_text

    def judge(self, operation: str, values: list[Any]) -> Iterator[tuple[Key, Finding]]:
        """What the keywords say of the value that was given, if one was."""
        if self.required is not None:
            finding = Finding(self.at, self.required, bool(values))
            yield self._key(operation, finding), finding
        for value in values[:1]:
            for finding in self.schema.judge(value, self.at):
                yield self._key(operation, finding), finding

    def _key(self, operation: str, found: Any) -> Key:
        return Key(operation, self.location + found.at, found.pointer)


class Evidence:
    """Knows a bundle, and draws from an exchange what it shows."""

    def __init__(self, bundle: Bundle) -> None:
        self._lens = Lens(bundle, Registry())
        self._requests = Schemas(bundle.document, "request")
        self._replies = Schemas(bundle.document, "response")
        operations = list(self._lens.operations())
        self._parts = {each.name: list(self._parts_of(each)) for each in operations}
        self._bodies = {each.name: dict(self._bodies_of(each)) for each in operations}

    @property
    def requests(self) -> dict[Key, bool]:
        """Every keyword of a request, and whether a request can break it."""
        return {
            key: breakable
            for name, parts in self._parts.items()
            for part in parts
            for key, breakable in part.keys(name)
        }

    @property
    def replies(self) -> set[Key]:
        """Every keyword of a reply."""
        return {
            Key(REPLY, "", place.pointer)
            for bodies in self._bodies.values()
            for schema in bodies.values()
            for place in schema.places()
        }

    def drawn(self, exchange: Exchange, reply: Reply) -> Iterator[tuple[Key, Outcome]]:
        """What an exchange with a known operation shows."""
        assert exchange.operation is not None
        name = exchange.operation.id
        if reply.status < 400:
            for key, finding in self._judged(name, exchange):
                yield key, "satisfied" if finding.holds else "passed"
        elif reply.status == 400:
            told = _told(reply)
            for key, finding in self._judged(name, exchange):
                if not finding.holds and _is_told(key, finding, told):
                    yield key, "broken"
        for key in self.of_reply(name, reply):
            yield key, "satisfied"

    def of_reply(self, operation: str, reply: Reply) -> Iterator[Key]:
        """The keywords that a value of the reply satisfies."""
        schema = rule_for(self._bodies[operation], reply.status)
        if schema is not None:
            for finding in schema.judge(json.loads(reply.body)):
                if finding.holds:
                    yield Key(REPLY, "", finding.pointer)

    def _judged(self, name: str, exchange: Exchange) -> Iterator[tuple[Key, Finding]]:
        for part in self._parts[name]:
            yield from part.judge(name, _given(part, exchange))

    def _parts_of(self, operation: Operation) -> Iterator[Part]:
        for found in operation.parameters:
            schema = self._lens.member(found, "schema")
            yield Part(
                found.value["in"],
                step(found.value["name"]),
                self._requests.at(schema.pointer),
                _required(found),
                schema.value["type"],
            )
        if "requestBody" in operation.value:
            body = self._lens.member(operation.found, "requestBody")
            schema = self._lens.member(body, "content", JSON_TYPE, "schema")
            yield Part("body", "", self._requests.at(schema.pointer), _required(body))

    def _bodies_of(self, operation: Operation) -> Iterator[tuple[str, Schema]]:
        """The schema of the body by status."""
        for status, response in self._lens.members(operation.found, "responses"):
            if "content" in response.value:
                schema = self._lens.member(response, "content", JSON_TYPE, "schema")
                yield status, self._replies.at(schema.pointer)


def _required(found: Found) -> str | None:
    return f"{found.pointer}/required" if found.value.get("required") else None


def _given(part: Part, exchange: Exchange) -> list[Any]:
    """The values of a part in a request, as the server reads them; none where there is none."""
    if part.location == "body":
        try:
            return [parse(exchange.body)] if exchange.body else []
        except Malformed:
            return []
    assert exchange.request is not None
    name = part.at[1:]
    texts: list[Any]
    if part.location == "query":
        query = exchange.query.decode("ascii", "replace")
        texts = parse_qs(query, keep_blank_values=True).get(name, [])
    elif part.location == "path":
        texts = [exchange.segments[name]]
    else:
        texts = list(exchange.request.headers.all(name))
    return [read(text or "", part.type or "string") for text in texts]


def _told(reply: Reply) -> set[tuple[str, str]]:
    """Where, and by which keyword, a refusal says that the request is wrong."""
    details = json.loads(reply.body)["error"]["details"]
    return {(d["location"] + generalised(d["pointer"]), d["keyword"]) for d in details}


def _is_told(key: Key, finding: Finding, told: set[tuple[str, str]]) -> bool:
    """Whether the refusal speaks of a keyword.

    Where no alternative is nearer than the others it speaks of all in one word, and where one is,
    of that one's keywords.
    """
    keyword = finding.pointer.rpartition("/")[2]
    if keyword in _ALTERNATIVES:
        return any(where.startswith(key.where) for where, _ in told)
    return any((key.where, word) in told for word in (keyword, *_ALTERNATIVES))
