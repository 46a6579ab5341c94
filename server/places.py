"""Finds the schemas of a place in a reply or a request, by JSON pointer into the bundle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contract.violations import step

JSON = dict[str, Any]
Part = tuple[str, JSON]
"""A schema with the pointer to it."""
_COMBINATORS = ("allOf", "oneOf", "anyOf")


def resolved(document: JSON, pointer: str) -> Part:
    """What a pointer leads to, past references, and the pointer to that itself."""
    node: Any = document
    for token in pointer.split("/")[1:]:
        name = _name(token)
        node = node[int(name)] if isinstance(node, list) else node[name]
    return resolved(document, node["$ref"][1:]) if "$ref" in node else (pointer, node)


def parts(document: JSON, pointer: str, value: Any = None) -> Iterator[Part]:
    """A schema and every branch of it, which speak of the same value.

    Of a choice only the branches that know most of the names of ``value``, if that is an object.
    """
    pointer, schema = resolved(document, pointer)
    yield pointer, schema
    for combinator in _COMBINATORS:
        branches = [
            list(parts(document, f"{pointer}/{combinator}/{index}", value))
            for index in range(len(schema.get(combinator, ())))
        ]
        for branch in branches if combinator == "allOf" else _meant(branches, value):
            yield from branch


def _meant(branches: list[list[Part]], value: Any) -> list[list[Part]]:
    if not branches or not isinstance(value, dict):
        return branches
    strange = [
        len(value.keys() - {name for _, part in branch for name in part.get("properties", ())})
        for branch in branches
    ]
    return [
        branch for branch, names in zip(branches, strange, strict=True) if names == min(strange)
    ]


def forms(document: JSON, pointer: str) -> list[list[Part]]:
    """The same, one list for each choice that `oneOf` and `anyOf` leave."""
    pointer, schema = resolved(document, pointer)
    found: list[list[Part]] = [[(pointer, schema)]]
    for combinator in (name for name in _COMBINATORS if name in schema):
        below = [
            forms(document, f"{pointer}/{combinator}/{index}")
            for index in range(len(schema[combinator]))
        ]
        choices = below if combinator == "allOf" else [[form for each in below for form in each]]
        for choice in choices:
            found = [[*form, *more] for form in found for more in choice]
    return found


def schemas(document: JSON, pointer: str, value_pointer: str, value: Any = None) -> list[Part]:
    """The schemas of a member of a value, or of the nearest object above it that has any.

    ``value`` tells which branches of a choice are meant; without it all are.
    """
    found = list(parts(document, pointer, value))
    for token in value_pointer.split("/")[1:]:
        value = _member(value, token)
        below = [
            part
            for place, schema in found
            for child in _children(place, schema, token)
            for part in parts(document, child, value)
        ]
        if not below:
            break
        found = below
    return found


def _member(value: Any, token: str) -> Any:
    if isinstance(value, list):
        return value[int(token)]
    return value.get(_name(token)) if isinstance(value, dict) else None


def _name(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~")


def _children(pointer: str, schema: JSON, token: str) -> Iterator[str]:
    name = _name(token)
    if name in schema.get("properties", ()):
        yield f"{pointer}/properties{step(name)}"
    elif token.isdigit() and "items" in schema:
        yield f"{pointer}/items"


def holder(found: list[Part], keyword: str) -> str:
    """The pointer to a keyword in the innermost schema that has it, else to the innermost."""
    holders = [pointer for pointer, schema in found if keyword in schema]
    return f"{holders[-1]}/{keyword}" if holders else found[-1][0]
