"""Edits of several values, and slips, which are told where they are made.

Edits of one value, each of them, are in tests/mutation.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.app import create_app
from contract.diagnostics import SpecError
from server import spec
from tests.contract.notes import copy, plant
from tests.mutation.behaviours import weak_passwords
from tests.support.servers import ROOT
from tests.support.world import World, world_in

SHIPPED = ROOT / "spec"
AUTH, MFA = "schemas/auth.yaml", "schemas/mfa.yaml"
POLICIES = "components/policies.yaml"

Observe = Callable[[World], Any]


@dataclass(frozen=True)
class Edit:
    """One place in one file of the spec, as text."""

    file: str
    old: str
    new: str


def edited(folder: Path, *edits: Edit) -> World:
    """An application started on a copy of the spec with the edits made."""
    files = copy(folder, SHIPPED)
    for edit in edits:
        plant(files, edit.file, edit.old, edit.new)
    return world_in(folder, spec=files / "openapi.yaml")


# -- edits of more than one value ------------------------------------------------------------

SET = "      type: array\n      minItems: {0}\n      maxItems: {0}\n"
PATTERN = "^[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){3}$"


def test_a_policy_that_refuses_nothing_takes_any_password(tmp_path: Path) -> None:
    """One member of it at a time is an edit of one value (tests/mutation)."""
    policy = "x-password-policy: {refuse: [common, username], words: [countersign]}"
    edit = Edit(AUTH, policy, "x-password-policy: {refuse: []}")
    assert weak_passwords(edited(tmp_path, edit)) == [200, 200, 200]


EIGHT_DIGITS = (
    Edit(MFA, "{algorithm: SHA1, digits: 6,", "{algorithm: SHA1, digits: 8,"),
    Edit(
        MFA,
        '      minLength: 6\n      maxLength: 6\n      pattern: "^[0-9]{6}$"\n',
        '      minLength: 8\n      maxLength: 8\n      pattern: "^[0-9]{8}$"\n',
    ),
)


def test_a_factor_keeps_the_digits_that_it_was_enrolled_with(tmp_path: Path) -> None:
    """The phone cannot be told; a change of the spec must not lock its owner out."""
    before = world_in(tmp_path)
    account = before.account().sign_in().enrol()
    files = copy(tmp_path, SHIPPED)
    for edit in EIGHT_DIGITS:
        plant(files, edit.file, edit.old, edit.new)
    changed = before.settings.model_copy(update={"spec": files / "openapi.yaml"})
    account.api = World(changed, before.clock).api
    assert len(account.code()) == 6
    before.clock.advance(minutes=1)
    account.sign_in().step_up()
    account.enrol().sign_in()
    assert len(account.code()) == 8


CONTRADICTIONS = {
    "backup codes of 60 bits": (
        MFA,
        PATTERN,
        "^[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){2}$",
    ),
    "backup codes like TOTP codes": (MFA, PATTERN, "^[0-9]{8}$"),
    "a set larger than its maximum": (
        *(MFA, "Shown this once.\n" + SET.format(10)),
        "Shown this once.\n      type: array\n      minItems: 11\n      maxItems: 10\n",
    ),
    "eight digits where the pattern takes six": (MFA, EIGHT_DIGITS[0].old, EIGHT_DIGITS[0].new),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_an_edit_that_cannot_be_kept_to_refuses_to_start(tmp_path: Path, name: str) -> None:
    files = copy(tmp_path, SHIPPED)
    plant(files, *CONTRADICTIONS[name])
    with pytest.raises(SpecError) as refusal:
        start(files)
    assert str(refusal.value).startswith("spec/schemas/mfa.yaml:")


# -- slips -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spot:
    """A word of a file, by the place of its first letter and of the one after its last."""

    file: str
    start: int
    end: int


def spots() -> list[Spot]:
    """Words that leave no letter to choice: keys, references, operationIds, values of ``x-``."""
    found: list[Spot] = []
    for path in sorted(p for p in SHIPPED.rglob("*.yaml") if p.parent.name != "workflows"):
        file = str(path.relative_to(SHIPPED))
        node = yaml.compose(path.read_text("utf-8"))
        found += (Spot(file, *span) for span in _words(node, file, (), file == POLICIES))
    return found


def _words(node: yaml.Node, file: str, path: tuple[str, ...], x: bool) -> Iterator[tuple[int, int]]:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _words(item, file, path, x)
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        inside = x or key.value.startswith("x-")
        told = inside or key.value in ("$ref", "operationId")
        if told and isinstance(value, yaml.ScalarNode):
            yield _span(value)
        if path and file.startswith("paths/") and _is_told(path):
            yield _span(key)
        yield from _words(value, file, (*path, key.value), inside)


def _is_told(path: tuple[str, ...]) -> bool:
    """Whether a key below this path is one of OpenAPI's or ours, not a name of the author's own."""
    return not {"examples", "example", "value", "links", "headers"} & set(path)


def _span(node: yaml.Node) -> tuple[int, int]:
    quoted = 1 if node.style else 0
    return node.start_mark.index + quoted, node.end_mark.index - quoted


def slips(number: int) -> Iterator[tuple[str, int, int, str]]:
    """File, line, place and letter of changes of one character."""
    chance = random.Random(20261124)
    for spot in chance.sample(spots(), number):
        text = (SHIPPED / spot.file).read_text("utf-8")
        at = chance.randrange(spot.start, spot.end)
        letter = chance.choice([c for c in "qzQZ" if c != text[at]])
        yield spot.file, text.count("\n", 0, at) + 1, at, letter


def start(files: Path) -> None:
    """What ``serve`` does with a spec before it listens."""
    reading = spec.read(files / "openapi.yaml")
    create_app(
        reading.contract,
        registry=reading.registry,
        handlers=spec.HANDLERS,
        services=None,
        authenticate=lambda _request, _operation: None,
        refusals=(),
        context=dict.fromkeys(spec.CONTEXT, lambda _request: None),
    )


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy(tmp_path_factory.mktemp("spoilt"), SHIPPED)


@pytest.mark.parametrize(("file", "line", "at", "letter"), list(slips(40)))
def test_a_slip_of_one_letter_is_told_at_its_line(
    spoilt: Path, file: str, line: int, at: int, letter: str
) -> None:
    text = (SHIPPED / file).read_text("utf-8")
    (spoilt / file).write_text(text[:at] + letter + text[at + 1 :], "utf-8")
    try:
        with pytest.raises(SpecError) as refusal:
            start(spoilt)
    finally:
        shutil.copy(SHIPPED / file, spoilt / file)
    first = str(refusal.value).splitlines()[0]
    assert first.startswith(f"spec/{file}:{line}:"), first
    assert ": error: " in first


def test_the_untouched_copy_starts(spoilt: Path) -> None:
    """The control of every slip."""
    start(spoilt)


def test_a_root_reply_that_leads_nowhere_is_told_by_itself(spoilt: Path) -> None:
    """The component that it stands for has the same name, which is then nobody's fault."""
    planted = Edit("openapi.yaml", 'responses.yaml#/NotFound"', 'response.yaml#/NotFound"')
    plant(spoilt, planted.file, planted.old, planted.new)
    before = (spoilt / planted.file).read_text(encoding="utf-8").partition(planted.new)[0]
    number = before.count("\n") + 1
    try:
        with pytest.raises(SpecError) as refusal:
            start(spoilt)
    finally:
        shutil.copy(SHIPPED / planted.file, spoilt / planted.file)
    (line,) = (d for d in str(refusal.value).splitlines() if ": error: " in d)
    root = (SHIPPED / planted.file).read_text("utf-8")
    number = root.count("\n", 0, root.index(planted.old)) + 1
    assert line.startswith(f"spec/openapi.yaml:{number}:")
