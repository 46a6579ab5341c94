"""The keywords of the bundle's schemas, and which of them a value satisfies or breaks.

Each keyword is a check of its own, so that a verdict belongs to one place of the spec and does not
depend on the sentences of a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from contract.rules import Rules
from contract.schema import JSON, Direction, translate
from contract.violations import step
from server import places

_ITEM = "/*"
"""Stands in a pointer to a value for the number of any item."""
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("type", "enum", "oneOf", "anyOf", "not"), object),
    **dict.fromkeys(("pattern", "minLength", "maxLength"), str),
    "format": (str, int, float),
    **dict.fromkeys(("minItems", "maxItems", "uniqueItems"), list),
    **dict.fromkeys(("required", "additionalProperties", "minProperties", "maxProperties"), dict),
    **dict.fromkeys(("minimum", "maximum", "multipleOf"), (int, float)),
    **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), (int, float)),
}
"""The keywords that can refuse a value, and the values that each of them speaks of."""
_NEEDS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}
"""A keyword that means nothing without another."""
_NULLABLE = "nullable"
_ANNOTATIONS = {"password", "binary", "float", "double"}
"""Formats that every value of their type has."""


class Place(NamedTuple):
    """A keyword as it bears on a value.

    ``at`` is the pointer to the value, ``pointer`` that to the keyword in the bundle. ``breakable``
    says whether there is a value that it refuses.
    """

    at: str
    pointer: str
    breakable: bool


class Finding(NamedTuple):
    """What a keyword says of a value; the pointers are those of a ``Place``."""

    at: str
    pointer: str
    holds: bool


class Schemas:
    """The schemas of a bundle for one direction of travel, each made once."""

    def __init__(self, document: JSON, direction: Direction) -> None:
        self.document = document
        self.direction = direction
        self._made: dict[str, Schema] = {}

    def at(self, pointer: str) -> Schema:
        pointer, schema = places.resolved(self.document, pointer)
        if pointer not in self._made:
            self._made[pointer] = Schema(pointer, schema, self)
        return self._made[pointer]


class Schema:
    """A schema with everything below it."""

    def __init__(self, pointer: str, schema: JSON, schemas: Schemas) -> None:
        plain = {key: value for key, value in schema.items() if key != _NULLABLE}
        translated = translate(plain, schemas.document, schemas.direction)
        self._null = f"{pointer}/{_NULLABLE}" if schema.get(_NULLABLE) else None
        self._checks = [
            (f"{pointer}/{keyword}", kind, Rules(_alone(keyword, translated)))
            for keyword, kind in _KINDS.items()
            if keyword in schema and _binds(keyword, translated.get(keyword))
        ]
        self._idle = f"{pointer}/format" if schema.get("format") in _ANNOTATIONS else None

        def below(keyword: str) -> list[Schema]:
            return [schemas.at(f"{pointer}/{keyword}/{n}") for n in range(len(schema[keyword]))]

        self._parts = below("allOf") if "allOf" in schema else []
        self._choices = [below(keyword) for keyword in ("oneOf", "anyOf") if keyword in schema]
        self._items = schemas.at(f"{pointer}/items") if "items" in schema else None
        self._members = {
            name: schemas.at(f"{pointer}/properties{step(name)}")
            for name in schema.get("properties", ())
        }

    def places(self, at: str = "") -> Iterator[Place]:
        """Every keyword, here and below."""
        for pointer, _, _ in self._checks:
            yield Place(at, pointer, pointer != self._idle)
        if self._null is not None:
            yield Place(at, self._null, False)
        for same in [*self._parts, *(branch for choice in self._choices for branch in choice)]:
            yield from same.places(at)
        for name, member in self._members.items():
            yield from member.places(at + step(name))
        if self._items is not None:
            yield from self._items.places(at + _ITEM)

    def judge(self, value: Any, at: str = "") -> Iterator[Finding]:
        """What every keyword that speaks of the value says; of alternatives the nearest ones'."""
        if value is None and self._null is not None:
            yield Finding(at, self._null, True)
            return
        for pointer, kind, rules in self._checks:
            if isinstance(value, kind):
                yield Finding(at, pointer, rules.admits(value))
        for part in self._parts:
            yield from part.judge(value, at)
        for choice in self._choices:
            yield from _nearest([list(branch.judge(value, at)) for branch in choice])
        yield from self._below(value, at)

    def _below(self, value: Any, at: str) -> Iterator[Finding]:
        if isinstance(value, dict):
            for name in self._members.keys() & value.keys():
                yield from self._members[name].judge(value[name], at + step(name))
        elif isinstance(value, list) and self._items is not None:
            for item in value:
                yield from self._items.judge(item, at + _ITEM)


def generalised(pointer: str) -> str:
    """A pointer to a value as ``Finding`` has it, for any item of its arrays."""
    return re.sub(r"/[0-9]+(?=/|$)", _ITEM, pointer)


def _binds(keyword: str, value: Any) -> bool:
    """Whether the keyword asks for anything."""
    if keyword == "additionalProperties":
        return value is not True and value != {}
    return value is not None and value is not False


def _alone(keyword: str, translated: JSON) -> JSON:
    """The keyword with none at its side but what it cannot do without."""
    alone = {keyword: translated[keyword]}
    if keyword == "format":
        return translate(alone, {}, "request")  # int32 and int64 are bounds
    if keyword == "additionalProperties":
        alone["properties"] = {name: {} for name in translated.get("properties", ())}
    needed = _NEEDS.get(keyword)
    return alone | ({needed: translated[needed]} if needed in translated else {})


def _nearest(branches: list[list[Finding]]) -> Iterator[Finding]:
    """The findings of the branches that the value is nearest to: those that refuse least."""
    faults = [sum(not finding.holds for finding in branch) for branch in branches]
    for branch, number in zip(branches, faults, strict=True):
        if number == min(faults):
            yield from branch
