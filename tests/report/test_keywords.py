"""What a value satisfies and breaks is told keyword by keyword, at its place in the bundle."""

from __future__ import annotations

from typing import Any

import pytest

from tests.report.keywords import Finding, Place, Schemas, generalised

PET = "/components/schemas/Pet"
DOCUMENT: dict[str, Any] = {
    "components": {
        "schemas": {
            "Name": {"type": "string", "minLength": 2, "format": "password", "nullable": True},
            "Pet": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {
                    "name": {"$ref": "#/components/schemas/Name"},
                    "ages": {
                        "type": "array",
                        "uniqueItems": True,
                        "items": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
                    },
                },
            },
            "Key": {
                "oneOf": [
                    {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}},
                    {"type": "object", "required": ["b", "c"]},
                ]
            },
        }
    }
}
SCHEMAS = Schemas(DOCUMENT, "request")
NAME = "/components/schemas/Name"
AGE = f"{PET}/properties/ages/items"


def broken(pointer: str, value: Any) -> set[tuple[str, str]]:
    return {(f.at, f.pointer) for f in SCHEMAS.at(pointer).judge(value) if not f.holds}


def test_every_keyword_that_can_refuse_a_value_is_a_place() -> None:
    assert set(SCHEMAS.at(PET).places()) == {
        *(
            Place("", f"{PET}/{word}", True)
            for word in ("type", "additionalProperties", "required")
        ),
        *(Place("/name", f"{NAME}/{word}", True) for word in ("type", "minLength")),
        *(Place("/name", f"{NAME}/{word}", False) for word in ("format", "nullable")),
        *(
            Place("/ages", f"{PET}/properties/ages/{word}", True)
            for word in ("type", "uniqueItems")
        ),
        *(Place("/ages/*", f"{AGE}/{w}", True) for w in ("type", "minimum", "exclusiveMinimum")),
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": "ab", "ages": [1, 2]}, set()),
        ({"name": None}, set()),
        ({"name": "a"}, {("/name", f"{NAME}/minLength")}),
        ({"name": 1}, {("/name", f"{NAME}/type")}),
        ({"ages": []}, {("", f"{PET}/required")}),
        ({"name": "ab", "x": 1}, {("", f"{PET}/additionalProperties")}),
        ({"name": "ab", "ages": [1, 1]}, {("/ages", f"{PET}/properties/ages/uniqueItems")}),
        ({"name": "ab", "ages": [0]}, {("/ages/*", f"{AGE}/exclusiveMinimum")}),
        ([], {("", f"{PET}/type")}),
    ],
)
def test_a_keyword_is_broken_alone(value: Any, expected: set[tuple[str, str]]) -> None:
    assert broken(PET, value) == expected


def test_a_keyword_says_nothing_of_a_value_that_it_does_not_speak_of() -> None:
    told = {finding.pointer for finding in SCHEMAS.at(PET).judge({"name": 1})}
    assert f"{NAME}/minLength" not in told
    assert f"{PET}/properties/ages/type" not in told


def test_null_satisfies_the_permission_alone() -> None:
    assert set(SCHEMAS.at(NAME).judge(None)) == {Finding("", f"{NAME}/nullable", True)}


def test_a_format_that_is_a_bound_is_broken_beyond_it() -> None:
    schemas = Schemas({"x": {"type": "integer", "format": "int32"}}, "request")
    told = {value: list(schemas.at("/x").judge(value)) for value in (2**31 - 1, 2**31)}
    assert all(finding.holds for finding in told[2**31 - 1])
    assert [f.pointer for f in told[2**31] if not f.holds] == ["/x/format"]


def test_of_alternatives_the_nearest_one_speaks() -> None:
    first, second = "/components/schemas/Key/oneOf/0", "/components/schemas/Key/oneOf/1"
    assert broken("/components/schemas/Key", {"a": 1}) == {
        ("", "/components/schemas/Key/oneOf"),
        ("/a", f"{first}/properties/a/type"),
        ("", f"{second}/required"),
    }
    assert broken("/components/schemas/Key", {"a": "x"}) == set()
    told = {f.pointer for f in SCHEMAS.at("/components/schemas/Key").judge({"b": 1, "c": 1})}
    assert f"{second}/required" in told
    assert f"{first}/required" not in told


def test_the_number_of_an_item_does_not_matter() -> None:
    assert generalised("/ages/12/x/0") == "/ages/*/x/*"
    assert generalised("/a1/b") == "/a1/b"
