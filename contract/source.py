"""YAML files read into JSON values that remember where they stand.

Connexion and most other tools read YAML 1.1, where `no` is false and `010` is eight; YAML 1.2
reads them otherwise. A plain scalar that the two read differently is refused here, so that the
file means the same to everyone. The one exception is a date, which JSON lacks: it stays text.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from contract.diagnostics import Diagnostic, Location, error

JsonValue = Any
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where PyYAML was built with it
_PLAIN_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
_TEMPLATE = re.compile(r"\{[{%#]")  # Connexion renders the root, and only the root, with Jinja
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(slots=True, eq=False)
class Node:
    """A JSON value and its place. Objects also know the place of every key."""

    value: JsonValue
    location: Location
    keys: dict[str, Location] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """`object`, `array`, `string`, `integer`, `number`, `boolean` or `null`."""
        if isinstance(self.value, dict):
            return "object"
        if isinstance(self.value, list):
            return "array"
        return _PLAIN_TYPES.get(type(self.value), "null")

    @property
    def ref(self) -> Node | None:
        """The `$ref` of a reference object, whatever its type."""
        return self.value.get("$ref") if isinstance(self.value, dict) else None

    def children(self) -> Iterator[tuple[str, Node]]:
        if isinstance(self.value, dict):
            yield from self.value.items()
        elif isinstance(self.value, list):
            yield from ((str(index), item) for index, item in enumerate(self.value))


class Sources:
    """The files of one spec, each read once; problems are collected, not raised.

    `texts` is what has been read, by file, the root first. Where it is given, nothing else is read:
    a spec can be taken up again as it was, whatever became of its files.
    """

    def __init__(self, root: Path, texts: Mapping[str, str] | None = None) -> None:
        root = Path(os.path.abspath(root))
        self.base = root.parent.parent
        # A link may lead elsewhere by now, and to another name.
        self.root = next(iter(texts)) if texts else f"{root.parent.name}/{root.name}"
        self.folder = self.root.partition("/")[0]
        self.diagnostics: list[Diagnostic] = []
        self.texts: dict[str, str] = {}
        self._given = texts
        self._nodes: dict[str, Node | None] = {}

    def path(self, file: str) -> Path:
        return self.base / file

    def files(self) -> tuple[str, ...]:
        return tuple(self._nodes)

    def exists(self, file: str) -> bool:
        if self._given is not None:
            return file in self._given
        return file.startswith(f"{self.folder}/") and self.path(file).is_file()

    def beside(self, folder: str) -> list[str]:
        """The YAML files of a folder beside the root, sorted; none where there is no folder."""
        start = f"{self.folder}/{folder}/"
        if self._given is not None:
            return sorted(file for file in self._given if file.startswith(start))
        return [start + path.name for path in sorted(self.path(start).glob("*.yaml"))]

    def join(self, file: str, relative: str) -> str:
        """The file that `relative` names when it is written in `file`."""
        return posixpath.normpath(posixpath.join(posixpath.dirname(file), relative))

    def read(self, file: str) -> Node | None:
        """The content of a file; None where it could not be read, which has then been said."""
        if file not in self._nodes:
            self._nodes[file] = self._parse(file)
        return self._nodes[file]

    def text(self, file: str) -> str | None:
        text = self._text(file) if self._given is None else self._given[file]
        if text is not None:
            self.texts[file] = text
        return text

    def _text(self, file: str) -> str | None:
        try:
            data = self.path(file).read_bytes()
        except OSError as exc:
            self._say(file, 1, 1, f"cannot be read: {exc.strerror}")
            return None
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as exc:
            before = data[: exc.start].decode("utf-8")
            self._say(file, *_line_and_column(before), "not UTF-8")
            return None

    def _parse(self, file: str) -> Node | None:
        text = self.text(file)
        if text is None:
            return None
        if file == self.root:
            self._say_templates(file, text)
        try:
            tree = _compose(text)
        except yaml.MarkedYAMLError as exc:
            self._say_syntax(file, text, exc)
            return None
        except yaml.reader.ReaderError as exc:
            before = text.encode()[: exc.position].decode("utf-8", "ignore")
            self._say(file, *_line_and_column(before), "a control character is not allowed")
            return None
        if tree is None:
            self._say(file, 1, 1, "the file is empty")
            return None
        return _Builder(file, self.diagnostics).build(tree)

    def _say_templates(self, file: str, text: str) -> None:
        for found in _TEMPLATE.finditer(text):
            place = _line_and_column(text[: found.start()])
            self._say(file, *place, f'"{found[0]}" in the root is read as a Jinja template')

    def _say_syntax(self, file: str, text: str, exc: yaml.MarkedYAMLError) -> None:
        mark = exc.problem_mark or exc.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        lines = text.splitlines()
        start = lines[line - 1][:column] if line <= len(lines) else ""
        if "\t" in start and not start.strip():
            problem = "a tab cannot indent YAML"
        else:
            problem = ", ".join(filter(None, (exc.context, exc.problem)))
        self._say(file, line, column, f"syntax: {problem}")

    def _say(self, file: str, line: int, column: int, message: str) -> None:
        self.diagnostics.append(error(Location(file, line, column), message))


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
    finally:
        loader.dispose()
    return node


def _line_and_column(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


class _Builder:
    """Turns PyYAML's tree of one file into nodes of JSON values."""

    def __init__(self, file: str, diagnostics: list[Diagnostic]) -> None:
        self.file = file
        self.diagnostics = diagnostics
        self._open: set[int] = set()

    def build(self, tree: yaml.Node) -> Node:
        location = self._location(tree)
        if isinstance(tree, yaml.ScalarNode):
            return Node(self._scalar(tree, location), location)
        if id(tree) in self._open:
            self._say(location, "an alias cannot stand inside its own anchor")
            return Node(None, location)
        self._open.add(id(tree))
        node = self._collection(tree, location)
        self._open.discard(id(tree))
        return node

    def _collection(self, tree: yaml.Node, location: Location) -> Node:
        if tree.tag not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            self._say(location, f'the tag "{tree.tag}" has no meaning in a spec')
        if isinstance(tree, yaml.MappingNode):
            return self._mapping(tree, location)
        return Node([self.build(item) for item in tree.value], location)

    def _mapping(self, tree: yaml.MappingNode, location: Location) -> Node:
        node = Node({}, location)
        for key, value in tree.value:
            name, place = self._key(key), self._location(key)
            if name is None:
                continue
            if name in node.value:
                self._say(place, f'duplicate key "{name}" (first at line {node.keys[name].line})')
                continue
            node.value[name], node.keys[name] = self.build(value), place
        return node

    def _key(self, key: yaml.Node) -> str | None:
        place = self._location(key)
        if not isinstance(key, yaml.ScalarNode):
            self._say(place, "a key must be a string")
        elif key.tag == "tag:yaml.org,2002:merge":
            self._say(place, 'the merge key "<<" is not part of OpenAPI')
        elif key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp"):
            self._say(place, f'the key {key.value} is not a string: write "{key.value}"')
        else:
            return str(key.value)
        return None

    def _scalar(self, tree: yaml.ScalarNode, location: Location) -> JsonValue:
        kind = tree.tag.removeprefix("tag:yaml.org,2002:")
        if kind in ("str", "timestamp", "merge", "value"):
            return tree.value
        if kind not in ("null", "bool", "int", "float"):
            self._say(location, f'the tag "{tree.tag}" has no meaning in a spec')
            return tree.value
        return self._json_scalar(tree, location)

    def _json_scalar(self, tree: yaml.ScalarNode, location: Location) -> JsonValue:
        text = tree.value
        if text.lower() in _WORDS:
            return _WORDS[text.lower()]
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        self._say(location, f"YAML readers disagree on {text}: quote it, or write it as JSON does")
        return text

    def _location(self, tree: yaml.Node) -> Location:
        mark = tree.start_mark
        return Location(self.file, mark.line + 1, mark.column + 1)

    def _say(self, location: Location, message: str) -> None:
        self.diagnostics.append(error(location, message))
