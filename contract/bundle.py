"""One OpenAPI document made of the files of a spec, with the way back to every place in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from contract.diagnostics import Diagnostic, Location, SpecError, error, in_order
from contract.extensions import Registry
from contract.grammar import GRAMMAR, REFERABLE, SECTIONS, alternatives, inner
from contract.lint import lint, workflows
from contract.source import Node, Sources
from contract.survey import EXTENSION, Survey, Target

_COMPONENT_NAME = re.compile(r"[A-Za-z0-9._-]+")
_BY_REFERENCE = REFERABLE | {EXTENSION}


@dataclass(frozen=True)
class Bundle:
    """A spec in one piece.

    `document` is plain OpenAPI 3.0: every external `$ref` moved to `#/components/<section>/<name>`
    under its own name, path items and the values of `x-` keys put in place. `stems` maps an API
    path to the stem of the file that the root refs for it. `broken` holds the pointers of objects
    that lost a key to an earlier error; it is empty in what `load` returns. `adrift` lists the
    links that do not fit their operation, where `load` was told to leave them to its caller. `off`
    holds the operationIds that the files have and `document` has not (`contract.prune`). `texts` is
    everything that was read, by file, the workflows included: what `load` takes to read the same
    once more.
    """

    document: dict[str, Any]
    files: tuple[Path, ...]
    root: Path
    stems: dict[str, str]
    places: dict[str, tuple[Location, Location]] = field(repr=False)
    warnings: tuple[Diagnostic, ...] = ()
    broken: frozenset[str] = frozenset()
    adrift: tuple[Diagnostic, ...] = ()
    off: frozenset[str] = frozenset()
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)

    def where(self, pointer: str, key: bool = False) -> Location:
        """Where the value at a JSON pointer into `document` (or its key) was written.

        A pointer to nothing gives the place of the nearest object that would hold it.
        """
        while pointer not in self.places:
            pointer = pointer.rpartition("/")[0]
        value, name = self.places[pointer]
        return name if key else value


def load(
    root: Path,
    registry: Registry,
    examples: Literal["warning", "error"] = "warning",
    links: Literal["error", "later"] = "error",
    texts: Mapping[str, str] | None = None,
) -> Bundle:
    """Reads, checks and bundles the spec whose root file is given.

    `examples` is the severity of an example that does not fit its schema. Raises SpecError with
    every error of every file. With `links="later"` a link that does not fit its operation is left to
    `contract.completeness`, which knows whether the operation was renamed by mistake. `texts`, those
    of an earlier bundle, are read in place of the files.
    """
    sources = Sources(root, texts)
    survey = Survey(sources, registry)
    node = survey.run()
    for file in sources.beside(workflows.FOLDER):
        sources.text(file)
    found = [*sources.diagnostics, *survey.diagnostics]
    if node is None or node.type != "object":
        raise SpecError(in_order(found))
    writer = _Writer(survey)
    bundle = writer.write(node)
    breaches, adrift = lint(bundle, registry, examples)
    found = _said_once(sources.diagnostics, [*found, *writer.diagnostics, *breaches])
    if any(d.severity == "error" for d in found) or (adrift and links == "error"):
        raise SpecError([*in_order(found), *adrift])
    return Bundle(
        bundle.document,
        bundle.files,
        bundle.root,
        bundle.stems,
        bundle.places,
        tuple(in_order(found)),
        adrift=tuple(adrift),
        texts=bundle.texts,
    )


def _said_once(first: list[Diagnostic], found: list[Diagnostic]) -> list[Diagnostic]:
    """A scalar that YAML itself spoils is not complained about again for what became of it."""
    spoilt = {d.location for d in first}
    return [*first, *(d for d in found if d.location not in spoilt)]


class _Writer:
    """Copies what a survey found sound into one document."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._root = survey.sources.root
        self._owners: dict[tuple[str, str], Target] = {}
        self._pending: list[tuple[str, Target]] = []
        self._components: dict[str, dict[str, Any]] = {}
        self.places: dict[str, tuple[Location, Location]] = {}
        self.broken: set[str] = set()
        self.diagnostics: list[Diagnostic] = []

    def write(self, root: Node) -> Bundle:
        self._claim_root_components(root)
        document = self._value(root, "document", "", root.location)
        while self._pending:
            self._write_component(*self._pending.pop())
        if self._components:
            document["components"] = self._merged(document.get("components", {}))
            self.places.setdefault("/components", (root.location, root.location))
        sources = self._survey.sources
        return Bundle(
            document,
            tuple(sources.path(file) for file in sources.files()),
            sources.path(self._root),
            self._stems(root),
            self.places,
            broken=frozenset(self.broken),
            texts=sources.texts,
        )

    def _merged(self, own: dict[str, Any]) -> dict[str, Any]:
        """The components in the order of OpenAPI's table, names sorted, so that bundles diff."""
        merged = {key: value for key, value in own.items() if key.startswith("x-")}
        for section in SECTIONS.values():
            members = own.get(section, {}) | self._components.get(section, {})
            if members:
                merged[section] = {name: members[name] for name in sorted(members)}
                pointer = f"/components/{section}"
                first = self.places[f"{pointer}/{next(iter(merged[section]))}"]
                self.places.setdefault(pointer, first)
        return merged

    def _stems(self, root: Node) -> dict[str, str]:
        paths = root.value.get("paths")
        if paths is None or paths.type != "object":
            return {}
        targets = ((path, self._survey.targets.get(id(n))) for path, n in paths.value.items())
        return {path: PurePosixPath(t.file).stem for path, t in targets if t is not None}

    # -- values ------------------------------------------------------------------------------

    def _value(self, node: Node, shape: str, pointer: str, key: Location) -> Any:
        kind = next((s for s in alternatives(shape) if s in _BY_REFERENCE), None)
        if node.ref is not None and kind is not None:
            return self._reference(node, kind, pointer, key)
        self.places[pointer] = (node.location, key)
        if id(node) in self._survey.incomplete:
            self.broken.add(pointer)
        if node.type == "object":
            return dict(self._members(node, shape, pointer))
        if node.type == "array":
            member = inner(shape) if shape[0] == "[" else shape
            sound = (c for _, c in node.children() if id(c) not in self._survey.faulty)
            return [
                self._value(child, member, f"{pointer}/{index}", child.location)
                for index, child in enumerate(sound)
            ]
        return node.value

    def _members(self, node: Node, shape: str, pointer: str) -> Iterator[tuple[str, Any]]:
        for name, child in node.value.items():
            if id(child) not in self._survey.faulty:
                place = f"{pointer}/{escape(name)}"
                yield name, self._value(child, _member(shape, name), place, node.keys[name])

    def _reference(self, node: Node, shape: str, pointer: str, key: Location) -> Any:
        target = self._survey.targets.get(id(node))
        if target is None:
            self.places[pointer] = (node.location, key)
            self.broken.add(pointer)
            return {}
        if shape not in SECTIONS:
            return self._value(target.node, shape, pointer, key)
        target = self._renamed(target)
        link = self._name(target, shape, _ref_location(node))
        if link == pointer:
            return self._value(target.node, shape, pointer, key)
        self.places[pointer] = (node.location, key)
        self.places[f"{pointer}/$ref"] = (_ref_location(node), node.keys["$ref"])
        return {"$ref": f"#{link}"}

    def _renamed(self, target: Target) -> Target:
        """Past references that only pass a name on, which would refer to themselves here."""
        while (further := self._survey.targets.get(id(target.node))) is not None:
            if further.name != target.name:
                break
            target = further
        return target

    # -- components --------------------------------------------------------------------------

    def _claim_root_components(self, root: Node) -> None:
        """The root's own components keep their names against those of other files."""
        components = root.value.get("components")
        for section, members in components.children() if components else ():
            if section in SECTIONS.values():
                for name, node in members.children():
                    place = members.keys.get(name, node.location)
                    target = Target(node, self._root, ("components", section, name), place)
                    self._owners[section, name] = self._renamed(target)

    def _name(self, target: Target, kind: str, ref: Location) -> str:
        """The pointer of a target's component in the bundle, which is put in line if it is new."""
        section, name = SECTIONS[kind], target.name
        pointer = f"/components/{section}/{name}"
        owner = self._owners.get((section, name))
        if owner is None:
            self._owners[section, name] = target
            self._pending.append((kind, target))
            if not _COMPONENT_NAME.fullmatch(name):
                self._error(ref, f'"{name}" cannot name a component: use letters, digits, . _ -')
        elif owner.node is not target.node:
            self.broken.add(pointer)
            if id(owner.node) not in self._survey.faulty:
                # A root component whose $ref leads nowhere is complained about for that alone.
                self._error(target.key, f'the component name "{name}" is taken by {owner.key}')
        return pointer

    def _write_component(self, kind: str, target: Target) -> None:
        section = self._components.setdefault(SECTIONS[kind], {})
        pointer = f"/components/{SECTIONS[kind]}/{escape(target.name)}"
        section[target.name] = self._value(target.node, kind, pointer, target.key)

    def _error(self, location: Location, message: str) -> None:
        self.diagnostics.append(error(location, message))


def escape(token: str) -> str:
    """A key as a token of a JSON pointer (RFC 6901 section 3)."""
    return token.replace("~", "~0").replace("/", "~1")


def _member(shape: str, name: str) -> str:
    """The shape of an object's member, in an object that the survey found sound."""
    if shape[0] == "{":
        return inner(shape)
    kind = next((GRAMMAR[s] for s in alternatives(shape) if s in GRAMMAR), None)
    if kind is None:
        return EXTENSION if shape == EXTENSION else "any"
    if name.startswith("x-") and kind.extensible and name not in kind.keys:
        return EXTENSION
    return kind.shape(name) or "any"


def _ref_location(node: Node) -> Location:
    location: Location = node.value["$ref"].location
    return location
