"""Carries a mutation out: the edit is made, the server is started, and the change has to be seen.

A start either succeeds, or is refused with a line of the value. In both cases the reply on the
wire has to be another one than under the shipped spec: where the start was refused, the server is
built without the check that refused, to see that the value is enforced and not only looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
from throttled import utils

from contract.check import breaches
from contract.replies import Reply as Bare
from server import spec
from server.spec import Reading
from tests.api import faults
from tests.mutation.bases import LIMITED, driving
from tests.mutation.behaviours import REMOVED, Behaviour, behaviour
from tests.mutation.bench import Bench, Start, start, unchecked
from tests.mutation.edits import Edit, remove, replace
from tests.mutation.lies import Lie, lies, told, truth
from tests.mutation.mutators import known, mutation
from tests.mutation.probes import probes
from tests.mutation.scenarios import Scenario, scenarios
from tests.mutation.values import Use, Value
from tests.support.api import Reply
from tests.support.world import World

TOLD_ONLY = {
    "operationId": "names the handler, without which there is nothing to serve",
    "body media type": "a request body is JSON, which alone is read",
    "parameter required": "OpenAPI leaves a parameter in the path no other value",
    "security scheme type": "nothing but a bearer token is served",
    "security scheme scheme": "nothing but a bearer token is served",
}
"""Kinds of which the server takes one value only: any other is refused at its line."""

AFAR = ("oneOf", "path", "property", "type", "parameter name", "parameter in", "operationId")
"""What other places rely on: the refusal may name the one that misses it."""


def has_mutation(value: Value) -> bool:
    """Whether somebody has said how a change of the value would be seen."""
    return known(value.kind) or behaviour(value) is not None


class Survived(AssertionError):
    """A value was changed and nothing else did."""


@dataclass(frozen=True)
class Outcome:
    """How a change was seen."""

    value: Value
    told: str
    seen: str
    companions: int = 0


def carry_out(bench: Bench, value: Value) -> Outcome:
    """The outcome of a value's mutation. Raises Survived."""
    found = behaviour(value)
    if found is None:
        return enforced(bench, value, mutation(value))
    return behaved(bench, value, found)


@contextmanager
def standing_still() -> Iterator[None]:
    """No limit refills, for a slow machine would never meet one."""
    now = utils.now_mono_f()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "now_mono_f", lambda: now)
        yield


def behaved(bench: Bench, value: Value, found: Behaviour) -> Outcome:
    """The outcome of a value that decides what the rules do: both servers are watched."""
    kind, settings = LIMITED if found.limited else value.base, dict(found.settings)
    with bench.edited(kind, *_edits(value, found)) as root:
        off = settings.get("features_off", ())
        reading = spec.read(root, features_off=off)
        edited = _observed(found, bench.serving(kind, reading, **settings))
    control = bench.control(kind)
    if settings:
        reading = spec.read(bench.reading(kind).bundle.root, features_off=off)
        control = bench.serving(kind, reading, **settings)
    shipped = _observed(found, control)
    if (shipped, edited) != (found.before, found.after) or shipped == edited:
        raise Survived(
            f"{value.place}: {shipped!r} became {edited!r}, not {found.before!r} {found.after!r}"
        )
    return Outcome(value, "", f"{shipped!r} became {edited!r}", len(found.companions))


def _observed(found: Behaviour, world: World) -> Any:
    with standing_still() if found.limited else nullcontext():
        return found.observe(world)


def _edits(value: Value, found: Behaviour) -> Iterator[Edit]:
    yield remove(value) if found.new is REMOVED else replace(value, found.new)
    for place, new in found.companions.items():
        yield replace(driving()[place], new)


def enforced(bench: Bench, value: Value, edit: Edit) -> Outcome:
    """The outcome of a value that the contract layer enforces."""
    with bench.edited(value.base, edit) as root:
        started = start(root)
        _hold(value, started)
        said = started.refusal[0] if started.refusal else ""
        seen = None
        if started.reading is not None and value.kind not in TOLD_ONLY:
            seen = _Watch(bench, value, edit, started.reading).run()
    if seen is None and not (said and _only_told(value, started)):
        raise Survived(f"{value.place}: nothing else changed; the start said: {said or 'nothing'}")
    return Outcome(value, said, seen or "")


def _hold(value: Value, started: Start) -> None:
    """A refusal has to name the value, or what it contradicts in the same object."""
    near = [f"spec/{value.file}:{line}:" for line in value.inside]
    named = any(place in line for line in started.refusal for place in near)
    if started.refusal and not named and value.kind not in AFAR:
        lines = "\n".join(started.refusal)
        raise Survived(f"{value.place} was refused, but not in its object:\n{lines}")


