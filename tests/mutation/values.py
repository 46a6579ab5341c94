"""Every value of a spec that drives behaviour, at the place where it is written.

The walk follows the spec from its root as the server does. A shared component is one place, with
all of its uses. A key that is neither told to drive nor told to be passive ends the walk, so that
nobody can add one without saying how its effect would be seen.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from contract.grammar import GRAMMAR, JSON_TYPES, METHODS, alternatives, inner
from contract.operation import ORPHANS

Path_ = tuple[str, ...]
ROOT_FILE = "openapi.yaml"

_STATUSES = {name: status for status, name in ORPHANS.items()}

KEPT = frozenset({"Gone"})
"""What the root lists for operations that an author has yet to end."""

PASSIVE = frozenset(
    {
        *(("document", key) for key in ("openapi", "info", "tags", "externalDocs")),
        *(("securityScheme", key) for key in ("bearerFormat", "description")),
        *(("server", "description"), ("pathItem", "summary"), ("pathItem", "description")),
        *(("operation", key) for key in ("tags", "summary", "description", "externalDocs")),
        *(("parameter", key) for key in ("description", "example", "examples")),
        *(("header", key) for key in ("description", "example", "examples")),
        *(("requestBody", "description"), ("mediaType", "example"), ("mediaType", "examples")),
        *(("response", "description"), ("response", "links")),
        *(("schema", key) for key in ("title", "description", "example", "externalDocs")),
    }
)
"""What is said to readers and tools only, by object and key."""

DRIVING = {
    ("server", "url"): "servers",
    **{("securityScheme", key): f"security scheme {key}" for key in ("type", "scheme")},
    **{("operation", key): key for key in ("operationId", "security", "deprecated")},
    **{("parameter", key): f"parameter {key}" for key in ("name", "in", "required")},
    ("requestBody", "required"): "body required",
    ("header", "required"): "header required",
    **{
        ("schema", key): key
        for key in (
            *("type", "format", "pattern", "nullable", "default", "uniqueItems"),
            *("minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum"),
            *("additionalProperties",),
        )
    },
}
"""The kinds of value by object and key."""

EACH = {
    ("schema", "required"): "required",
    ("schema", "enum"): "enum",
    ("schema", "oneOf"): "oneOf",
}
"""Lists of which every member is a value by itself."""

NAMES = {
    ("response", "headers"): "header",
    ("schema", "properties"): "property",
    ("response", "content"): "media type",
    ("requestBody", "content"): "body media type",
}
"""Maps whose keys are values: to rename one is to change what is promised."""


class Unclassified(Exception):
    """A key that nobody has said to drive anything or nothing."""


@dataclass(frozen=True)
class Use:
    """Where a value has its effect: part of a request or a reply of an operation.

    `part` is ``body``, ``query``, ``path``, ``header``, ``token``, ``route`` (how it is reached) or a
    status; `pointer` leads to what the schema describes. Replies that belong to no operation are
    those of ``-``.
    """

    operation: str
    part: str
    pointer: str = ""


@dataclass
class Value:
    """A value, its place (`file` and `path` inside) and where it has its effect.

    `line` (from 1) is that of its key, `inside` those of the object that it belongs to. A member
    of a list can be `alone` in it; a keyword can stand beside an `enum` of one value, a `constant`;
    `example` is the one of the schema that a keyword belongs to. `value` is None where it is an
    object, of which only the key or the `$ref` counts. `base` names the spec that shows its effect.
    """

    kind: str
    file: str
    path: Path_
    value: Any
    line: int
    inside: range
    alone: bool
    constant: bool
    example: Any
    base: str = "plain"
    uses: list[Use] = field(default_factory=list)

    @property
    def place(self) -> str:
        return place_of(self.file, self.path)

    def of_requests(self) -> list[Use]:
        return [use for use in self.uses if not use.part[:1].isdigit()]

    def of_replies(self) -> list[Use]:
        return [use for use in self.uses if use.part[:1].isdigit()]


def values(folder: Path) -> dict[str, Value]:
    """Every driving value of the spec in a folder, by place. Raises Unclassified."""
    return _Walk(folder).run()


def _operations(item: _Spot) -> Iterator[str]:
    for key, spot in item.members():
        if key in METHODS:
            yield dict(spot.members())["operationId"].node.value


def place_of(file: str, path: Path_) -> str:
    """The file and a JSON pointer into it."""
    return f"{file}#/" + "/".join(token.replace("/", "~1") for token in path)


def compose(text: str) -> yaml.Node:
    node = yaml.compose(text, Loader=yaml.CSafeLoader)
    assert node is not None
    return node


def plain(node: yaml.Node) -> Any:
    """The JSON value of a node."""
    return yaml.constructor.SafeConstructor().construct_document(node)


@dataclass(frozen=True)
class _Spot:
    """A node with the way to it, the line of its key, and the lines of the object around it."""

    file: str
    path: Path_
    node: yaml.Node
    line: int
    inside: range

    def members(self) -> Iterator[tuple[str, _Spot]]:
        if isinstance(self.node, yaml.MappingNode):
            for key, value in self.node.value:
                yield key.value, self._under(key.value, value, key.start_mark.line + 1)
        elif isinstance(self.node, yaml.SequenceNode):
            for index, value in enumerate(self.node.value):
                yield str(index), self._under(str(index), value, value.start_mark.line + 1)

    def _under(self, token: str, value: yaml.Node, line: int) -> _Spot:
        inside = self.inside
        if isinstance(self.node, yaml.MappingNode):
            inside = range(self.line, self.node.end_mark.line + 2)
        return _Spot(self.file, (*self.path, token), value, line, inside)


class _Walk:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, yaml.Node] = {}
        self._found: dict[str, Value] = {}

    def run(self) -> dict[str, Value]:
        root = self._read(ROOT_FILE)
        for key, spot in root.members():
            if key == "components":
                self._components(spot)
            elif ("document", key) not in PASSIVE:
                self._key("document", key, spot, Use("getLiveness", "route"))
        return self._found

    def _components(self, components: _Spot) -> None:
        """What the root lists: how to sign in, and the replies that belong to no operation."""
        for section, spot in components.members():
            for name, member in spot.members():
                if section == "responses" and name in _STATUSES:
                    self._visit("response", member, Use("-", _STATUSES[name]))
                elif section == "responses" and name not in KEPT:
                    raise Unclassified(f"spec/{member.file}:{member.line}: {name}")
                elif section != "responses":
                    self._visit(section.removesuffix("s"), member, None)

    # -- objects -----------------------------------------------------------------------------

    def _visit(self, shape: str, spot: _Spot, use: Use | None) -> None:
        """What stands where the grammar wants `shape`."""
        spot = self._follow(spot)
        shape = next((s for s in alternatives(shape) if s in GRAMMAR or s[0] in "[{"), shape)
        if shape[0] in "[{":
            for _, member in spot.members():
                self._visit(inner(shape), member, use)
        elif shape in GRAMMAR:
            for key, member in spot.members():
                self._key(shape, key, member, use, spot)
        elif shape in JSON_TYPES or shape == "any":
            raise Unclassified(f"spec/{spot.file}:{spot.line}: {spot.path[-1]}")

    def _key(
        self, holder: str, key: str, spot: _Spot, use: Use | None, above: _Spot | None = None
    ) -> None:
        if key.startswith("x-"):
            self._extension(spot, use)
        elif holder == "response" and key == "description" and self._is_message(above, use):
            self._note("message", spot, use)
        elif holder == "mediaType" and key == "examples" and use and use.part[:1] in "45":
            self._wordings(spot, use)
        elif (holder, key) in PASSIVE:
            return
        elif (holder, key) in DRIVING and not isinstance(spot.node, yaml.MappingNode):
            self._note(DRIVING[holder, key], spot, use)
        elif (holder, key) in EACH:
            self._each(EACH[holder, key], spot, use)
        elif (holder, key) in NAMES:
            self._named(NAMES[holder, key], inner(GRAMMAR[holder].keys[key]), spot, use)
        else:
            self._into(holder, key, spot, use)

    def _into(self, holder: str, key: str, spot: _Spot, use: Use | None) -> None:
        if holder == "paths":
            for name in _operations(self._follow(spot)):
                self._note("path", spot, Use(name, "route"))
            self._visit("pathItem", spot, None)
        elif holder == "pathItem" and key in METHODS:
            name = dict(spot.members())["operationId"].node.value
            self._note("method", spot, Use(name, "route"))
            self._operation(name, spot)
        elif holder == "responses":
            here = Use(use.operation, key) if use else None
            self._note("status", spot, here)
            self._visit("response", spot, here)
        elif key == "items" and use:
            self._visit("schema", spot, Use(use.operation, use.part, f"{use.pointer}/0"))
        else:
            shape = GRAMMAR[holder].shape(key)
            assert shape is not None, key
            self._visit(shape, spot, use)

    def _operation(self, name: str, spot: _Spot) -> None:
        for key, member in spot.members():
            if key == "parameters":
                for _, parameter in member.members():
                    self._parameter(name, parameter)
            elif key == "requestBody":
                self._visit("requestBody", member, Use(name, "body"))
            else:
                self._key("operation", key, member, Use(name, "token"))

    def _parameter(self, operation: str, spot: _Spot) -> None:
        spot = self._follow(spot)
        said = plain(spot.node)
        self._visit("parameter", spot, Use(operation, said["in"], f"/{said['name']}"))

    def _each(self, kind: str, spot: _Spot, use: Use | None) -> None:
        for _, member in spot.members():
            self._note(kind, member, use)
            if kind == "oneOf":
                self._visit("schema", member, use)

    def _named(self, kind: str, shape: str, spot: _Spot, use: Use | None) -> None:
        for name, member in spot.members():
            under = use
            if use and kind == "property":
                under = Use(use.operation, use.part, f"{use.pointer}/{name}")
            self._note(kind, replace(member, inside=spot.inside), under)
            self._visit(shape, member, under)

    def _is_message(self, response: _Spot | None, use: Use | None) -> bool:
        """Whether a description is sent: that of a success whose body is the envelope."""
        if response is None or use is None or not use.part.startswith("2"):
            return False
        return "ApiResponse" in str(plain(response.node).get("content", ""))

    def _wordings(self, examples: _Spot, use: Use) -> None:
        """The message of each error is that of its example."""
        for _, example in examples.members():
            shown = dict(dict(self._follow(example).members())["value"].members())
            self._note("wording", shown["message"], use)

    # -- extensions --------------------------------------------------------------------------

    def _extension(self, spot: _Spot, use: Use | None) -> None:
        """Every leaf; a reference is one too, for it chooses what it leads to."""
        target = self._follow(spot)
        if target is not spot:
            self._note("extension", spot, use)
        members = list(target.members())
        for _, member in members:
            self._extension(member, use)
        if not members:
            self._note("extension", target, use)

    # -- places ------------------------------------------------------------------------------

    def _note(self, kind: str, spot: _Spot, use: Use | None) -> None:
        place = place_of(spot.file, spot.path)
        if place not in self._found:
            beside = dict(self._above(spot).members())
            shown = dict(spot.members()) if kind == "property" else beside
            enum = beside["enum"].node.value if "enum" in beside else ()
            example = plain(shown["example"].node) if "example" in shown else None
            said = None if isinstance(spot.node, yaml.MappingNode) else plain(spot.node)
            self._found[place] = Value(
                *(kind, spot.file, spot.path, said, spot.line, spot.inside),
                *(len(beside) == 1, len(enum) == 1, example),
            )
        known = self._found[place]
        if use is not None and use not in known.uses:
            known.uses.append(use)

    def _above(self, spot: _Spot) -> _Spot:
        above = self._read(spot.file)
        for token in spot.path[:-1]:
            above = dict(above.members())[token]
        return above

    def _follow(self, spot: _Spot) -> _Spot:
        while (ref := dict(spot.members()).get("$ref")) is not None:
            file, _, inside = ref.node.value.partition("#/")
            file = posixpath.normpath(posixpath.join(posixpath.dirname(spot.file), file))
            spot = self._read(file)
            for token in inside.split("/"):
                spot = dict(spot.members())[token]
        return spot

    def _read(self, file: str) -> _Spot:
        if file not in self._files:
            self._files[file] = compose((self._folder / file).read_text("utf-8"))
        return _Spot(file, (), self._files[file], 1, range(1))
