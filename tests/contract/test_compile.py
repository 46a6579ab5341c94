"""Schemas as they are translated, closed and compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contract.bundle import load
from contract.compile import compile_contract, snake_case
from contract.diagnostics import SpecError
from contract.extensions import Extension, Registry
from contract.rules import Rules
from contract.schema import translate
from tests.contract.lab.stage import contract
from tests.contract.lab.variants import edited

DOCUMENT: dict[str, Any] = {
    "components": {
        "schemas": {
            "Name": {"type": "string", "maxLength": 3},
            "Entity": {
                "type": "object",
                "required": ["id", "key"],
                "properties": {
                    "id": {"type": "string", "readOnly": True},
                    "key": {"type": "string", "writeOnly": True},
                },
            },
        }
    }
}
NAME = {"$ref": "#/components/schemas/Name"}
ENTITY = {"$ref": "#/components/schemas/Entity"}


def request(schema: dict[str, Any]) -> Rules:
    return Rules(translate(schema, DOCUMENT, "request"))


def response(schema: dict[str, Any]) -> Rules:
    return Rules(translate(schema, DOCUMENT, "response"), closed=True)


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


TRANSLATED = [
    # schema, what fits, what does not
    ({"type": "string", "nullable": True}, ["a", None], [1]),
    ({"type": "string"}, ["a"], [None]),
    ({"type": "string", "nullable": True, "enum": ["a"]}, ["a", None], ["b"]),
    ({"type": "string", "nullable": True, "enum": ["a", None]}, ["a", None], ["b"]),
    ({"nullable": True, "allOf": [NAME]}, ["abc", None], ["abcd", 1]),
    ({"nullable": True, "oneOf": [NAME, {"type": "integer"}]}, ["a", 1, None], [1.5]),
    (
        {"type": "object", "nullable": True, "required": ["a"], "properties": {"a": {}}},
        [{"a": 1}, None],
        [{}],
    ),
    ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, [2], [1]),
    ({"type": "integer", "minimum": 1, "exclusiveMinimum": False}, [1], [0]),
    ({"type": "integer", "maximum": 9, "exclusiveMaximum": True}, [8], [9]),
    ({"type": "integer", "format": "int32"}, [2**31 - 1, -(2**31)], [2**31, -(2**31) - 1]),
    ({"type": "integer", "format": "int64"}, [2**63 - 1], [2**63]),
    ({"type": "integer", "format": "int32", "maximum": 5}, [5], [6]),
    ({"type": "integer"}, [1], [True, 1.5, "1"]),
    ({"type": "string", "format": "uuid"}, ["7c9e6679-7425-40de-944b-e07fc1f90ae7"], ["7", ""]),
    ({"type": "string", "format": "date-time"}, ["2026-11-24T09:30:00Z"], ["2026-11-24", "now"]),
    ({"type": "string", "format": "date"}, ["2026-11-24"], ["2026-13-01"]),
    ({"type": "string", "format": "byte"}, ["aGk=", ""], ["aGk", "%"]),
    ({"type": "string", "format": "password"}, ["x"], [1]),
    # ECMA-262: $ is the end and nothing but the end, \d is ASCII.
    ({"type": "string", "pattern": "^[0-9]{6}$"}, ["123456"], ["123456\n", "1234567"]),
    ({"type": "string", "pattern": r"^\d+$"}, ["12"], ["١٢"]),
    ({"discriminator": {"propertyName": "a"}, "oneOf": [NAME]}, ["abc"], ["abcd"]),
    ({"not": {"type": "string"}}, [1], ["a"]),
    ({"type": "array", "items": NAME, "uniqueItems": True}, [["a", "b"]], [["a", "a"], ["abcd"]]),
]


@pytest.mark.parametrize(("schema", "fits", "fails"), TRANSLATED)
def test_openapi_3_0_means_what_it_says(
    schema: dict[str, Any], fits: list[Any], fails: list[Any]
) -> None:
    for rules in (request(schema), response(schema)):
        assert [value for value in fits if not rules.admits(value)] == []
        assert [value for value in fails if rules.admits(value)] == []


@pytest.mark.parametrize("schema", [ENTITY, {"allOf": [ENTITY, obj(name=NAME)]}])
def test_a_read_only_property_belongs_to_replies_alone(schema: dict[str, Any]) -> None:
    assert request(schema).admits({"key": "k"})
    assert not request(schema).admits({"key": "k", "id": "i"})
    assert response(schema).admits({"id": "i"})
    assert not response(schema).admits({"id": "i", "key": "k"})
    found = request(schema).violations({"key": "k", "id": "i"}, "body")
    assert [(v.pointer, v.keyword, v.message) for v in found] == [
        ("/id", "not", "is not taken here")
    ]


def test_a_name_required_beside_a_read_only_property_is_not_demanded_either() -> None:
    split = {"allOf": [obj(id={"type": "string", "readOnly": True}), {"required": ["id"]}]}
    assert request(split).admits({})
    assert not response(split).admits({})


ONE = obj(a={"type": "integer"}) | {"required": ["a"]}
TWO = obj(b={"type": "integer"}) | {"required": ["b"]}
ENVELOPE = obj(success={"type": "boolean"}, data={"type": "object"})
DATA = {"allOf": [ENVELOPE, obj(data=obj(x={"type": "integer"}))]}
DEEP = {"allOf": [obj(p=obj(q=obj(r={}))), obj(p={"allOf": [obj(q=obj(s={}))]})]}

CLOSED = [
    ({"type": "object"}, [{}], [{"a": 1}]),
    (ONE, [{"a": 1}], [{"a": 1, "b": 1}]),
    (obj(a={"type": "object"}), [{"a": {}}], [{"a": {"b": 1}}]),
    (ENVELOPE, [{"success": True}, {"data": {}}], [{"data": {"x": 1}}]),
    (DATA, [{"success": True, "data": {"x": 1}}, {"data": {}}], [{"data": {"y": 1}}, {"z": 1}]),
    (DEEP, [{"p": {"q": {"r": 1, "s": 1}}}], [{"p": {"q": {"t": 1}}}, {"p": {"t": 1}}]),
    ({"oneOf": [ONE, TWO]}, [{"a": 1}, {"b": 1}], [{"a": 1, "b": 1}, {"a": 1, "c": 1}, {}]),
    ({"anyOf": [ONE, TWO]}, [{"a": 1}, {"b": 1}], [{"a": 1, "c": 1}, {}]),
    # The branch is merged with what stands beside it.
    (
        {"allOf": [ENVELOPE, {"oneOf": [ONE, TWO]}]},
        [{"success": True, "a": 1}],
        [{"success": True}],
    ),
    (obj(c={}) | {"oneOf": [ONE, TWO]}, [{"a": 1, "c": 2}], [{"a": 1, "c": 2, "d": 3}]),
    (
        {"allOf": [{"oneOf": [ONE, TWO]}, {"oneOf": [obj(c={}) | {"required": ["c"]}]}]},
        [{"a": 1, "c": 1}, {"b": 1, "c": 1}],
        [{"a": 1}, {"a": 1, "c": 1, "d": 1}],
    ),
    (
        {"allOf": [obj(d={"oneOf": [ONE, TWO]}), obj(d=obj(c={}))]},
        [{"d": {"a": 1, "c": 1}}, {"d": {"b": 1}}],
        [{"d": {"a": 1, "e": 1}}],
    ),
    ({"type": "array", "items": ONE}, [[{"a": 1}]], [[{"a": 1, "b": 1}]]),
    (
        {"allOf": [{"items": obj(a={})}, {"items": obj(b={})}]},
        [[{"a": 1, "b": 1}]],
        [[{"a": 1, "c": 1}]],
    ),
    (ONE | {"additionalProperties": True}, [{"a": 1, "b": {"c": 1}}], [{}]),
    (ONE | {"additionalProperties": {}}, [{"a": 1, "b": {"c": 1}}], [{}]),
    (
        ONE | {"additionalProperties": ONE},
        [{"a": 1, "b": {"a": 1}}],
        [{"a": 1, "b": {"a": 1, "c": 1}}],
    ),
    (ONE | {"additionalProperties": False}, [{"a": 1}], [{"a": 1, "b": 1}]),
    ({"allOf": [ONE, {"additionalProperties": True}]}, [{"a": 1, "z": 1}], [{"z": 1}]),
    # Closed by hand, an `allOf` refuses the other part's names, here as anywhere else.
    ({"allOf": [ONE | {"additionalProperties": False}, TWO]}, [], [{"a": 1, "b": 1}, {"a": 1}]),
    ({"nullable": True, "allOf": [ONE]}, [None, {"a": 1}], [{"a": 1, "b": 1}, {}]),
    (ONE | {"nullable": True}, [None, {"a": 1}], [{"a": 1, "b": 1}, {}]),
    ({}, [1, "a", None, [], {}], [{"a": 1}]),
]


@pytest.mark.parametrize(("schema", "fits", "fails"), CLOSED)
def test_a_reply_holds_what_the_merged_schema_names_and_nothing_else(
    schema: dict[str, Any], fits: list[Any], fails: list[Any]
) -> None:
    rules = response(schema)
    assert [value for value in fits if not rules.admits(value)] == []
    assert [value for value in fails if rules.admits(value)] == []


def test_a_reply_that_two_open_branches_fit_is_refused() -> None:
    """A client that validates with the schema as it stands would refuse it."""
    ambiguous = {"oneOf": [obj(a={}), obj(b={})]}
    assert not response(ambiguous).admits({"a": 1})


def test_a_request_stays_as_open_as_its_schema() -> None:
    assert request(ONE).admits({"a": 1, "b": 1})


# -- what is wrong, in words ------------------------------------------------------------------

LOGIN = {
    "oneOf": [
        obj(name=NAME, word={"type": "string", "minLength": 2})
        | {"required": ["name", "word"], "additionalProperties": False},
        obj(ticket=NAME) | {"required": ["ticket"], "additionalProperties": False},
    ]
}
EXPLAINED = [
    ({"name": "a"}, [("", "required", 'lacks "word"')]),
    (
        {"name": "abcd", "word": 1},
        [("/name", "maxLength", "is longer than 3"), ("/word", "type", "must be string")],
    ),
    ({"ticket": "abcd"}, [("/ticket", "maxLength", "is longer than 3")]),
    (
        {"ticket": "abc", "secret!": 1},
        [("", "additionalProperties", "has a property that is not declared")],
    ),
    ({}, [("", "oneOf", "does not fit exactly one of the forms listed")]),
    ([], [("", "oneOf", "does not fit exactly one of the forms listed")]),
]


@pytest.mark.parametrize(("value", "expected"), EXPLAINED)
def test_the_form_that_was_evidently_meant_is_explained(value: Any, expected: list[Any]) -> None:
    found = request(LOGIN).violations(value, "body")
    assert sorted((v.pointer, v.keyword, v.message) for v in found) == sorted(expected)


def test_null_or_an_object_explains_the_object() -> None:
    found = request({"nullable": True, "allOf": [ONE]}).violations({"a": "x"}, "body")
    assert [(v.pointer, v.keyword) for v in found] == [("/a", "type")]


def test_a_submitted_name_is_not_in_the_pointer() -> None:
    free = obj(tags={"type": "object", "additionalProperties": {"type": "integer"}})
    found = request(free).violations({"tags": {"hunter2": "x"}}, "body")
    assert [(v.pointer, v.keyword) for v in found] == [("/tags", "type")]


def test_the_pointer_escapes_names() -> None:
    found = request(obj(**{"a/b~c": NAME})).violations({"a/b~c": 1}, "body")
    assert found[0].pointer == "/a~1b~0c"


def test_violations_are_bounded() -> None:
    found = request({"type": "array", "items": NAME}).violations([1] * 1000, "body")
    assert 0 < len(found) <= 20


VALUE = "hunter2hunter2"
KEYWORDS = [
    ({"type": "integer"}, VALUE),
    ({"enum": ["a"]}, VALUE),
    ({"maxLength": 3}, VALUE),
    ({"minLength": 99}, VALUE),
    ({"pattern": "^a$"}, VALUE),
    ({"type": "string", "format": "uuid"}, VALUE),
    ({"maximum": 3}, 31337),
    ({"minimum": 99999}, 31337),
    ({"minimum": 31337, "exclusiveMinimum": True}, 31337.0),
    ({"maximum": 31337, "exclusiveMaximum": True}, 31337.0),
    ({"multipleOf": 2}, 31337),
    ({"type": "array", "maxItems": 0}, [VALUE]),
    ({"type": "array", "minItems": 2}, [VALUE]),
    ({"type": "array", "uniqueItems": True}, [VALUE, VALUE]),
    ({"type": "object", "maxProperties": 0}, {VALUE: VALUE}),
    ({"type": "object", "minProperties": 2}, {VALUE: VALUE}),
    ({"type": "object", "additionalProperties": False}, {VALUE: VALUE}),
    ({"type": "object", "required": ["a"]}, {VALUE: VALUE}),
    ({"oneOf": [{"type": "integer"}, {"type": "boolean"}]}, VALUE),
    ({"anyOf": [{"type": "integer"}, {"type": "boolean"}]}, VALUE),
    ({"not": {"type": "string"}}, VALUE),
]


@pytest.mark.parametrize(("schema", "value"), KEYWORDS)
def test_every_keyword_is_said_in_words_and_without_the_value(
    schema: dict[str, Any], value: Any
) -> None:
    found = request(schema).violations(value, "body")
    assert found
    for violation in found:
        assert violation.message != "does not fit the schema"
        assert "hunter2" not in repr(violation)
        assert violation.keyword in {*schema, "type"}


# -- operations -------------------------------------------------------------------------------


def test_an_operation_knows_its_function_its_success_and_its_security() -> None:
    operations = contract().operations
    made = operations["createThing"]
    assert (made.stem, made.function, made.success) == ("things", "create_thing", 201)
    assert (made.message, made.envelope) == ("Thing made", True)
    assert operations["getPlain"].envelope is False
    assert operations["removeThing"].security.mandatory
    login = operations["logIn"].security
    assert (login.bearer, login.mandatory) == (True, False)
    assert not made.security.bearer


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("setupMFA", "setup_mfa"),
        ("getJWKS", "get_jwks"),
        ("getMFAStatus", "get_mfa_status"),
        ("login", "login"),
        ("regenerateBackupCodes", "regenerate_backup_codes"),
    ],
)
def test_an_operation_id_in_snake_case_names_the_function(name: str, function: str) -> None:
    assert snake_case(name) == function


def test_extensions_are_read_once_into_what_their_reader_makes(tmp_path: Path) -> None:
    edited(
        tmp_path,
        "paths/things.yaml",
        "operationId: getThing\n",
        "operationId: getThing\n    x-cost: 3\n",
    )
    root = edited(tmp_path, "schemas/things.yaml", "Plain:\n", "Plain:\n  x-cost: 4\n")
    registry = Registry()
    kinds = frozenset({"operation", "schema"})
    registry.register(Extension("x-cost", kinds, {"type": "integer"}, lambda value: value * 100))
    compiled = compile_contract(load(root, registry), registry)
    assert compiled.operations["getThing"].extensions == {"x-cost": 300}
    assert compiled.operations["getPlain"].extensions == {}


THINGS, ACCESS = "paths/things.yaml", "paths/access.yaml"
REFUSED = [
    # file, old, new, what is said and where
    (
        THINGS,
        "          type: boolean\n",
        "          type: array\n          maxItems: 2\n          items:\n            type: string\n            maxLength: 2\n            example: a\n",
        "a parameter or header is served as a scalar only",
        THINGS,
    ),
    (
        THINGS,
        "        in: header\n",
        "        in: cookie\n",
        "a cookie parameter is not served",
        THINGS,
    ),
    (
        ACCESS,
        '        application/json:\n          schema:\n            $ref: "../schemas/things.yaml#/Guess"',
        '        application/vnd.lab+json:\n          schema:\n            $ref: "../schemas/things.yaml#/Guess"',
        "a request body is application/json",
        ACCESS,
    ),
    (
        "openapi.yaml",
        "      scheme: bearer\n",
        "      scheme: basic\n",
        "is not an http bearer scheme",
        ACCESS,
    ),
]


@pytest.mark.parametrize(("file", "old", "new", "said", "where"), REFUSED)
def test_what_cannot_be_enforced_is_refused_at_its_place(
    tmp_path: Path, file: str, old: str, new: str, said: str, where: str
) -> None:
    root = edited(tmp_path, file, old, new)
    with pytest.raises(SpecError) as caught:
        contract(root)
    found = [d for d in caught.value.diagnostics if said in d.message]
    assert found, str(caught.value)
    assert found[0].location.file == f"spec/{where}"
    assert found[0].severity == "error"
