"""Rules of what clients send: closed, bounded, and small enough to be taken.

A body that the schema allows but the server refuses would be a promise broken, so the largest
one has to stay under the limits of the parser.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from contract.lint.lens import Found, Json, Lens, Operation, join
from contract.lint.schemas import branches
from contract.parse import DEPTH
from contract.schema import translate
from contract.size import CEILING, largest


def check(lens: Lens) -> None:
    seen: set[str] = set()
    for operation in lens.operations():
        for schema in _bodies(lens, operation):
            _walk(lens, schema, seen)
            _size(lens, operation, schema)
        for parameter in operation.parameters:
            for schema in _schemas(lens, parameter):
                _walk(lens, schema, seen)


def _bodies(lens: Lens, operation: Operation) -> Iterator[Found]:
    body = lens.member(operation.found, "requestBody")
    for _, media_type in lens.members(body, "content"):
        yield from _schemas(lens, media_type)


def _schemas(lens: Lens, holder: Found) -> Iterator[Found]:
    if "schema" in holder.value:
        yield lens.member(holder, "schema")


def _walk(lens: Lens, schema: Found, seen: set[str]) -> None:
    """Holds every schema of a request to its bounds, each once."""
    if schema.pointer in seen:
        return
    seen.add(schema.pointer)
    _bounded(lens, schema)
    for part in _parts(lens, schema):
        _walk(lens, part, seen)


def _parts(lens: Lens, schema: Found) -> Iterator[Found]:
    for _, found in lens.members(schema, "properties"):
        yield found
    for key in ("items", "additionalProperties"):
        if isinstance(schema.value.get(key), dict):
            yield lens.member(schema, key)
    yield from branches(lens, schema)


def _bounded(lens: Lens, schema: Found) -> None:
    value, kind = schema.value, schema.value.get("type")
    if not lens.whole(schema.pointer):
        return
    if kind == "object" and value.get("additionalProperties") is not False:
        place = join(schema.pointer, "additionalProperties")
        place = place if "additionalProperties" in value else schema.pointer
        lens.error(place, "a request object needs additionalProperties: false", key=True)
    if kind == "string" and "maxLength" not in value and "enum" not in value:
        lens.error(schema.pointer, "a request string needs maxLength", key=True)
    if kind == "array" and "maxItems" not in value:
        lens.error(schema.pointer, "a request array needs maxItems", key=True)


def _size(lens: Lens, operation: Operation, schema: Found) -> None:
    size = largest(translate(schema.value, lens.document, "request"))
    depth = _depth(lens, schema)
    if math.isfinite(size) and size > CEILING:
        message = f"a body that fits {operation.name} can be {size:.0f} bytes, over the 64 KiB"
        lens.error(operation.pointer, f"{message} that are taken", key=True)
    if depth > DEPTH:
        message = f"a body that fits {operation.name} is {depth} levels deep, over {DEPTH}"
        lens.error(operation.pointer, message, key=True)


def _depth(lens: Lens, schema: Found) -> int:
    """How many arrays and objects stand inside each other, at most."""
    kind: Json = schema.value.get("type")
    inside = max((_depth(lens, part) for part in _parts(lens, schema)), default=0)
    return inside + (kind in ("array", "object"))
