"""What the rules look through: the bundle's objects by kind, and a place for what they find."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from contract.diagnostics import Diagnostic, Severity
from contract.extensions import Registry
from contract.grammar import GRAMMAR, METHODS, alternatives, inner

if TYPE_CHECKING:
    from contract.bundle import Bundle

Json = Any


@dataclass(frozen=True, slots=True)
class Found:
    """An object of the document and its pointer."""

    pointer: str
    value: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation with its path item's share: all its parameters, and where they stand."""

    pointer: str
    path: str
    method: str
    value: dict[str, Json]
    parameters: tuple[Found, ...]
    security: list[dict[str, list[str]]] | None

    @property
    def found(self) -> Found:
        return Found(self.pointer, self.value)

    @property
    def name(self) -> str:
        return str(self.value.get("operationId", f"{self.method.upper()} {self.path}"))


@dataclass
class Lens:
    """The bundle as the rules see it. `objects` lists what is written, references left out, `named` the pointers with an error."""

    bundle: Bundle
    registry: Registry
    objects: dict[str, list[Found]] = field(default_factory=lambda: defaultdict(list))
    references: list[tuple[str, str]] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    follows: list[Diagnostic] = field(default_factory=list)
    named: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._collect("", self.document, "document")

    @property
    def document(self) -> dict[str, Json]:
        return self.bundle.document

    def error(self, pointer: str, message: str, *, key: bool = False) -> None:
        self.say("error", pointer, message, key=key)

    def say(self, severity: Severity, pointer: str, message: str, *, key: bool = False) -> None:
        self.diagnostics.append(Diagnostic(self.bundle.where(pointer, key), severity, message))
        if severity == "error":
            self.named.add(pointer)

    def follow(self, pointer: str, message: str, *, key: bool = False) -> None:
        """An error that a mistake elsewhere causes more often than not, to be told after it."""
        self.follows.append(Diagnostic(self.bundle.where(pointer, key), "error", message))
        self.named.add(pointer)

    def whole(self, *pointers: str) -> bool:
        """Whether none of these objects lost a key, so that what they lack is truly absent."""
        return not self.bundle.broken.intersection(pointers)

    def reaches(self, found: Found, pointers: AbstractSet[str]) -> bool:
        """Whether an object is, holds or refers to one of these."""
        return bool(pointers) and self._reaches(found.pointer, pointers, set())

    def _reaches(self, pointer: str, pointers: AbstractSet[str], seen: set[str]) -> bool:
        if pointer in seen:
            return False
        seen.add(pointer)
        inside = f"{pointer}/"
        if any(p == pointer or p.startswith(inside) for p in pointers):
            return True
        below = [target for at, target in self.references if at.startswith(inside)]
        return any(self._reaches(target, pointers, seen) for target in below)

    def resolve(self, pointer: str, value: Json) -> Found:
        """Past references: the object that is meant, and its own pointer."""
        while isinstance(value, dict) and isinstance(value.get("$ref"), str):
            pointer = value["$ref"].removeprefix("#")
            value = self.at(pointer)
        return Found(pointer, value if isinstance(value, dict) else {})

    def at(self, pointer: str) -> Json:
        """The value at a pointer; None where there is none."""
        value = self.document
        for token in pointer.split("/")[1:]:
            value = value.get(token.replace("~1", "/").replace("~0", "~"), {})
        return value

    def member(self, found: Found, *keys: str) -> Found:
        """An object below another, past references; empty where it is absent."""
        for key in keys:
            found = self.resolve(join(found.pointer, key), found.value.get(key, {}))
        return found

    def members(self, found: Found, key: str) -> Iterator[tuple[str, Found]]:
        """The named members of a map, past references."""
        values = found.value.get(key, {})
        for name in values:
            yield name, self.resolve(join(found.pointer, key, name), values[name])

    def items(self, found: Found, key: str) -> Iterator[Found]:
        """The items of an array of objects, past references."""
        for index, value in enumerate(found.value.get(key, ())):
            yield self.resolve(join(found.pointer, key, str(index)), value)

    def operations(self) -> Iterator[Operation]:
        for path, item in self.members(Found("", self.document), "paths"):
            shared = tuple(self.items(item, "parameters"))
            for method in item.value:
                if method in METHODS:
                    yield self._operation(path, method, item, shared)

    def _operation(
        self, path: str, method: str, item: Found, shared: tuple[Found, ...]
    ) -> Operation:
        found = self.member(item, method)
        security = found.value.get("security", self.document.get("security"))
        parameters = (*shared, *self.items(found, "parameters"))
        return Operation(found.pointer, path, method, found.value, parameters, security)

    def _collect(self, pointer: str, value: Json, shape: str) -> None:
        """Sorts every object that the grammar knows by its kind."""
        if isinstance(value, list) and shape[0] == "[":
            for index, item in enumerate(value):
                self._collect(join(pointer, str(index)), item, inner(shape))
        elif isinstance(value, dict) and shape[0] == "{":
            for name, item in value.items():
                self._collect(join(pointer, name), item, inner(shape))
        elif isinstance(value, dict):
            self._collect_object(pointer, value, shape)

    def _collect_object(self, pointer: str, value: dict[str, Json], shape: str) -> None:
        kind = next((GRAMMAR[s] for s in alternatives(shape) if s in GRAMMAR), None)
        if kind is None:
            return
        if isinstance(value.get("$ref"), str):
            self.references.append((pointer, value["$ref"].removeprefix("#")))
            return
        self.objects[kind.name].append(Found(pointer, value))
        for key, child in value.items():
            child_shape = kind.shape(key)
            if child_shape is not None:
                self._collect(join(pointer, key), child, child_shape)


def join(pointer: str, *keys: str) -> str:
    """A JSON pointer to a member (RFC 6901 section 3)."""
    escaped = (key.replace("~", "~0").replace("/", "~1") for key in keys)
    return "/".join((pointer, *escaped))
