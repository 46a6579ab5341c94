"""A schema as the alternatives that `oneOf` and `anyOf` leave, each a heap of plain parts.

Seen like this, a schema is the same wherever its parts were written: beside a `$ref`, in an
`allOf`, or in another file under another name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from contract.diff.document import Document, Place
from contract.schema import Direction
from contract.source import Node

_WRONG_WAY = {"request": "readOnly", "response": "writeOnly"}


@dataclass(frozen=True)
class Form:
    """One alternative: all of its parts have to be met. Combinators of the parts are spent."""

    document: Document
    parts: tuple[Node, ...]
    direction: Direction

    def said(self, keyword: str) -> list[Node]:
        return [part.value[keyword] for part in self.parts if keyword in part.value]

    def place(self, keyword: str) -> Place | None:
        places = (part.keys[keyword] for part in self.parts if keyword in part.value)
        return next((self.document.place(place) for place in places), None)

    @cached_property
    def properties(self) -> dict[str, list[Node]]:
        """The schemas of each property that may travel in this direction."""
        found: dict[str, list[Node]] = {}
        for node in self.said("properties"):
            for name, schema in node.value.items():
                found.setdefault(name, []).append(schema)
        return {name: each for name, each in found.items() if not self._against(each)}

    @cached_property
    def required(self) -> dict[str, Place]:
        """Where each property that must be there is demanded."""
        items = [item for node in self.said("required") for item in node.value]
        known = {name for node in self.said("properties") for name in node.value}
        wrong_way = known - set(self.properties)
        return {
            item.value: self.document.place(item.location)
            for item in items
            if item.value not in wrong_way
        }

    def property_place(self, name: str) -> Place:
        holders = (n for n in self.said("properties") if name in n.value)
        return self.document.place(next(holders).keys[name])

    @cached_property
    def additional(self) -> bool | list[Node]:
        """Whether properties without a name are admitted, or their schemas."""
        said = self.said("additionalProperties")
        if any(node.value is False for node in said):
            return False
        return [node for node in said if node.type == "object" and node.value] or True

    def _against(self, schemas: Sequence[Node]) -> bool:
        flag = _WRONG_WAY[self.direction]
        parts = (part for form in expand(self.document, schemas) for part in form)
        return any(part.value[flag].value for part in parts if flag in part.value)


def expand(
    document: Document, schemas: Sequence[Node], _open: frozenset[int] = frozenset()
) -> list[tuple[Node, ...]]:
    """The alternatives of a conjunction of schemas, as tuples of parts.

    A schema that is made of itself adds nothing the second time.
    """
    found: list[tuple[Node, ...]] = [()]
    for schema in map(document.follow, schemas):
        if id(schema) not in _open:
            for choice in _choices(document, schema, _open | {id(schema)}):
                found = [(*left, *right) for left in found for right in choice]
    return found


def _choices(
    document: Document, schema: Node, inside: frozenset[int]
) -> list[list[tuple[Node, ...]]]:
    choices: list[list[tuple[Node, ...]]] = [[(schema,)]]
    if "allOf" in schema.value:
        choices.append(expand(document, schema.value["allOf"].value, inside))
    for keyword in ("oneOf", "anyOf"):
        if keyword in schema.value:
            branches = schema.value[keyword].value
            choices.append([f for each in branches for f in expand(document, [each], inside)])
    return choices


def admits_null(
    document: Document, schemas: Sequence[Node], _open: frozenset[int] = frozenset()
) -> bool | None:
    """Whether null fits a conjunction as the server reads it; None where nothing is said of types."""
    said = [_admits_null(document, each, _open) for each in map(document.follow, schemas)]
    known = [each for each in said if each is not None]
    return all(known) if known else None


def _admits_null(document: Document, schema: Node, seen: frozenset[int]) -> bool | None:
    if id(schema) in seen:
        return None
    if "nullable" in schema.value and schema.value["nullable"].value:
        return True
    if "type" in schema.value:
        return False
    inside = seen | {id(schema)}
    if "allOf" in schema.value:
        return admits_null(document, schema.value["allOf"].value, inside)
    branches = [b for k in ("oneOf", "anyOf") if k in schema.value for b in schema.value[k].value]
    said = [admits_null(document, [branch], inside) for branch in branches]
    return any(said) if any(each is not None for each in said) else None
