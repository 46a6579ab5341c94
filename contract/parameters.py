"""Reads and checks the parameters of a request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from contract.operation import Operation, Parameter, Where
from contract.request import Exchange
from contract.scalars import read
from contract.violations import Violation, step

Texts = list[str | None]  # as given, in order; None is not UTF-8


def read_parameters(
    operation: Operation, exchange: Exchange
) -> tuple[dict[str, Any], list[Violation]]:
    """Values by argument name, None or the schema's default where absent; and what is wrong."""
    query = _query(exchange.query) if exchange.query else {}
    violations = list(_undeclared(operation, query))
    values: dict[str, Any] = {}
    for parameter in operation.parameters:
        given = _given(parameter, exchange, query)
        problem = _count(parameter, given)
        if problem is None and given:
            values[parameter.argument] = value = read(given[0] or "", parameter.type)
            prefix = step(parameter.name)
            violations += parameter.rules.violations(value, parameter.where, prefix)
        else:
            values[parameter.argument] = parameter.default
        violations += [problem] if problem else []
    return values, violations


def _query(raw: bytes) -> dict[str | None, Texts]:
    found: dict[str | None, Texts] = {}
    for pair in raw.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            found.setdefault(_decode(name), []).append(_decode(value))
    return found


def _decode(text: bytes) -> str | None:
    try:
        return unquote_to_bytes(text.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        return None


def _undeclared(operation: Operation, query: dict[str | None, Texts]) -> Iterator[Violation]:
    declared = {p.name for p in operation.parameters if p.where == "query"}
    if not declared.issuperset(query):
        yield Violation("query", "", "additionalProperties", "has a parameter that is not declared")


def _given(parameter: Parameter, exchange: Exchange, query: dict[str | None, Texts]) -> Texts:
    if parameter.where == "query":
        return query.get(parameter.name, [])
    if parameter.where == "path":
        return [exchange.segments[parameter.name]]
    return list(exchange.request.headers.all(parameter.name)) if exchange.request else []


def _count(parameter: Parameter, given: Texts) -> Violation | None:
    where: Where = parameter.where
    pointer = step(parameter.name)
    if not given:
        return Violation(where, pointer, "required", "is missing") if parameter.required else None
    if len(given) > 1:
        # Two readers could each take another one.
        return Violation(where, pointer, "maxItems", "is given more than once")
    if given[0] is None:
        return Violation(where, pointer, "utf-8", "is not UTF-8")
    return None
