"""A walk over every object that the root of a spec reaches, file by file, against the grammar.

The walk collects problems and goes on: what it marks as faulty is left out of the bundle, so that
later rules see only well-formed objects and do not complain about the same slip twice.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote

from contract.diagnostics import Diagnostic, Location, closest, did_you_mean, error, warning
from contract.extension_values import ValueChecker
from contract.extensions import Registry
from contract.grammar import (
    GRAMMAR,
    JSON_TYPES,
    LATER_KEYWORDS,
    REFERABLE,
    Kind,
    alternatives,
    inner,
)
from contract.source import Node, Sources

EXTENSION = "extension"


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What a `$ref` points at: the node, its file, the path inside and the place of its key."""

    node: Node
    file: str
    tokens: tuple[str, ...]
    key: Location

    @property
    def name(self) -> str:
        stem = posixpath.basename(self.file).rsplit(".", 1)[0]
        return self.tokens[-1] if self.tokens else stem

    def __str__(self) -> str:
        return f"{self.file}#/{'/'.join(self.tokens)}"


class Survey:
    """Every problem of form in a spec, and what its references mean.

    `targets` maps the id of a reference object to its target, `faulty` holds the ids of nodes
    that the bundle must leave out, `incomplete` the ids of objects that lost or lack a key.
    """

    def __init__(self, sources: Sources, registry: Registry) -> None:
        self.sources = sources
        self.registry = registry
        self.diagnostics: list[Diagnostic] = []
        self.targets: dict[int, Target] = {}
        self.faulty: set[int] = set()
        self.incomplete: set[int] = set()
        self._checker = ValueChecker(self.follow)
        self._kinds: dict[int, str] = {}
        self._walked: set[int] = set()
        self._stack: list[Target] = []
        self._used: dict[str, set[str]] = {}
        self._file_kinds: dict[str, str] = {}

    def run(self) -> Node | None:
        """Walks the whole graph; None where the root itself cannot be read."""
        root = self.sources.read(self.sources.root)
        if root is not None:
            self._visit(root, "document", "the document", root.location)
            self._unused_entries()
        return root

    # -- shapes ------------------------------------------------------------------------------

    def _visit(self, node: Node, shape: str, name: str, place: Location) -> None:
        """Checks a value; `place` is where its key stands."""
        for alternative in alternatives(shape):
            if _fits(node, alternative):
                return self._inside(node, alternative, place)
        self.faulty.add(id(node))
        wanted = " or ".join(_article(_json_type(s)) for s in alternatives(shape))
        self._error(node.location, f'"{name}" must be {wanted}, not {_article(node.type)}')

    def _inside(self, node: Node, shape: str, place: Location) -> None:
        if shape[0] in "[{":
            for key, child in node.children():
                self._visit(child, inner(shape), key, node.keys.get(key, child.location))
                if id(child) in self.faulty:
                    self.incomplete.add(id(node))
        elif shape in GRAMMAR:
            if node.ref is not None and shape in REFERABLE:
                self._reference(node, shape)
            else:
                self._object(node, GRAMMAR[shape], place)

    def _object(self, node: Node, kind: Kind, place: Location) -> None:
        for key, child in node.value.items():
            shape = kind.shape(key)
            if key.startswith("x-") and kind.extensible:
                self._extension(key, node, kind)
            elif shape is None or (kind.name == "paths" and child.ref is None):
                self._unknown(key, node, kind)
            else:
                self._visit(child, shape, key, node.keys[key])
                if id(child) in self.faulty:
                    self.incomplete.add(id(node))
        meant = {closest(key, _known(kind)) for key in node.value if kind.shape(key) is None}
        for key in () if "$ref" in meant else kind.required:
            if key not in node.value and key not in meant:
                self.incomplete.add(id(node))
                self._error(place, f'{_article(_spaced(kind.name))} needs "{key}"')

    def _unknown(self, key: str, node: Node, kind: Kind) -> None:
        self.faulty.add(id(node.value[key]))
        self.incomplete.add(id(node))
        hint = did_you_mean(key, _known(kind))
        if key == "$ref":
            message = f"{_article(_spaced(kind.name))} cannot be a $ref"
        elif kind.name == "schema" and key in LATER_KEYWORDS:
            message = f'"{key}" is not a keyword of OpenAPI 3.0'
        elif kind.name == "responses":
            message = f'"{key}" is not a status (three digits in quotes, 4XX or default)'
        elif kind.name == "paths" and not key.startswith("/"):
            message = f'the path "{key}" must begin with "/"'
        elif kind.name == "paths":
            message = f'the path "{key}" must be a $ref into a file of its noun'
        else:
            message = f'unknown key "{key}"{hint}'
        self._error(node.keys[key], message)

    # -- references --------------------------------------------------------------------------

    def _reference(self, node: Node, kind: str) -> None:
        target = self._resolve(node)
        if (
            target is None
            or not self._acyclic(node, target)
            or not self._same_kind(node, target, kind)
        ):
            self.faulty.add(id(node))
            return
        self.targets[id(node)] = target
        if id(target.node) not in self._walked:
            self._walked.add(id(target.node))
            with self._inside_of(target):
                self._walk_target(target, kind)
        if id(target.node) in self.faulty:
            self.faulty.add(id(node))

    def _walk_target(self, target: Target, kind: str) -> None:
        if kind == EXTENSION:
            self._free(target.node)
        else:
            self._visit(target.node, kind, target.name, target.key)

    def _acyclic(self, node: Node, target: Target) -> bool:
        open_targets = [entry.node for entry in self._stack]
        if target.node not in open_targets:
            return True
        loop = [*self._stack[open_targets.index(target.node) :], target]
        self._error(_ref_place(node), f"circular $ref: {' -> '.join(map(str, loop))}")
        return False

    def _same_kind(self, node: Node, target: Target, kind: str) -> bool:
        known = _evident_kind(target.node, kind)
        if known == kind:
            known = self._kinds.setdefault(id(target.node), kind)
        if known == kind:
            self._file_kinds.setdefault(target.file, kind)
            return True
        was, wanted = _article(_spaced(known)), _article(_spaced(kind))
        self._error(_ref_place(node), f"{target} is {was}; {wanted} is due here")
        return False

    @contextmanager
    def _inside_of(self, target: Target) -> Iterator[None]:
        self._stack.append(target)
        yield
        self._stack.pop()

    def _resolve(self, node: Node) -> Target | None:
        """What a reference object points at; None where that has been complained about."""
        self._siblings(node)
        ref = node.value["$ref"]
        if ref.type != "string":
            self._error(ref.location, f"a $ref must be a string, not {_article(ref.type)}")
            return None
        path, _, fragment = ref.value.partition("#")
        file = self._file_of(ref, path)
        return self._point(ref, file, unquote(fragment)) if file else None

    def _siblings(self, node: Node) -> None:
        for key in node.value:
            if key != "$ref":
                hint = "wrap the $ref in allOf or move the key to its target"
                self._error(node.keys[key], f'"{key}" beside a $ref is ignored: {hint}')

    def _file_of(self, ref: Node, path: str) -> str | None:
        here = ref.location.file
        if not path:
            return self._local(ref)
        if "://" in path or path.startswith("/"):
            self._error(ref.location, f'"{ref.value}" is not a relative path')
            return None
        file = self.sources.join(here, path)
        if self.sources.exists(file):
            return file
        if not file.startswith(f"{self.sources.folder}/"):
            self._error(ref.location, f'"{ref.value}" leaves the folder of the spec')
            return None
        hint = did_you_mean(path, self._paths_from(here))
        self._error(ref.location, f'no file "{path}" for "{ref.value}"{hint}')
        return None

    def _local(self, ref: Node) -> str | None:
        here = ref.location.file
        if here == self.sources.root:
            return here
        better = f'"{posixpath.basename(here)}{ref.value}"'
        if ref.value.startswith("#/components/"):
            better = "the path of the file that holds it"
        message = f'"{ref.value}" would be looked up in the root first: write {better}'
        self._error(ref.location, message)
        return None

    def _paths_from(self, file: str) -> list[str]:
        folder = self.sources.path(self.sources.root).parent
        start = self.sources.path(file).parent
        return [
            os.path.relpath(path, start).replace(os.sep, "/")
            for pattern in ("*.yaml", "*.yml")
            for path in folder.rglob(pattern)
        ]

    def _point(self, ref: Node, file: str, fragment: str) -> Target | None:
        node = self.sources.read(file)
        if node is None:
            return None
        if fragment and not fragment.startswith("/"):
            self._error(ref.location, f'what follows "#" begins with "/": "{ref.value}"')
            return None
        tokens = tuple(map(_unescape, fragment.split("/")[1:]))
        key = node.location
        for token in tokens:
            members = dict(node.children())
            if token not in members:
                hint = did_you_mean(token, members)
                self._error(ref.location, f'nothing at "{ref.value}" in {file}{hint}')
                return None
            key = node.keys.get(token, members[token].location)
            node = members[token]
        self._used.setdefault(file, set()).add(tokens[0] if tokens else "")
        return Target(node, file, tokens, key)

    # -- extensions --------------------------------------------------------------------------

    def _extension(self, key: str, holder: Node, kind: Kind) -> None:
        extension = self.registry.get(key)
        node, place = holder.value[key], holder.keys[key]
        before = len(self.diagnostics)
        if extension is None:
            hint = did_you_mean(key, self.registry.names())
            self._error(place, f'unknown extension "{key}"{hint}')
        elif kind.name not in extension.where:
            allowed = " or ".join(sorted(_article(_spaced(w)) for w in extension.where))
            what = _article(_spaced(kind.name))
            self._error(place, f'"{key}" does not belong on {what}, only on {allowed}')
        else:
            self._free(node)
            if self._intact(node):
                self.diagnostics.extend(self._checker.check(extension, node))
        if len(self.diagnostics) > before or not self._intact(node):
            self.faulty.add(id(node))
            self.incomplete.add(id(holder))

    def follow(self, node: Node) -> Node:
        """The node itself, or what it refers to in the end."""
        while id(node) in self.targets:
            node = self.targets[id(node)].node
        return node

    def _free(self, node: Node) -> None:
        """Resolves the references inside a value that has no grammar."""
        if node.ref is not None:
            self._reference(node, EXTENSION)
            return
        for _, child in node.children():
            self._free(child)

    def _intact(self, node: Node) -> bool:
        """Whether every reference inside such a value leads somewhere."""
        node = self.follow(node)
        return id(node) not in self.faulty and all(self._intact(c) for _, c in node.children())

    # -- the rest ----------------------------------------------------------------------------

    def _unused_entries(self) -> None:
        """Files grow the graph while their unused entries are walked, hence the loop."""
        done: set[str] = {self.sources.root}
        while pending := [file for file in self.sources.files() if file not in done]:
            for file in pending:
                done.add(file)
                self._unused_in(file)

    def _unused_in(self, file: str) -> None:
        node, used = self.sources.read(file), self._used.get(file, set())
        if node is None or node.type != "object" or "" in used:
            return
        for name, child in node.value.items():
            if name in used or id(child) in self._walked:
                continue
            place = node.keys[name]
            self.diagnostics.append(warning(place, f'nothing refers to "{name}"'))
            kind = self._file_kinds.get(file)
            if kind is not None:
                self._walked.add(id(child))
                self._walk_target(Target(child, file, (name,), place), kind)

    def _error(self, location: Location, message: str) -> None:
        self.diagnostics.append(error(location, message))


