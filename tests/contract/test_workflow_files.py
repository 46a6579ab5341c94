"""A workflow that does not fit the spec is named at its file, line and column."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from contract.diagnostics import SpecError
from server import spec
from tests.contract.notes import copy, plant
from tests.support.servers import ROOT

SHIPPED = ROOT / "spec"
ENROLMENT = "workflows/enrolment.arazzo.yaml"
FILES = sorted(path.name for path in (SHIPPED / "workflows").glob("*.arazzo.yaml"))


def complaints(files: Path) -> list[str]:
    """What stops the server from being started on a copy of the spec."""
    with pytest.raises(SpecError) as told:
        spec.read(files / "openapi.yaml")
    return [str(each) for each in told.value.diagnostics]


def places(files: Path, file: str, text: str) -> list[str]:
    """Where a text stands, as diagnostics say it; it stands at most once in a line."""
    lines = (files / file).read_text(encoding="utf-8").splitlines()
    return [
        f"spec/{file}:{number}:{line.index(text) + 1}"
        for number, line in enumerate(lines, 1)
        if text in line
    ]


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        (
            "$sourceDescriptions.countersign.setupMFA",
            "$sourceDescriptions.countersign.setUpMFA",
            "$sourceDescriptions.countersign.setUpMFA",
            'no operation "setUpMFA" (did you mean "setupMFA"?)',
        ),
        (
            "code: $steps.readCode",
            "kode: $steps.readCode",
            "kode:",
            'verifyMFA takes no "kode" (did you mean "code"?)',
        ),
        (
            "#/data/secret",
            "#/data/secrets",
            "$response.body#/data/secrets",
            'no reply of setupMFA has "/data/secrets"',
        ),
        (
            "#/data/backup_codes/0",
            "#/data/backup_codes/first",
            "$response.body#/data/backup_codes/first",
            'no reply of setupMFA has "/data/backup_codes/first"',
        ),
        (
            "@.data.acr ==",
            "@.data.arc ==",
            "$[?@.data.arc",
            'no reply of getSession has "/data/arc"',
        ),
    ],
)
def test_a_slip_in_a_step_is_named_where_it_stands(
    tmp_path: Path, old: str, new: str, at: str, message: str
) -> None:
    files = copy(tmp_path, SHIPPED)
    plant(files, ENROLMENT, old, new)
    (place,) = places(files, ENROLMENT, at)
    assert complaints(files) == [f"{place}: error: {message}"]


@pytest.mark.parametrize("name", FILES)
def test_every_step_of_every_file_is_held_against_the_spec(tmp_path: Path, name: str) -> None:
    files = copy(tmp_path, SHIPPED)
    path = files / "workflows" / name
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("$sourceDescriptions.countersign.", "$sourceDescriptions.countersign.x")
    )
    wrong = places(files, f"workflows/{name}", "$sourceDescriptions.countersign.x")
    assert wrong
    assert [each.partition(": ")[0] for each in complaints(files)] == wrong


def test_an_edit_of_the_spec_that_orphans_a_workflow_is_told(tmp_path: Path) -> None:
    files = copy(tmp_path, SHIPPED)
    plant(files, "schemas/mfa.yaml", "    - pending\n", "    - waiting\n")
    plant(files, "schemas/mfa.yaml", "    pending:\n", "    waiting:\n")
    told = complaints(files)
    assert [each.partition(":")[0] for each in told] == [
        f"spec/{ENROLMENT}",
        "spec/workflows/rotation.arazzo.yaml",
    ]
    assert all(each.endswith('no reply of getMFAStatus has "/data/pending"') for each in told)


def test_a_file_that_describes_another_spec_is_refused(tmp_path: Path) -> None:
    files = copy(tmp_path, SHIPPED)
    plant(files, ENROLMENT, "../openapi.yaml", "../openapi.yml")
    message = "none of the sourceDescriptions leads to the root of this spec"
    assert complaints(files) == [f"spec/{ENROLMENT}:1:1: error: {message}"]


@pytest.mark.parametrize("key", ["title", "summary"])
def test_a_file_that_does_not_say_what_it_is_is_refused(tmp_path: Path, key: str) -> None:
    files = copy(tmp_path, SHIPPED)
    plant(files, ENROLMENT, f"\n  {key}: ", f"\n  x-{key}: ")
    assert complaints(files) == [f'spec/{ENROLMENT}:1:1: error: its info needs "{key}"']


def test_what_yaml_itself_refuses_is_told(tmp_path: Path) -> None:
    files = copy(tmp_path, SHIPPED)
    plant(files, ENROLMENT, "  title: Enrolment\n", "  title: Enrolment\n  title: Enrolment\n")
    assert complaints(files) == [
        f'spec/{ENROLMENT}:4:3: error: duplicate key "title" (first at line 3)'
    ]


def test_a_spec_needs_no_workflows(tmp_path: Path) -> None:
    files = copy(tmp_path, SHIPPED)
    shutil.rmtree(files / "workflows")
    assert spec.read(files / "openapi.yaml").contract.operations
