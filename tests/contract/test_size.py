"""The largest value of a schema, which decides how much of a body is read."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.parse import NUMBER
from contract.schema import translate
from contract.size import CEILING, WHITE_SPACE, largest, limit

Schema = dict[str, Any]
TEXT = {"type": "string", "maxLength": 2}
WIDE = 2 + 2 * 12


def obj(closed: bool = True, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties} | (
        {"additionalProperties": False} if closed else {}
    )


def member(name: str) -> int:
    return 12 * len(f'"{name}":,')


SIZES: dict[str, tuple[Schema, float]] = {
    "a text": (TEXT, WIDE),
    "a text without end": ({"type": "string"}, math.inf),
    "a listed value": ({"type": "string", "enum": ["a", "abc"]}, 12 * len('"abc"')),
    "an integer": ({"type": "integer"}, NUMBER),
    "a number": ({"type": "number"}, NUMBER),
    "a truth value": ({"type": "boolean"}, 5),
    "a text or null": (TEXT | {"nullable": True}, WIDE),
    "a truth value or null": ({"type": "boolean", "nullable": True}, 5),
    "a list": ({"type": "array", "maxItems": 3, "items": TEXT}, 2 + 3 * (WIDE + 1)),
    "a list without end": ({"type": "array", "items": TEXT}, math.inf),
    "an object": (obj(a=TEXT, bc=TEXT), 2 + member("a") + member("bc") + 2 * WIDE),
    "an object that is open": (obj(closed=False, a=TEXT), math.inf),
    "a member that no request has": (
        obj(a=TEXT, b=TEXT | {"readOnly": True}),
        2 + member("a") + member("b") + WIDE,
    ),
    "a choice": ({"oneOf": [TEXT, {"type": "boolean"}]}, WIDE),
    "a choice or null": ({"nullable": True, "anyOf": [TEXT]}, 12 * len("null")),
    "parts": ({"allOf": [TEXT, TEXT]}, 2 * WIDE),
    "anything": ({}, math.inf),
}


@pytest.mark.parametrize("name", SIZES)
def test_the_largest_value_is_that_of_its_type(name: str) -> None:
    schema, size = SIZES[name]
    assert largest(translate(schema, {}, "request")) == size


@pytest.mark.parametrize(
    ("length", "read"),
    [(10, 2 + 120 + WHITE_SPACE), (5_000, 2 + 60_000 + WHITE_SPACE), (5_400, CEILING)],
)
def test_a_body_is_read_to_its_size_and_some_white_space_but_never_beyond_the_ceiling(
    length: int, read: int
) -> None:
    assert limit({"type": "string", "maxLength": length}) == read


def test_a_body_without_a_size_is_read_to_the_ceiling() -> None:
    assert limit({}) == limit({"type": "string"}) == CEILING


_leaves = st.one_of(
    st.builds(lambda n: {"type": "string", "maxLength": n}, st.integers(0, 5)),
    st.just({"type": "boolean", "nullable": True}),
    st.lists(st.text(max_size=4), min_size=1).map(lambda values: {"enum": values}),
)
_schemas = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(
            lambda item, most: {"type": "array", "items": item, "maxItems": most},
            inner,
            st.integers(0, 3),
        ),
        st.dictionaries(st.text(max_size=3), inner, max_size=3).map(lambda each: obj(**each)),
        st.lists(inner, min_size=1, max_size=3).map(lambda forms: {"oneOf": forms}),
    ),
    max_leaves=6,
)


def values(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that fit one of the schemas above."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "oneOf" in schema:
        return st.one_of(*map(values, schema["oneOf"]))
    match schema["type"]:
        case "string":
            return st.text('\U0001f600a\0"', max_size=schema["maxLength"])
        case "boolean":
            return st.sampled_from([True, False, None])
        case "array":
            return st.lists(values(schema["items"]), max_size=schema["maxItems"])
    return st.fixed_dictionaries({k: values(v) for k, v in schema["properties"].items()})


@given(st.data())
def test_nothing_that_fits_is_larger(data: st.DataObject) -> None:
    schema = data.draw(_schemas)
    value = data.draw(values(schema))
    written = json.dumps(value, separators=(",", ":"))  # in ASCII, so with each wide one escaped
    assert len(written) <= largest(translate(schema, {}, "request"))
