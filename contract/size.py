"""How many bytes a request body can have that fits its schema, so that no more need be read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping

from contract.parse import NUMBER
from contract.schema import JSON

CEILING = 64 * 1024
"""The most bytes that are read of any body."""
WHITE_SPACE = 1024
"""Bytes that are granted beside the tokens: no schema bounds white space."""
# A code point outside the basic plane, escaped: two surrogates of six characters (RFC 8259 §7).
_BYTES_PER_CHARACTER = 12


def limit(schema: JSON) -> int:
    """The bytes that are read of a body with this schema, as `contract.schema` translates it."""
    return int(min(CEILING, largest(schema) + WHITE_SPACE))


def largest(schema: JSON) -> float:
    """The bytes of the largest value that fits, every character escaped; inf where unbounded.

    The schema is a translated one. White space between tokens is left out.
    """
    if schema.get("not") == {}:
        return 0
    if "enum" in schema:
        return max((_text(json.dumps(v, ensure_ascii=False)) for v in schema["enum"]), default=0)
    parts = list(_parts(schema))
    kinds = schema.get("type", [])
    sizes = [_OF_TYPE[kind](schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    return max(sizes, default=0 if parts else math.inf) + sum(parts)


def _parts(schema: JSON) -> Iterator[float]:
    yield from map(largest, schema.get("allOf", ()))
    for combinator in ("oneOf", "anyOf"):
        if combinator in schema:
            yield max(map(largest, schema[combinator]), default=0)


def _string(schema: JSON) -> float:
    return _BYTES_PER_CHARACTER * float(schema.get("maxLength", math.inf)) + len('""')


def _array(schema: JSON) -> float:
    item = largest(schema.get("items", {})) + len(",")
    return len("[]") + float(schema.get("maxItems", math.inf)) * item


def _object(schema: JSON) -> float:
    if schema.get("additionalProperties") is not False:
        return math.inf
    members = schema.get("properties", {})
    return len("{}") + sum(_text(f'"{name}":,') + largest(each) for name, each in members.items())


def _text(text: str) -> int:
    return _BYTES_PER_CHARACTER * len(text)


_OF_TYPE: Mapping[str, Callable[[JSON], float]] = {
    "string": _string,
    "array": _array,
    "object": _object,
    "integer": lambda _: NUMBER,
    "number": lambda _: NUMBER,
    "boolean": lambda _: len("false"),
    "null": lambda _: len("null"),
}
