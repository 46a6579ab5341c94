"""Values are put together from examples, or drawn, and always fit."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from contract.mock.values import Source, Unmade, maker
from contract.rules import Rules
from contract.schema import translate

WORD = {"type": "string", "example": "bolt"}

SCHEMAS: dict[str, dict[str, Any]] = {
    "pattern": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3,5}$"},
    "pattern and length": {
        "type": "string",
        "pattern": "^[a-f]+$",
        "minLength": 9,
        "maxLength": 11,
    },
    "alternatives": {"type": "string", "pattern": "^(?:red|green|[0-9]{4})$"},
    "a class that excludes": {"type": "string", "pattern": "^[^:\\u0000-\\u0020]{1,8}$"},
    "a pattern and a format": {
        "type": "string",
        "format": "date-time",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
    },
    "a long text": {"type": "string", "pattern": "^[ab]+$", "minLength": 300},
    "length": {"type": "string", "minLength": 3, "maxLength": 5},
    **{
        kind: {"type": "string", "format": kind}
        for kind in (
            *("uuid", "date-time", "date", "time", "email", "hostname", "uri", "ipv4", "ipv6"),
            *("byte", "password"),
        )
    },
    "enum": {"type": "string", "enum": ["a", "b"]},
    "integer": {"type": "integer", "minimum": 5, "exclusiveMinimum": True, "maximum": 9},
    "a wide integer": {"type": "integer", "format": "int64"},
    "a negative integer": {"type": "integer", "maximum": -5},
    "multiples": {"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 30},
    "number": {"type": "number", "minimum": 0, "maximum": 1},
    "steps": {"type": "number", "multipleOf": 0.25},
    "boolean": {"type": "boolean"},
    "a set": {
        "type": "array",
        "minItems": 3,
        "maxItems": 4,
        "uniqueItems": True,
        "items": {"type": "integer", "minimum": 1, "maximum": 5},
    },
    "nullable": {"type": "string", "format": "uuid", "nullable": True},
    "a nullable choice": {"nullable": True, "oneOf": [WORD, {"type": "integer"}]},
    "oneOf": {
        "oneOf": [
            {"type": "object", "required": ["a"], "properties": {"a": WORD}},
            {"type": "object", "required": ["b"], "properties": {"b": {"type": "boolean"}}},
        ]
    },
    "allOf": {
        "allOf": [
            {
                "type": "object",
                "required": ["data"],
                "properties": {"ok": {"type": "boolean"}, "data": {"type": "object"}},
            },
            {
                "type": "object",
                "properties": {
                    "data": {"type": "object", "required": ["n"], "properties": {"n": WORD}}
                },
            },
        ]
    },
    "a choice beside properties": {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": WORD},
        "anyOf": [
            {"type": "object", "required": ["x"], "properties": {"x": {"type": "integer"}}},
            {"type": "object", "properties": {"y": WORD}},
        ],
    },
    "not": {"type": "string", "pattern": "^[ab]$", "not": {"type": "string", "enum": ["a"]}},
    "write only": {
        "type": "object",
        "required": ["password", "name"],
        "properties": {"password": {"type": "string", "writeOnly": True}, "name": WORD},
    },
    "a map": {"type": "object", "additionalProperties": {"type": "integer"}},
    "a map with a least": {
        "type": "object",
        "minProperties": 2,
        "properties": {"a": WORD},
        "additionalProperties": {"type": "integer"},
    },
    "an open interval": {
        "type": "number",
        "minimum": 0,
        "exclusiveMinimum": True,
        "maximum": 1,
        "exclusiveMaximum": True,
    },
    "an integer that may be any number": {"allOf": [{"type": "number"}, {"type": "integer"}]},
    "a pattern that looks ahead": {
        "type": "string",
        "pattern": "^(?=.*[0-9])(?=.*[a-z])[a-z0-9]{6,8}$",
    },
    "a pattern that counts": {"type": "string", "pattern": "^[ab]{300}$"},
}


def translated(schema: dict[str, Any]) -> dict[str, Any]:
    return translate(schema, {}, "response", keep=("example",))


def made(schema: dict[str, Any], *, shown: bool, times: int = 1) -> list[Any]:
    make, source = maker(translated(schema)), Source(Random(7), shown)
    return [make(source) for _ in range(times)]


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_made_fits(name: str) -> None:
    rules = Rules(translated(SCHEMAS[name]), closed=True)
    values = made(SCHEMAS[name], shown=False, times=60) + made(SCHEMAS[name], shown=True, times=3)
    assert [value for value in values if not rules.admits(value)] == []


def test_what_is_drawn_differs() -> None:
    for name in ("pattern", "uuid", "integer", "a set", "nullable", "oneOf", "allOf", "boolean"):
        values = made(SCHEMAS[name], shown=False, times=60)
        assert len({json.dumps(value) for value in values}) > 1, name
    assert any(made(SCHEMAS["a map"], shown=False, times=60))
    assert any(value % 1 for value in made(SCHEMAS["number"], shown=False, times=60))
    assert None in made(SCHEMAS["nullable"], shown=False, times=60)
    # What no example says is drawn even where examples are shown, and is never null.
    assert None not in made(SCHEMAS["nullable"], shown=True, times=60)


def test_examples_are_shown_where_they_are() -> None:
    assert made(WORD, shown=True) == ["bolt"]
    assert made({"allOf": [WORD], "example": "nut"}, shown=True) == ["nut"]
    assert made(SCHEMAS["oneOf"], shown=True) == [{"a": "bolt"}]
    assert made({"type": "array", "items": WORD}, shown=True) == [["bolt"]]
    assert made({"type": "string", "nullable": True, "example": None}, shown=True) == [None]


def test_a_list_longer_than_its_example_begins_with_it_and_goes_on() -> None:
    codes = {"type": "string", "pattern": "^[0-9]{4}$", "example": "0042"}
    ten = {"type": "array", "minItems": 10, "maxItems": 10, "uniqueItems": True, "items": codes}
    (shown,) = made(ten, shown=True)
    assert shown[0] == "0042"
    assert len(set(shown)) == 10


def test_an_example_of_a_part_is_not_shown_for_the_whole() -> None:
    envelope = {"type": "object", "properties": {"data": {"type": "object", "example": {}}}}
    typed = {
        "type": "object",
        "required": ["data"],
        "properties": {"data": {"type": "object", "required": ["n"], "properties": {"n": WORD}}},
    }
    assert made({"allOf": [envelope, typed]}, shown=True) == [{"data": {"n": "bolt"}}]
    assert made(envelope, shown=True) == [{}]


def test_where_drawing_fails_the_example_is_taken() -> None:
    looking_back = {"type": "string", "pattern": "^[a-z]{3}(?<=abc)$", "example": "abc"}
    assert made(looking_back, shown=False) == ["abc"]


def test_repeats_within_repeats_stay_short() -> None:
    texts = made({"type": "string", "pattern": "^(?:(?:a*)*)*$"}, shown=False, times=60)
    assert max(map(len, texts)) <= 8**3


def test_a_set_costs_no_more_draws_than_it_needs() -> None:
    class Counting(Random):
        draws = 0

        def randint(self, low: int, high: int) -> int:
            self.draws += 1
            return super().randint(low, high)

    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(3):
        schema = {"type": "array", "minItems": 2, "uniqueItems": True, "items": schema}
    random = Counting(7)
    maker(translated(schema))(Source(random, shown=False))
    assert random.draws < 5**3 + 5**2 + 5 + 20  # at most five items a level, and a few drawn twice


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 10**9},
        {"type": "array", "minItems": 10**9, "items": WORD},
        {"type": "object", "minProperties": 10**9, "additionalProperties": WORD},
    ],
    ids=lambda schema: schema["type"],
)
def test_what_would_fill_the_memory_is_left_to_an_example(schema: dict[str, Any]) -> None:
    with pytest.raises(Unmade):
        made(schema, shown=False)


def test_what_cannot_be_made_is_no_value() -> None:
    with pytest.raises(Unmade):
        made({"oneOf": [WORD, WORD]}, shown=True)
    with pytest.raises(Unmade):
        made({"allOf": [{"type": "string"}, {"type": "integer"}]}, shown=False)
