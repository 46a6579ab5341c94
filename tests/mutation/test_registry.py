"""No value of the spec is dead: each has a mutation, and a mutation that changes nothing is found."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.contract.notes import copy, plant
from tests.mutation import report
from tests.mutation.bases import PLAIN, driving
from tests.mutation.behaviours import OF_PLACES, Behaviour
from tests.mutation.bench import Bench
from tests.mutation.edits import Edit, remove, rename, replace
from tests.mutation.engine import Survived, behaved, enforced, has_mutation
from tests.mutation.mutators import EXEMPT, mutation
from tests.mutation.scenarios import LYING
from tests.mutation.values import Unclassified, values
from tests.report.recorder import RECORDER
from tests.support.servers import ROOT

SHIPPED = ROOT / "spec"
POLICIES, COMMON, AUTH = "components/policies.yaml", "schemas/common.yaml", "schemas/auth.yaml"


def dead(folder: Path) -> list[str]:
    """The driving values that nobody has said how to change."""
    return [value.place for value in values(folder).values() if not has_mutation(value)]


def test_every_driving_value_has_a_mutation() -> None:
    found = driving()
    assert [place for place, value in found.items() if not has_mutation(value)] == []
    for kind, number in sorted(Counter(value.kind for value in found.values()).items()):
        print(f"{number:4}  {kind}")
    print(f"{len(found):4}  driving values, {len(EXEMPT)} of them exempt: {EXEMPT}")


def test_nothing_is_said_of_values_that_are_not_there() -> None:
    found = driving()
    assert OF_PLACES.keys() <= found.keys()
    assert EXEMPT.keys() <= found.keys()


def test_a_shared_component_is_one_place_with_all_its_uses() -> None:
    pattern = values(SHIPPED)[f"{COMMON}#/Identifier/pattern"]
    assert {"getUser", "endSession"} <= {use.operation for use in pattern.of_requests()}
    assert {"getSession", "listUsers"} <= {use.operation for use in pattern.of_replies()}


DEAD = {
    "a member of an extension that is read and used by nobody": (
        *(POLICIES, "lock-after: 50}", "lock-after: 50, account-free: 9}"),
        f"{POLICIES}#/totp/account-free",
    ),
    "an extension where nobody looks for it": (
        *(AUTH, "Assurance:\n", "Assurance:\n  x-ttl: PT1M\n"),
        f"{AUTH}#/Assurance/x-ttl",
    ),
}


@pytest.mark.parametrize("name", DEAD)
def test_a_dead_value_is_found(tmp_path: Path, name: str) -> None:
    file, old, new, place = DEAD[name]
    spec = copy(tmp_path, SHIPPED)
    plant(spec, file, old, new)
    assert dead(spec) == [place]


UNKNOWN = {
    "multipleOf": (
        COMMON,
        "Health:\n  type: object\n",
        "Health:\n  type: object\n  multipleOf: 2\n",
    ),
    "style": (
        AUTH.replace("schemas", "paths"),
        "        in: path\n",
        "        in: path\n        style: simple\n",
    ),
}


@pytest.mark.parametrize("keyword", UNKNOWN)
def test_a_keyword_that_nobody_thought_of_ends_the_walk(tmp_path: Path, keyword: str) -> None:
    spec = copy(tmp_path, SHIPPED)
    plant(spec, *UNKNOWN[keyword])
    with pytest.raises(Unclassified, match=keyword):
        values(spec)


# -- mutations that change nothing -----------------------------------------------------------

UNCHANGED = (
    f"{COMMON}#/Identifier/pattern",
    f"{COMMON}#/ErrorBody/properties/code/enum/0",
    "schemas/mfa.yaml#/MFAVerifyRequest/properties/code/maxLength",
    "components/responses.yaml#/Conflict/content/application~1json/examples/username_taken/value/message",
)


@pytest.mark.parametrize("place", UNCHANGED)
def test_a_mutation_that_changes_nothing_survives(bench: Bench, place: str) -> None:
    value = driving()[place]
    with pytest.raises(Survived, match="nothing else changed"):
        enforced(bench, value, replace(value, value.value))


def test_a_policy_that_is_written_otherwise_survives(bench: Bench) -> None:
    place = f"{POLICIES}#/totp/max-delay"
    found = OF_PLACES[place]
    same = Behaviour("PT60M", found.observe, found.before, found.after)
    with pytest.raises(Survived):
        behaved(bench, driving()[place], same)


def test_a_refusal_at_another_place_is_not_taken_for_the_value(bench: Bench) -> None:
    """The edit is of one value and the look at another one."""
    values_ = driving()
    edit = mutation(values_[f"{AUTH}#/TokenPair/properties/expires_in/minimum"])
    with pytest.raises(Survived, match="not in its object"):
        enforced(bench, values_[f"{COMMON}#/Health/properties/status/enum/0"], edit)


def test_replies_that_are_falsified_count_for_no_report(bench: Bench) -> None:
    for world in (bench.world, bench.control(PLAIN), bench.control(LYING)):
        assert world.api.get("/health/live").status in (200, 500)
    assert not any(suite == "mutation" for suite, *_ in RECORDER.seen)


# -- edits and the report --------------------------------------------------------------------

TEXT = """# a comment
a:
  - {x: 1, y: [p, q, r]}
  - name: first
    in: query
b:   # another
  c: >-
    folded
    text
  d: [only]
"""
EDITS = {
    "a flow value": (("a", "0", "x"), "replace", 2, "{x: 2, y: [p, q, r]}"),
    "the last of a flow list": (("a", "0", "y", "2"), "remove", None, "y: [p, q]"),
    "the first of a flow list": (("a", "0", "y", "0"), "remove", None, "y: [q, r]"),
    "the only one of a flow list": (("b", "d", "0"), "remove", None, "d: []"),
    "a member of a flow object": (("a", "0", "x"), "remove", None, "{y: [p, q, r]}"),
    "the first key of an item": (("a", "1", "name"), "remove", None, "  - \n    in: query"),
    "an item of a block list": (("a", "1"), "remove", None, "\n  \n\nb:   # another"),
    "a block text": (("b", "c"), "replace", "new", 'c: "new"\n\n\n  d:'),
    "a key": (("b", "c"), "rename", "e", '"e": >-\n    folded'),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_changes_one_value_and_moves_no_line(name: str) -> None:
    path, action, new, seen = EDITS[name]
    edited = Edit("file.yaml", path, action, new).applied(TEXT)  # type: ignore[arg-type]
    assert seen in edited
    assert edited.count("\n") == TEXT.count("\n")


def test_the_edits_of_a_value_say_where_it_is() -> None:
    value = values(SHIPPED)[f"{POLICIES}#/totp/free"]
    for edit in (replace(value, 2), remove(value), rename(value, "other")):
        assert (edit.file, edit.path) == (value.file, value.path)


def test_the_report_counts_and_names_the_survivors(tmp_path: Path) -> None:
    lines = [
        ("enum", "file#/a/enum/0", "seen", "200 became 500"),
        ("enum", "file#/a/enum/1", "survived", ""),
        ("type", "file#/a/type", "told and seen", "200 became 500"),
    ]
    head = report.write(lines, tmp_path)
    assert head == [
        "   1 of    2  enum",
        "   1 of    1  type",
        "mutations: 2 of 3 (1 seen, 1 survived, 1 told and seen)",
        "survived: file#/a/enum/1",
    ]
    assert "file#/a/type\ttold and seen" in (tmp_path / "mutations.txt").read_text("utf-8")
