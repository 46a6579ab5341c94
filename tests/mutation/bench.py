"""One database and many applications over it, each of which has read a spec with one edit."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from connexion.spec import OpenAPISpecification

from contract import app, bundle, completeness
from contract.diagnostics import SpecError
from contract.replies import Reply
from contract.source import Node, Sources
from server import policies, spec
from server.spec import Reading
from tests.api import faults
from tests.mutation.bases import BASES, PLAIN
from tests.mutation.edits import Edit
from tests.mutation.scenarios import CLOSED, LYING, RAISING, Scenario
from tests.support.world import World, settings_in, world_in

_CHECK = re.compile(r"rehearse|_?refuse_.*")
"""What looks whether the spec can be kept to, in the modules that read it."""
_HANDLERS = {RAISING: faults.raising, LYING: faults.adding_a_property}


@dataclass(frozen=True)
class Start:
    """How a start ended: the lines of its refusal, and the reading that is served all the same.

    Where nothing can be served, `reading` is None and `obstacle` says why.
    """

    reading: Reading | None
    refusal: tuple[str, ...] = ()
    obstacle: str = ""


@dataclass
class Bench:
    """The shipped spec under `folder`, a world that serves it, and what it answers."""

    folder: Path
    _replies: dict[Scenario, Reply] = field(default_factory=dict)
    _numbers: int = 0

    def __post_init__(self) -> None:
        self._bases = {name: make(self.folder / name).parent for name, make in BASES.items()}
        root = self._bases[PLAIN] / "openapi.yaml"
        self.world = world_in(self.folder, observed=False, spec=root)
        self._worlds: dict[str, World] = {}
        self._readings: dict[Path, Reading] = {}

    def reading(self, kind: str) -> Reading:
        """What is read before any edit."""
        base = self._base(kind)
        if base not in self._readings:
            self._readings[base] = spec.read(base / "openapi.yaml")
        return self._readings[base]

    def control(self, kind: str) -> World:
        """The application of a kind under the shipped spec."""
        if kind not in self._worlds:
            self._worlds[kind] = self.serving(kind, self.reading(kind))
        return self._worlds[kind]

    def serving(self, kind: str, reading: Reading, **changes: Any) -> World:
        """An application of a kind; what it answers counts for no coverage."""
        changes["spec"] = reading.bundle.root
        if kind == CLOSED:
            changes["registration"] = "closed"
        settings = settings_in(self.folder, **changes)
        with faults.handlers(_HANDLERS[kind]) if kind in _HANDLERS else nullcontext():
            return World(settings, self.world.clock, reading, observed=False)

    def answer(self, scenario: Scenario) -> Reply:
        """What the shipped spec lets a scenario end in, as a reply of the contract; asked once."""
        if scenario not in self._replies:
            control = self.control(scenario.kind)
            faults.release(control)  # what is open would outlive a database that vanishes
            reply = scenario.send(self.world, control)
            headers = [(name, value) for name, value in reply.headers.items()]
            self._replies[scenario] = Reply(reply.status, headers, reply.content)
        return self._replies[scenario]

    @contextmanager
    def edited(self, kind: str, *edits: Edit) -> Iterator[Path]:
        """The root file of a copy of the spec with the edits made."""
        self._numbers += 1
        copy = self.folder / f"edit-{self._numbers}" / "spec"
        shutil.copytree(self._base(kind), copy)
        for edit in edits:
            edit.apply(copy)
        yield copy / "openapi.yaml"
        shutil.rmtree(copy.parent)

    def _base(self, kind: str) -> Path:
        return self._bases.get(kind, self._bases[PLAIN])


@contextmanager
def quick() -> Iterator[None]:
    """Starts without what is the same for every edit, most of what a start takes.

    Files that are not edited are parsed once. Connexion's own validation, in Python, is left out:
    the lint holds the bundle against the same schema.
    """
    parsed: dict[tuple[str, str | None], Node | None] = {}
    parse = Sources._parse

    def parsing(sources: Sources, file: str) -> Node | None:
        key = (file, sources.text(file))
        if key not in parsed:
            node = parse(sources, file)
            if sources.diagnostics:
                return node
            parsed[key] = node
        return parsed[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sources, "_parse", parsing)
        patch.setattr(OpenAPISpecification, "_validate_spec", lambda *_: None)
        yield


def start(root: Path) -> Start:
    """Start as the server does, and go on where it would refuse."""
    with unchecked() as refusals:
        try:
            reading = spec.read(root)
        except SpecError as found:
            return Start(None, refusals[0] if refusals else _errors(found), str(found))
    return Start(reading, refusals[0] if refusals else ())


@contextmanager
def unchecked() -> Iterator[list[tuple[str, ...]]]:
    """What looks whether a spec fits itself and the program looks, and is not heeded.

    Yields the errors of each that would have refused to start, in their order.
    """
    refusals: list[tuple[str, ...]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "lint", _unheeded_lint(bundle.lint, refusals))
        for module in (spec, app):
            patch.setattr(module, "bind", _unheeded_bind(module.bind, refusals))
        for module in (spec, policies):
            for name in filter(_CHECK.fullmatch, list(vars(module))):
                patch.setattr(module, name, _unheeded(getattr(module, name), refusals))
        yield refusals


def _unheeded(check: Callable[..., None], refusals: list[tuple[str, ...]]) -> Callable[..., None]:
    def checked(*positional: Any) -> None:
        try:
            check(*positional)
        except SpecError as found:
            refusals.append(_errors(found))
        except Exception:
            if not refusals:  # it relies on what was looked at before
                raise

    return checked


def _unheeded_lint(lint: Callable[..., Any], refusals: list[tuple[str, ...]]) -> Callable[..., Any]:
    def linted(*positional: Any) -> Any:
        breaches, adrift = lint(*positional)
        errors = tuple(str(d) for d in (*breaches, *adrift) if d.severity == "error")
        if errors:
            refusals.append(errors)
        return [], []

    return linted


def _unheeded_bind(bind: Callable[..., Any], refusals: list[tuple[str, ...]]) -> Callable[..., Any]:
    def bound(*positional: Any) -> Any:
        try:
            return bind(*positional)
        except SpecError as found:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(completeness, "_misfits", lambda *_: ())
                handlers = bind(*positional)
            refusals.append(_errors(found))
            return handlers

    return bound


def _errors(found: SpecError) -> tuple[str, ...]:
    return tuple(str(d) for d in found.diagnostics if d.severity == "error")
