"""Translates OpenAPI 3.0 schemas to JSON Schema draft 4, once for requests and once for replies.

References are replaced by what they refer to (the lint refuses circles), `nullable` becomes a
type, and a property that does not belong in the direction of travel is neither demanded nor
admitted (OpenAPI 3.0.3, Schema Object, readOnly and writeOnly).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

Direction = Literal["request", "response"]
JSON = dict[str, Any]

_WRONG_WAY: Mapping[Direction, str] = {"request": "readOnly", "response": "writeOnly"}
_BOUNDS = {"int32": 2**31, "int64": 2**63}
_COPIED = (
    *("type", "format", "enum", "pattern", "minLength", "maxLength", "multipleOf"),
    *("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"),
    *("minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
)
_COMBINATORS = ("allOf", "oneOf", "anyOf")


def translate(
    schema: JSON,
    document: JSON,
    direction: Direction,
    keep: tuple[str, ...] = (),
    _unwanted: frozenset[str] = frozenset(),
) -> JSON:
    """The draft 4 schema of an OpenAPI schema object of `document`, without any `$ref`.

    `keep` names keywords that draft 4 has no meaning for and the caller has.
    """
    schema = resolve(schema, document)
    wrong_way = _WRONG_WAY[direction]
    unwanted = _unwanted | _names_with(wrong_way, schema, document)

    def inner(child: JSON, inherited: frozenset[str] = frozenset()) -> JSON:
        return translate(child, document, direction, keep, inherited)

    out = {key: schema[key] for key in (*_COPIED, *keep) if key in schema}
    _structure(schema, out, inner, unwanted)
    for key in _COMBINATORS:
        if key in schema:
            out[key] = [inner(part, unwanted) for part in schema[key]]
    if "not" in schema:
        out["not"] = inner(schema["not"])
    _bound(out)
    return _nullable(out) if schema.get("nullable") else out


def resolve(value: JSON, document: JSON) -> JSON:
    """The object that a reference object leads to, or the object itself."""
    while "$ref" in value:
        target: Any = document
        for token in value["$ref"].removeprefix("#/").split("/"):
            target = target[token.replace("~1", "/").replace("~0", "~")]
        value = target
    return value


def followed(pointer: str, value: JSON, document: JSON) -> tuple[str, JSON]:
    """What a reference leads to, with the pointer to it; a value that is none with its own."""
    while "$ref" in value:
        pointer = value["$ref"].removeprefix("#")
        value = resolve({"$ref": value["$ref"]}, document)
    return pointer, value


def _structure(
    schema: JSON, out: JSON, inner: Callable[[JSON], JSON], unwanted: frozenset[str]
) -> None:
    if "properties" in schema:
        out["properties"] = {
            name: {"not": {}} if name in unwanted else inner(child)
            for name, child in schema["properties"].items()
        }
    required = [name for name in schema.get("required", ()) if name not in unwanted]
    if required:  # draft 4 section 5.4.3.1: an empty array is not a schema
        out["required"] = required
    if "items" in schema:
        out["items"] = inner(schema["items"])
    if "additionalProperties" in schema:
        extra = schema["additionalProperties"]
        out["additionalProperties"] = inner(extra) if isinstance(extra, dict) else extra


def _names_with(flag: str, schema: JSON, document: JSON) -> frozenset[str]:
    """Properties of an object that carry the flag, wherever in its `allOf` they stand."""
    schema = resolve(schema, document)
    own = {
        name
        for name, child in schema.get("properties", {}).items()
        if resolve(child, document).get(flag)
    }
    parts = (_names_with(flag, part, document) for part in schema.get("allOf", ()))
    return frozenset(own).union(*parts)


def _bound(out: JSON) -> None:
    """`int32` and `int64` bound a number; no validator knows them."""
    limit = _BOUNDS.get(out.get("format", ""))
    if limit is None:
        return
    if out.get("minimum", -limit - 1) < -limit:
        out["minimum"] = -limit
        out.pop("exclusiveMinimum", None)
    if out.get("maximum", limit) > limit - 1:
        out["maximum"] = limit - 1
        out.pop("exclusiveMaximum", None)
    out.setdefault("minimum", -limit)
    out.setdefault("maximum", limit - 1)


def _nullable(out: JSON) -> JSON:
    """Admits null beside the rest. Without a combinator the other keywords ignore null already."""
    if any(key in out for key in (*_COMBINATORS, "not")) or "type" not in out:
        return {"anyOf": [{"enum": [None]}, out]}
    widened = out | {"type": [out["type"], "null"]}
    if "enum" in out and None not in out["enum"]:
        widened["enum"] = [*out["enum"], None]
    return widened
