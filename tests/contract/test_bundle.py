"""The bundle: one document of many files, with the way back to each of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_spec_validator import OpenAPIV30SpecValidator

from contract.bundle import Bundle, load
from contract.diagnostics import Diagnostic, Location, SpecError
from contract.extensions import Extension, Registry
from contract.source import Sources
from server.extensions import registry as shipped_registry
from tests.contract.notes import complaints, copy, loaded, plant, registry

SHIPPED = Path(__file__).parents[2] / "spec"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return copy(tmp_path)


@pytest.fixture
def bundle(spec: Path) -> Bundle:
    return loaded(spec)


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return load(SHIPPED / "openapi.yaml", shipped_registry())


def _pointers(value: Any, pointer: str = "") -> list[str]:
    members = value.items() if isinstance(value, dict) else []
    members = enumerate(value) if isinstance(value, list) else members
    names = ((str(k).replace("~", "~0").replace("/", "~1"), v) for k, v in members)
    return [pointer, *(p for name, v in names for p in _pointers(v, f"{pointer}/{name}"))]


def _refs(value: Any) -> list[str]:
    if isinstance(value, list):
        return [ref for item in value for ref in _refs(item)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [ref for item in value.values() for ref in _refs(item)]


# -- the document ----------------------------------------------------------------------------


def test_every_reference_leads_to_a_component_of_its_own_name(bundle: Bundle) -> None:
    assert set(_refs(bundle.document["paths"])) >= {
        "#/components/schemas/NoteRequest",
        "#/components/responses/NotFound",
        "#/components/headers/RequestID",
        "#/components/links/readNote",
    }
    for ref in _refs(bundle.document):
        section, name = ref.removeprefix("#/components/").split("/")
        assert name in bundle.document["components"][section]


def test_path_items_stand_in_place_of_their_references(bundle: Bundle) -> None:
    assert bundle.document["paths"]["/notes/{note_id}"]["get"]["operationId"] == "readNote"
    assert bundle.stems == {"/notes": "notes", "/notes/{note_id}": "notes"}


def test_a_reference_inside_an_extension_is_replaced_by_its_target(bundle: Bundle) -> None:
    operation = bundle.document["paths"]["/notes"]["post"]
    assert operation["x-budget"] == {"write": {"free": 5, "delay": "PT30S"}}


def test_what_the_root_lists_is_carried_with_its_content(bundle: Bundle) -> None:
    options = bundle.document["components"]["responses"]["Options"]
    assert options["headers"]["Allow"] == {"$ref": "#/components/headers/Allow"}


def test_a_reference_to_a_reference_keeps_both_names(spec: Path) -> None:
    with (spec / "schemas/notes.yaml").open("a") as file:
        file.write('\nAlias:\n  $ref: "notes.yaml#/NoteID"\n')
    plant(spec, "paths/notes.yaml", "notes.yaml#/NoteID", "notes.yaml#/Alias")
    schemas = loaded(spec).document["components"]["schemas"]
    assert schemas["Alias"] == {"$ref": "#/components/schemas/NoteID"}
    assert schemas["NoteID"]["type"] == "string"


def test_a_name_passed_on_by_another_file_is_one_component(spec: Path) -> None:
    with (spec / "schemas/common.yaml").open("a") as file:
        file.write('\nNoteID:\n  $ref: "notes.yaml#/NoteID"\n')
    plant(spec, "paths/notes.yaml", "notes.yaml#/NoteID", "common.yaml#/NoteID")
    assert loaded(spec).document["components"]["schemas"]["NoteID"]["type"] == "string"


def test_two_things_of_one_name_and_kind_are_refused(spec: Path) -> None:
    with (spec / "schemas/common.yaml").open("a") as file:
        file.write("\nNoteID:\n  type: string\n  maxLength: 3\n  example: a\n")
    plant(spec, "paths/notes.yaml", "notes.yaml#/NoteID", "common.yaml#/NoteID")
    (complaint,) = complaints(spec)
    assert 'the component name "NoteID" is taken by spec/schemas/' in complaint


def test_the_root_keeps_components_of_its_own(spec: Path) -> None:
    schema = "  schemas:\n    Own:\n      type: string\n      example: a\n"
    plant(spec, "openapi.yaml", "components:\n", f"components:\n{schema}")
    bundle = loaded(spec)
    assert bundle.document["components"]["schemas"]["Own"]["type"] == "string"
    assert [w.message for w in bundle.warnings] == ['nothing refers to "Own"']


def test_the_bundle_is_the_same_every_time(spec: Path) -> None:
    assert json.dumps(loaded(spec).document) == json.dumps(loaded(spec).document)


def test_its_texts_are_read_again_wherever_a_link_to_it_leads_by_now(spec: Path) -> None:
    link, other = spec.with_name("link"), spec.with_name("other")
    link.symlink_to(spec)
    before = load((link / "openapi.yaml").resolve(), registry())
    spec.rename(other)
    link.unlink()
    link.symlink_to(other)
    again = load((link / "openapi.yaml").resolve(), registry(), texts=before.texts)
    assert (again.document, again.places) == (before.document, before.places)
    assert again.texts == before.texts


def test_the_shipped_bundle_is_openapi_to_others_too(shipped: Bundle) -> None:
    assert list(OpenAPIV30SpecValidator(shipped.document).iter_errors()) == []


# -- the way back ----------------------------------------------------------------------------


def test_every_key_leads_back_to_where_it_was_written(shipped: Bundle) -> None:
    lines = {f: f.read_text("utf-8").split("\n") for f in shipped.files}
    made = {"", *(f"/components/{section}" for section in shipped.document["components"])}
    keys = [p for p in _pointers(shipped.document) if p not in made and not _is_item(p)]
    assert len(keys) > 1500
    for pointer in keys:
        place = shipped.where(pointer, key=True)
        line = lines[SHIPPED.parent / place.file][place.line - 1]
        name = pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
        assert line[place.column - 1 :].lstrip("\"'").startswith(name)


def _is_item(pointer: str) -> bool:
    name = pointer.rpartition("/")[2]
    return name.isdigit() and len(name) < 3


def test_the_place_of_a_value_is_in_the_file_that_wrote_it(bundle: Bundle) -> None:
    budget = "/paths/~1notes/post/x-budget/write/free"
    assert bundle.where(budget) == Location("spec/components/policies.yaml", 2, 9)
    assert bundle.where(budget, key=True) == Location("spec/components/policies.yaml", 2, 3)
    path = "/paths/~1notes"
    assert bundle.where(path, key=True) == Location("spec/openapi.yaml", 10, 3)
    assert bundle.where(path) == Location("spec/paths/notes.yaml", 2, 3)


def test_a_pointer_to_nothing_gives_what_would_hold_it(bundle: Bundle) -> None:
    known, unknown = (
        "/components/schemas/Note/properties",
        "/components/schemas/Note/properties/x/y",
    )
    assert bundle.where(unknown) == bundle.where(known)


def test_every_file_of_the_graph_is_listed(bundle: Bundle, spec: Path) -> None:
    assert set(bundle.files) == set(spec.rglob("*.yaml"))
    assert bundle.root == spec / "openapi.yaml"


# -- what YAML does to values ----------------------------------------------------------------


def _read(tmp_path: Path, text: str | bytes) -> tuple[Any, list[str]]:
    folder = tmp_path / "spec"
    folder.mkdir()
    data = text.encode() if isinstance(text, str) else text
    (folder / "openapi.yaml").write_bytes(data)
    sources = Sources(folder / "openapi.yaml")
    return sources.read("spec/openapi.yaml"), [str(d) for d in sources.diagnostics]


@pytest.mark.parametrize("text", ["2026-11-24", "2026-11-24T09:30:00Z"])
def test_a_date_stays_text(tmp_path: Path, text: str) -> None:
    assert isinstance(yaml.safe_load(f"a: {text}")["a"], str) is False
    node, found = _read(tmp_path, f"a: {text}")
    assert node.value["a"].value == text
    assert found == []


@pytest.mark.parametrize(
    "text", ["no", "on", "Yes", "010", "0x1F", "1_000", "12:30", ".inf", ".nan"]
)
def test_a_scalar_that_yaml_readers_disagree_on_is_refused(tmp_path: Path, text: str) -> None:
    _, found = _read(tmp_path, f"a: {text}")
    assert found == [
        f"spec/openapi.yaml:1:4: error: YAML readers disagree on {text}: quote it, "
        "or write it as JSON does"
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("null", None), ("~", None), ("-7", -7), ("0.5", 0.5), ("'no'", "no")],
)
def test_json_scalars_are_read_as_json(tmp_path: Path, text: str, value: Any) -> None:
    node, found = _read(tmp_path, f"a: {text}")
    assert (node.value["a"].value, found) == (value, [])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "1:1: error: the file is empty"),
        ("200: a", '1:1: error: the key 200 is not a string: write "200"'),
        ("a: 1\na: 2", '2:1: error: duplicate key "a" (first at line 1)'),
        ("? [a]\n: b", "1:3: error: a key must be a string"),
        ("a: &x {b: 1}\nc:\n  <<: *x", '3:3: error: the merge key "<<" is not part of OpenAPI'),
        ("a: !!python/name:os.system", "1:4: error: the tag"),
        ("a: &x [*x]", "1:4: error: an alias cannot stand inside its own anchor"),
        ("a:\n\tb: 1", "2:1: error: syntax: a tab cannot indent YAML"),
        ("a: é\nb: 'x\x01'", "2:6: error: a control character is not allowed"),
        (b"a: 1\nb: \xff", "2:4: error: not UTF-8"),
        ("a: '{% x %}'", '1:5: error: "{%" in the root is read as a Jinja template'),
    ],
)
def test_what_is_not_plain_json_in_yaml_is_refused(
    tmp_path: Path, text: str | bytes, complaint: str
) -> None:
    _, found = _read(tmp_path, text)
    assert found[0].startswith(f"spec/openapi.yaml:{complaint}")


def test_a_root_that_does_not_exist_is_one_complaint(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as refusal:
        load(tmp_path / "spec" / "openapi.yaml", registry())
    (only,) = refusal.value.diagnostics
    assert str(only).startswith("spec/openapi.yaml:1:1: error: cannot be read")


# -- the registry ----------------------------------------------------------------------------


def _extension(name: str) -> Extension:
    return Extension(name, frozenset({"operation"}), {}, str)


def test_an_extension_is_registered_once_under_a_name_of_its_kind() -> None:
    extensions = Registry()
    extensions.register(_extension("x-a"))
    with pytest.raises(ValueError, match="twice"):
        extensions.register(_extension("x-a"))
    with pytest.raises(ValueError, match="begins with x-"):
        extensions.register(_extension("a"))
    assert extensions.names() == ("x-a",)
    assert extensions.get("x-b") is None


def test_a_diagnostic_reads_as_editors_expect() -> None:
    diagnostic = Diagnostic(Location("spec/paths/mfa.yaml", 17, 7), "error", "no")
    assert str(diagnostic) == "spec/paths/mfa.yaml:17:7: error: no"
