"""Makes a closed world of a draft 4 schema: what the merged schema does not name is refused.

`allOf` cannot be closed part by part, since each part would refuse the properties of the others.
So the parts are merged first, nested properties of the same name with them, and every branch of
a `oneOf` or `anyOf` is merged with what stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

JSON = dict[str, Any]

_STRUCTURE = frozenset({"properties", "additionalProperties", "items", "allOf", "oneOf", "anyOf"})


def close(schema: JSON) -> JSON:
    """A schema without references that also refuses every property it does not name.

    It is stricter than the given one nearly everywhere, but says nothing of how many open
    branches of a `oneOf` match: hold a value against both.
    """
    return _close(list(flatten(schema)))


def flatten(schema: JSON) -> Iterator[JSON]:
    """The parts of a schema's conjunction, its own first, none with an `allOf` of its own."""
    yield {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema.get("allOf", ()):
        yield from flatten(part)


def _close(parts: list[JSON]) -> JSON:
    """Closes the conjunction of parts that have no `allOf` of their own."""
    for index, part in enumerate(parts):
        for combinator in ("oneOf", "anyOf"):
            if combinator in part:
                return _branches(parts, index, combinator)
    plain = [{k: v for k, v in part.items() if k not in _STRUCTURE} for part in parts]
    closed: JSON = {"allOf": kept} if (kept := [part for part in plain if part]) else {}
    items = [part["items"] for part in parts if "items" in part]
    if items:
        closed["items"] = _merge(items)
    return closed | _object(parts)


def _branches(parts: list[JSON], index: int, combinator: str) -> JSON:
    rest = {key: value for key, value in parts[index].items() if key != combinator}
    beside = [*parts[:index], rest, *parts[index + 1 :]]
    return {
        combinator: [_close([*beside, *flatten(branch)]) for branch in parts[index][combinator]]
    }


def _object(parts: list[JSON]) -> JSON:
    names = dict.fromkeys(name for part in parts for name in part.get("properties", ()))
    return {
        "properties": {
            name: _merge([p["properties"][name] for p in parts if name in p.get("properties", ())])
            for name in names
        },
        "additionalProperties": _additional(parts),
    }


def _additional(parts: list[JSON]) -> bool | JSON:
    """Open only where some part says so; one that says `false` is heard in the open schema."""
    said = [part["additionalProperties"] for part in parts if "additionalProperties" in part]
    schemas = [extra for extra in said if isinstance(extra, dict) and extra]
    if schemas:
        return _merge(schemas)
    return any(extra is True or extra == {} for extra in said)


def _merge(schemas: list[JSON]) -> JSON:
    return _close([part for schema in schemas for part in flatten(schema)])