def _ref_place(node: Node) -> Location:
    location: Location = node.value["$ref"].location
    return location


def _evident_kind(node: Node, kind: str) -> str:
    """Another kind than the one that is due, where only that one knows all of a node's keys."""
    if kind == EXTENSION or node.type != "object":
        return kind
    keys = [key for key in node.value if not key.startswith("x-") and key != "$ref"]
    candidates = (kind, *sorted(REFERABLE - {kind, "callback"}))
    fitting = (k for k in candidates if all(GRAMMAR[k].shape(key) for key in keys))
    return next(fitting, kind)


def _fits(node: Node, shape: str) -> bool:
    wanted = _json_type(shape)
    return wanted in ("any", node.type) or (wanted == "number" and node.type == "integer")


def _json_type(shape: str) -> str:
    if shape[0] == "[":
        return "array"
    return shape if shape in JSON_TYPES or shape == "any" else "object"


def _known(kind: Kind) -> tuple[str, ...]:
    """The keys that an author can have meant. Whoever misspells $ref meant nothing else."""
    return (*kind.keys, "$ref")


def _article(noun: str) -> str:
    if noun == "null":
        return noun
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _spaced(kind: str) -> str:
    return "".join(f" {c.lower()}" if c.isupper() else c for c in kind)


def _unescape(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~")
