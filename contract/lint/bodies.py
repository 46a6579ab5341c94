"""Rules of what clients send: closed, bounded, and small enough to be taken.

A body that the schema allows but the server refuses would be a promise broken, so the largest
one has to stay under the limits of the parser.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from contract.lint.lens import Found, Json, Lens, Operation, join
from contract.lint.schemas import branches

MAX_BODY_BYTES = 64 * 1024
MAX_DEPTH = 16
_NUMBER_BYTES = 32
# A code point outside the basic plane, escaped: two surrogates of six characters (RFC 8259 §7).
_BYTES_PER_CHARACTER = 12


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
    size, depth = largest(lens, schema), _depth(lens, schema)
    if math.isfinite(size) and size > MAX_BODY_BYTES:
        message = f"a body that fits {operation.name} can be {size:.0f} bytes, over the 64 KiB"
        lens.error(operation.pointer, f"{message} that are taken", key=True)
    if depth > MAX_DEPTH:
        message = f"a body that fits {operation.name} is {depth} levels deep, over {MAX_DEPTH}"
        lens.error(operation.pointer, message, key=True)


def largest(lens: Lens, schema: Found) -> float:
    """The bytes of the largest body that fits, every character escaped; inf where unbounded.

    White space between tokens is left out: no schema bounds it.
    """
    value = schema.value
    if "enum" in value:
        return max((_text(json.dumps(v, ensure_ascii=False)) for v in value["enum"]), default=0)
    parts = [largest(lens, part) for part in lens.items(schema, "allOf")]
    for key in ("oneOf", "anyOf"):
        parts.append(max((largest(lens, part) for part in lens.items(schema, key)), default=0))
    own = _largest_of_type(lens, schema) if "type" in value or not sum(parts) else 0
    return own + sum(parts)


def _largest_of_type(lens: Lens, schema: Found) -> float:
    value = schema.value
    match value.get("type"):
        case "string":
            return _BYTES_PER_CHARACTER * float(value.get("maxLength", math.inf)) + 2
        case "integer" | "number":
            return _NUMBER_BYTES
        case "boolean":
            return len("false")
        case "array":
            item = largest(lens, lens.member(schema, "items"))
            return 2 + float(value.get("maxItems", math.inf)) * (item + 1)
        case "object":
            return _largest_object(lens, schema)
    return math.inf


def _largest_object(lens: Lens, schema: Found) -> float:
    if schema.value.get("additionalProperties") is not False:
        return math.inf
    members = lens.members(schema, "properties")
    return 2 + sum(_text(f'"{name}":,') + largest(lens, found) for name, found in members)


def _text(text: str) -> int:
    return _BYTES_PER_CHARACTER * len(text)


def _depth(lens: Lens, schema: Found) -> int:
    """How many arrays and objects stand inside each other, at most."""
    kind: Json = schema.value.get("type")
    inside = max((_depth(lens, part) for part in _parts(lens, schema)), default=0)
    return inside + (kind in ("array", "object"))
