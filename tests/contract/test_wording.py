"""What is said of an error stands in the spec, as the message of an example, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contract.operation import ResponseRule
from contract.replies import in_words
from tests.contract.lab.stage import Lab, Refusal, contract
from tests.contract.lab.variants import edited

NOT_FOUND = "NotFound:\n  description: There is no such thing\n"
SHARED = "components/responses.yaml"


def shown(code: str, message: str, indent: str = "  ") -> str:
    """A name's example as it stands in YAML, in flow style."""
    error = f"{{code: {code}, details: [], request_id: x}}"
    return f"{indent}value: {{success: false, message: {message}, error: {error}}}\n"


def with_examples(folder: Path, **examples: tuple[str, str]) -> Path:
    """The lab with named examples on its shared 404: code and message of each."""
    body = "".join(
        f"        {name}:\n{shown(*said, indent=' ' * 10)}" for name, said in examples.items()
    )
    path = edited(folder, SHARED, NOT_FOUND, NOT_FOUND).parent / SHARED
    before, found, after = path.read_text("utf-8").partition(NOT_FOUND)
    schema = 'schema:\n        $ref: "../schemas/things.yaml#/ErrorResponse"\n'
    after = after.replace(schema, f"{schema}      examples:\n{body}" if body else schema, 1)
    path.write_text(before + found + after, "utf-8")
    return folder / "spec" / "openapi.yaml"


def rule(root: Path) -> ResponseRule:
    return contract(root).operations["getThing"].responses["404"]


TWO = {"first": ("taken", "One"), "taken": ("taken", "Two"), "third": ("taken", "Three")}


@pytest.mark.parametrize(
    ("examples", "asked", "said"),
    [
        ({"not_found": ("not_found", "Nowhere")}, ("not_found", None), "Nowhere"),
        ({"x": ("not_found", "Nowhere")}, ("not_found", None), "Nowhere"),
        ({"x": ("not_found", "Nowhere")}, ("taken", None), "There is no such thing"),
        ({}, ("not_found", None), "There is no such thing"),
        (TWO, ("taken", None), "Two"),
        ({"a": ("taken", "One"), "b": ("taken", "Two")}, ("taken", None), "One"),
        (TWO, ("taken", "third"), "Three"),
        (TWO, ("taken", "fourth"), "Two"),
        ({"x": ("taken", '" Padded "')}, ("taken", None), "Padded"),
        ({"x": ("taken", '""')}, ("taken", None), ""),
    ],
)
def test_a_message_is_that_of_the_wording_of_the_code_or_the_description(
    tmp_path: Path,
    examples: dict[str, tuple[str, str]],
    asked: tuple[str, str | None],
    said: str,
) -> None:
    assert rule(with_examples(tmp_path, **examples)).message(*asked) == said


@pytest.mark.parametrize(
    "value", ["Nowhere", "[]", "{message: x}", "{message: 1, error: {code: a}}"]
)
def test_an_example_that_shows_no_error_says_nothing(tmp_path: Path, value: str) -> None:
    said = shown("not_found", "Nowhere", indent=" " * 10)
    root = with_examples(tmp_path, not_found=("not_found", "Nowhere"))
    assert rule(root).message("not_found") == "Nowhere"
    assert rule(edited(tmp_path, SHARED, said, f"          value: {value}\n")).wordings == {}


def test_one_example_without_a_name_says_it_too(tmp_path: Path) -> None:
    root = with_examples(tmp_path, alone=("not_found", "Nowhere"))
    said = shown("not_found", "Nowhere", indent=" " * 10)
    named = f"      examples:\n        alone:\n{said}"
    edited(tmp_path, SHARED, named, said.replace("          value", "      example"))
    assert rule(root).wordings == {"not_found": "Nowhere"}


def test_an_example_is_found_behind_its_reference(tmp_path: Path) -> None:
    root = with_examples(tmp_path, not_found=("not_found", "Nowhere"))
    said = shown("not_found", "Nowhere", indent=" " * 10)
    edited(tmp_path, SHARED, said, '          $ref: "examples.yaml#/Nowhere"\n')
    kept = root.parent / "components" / "examples.yaml"
    kept.write_text(f"Nowhere:\n{shown('not_found', 'Behind')}", "utf-8")
    assert rule(root).message("not_found") == "Behind"


def told(lab: Lab, method: str, target: str, **options: Any) -> str:
    return str(lab.call(method, target, **options).json["message"])


def test_an_edit_of_the_shared_reply_is_heard_from_all_who_send_it(tmp_path: Path) -> None:
    lab = Lab(contract(with_examples(tmp_path, not_found=("not_found", "Nowhere"))))
    lab.stage.answers["getThing"] = Refusal(404, "not_found")
    assert told(lab, "GET", "/things/a-1") == "Nowhere"
    assert told(lab, "GET", "/nope") == "Nowhere"


def test_a_reply_of_its_own_changes_one_operation(tmp_path: Path) -> None:
    own = (
        "        description: Not here\n"
        '        headers: {X-Request-ID: {$ref: "../components/headers.yaml#/RequestID"}}\n'
        "        content:\n          application/json:\n"
        '            schema: {$ref: "../schemas/things.yaml#/ErrorResponse"}\n'
    )
    root = edited(tmp_path, SHARED, NOT_FOUND, NOT_FOUND)
    path = root.parent / "paths" / "things.yaml"
    before, found, after = path.read_text("utf-8").partition("operationId: getThing\n")
    shared = '        $ref: "../components/responses.yaml#/NotFound"\n'
    path.write_text(before + found + after.replace(shared, own, 1), "utf-8")
    lab = Lab(contract(root))
    for name in ("getThing", "removeThing"):
        lab.stage.answers[name] = Refusal(404, "not_found")
    assert told(lab, "GET", "/things/a-1") == "Not here"
    assert told(lab, "DELETE", "/things/a-1", token="good") == "There is no such thing"
    assert told(lab, "GET", "/nope") == "There is no such thing"


def test_a_refusal_is_told_from_another_of_its_code_by_its_wording(tmp_path: Path) -> None:
    both = {"not_found": ("not_found", "Nowhere"), "gone": ("not_found", "Gone")}
    lab = Lab(contract(with_examples(tmp_path, **both)))
    refusal = lab.stage.answers["getThing"] = Refusal(404, "not_found")
    assert told(lab, "GET", "/things/a-1") == "Nowhere"
    refusal.wording = "gone"
    assert told(lab, "GET", "/things/a-1") == "Gone"


def test_where_no_spec_can_be_asked_the_code_is_said_in_words() -> None:
    assert in_words("unsupported_media_type") == "Unsupported media type"
