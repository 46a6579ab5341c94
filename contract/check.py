"""Holds a reply against the rule of its status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from contract.media import essence
from contract.operation import ResponseRule, rule_for
from contract.parse import Malformed, parse
from contract.replies import Reply
from contract.rules import Rules
from contract.scalars import read

# Said by HTTP itself and not by a spec.
EXEMPT = frozenset({"content-type", "content-length", "date", "connection", "transfer-encoding"})
_DEPTH = 64  # a reply is our own; this only keeps the reader from recursing


@dataclass(frozen=True, slots=True)
class Breach:
    """A promise of the spec that a reply breaks. It holds nothing of the reply's values."""

    location: Literal["status", "header", "media-type", "body"]
    pointer: str
    keyword: str


def breaches(reply: Reply, rules: Mapping[str, ResponseRule]) -> tuple[Breach, ...]:
    """Everything that is wrong with a reply; empty if nothing is."""
    rule = rule_for(rules, reply.status)
    if rule is None:
        return (Breach("status", "", "undeclared"),)
    return (*_headers(reply, rule), *_body(reply, rule))


def _headers(reply: Reply, rule: ResponseRule) -> Iterator[Breach]:
    seen: set[str] = set()
    for name, value in reply.headers:
        lower = name.lower()
        if lower in EXEMPT:
            continue
        declared = rule.headers.get(lower)
        if declared is None:
            yield Breach("header", lower, "undeclared")
        elif lower in seen:
            yield Breach("header", lower, "maxItems")
        elif value != declared.constant:
            for fault in declared.rules.violations(read(value, declared.type), "header"):
                yield Breach("header", lower, fault.keyword)
        seen.add(lower)
    for name in rule.required:
        if name not in seen:
            yield Breach("header", name, "required")


def _body(reply: Reply, rule: ResponseRule) -> Iterator[Breach]:
    if not rule.content:
        if reply.body:
            yield Breach("body", "", "undeclared")
        return
    media_type = essence(reply.value("content-type") or "")
    if media_type is None or media_type not in rule.content:
        yield Breach("media-type", "", "undeclared")
        return
    yield from _json(reply.body, rule.content[media_type])


def _json(body: bytes, rules: Rules) -> Iterator[Breach]:
    try:
        value = parse(body, depth=_DEPTH)
    except Malformed as exc:
        yield Breach("body", "", exc.keyword)
        return
    for fault in rules.violations(value, "body"):
        yield Breach("body", fault.pointer, fault.keyword)