def _only_told(value: Value, started: Start) -> str | None:
    """Why a value may have no effect but that another one is refused; None where it may not."""
    if value.kind == "type" and value.constant:
        return "the one value of the enum beside it has no other type"
    if "rules depend on it" in started.obstacle:
        return "a policy is read at this name"
    return TOLD_ONLY.get(value.kind)


@dataclass
class _Watch:
    """Looks for a request whose answer tells the edited spec from the shipped one."""

    bench: Bench
    value: Value
    edit: Edit
    reading: Reading

    def run(self) -> str | None:
        with unchecked():
            base = self.value.base
            self._worlds = {base: self.bench.serving(base, self.reading)}
        return self._by_request() or self._by_reply()

    def _world(self, kind: str) -> World:
        if kind not in self._worlds:
            with self.bench.edited(kind, self.edit) as root, unchecked():
                reading = start(root).reading
                assert reading is not None
                self._worlds[kind] = self.bench.serving(kind, reading)
        return self._worlds[kind]

    # -- requests ----------------------------------------------------------------------------

    def _by_request(self) -> str | None:
        base = self.value.base
        control, mutant = self.bench.control(base), self._world(base)
        for probe in probes(self.bench.world, self.value):
            before, after = probe.send(control), probe.send(mutant)
            if _differ(before, after):
                probe.hold(self.value, before, after)
                return f"{probe}: {_shown(before, after)}"
        return None

    # -- replies -----------------------------------------------------------------------------

    def _by_reply(self) -> str | None:
        for use in self.value.of_replies():
            for scenario in scenarios(use.operation, use.part):
                lie = self._telling(scenario, use)
                if lie is not None and (seen := self._sent(scenario, lie)):
                    return seen
        return None

    def _telling(self, scenario: Scenario, use: Use) -> Lie | None:
        """The truth or a lie on which the two specs disagree."""
        answer = self.bench.answer(scenario)
        if self.value.kind == "message":
            return truth
        if self.value.kind == "wording":
            said = json.loads(answer.body)["message"] if answer.body else None
            return truth if said == self.value.value else None
        for lie in (truth, *lies(self.value, use)):
            reply = lie(Bare(answer.status, list(answer.headers), answer.body))
            verdicts = [
                bool(breaches(reply, _rules(reading, scenario.operation)))
                for reading in (self.bench.reading(self.value.base), self.reading)
            ]
            if verdicts[0] != verdicts[1]:
                return lie
        return None

    def _sent(self, scenario: Scenario, lie: Lie) -> str | None:
        control, mutant = self.bench.control(scenario.kind), self._world(scenario.kind)
        before, after = (_told_by(scenario, self.bench, world, lie) for world in (control, mutant))
        if not _differ(before, after):
            return None
        how = "" if lie is truth else " of a lie"
        return f"{scenario}{how}: {_shown(before, after)}"


def _told_by(scenario: Scenario, bench: Bench, world: World, lie: Lie) -> Reply:
    """The reply of a scenario, with the lie told about the last request only."""
    faults.release(world)  # what is open would outlive a database that vanishes
    if lie is truth:
        return scenario.send(bench.world, world)
    asked = world.api.request

    def lying(*positional: Any, **named: Any) -> Reply:
        with told(lie):
            return asked(*positional, **named)

    world.api.request = lying  # type: ignore[method-assign]
    try:
        return scenario.send(bench.world, world)
    finally:
        del world.api.request


def _rules(reading: Reading, operation: str) -> Any:
    contract = reading.contract
    if operation == "-":
        return contract.errors
    found = contract.operations.get(operation)
    return found.responses if found else {}


def _differ(before: Reply, after: Reply) -> bool:
    return _seen(before) != _seen(after)


def _seen(reply: Reply) -> tuple[Any, ...]:
    """What is the same whenever the same thing is asked: no ids, times, tokens and numbers."""
    fixed = ("cache-control", "content-type", "x-content-type-options")
    headers = {name: reply.headers[name] if name in fixed else "" for name in reply.headers}
    headers.pop("content-length", None)
    body = reply.json if reply.content else {}
    code = body.get("error", {}).get("code")
    return reply.status, code, body.get("message"), headers


def _shown(before: Reply, after: Reply) -> str:
    """The first thing in which they differ."""
    for was, now in zip(_seen(before), _seen(after), strict=True):
        if was != now:
            return _differing(was, now)
    raise AssertionError("they do not differ")


def _differing(was: Any, now: Any) -> str:
    if isinstance(was, dict):
        name = min(key for key in was.keys() | now.keys() if was.get(key) != now.get(key))
        was, now = (f"{name}: {headers.get(name, 'missing')}" for headers in (was, now))
    return f"{was} became {now}"
