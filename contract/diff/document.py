"""A spec of any age in any number of files, read loosely.

An old spec need not keep to the rules of today's lint, and a bundle cannot. What is asked for is
that every `$ref` leads somewhere and that every value has the type that OpenAPI 3.0 gives its key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

from contract.diagnostics import Diagnostic, Location, SpecError, error, in_order
from contract.grammar import GRAMMAR, JSON_TYPES, REFERABLE, Kind, alternatives, inner
from contract.source import Node, Sources
from contract.survey import EXTENSION

Side = Literal["old", "new"]

_OPTIONAL = frozenset({"operationId"})
"""What the house asks for and OpenAPI does not."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands, and in which of the two documents."""

    side: Side
    location: Location


class _Untemplated(Sources):
    """Nothing renders these files, and the patterns of a bundle stand in its root."""

    def _say_templates(self, file: str, text: str) -> None:
        pass


class Document:
    """The spec whose root file is given; `name` says how its files are called in what is printed.

    Raises SpecError, with every reason, for what cannot be read as OpenAPI 3.0.
    """

    def __init__(self, root: Path, side: Side, name: Callable[[str], str] = str) -> None:
        self.side = side
        self._name = name
        self._sources = _Untemplated(root)
        self._targets: dict[int, Node] = {}
        self._checked: set[tuple[int, str]] = set()
        self._problems: list[Diagnostic] = []
        self.root = self._read()

    def place(self, location: Location) -> Place:
        return Place(self.side, replace(location, file=self._name(location.file)))

    def follow(self, node: Node) -> Node:
        """The node itself, or what it refers to in the end."""
        return self._targets.get(id(node), node)

    def member(self, node: Node | None, *names: str) -> Node | None:
        """What a path of keys leads to, past references; None where there is no such thing."""
        for name in names:
            node = node and self.follow(node).value.get(name)
        return node and self.follow(node)

    def members(self, node: Node | None, name: str) -> dict[str, Node]:
        """The members of an object under a key, by name; empty where there is none."""
        found = self.member(node, name)
        return dict(found.value) if found else {}

    def value(self, node: Node, _open: frozenset[int] = frozenset()) -> Any:
        """The JSON value of a node with every reference replaced by what it leads to."""
        node = self.follow(node)
        if id(node) in _open:
            return "..."  # a circle says the same however often one goes round
        inside = _open | {id(node)}
        if node.type == "object":
            return {key: self.value(child, inside) for key, child in node.value.items()}
        if node.type == "array":
            return [self.value(child, inside) for child in node.value]
        return node.value

    # -- reading -----------------------------------------------------------------------------

    def _read(self) -> Node:
        node = self._sources.read(self._sources.root)
        if node is not None:
            self._check(node, "document")
            self._check_version(node)
        found = [*self._sources.diagnostics, *self._problems]
        if node is None or found:
            raise SpecError(replace(d, location=self._named(d)) for d in in_order(found))
        return node

    def _named(self, diagnostic: Diagnostic) -> Location:
        return self.place(diagnostic.location).location

    def _check_version(self, node: Node) -> None:
        version = node.value.get("openapi") if node.type == "object" else None
        if version is None or not str(version.value).startswith("3.0."):
            self._say(node.location, "this is not an OpenAPI 3.0 document")

    def _check(self, node: Node, shape: str) -> None:
        if (id(node), shape) in self._checked:
            return
        self._checked.add((id(node), shape))
        kinds = alternatives(shape)
        if node.ref is not None and any(k in REFERABLE or k == EXTENSION for k in kinds):
            self._check_reference(node, shape)
            return
        fitting = next((kind for kind in kinds if _fits(node, kind)), None)
        if fitting is None:
            wanted = " or ".join(map(_json_type, kinds))
            self._say(node.location, f"{wanted} is due here, not {node.type}")
        else:
            self._check_inside(node, fitting)

    def _check_inside(self, node: Node, shape: str) -> None:
        kind = GRAMMAR.get(shape)
        for key in kind.required if kind else ():
            if key not in node.value and key not in _OPTIONAL:
                self._say(node.location, f'"{key}" is missing here')
        for key, child in node.children():
            member = _member(shape, key)
            if member is not None:
                self._check(child, member)

    def _check_reference(self, node: Node, shape: str) -> None:
        target = self._resolve(node)
        if target is not None:
            self._targets[id(node)] = target
            self._check(target, shape)

    # -- references --------------------------------------------------------------------------

    def _resolve(self, node: Node) -> Node | None:
        """The end of a chain of references; None where it has none, which has then been said."""
        seen: set[int] = set()
        target: Node | None = node
        while target is not None and target.ref is not None:
            if id(target) in seen:
                self._say(target.location, "circular $ref")
                return None
            seen.add(id(target))
            target = self._point(target.ref)
        return target

    def _point(self, ref: Node) -> Node | None:
        path, _, fragment = str(ref.value).partition("#")
        here = ref.location.file
        file = self._sources.join(here, path) if path else here
        node = self._sources.read(file) if path == "" or self._sources.exists(file) else None
        for token in fragment.split("/")[1:]:
            children = dict(node.children()) if node else {}
            node = children.get(unquote(token).replace("~1", "/").replace("~0", "~"))
        if node is None:
            self._say(ref.location, f'nothing at "{ref.value}"')
        return node

    def _say(self, location: Location, message: str) -> None:
        self._problems.append(error(location, message))


def _fits(node: Node, shape: str) -> bool:
    wanted = _json_type(shape)
    return wanted in ("any", node.type) or (wanted == "number" and node.type == "integer")


def _json_type(shape: str) -> str:
    if shape == EXTENSION:
        return "any"
    if shape[0] == "[":
        return "array"
    return shape if shape in JSON_TYPES or shape == "any" else "object"


def _member(shape: str, key: str) -> str | None:
    """The shape of a member; None where there is nothing to ask of it."""
    if shape[0] in "[{":
        return inner(shape)
    if shape == EXTENSION:
        return EXTENSION
    kind: Kind | None = GRAMMAR.get(shape)
    if kind is None:
        return None
    return EXTENSION if key.startswith("x-") and kind.extensible else kind.shape(key)
