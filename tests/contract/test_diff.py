"""Planted changes of a spec, each classified as a careful reader would."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.bundle import load
from contract.diagnostics import SpecError
from contract.diff import Change, Document, compare, misfit
from contract.source import Node
from server.extensions import registry
from tests.contract.notes import copy as copied
from tests.contract.notes import plant
from tests.support.servers import ROOT

BASE = yaml.safe_load("""
openapi: 3.0.3
info: {title: Notes, version: 1.2.3}
servers: [{url: /v1}]
security: [{bearer: [write]}]
paths:
  /notes:
    post:
      operationId: writeNote
      x-budget: {free: 5, delay: 30}
      parameters:
        - {name: dry, in: query, schema: {type: boolean}}
        - {name: X-Client, in: header, schema: {type: string, maxLength: 8}}
      requestBody:
        required: true
        content:
          application/json: {schema: {$ref: "#/components/schemas/NoteRequest"}}
      responses:
        "201":
          description: Written
          headers:
            X-Revision: {required: true, schema: {type: integer, minimum: 1}}
            X-Hint: {schema: {type: string}}
          content:
            application/json: {schema: {$ref: "#/components/schemas/Note"}}
          links:
            Read: {operationId: readNote}
        "409":
          description: There is one already
  /notes/{note_id}:
    parameters:
      - {name: note_id, in: path, required: true, schema: {type: string}}
    get:
      operationId: readNote
      security: []
      responses:
        "200":
          description: The note
          content:
            application/json: {schema: {$ref: "#/components/schemas/Note"}}
    delete:
      operationId: dropNote
      responses:
        "204": {description: Gone}
components:
  securitySchemes:
    bearer: {type: http, scheme: bearer, bearerFormat: JWT}
  schemas:
    NoteRequest:
      type: object
      additionalProperties: false
      required: [text]
      properties:
        text: {type: string, minLength: 1, maxLength: 100, pattern: "^[a-z]+$"}
        colour: {type: string, enum: [red, green, blue]}
        tags: {type: array, maxItems: 3, items: {type: string}}
        weight: {type: number, minimum: 0, exclusiveMinimum: true}
        place: {type: string, default: top}
        key: {oneOf: [{type: string}, {type: integer}]}
        step: {type: integer, multipleOf: 2}
        marks: {type: object, additionalProperties: {type: string, maxLength: 5}}
    Note:
      type: object
      required: [id, state]
      properties:
        id: {type: string, format: uuid}
        state: {type: string, enum: [open, done]}
        size: {type: integer, format: int32, maximum: 10}
        sealed:
          type: object
          additionalProperties: false
          properties: {by: {type: string}}
        parent: {$ref: "#/components/schemas/Parent"}
    Parent: {type: object, properties: {name: {type: string, nullable: true}}}
""")

REQUEST = "components schemas NoteRequest"
NOTE = "components schemas Note"
WRITE = "paths /notes post"
READ = "paths /notes/{note_id} get"
CREATED = f"{WRITE} responses 201"
COLOUR = BASE["components"]["schemas"]["NoteRequest"]["properties"]["colour"]
POSTED = BASE["paths"]["/notes"]["post"]

Edit = Callable[[Any], None]


def at(document: Any, path: str) -> tuple[Any, Any]:
    """What holds the last word of a path, and that word as a key of it."""
    *above, last = path.split(" ")
    for word in above:
        document = document[int(word) if isinstance(document, list) else word]
    return document, int(last) if isinstance(document, list) else last


def put(path: str, value: Any) -> Edit:
    def edit(document: Any) -> None:
        holder, key = at(document, path)
        holder[key] = copy.deepcopy(value)

    return edit


def add(path: str, value: Any) -> Edit:
    def edit(document: Any) -> None:
        holder, key = at(document, path)
        holder[key].append(value)

    return edit


def drop(path: str) -> Edit:
    def edit(document: Any) -> None:
        holder, key = at(document, path)
        del holder[key]

    return edit


def edited(*edits: Edit) -> Any:
    document = copy.deepcopy(BASE)
    for edit in edits:
        edit(document)
    return document


def document(folder: Path, content: Any, side: Any) -> Document:
    path = folder / side / "spec" / "openapi.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return Document(path, side)


def changes(folder: Path, old: Any, new: Any, **options: Any) -> list[Change]:
    return compare(document(folder, old, "old"), document(folder, new, "new"), **options)


def lines(found: list[Change]) -> list[str]:
    """Class, first use and sentence of each change, without its place."""
    return sorted(str(change).partition(": ")[2] for change in found)


SAME: list[str] = []

# What is planted, what it is called, and what its undoing is called.
PLANTED: dict[str, tuple[list[Edit], list[str], list[str]]] = {
    "request enum narrowed": (
        [put(f"{REQUEST} properties colour enum", ["red", "green"])],
        ['breaking: request: enum loses "blue" (writeNote request /colour)'],
        ['compatible: request: enum gains "blue" (writeNote request /colour)'],
    ),
    "response enum widened": (
        [put(f"{NOTE} properties state enum", ["open", "done", "late"])],
        ['breaking: response: enum gains "late" (writeNote 201 /state and 1 more)'],
        ['compatible: response: enum loses "late" (writeNote 201 /state and 1 more)'],
    ),
    "required request property": (
        [put(f"{REQUEST} properties due", {"type": "string"}), add(f"{REQUEST} required", "due")],
        ['breaking: request: the required property "due" is new (writeNote request /due)'],
        ['breaking: request: the property "due" is gone (writeNote request /due)'],
    ),
    "optional request property": (
        [put(f"{REQUEST} properties due", {"type": "string"})],
        ['compatible: request: the optional property "due" is new (writeNote request /due)'],
        ['breaking: request: the property "due" is gone (writeNote request /due)'],
    ),
    "optional reply property": (
        [put(f"{NOTE} properties due", {"type": "string"})],
        [
            'compatible: response: the optional property "due" is new (writeNote 201 /due and 1 more)'
        ],
        ['breaking: response: the property "due" is gone (writeNote 201 /due and 1 more)'],
    ),
    "optional property of a reply that is closed": (
        [put(f"{NOTE} properties sealed properties at", {"type": "string"})],
        [
            'breaking: response: the optional property "at" is new '
            "(writeNote 201 /sealed/at and 1 more)"
        ],
        ['breaking: response: the property "at" is gone (writeNote 201 /sealed/at and 1 more)'],
    ),
    "request property demanded": (
        [add(f"{REQUEST} required", "colour")],
        ['breaking: request: "colour" is required now (writeNote request /colour)'],
        ['compatible: request: "colour" is required no more (writeNote request /colour)'],
    ),
    "reply property promised": (
        [add(f"{NOTE} required", "size")],
        ['compatible: response: "size" is required now (writeNote 201 /size and 1 more)'],
        ['breaking: response: "size" is required no more (writeNote 201 /size and 1 more)'],
    ),
    "pattern changed": (
        [put(f"{REQUEST} properties text pattern", "^[a-z0-9]+$")],
        [
            'breaking: request: pattern "^[a-z]+$" became "^[a-z0-9]+$" (writeNote request /text)',
        ],
        ['breaking: request: pattern "^[a-z0-9]+$" became "^[a-z]+$" (writeNote request /text)'],
    ),
    "pattern dropped": (
        [drop(f"{REQUEST} properties text pattern")],
        ['compatible: request: pattern "^[a-z]+$" is gone (writeNote request /text)'],
        ['breaking: request: pattern "^[a-z]+$" is new (writeNote request /text)'],
    ),
    "upper bound lowered": (
        [put(f"{REQUEST} properties text maxLength", 50)],
        ["breaking: request: maxLength 100 became 50 (writeNote request /text)"],
        ["compatible: request: maxLength 50 became 100 (writeNote request /text)"],
    ),
    "lower bound raised": (
        [put(f"{REQUEST} properties text minLength", 2)],
        ["breaking: request: minLength 1 became 2 (writeNote request /text)"],
        ["compatible: request: minLength 2 became 1 (writeNote request /text)"],
    ),
    "number of items in a request": (
        [drop(f"{REQUEST} properties tags maxItems")],
        ["compatible: request: maxItems 3 is gone (writeNote request /tags)"],
        ["breaking: request: maxItems 3 is new (writeNote request /tags)"],
    ),
    "exclusive bound": (
        [drop(f"{REQUEST} properties weight exclusiveMinimum")],
        ["compatible: request: minimum 0 (exclusive) became 0 (writeNote request /weight)"],
        ["breaking: request: minimum 0 became 0 (exclusive) (writeNote request /weight)"],
    ),
    "bound of a reply raised": (
        [put(f"{NOTE} properties size maximum", 11)],
        ["breaking: response: maximum 10 became 11 (writeNote 201 /size and 1 more)"],
        ["compatible: response: maximum 11 became 10 (writeNote 201 /size and 1 more)"],
    ),
    "null in a request": (
        [put(f"{REQUEST} properties colour nullable", True)],
        ["compatible: request: null is admitted (writeNote request /colour)"],
        ["breaking: request: null is admitted no more (writeNote request /colour)"],
    ),
    "null in a reply": (
        [put(f"{NOTE} properties state nullable", True)],
        ["breaking: response: null is admitted (writeNote 201 /state and 1 more)"],
        ["compatible: response: null is admitted no more (writeNote 201 /state and 1 more)"],
    ),
    "type changed": (
        [put(f"{REQUEST} properties tags items type", "boolean")],
        ['breaking: request: type "string" became "boolean" (writeNote request /tags/*)'],
        ['breaking: request: type "boolean" became "string" (writeNote request /tags/*)'],
    ),
    "type widened": (
        [put(f"{CREATED} headers X-Revision schema type", "number")],
        ['breaking: response: type "integer" became "number" (writeNote 201 header x-revision)'],
        ['compatible: response: type "number" became "integer" (writeNote 201 header x-revision)'],
    ),
    "format of a reply": (
        [put(f"{NOTE} properties size format", "int64")],
        ['breaking: response: format "int32" became "int64" (writeNote 201 /size and 1 more)'],
        ['compatible: response: format "int64" became "int32" (writeNote 201 /size and 1 more)'],
    ),
    "format of a request": (
        [put(f"{REQUEST} properties text format", "email")],
        ['breaking: request: format "email" is new (writeNote request /text)'],
        ['compatible: request: format "email" is gone (writeNote request /text)'],
    ),
    "default of a request": (
        [put(f"{REQUEST} properties place default", "end")],
        ['breaking: request: default "top" became "end" (writeNote request /place)'],
        ['breaking: request: default "end" became "top" (writeNote request /place)'],
    ),
    "request opened": (
        [drop(f"{REQUEST} additionalProperties")],
        [
            "compatible: request: additionalProperties: false became true (writeNote request)",
        ],
        ["breaking: request: additionalProperties: true became false (writeNote request)"],
    ),
    "an alternative of a request": (
        [add(f"{REQUEST} properties key oneOf", {"type": "boolean"})],
        ["compatible: request: an alternative is new (writeNote request /key)"],
        ["breaking: request: an alternative is gone (writeNote request /key)"],
    ),
    "a property that is read only": (
        [put(f"{REQUEST} properties colour readOnly", True)],
        ['breaking: request: the property "colour" is gone (writeNote request /colour)'],
        ['compatible: request: the optional property "colour" is new (writeNote request /colour)'],
    ),
    "refusal added": (
        [put(f"{READ} responses 404", {"description": "No such note"})],
        ["breaking: response: the status 404 is new (readNote 404)"],
        ["compatible: response: the status 404 is gone (readNote 404)"],
    ),
    "success renamed": (
        [put(f"{WRITE} responses 200", POSTED["responses"]["201"]), drop(CREATED)],
        [
            "breaking: response: the status 200 is new (writeNote 200)",
            "breaking: response: the status 201 is gone (writeNote 201)",
        ],
        [
            "breaking: response: the status 200 is gone (writeNote 200)",
            "breaking: response: the status 201 is new (writeNote 201)",
        ],
    ),
    "statuses put together in a range": (
        [put(f"{WRITE} responses 4XX", POSTED["responses"]["409"]), drop(f"{WRITE} responses 409")],
        ["breaking: response: the status 4XX is new (writeNote 4XX)"],
        ["compatible: response: the status 4XX is gone (writeNote 4XX)"],
    ),
    "operation": (
        [drop("paths /notes/{note_id} delete")],
        ["breaking: the operation DELETE /notes/{note_id} is gone (dropNote)"],
        ["compatible: the operation DELETE /notes/{note_id} is new (dropNote)"],
    ),
    "path": (
        [put("paths /memos", BASE["paths"]["/notes"]), drop("paths /notes")],
        [
            "breaking: the operation POST /notes is gone (writeNote)",
            "compatible: the operation POST /memos is new (writeNote)",
        ],
        [
            "breaking: the operation POST /memos is gone (writeNote)",
            "compatible: the operation POST /notes is new (writeNote)",
        ],
    ),
    "operationId": (
        [put(f"{READ} operationId", "getNote")],
        ["compatible: operationId: readNote became getNote (getNote)"],
        ["compatible: operationId: getNote became readNote (readNote)"],
    ),
    "optional parameter": (
        [add(f"{WRITE} parameters", {"name": "at", "in": "query", "schema": {"type": "string"}})],
        ['compatible: the optional query parameter "at" is new (writeNote)'],
        ['breaking: the query parameter "at" is gone (writeNote)'],
    ),
    "required parameter": (
        [put(f"{WRITE} parameters 0 required", True)],
        ["breaking: request: is required now (writeNote query dry)"],
        ["compatible: request: is required no more (writeNote query dry)"],
    ),
    "new required parameter": (
        [add(f"{WRITE} parameters", {"name": "at", "in": "query", "required": True, "schema": {}})],
        ['breaking: the required query parameter "at" is new (writeNote)'],
        ['breaking: the query parameter "at" is gone (writeNote)'],
    ),
    "parameter bound": (
        [put(f"{WRITE} parameters 1 schema maxLength", 4)],
        ["breaking: request: maxLength 8 became 4 (writeNote header X-Client)"],
        ["compatible: request: maxLength 4 became 8 (writeNote header X-Client)"],
    ),
    "how a parameter is written": (
        [put(f"{WRITE} parameters 0 explode", False)],
        ["breaking: request: style form exploded became form (writeNote query dry)"],
        ["breaking: request: style form became form exploded (writeNote query dry)"],
    ),
    "body demanded": (
        [put(f"{WRITE} requestBody required", False)],
        ["compatible: request: is required no more (writeNote request)"],
        ["breaking: request: is required now (writeNote request)"],
    ),
    "body dropped": (
        [drop(f"{WRITE} requestBody")],
        ["breaking: request: the request body is gone (writeNote request)"],
        ["breaking: request: a request body is required now (writeNote request)"],
    ),
    "media type of a request": (
        [put(f"{WRITE} requestBody content text/plain", {"schema": {"type": "string"}})],
        ["compatible: request: the media type text/plain is new (writeNote request)"],
        ["breaking: request: the media type text/plain is gone (writeNote request)"],
    ),
    "media type of a reply": (
        [put(f"{CREATED} content text/plain", {"schema": {"type": "string"}})],
        ["breaking: response: the media type text/plain is new (writeNote 201)"],
        ["breaking: response: the media type text/plain is gone (writeNote 201)"],
    ),
    "header of a reply": (
        [drop(f"{CREATED} headers X-Hint")],
        ["breaking: response: the header x-hint is gone (writeNote 201 header x-hint)"],
        ["compatible: response: the header x-hint is new (writeNote 201 header x-hint)"],
    ),
    "header promised": (
        [put(f"{CREATED} headers X-Hint required", True)],
        ["compatible: response: is required now (writeNote 201 header x-hint)"],
        ["breaking: response: is required no more (writeNote 201 header x-hint)"],
    ),
    "link": (
        [drop(f"{CREATED} links Read")],
        ["compatible: response: the link Read is gone (writeNote 201)"],
        ["compatible: response: the link Read is new (writeNote 201)"],
    ),
    "credentials asked for": (
        [drop(f"{READ} security")],
        ["breaking: security none became bearer (write) (readNote)"],
        ["compatible: security bearer (write) became none (readNote)"],
    ),
    "credentials made optional": (
        [add("security", {})],
        [
            "compatible: security bearer (write) became bearer (write) or none (writeNote and 1 more)"
        ],
        [
            "breaking: security bearer (write) or none became bearer (write) (writeNote and 1 more)",
        ],
    ),
    "a scope more": (
        [put("security 0 bearer", ["write", "admin"])],
        [
            "breaking: security bearer (write) became bearer (write, admin) (writeNote and 1 more)",
        ],
        [
            "compatible: security bearer (write, admin) became bearer (write) (writeNote and 1 more)",
        ],
    ),
    "scheme": (
        [put("components securitySchemes bearer scheme", "basic")],
        [
            "breaking: security bearer (write): another scheme under the same name (writeNote and 1 more)"
        ],
        [
            "breaking: security bearer (write): another scheme under the same name (writeNote and 1 more)"
        ],
    ),
    "base path": (
        [put("servers 0 url", "/v2")],
        ["breaking: servers /v1 became /v2 (writeNote and 2 more)"],
        ["breaking: servers /v2 became /v1 (writeNote and 2 more)"],
    ),
    "another server": (
        [add("servers", {"url": "https://backup.example/v1"})],
        [
            "compatible: servers /v1 became /v1, https://backup.example/v1 (writeNote and 2 more)",
        ],
        [
            "breaking: servers /v1, https://backup.example/v1 became /v1 (writeNote and 2 more)",
        ],
    ),
    "deprecated operation": (
        [put(f"{READ} deprecated", True)],
        ["compatible: is deprecated (readNote)"],
        ["compatible: is deprecated no more (readNote)"],
    ),
    "deprecated property": (
        [put(f"{REQUEST} properties tags deprecated", True)],
        ["compatible: request: is deprecated (writeNote request /tags)"],
        ["compatible: request: is deprecated no more (writeNote request /tags)"],
    ),
    "extension": (
        [put(f"{WRITE} x-budget free", 3)],
        ["compatible: x-budget free 5 became 3 (writeNote)"],
        ["compatible: x-budget free 3 became 5 (writeNote)"],
    ),
    "callback": (
        [put(f"{WRITE} callbacks", {"done": {}})],
        ["breaking: callbacks changed (writeNote)"],
        ["breaking: callbacks changed (writeNote)"],
    ),
    "values of a map": (
        [put(f"{REQUEST} properties marks additionalProperties maxLength", 4)],
        ["breaking: request: maxLength 5 became 4 (writeNote request /marks/*)"],
        ["compatible: request: maxLength 4 became 5 (writeNote request /marks/*)"],
    ),
    "a map closed": (
        [put(f"{REQUEST} properties marks additionalProperties", False)],
        [
            "breaking: request: additionalProperties: a schema became false (writeNote request /marks)",
        ],
        [
            "compatible: request: additionalProperties: false became a schema (writeNote request /marks)",
        ],
    ),
    "a name in a map": (
        [put(f"{REQUEST} properties marks properties", {"a": {"type": "string", "maxLength": 4}})],
        [
            "breaking: request: maxLength 5 became 4 (writeNote request /marks/a)",
            'compatible: request: the optional property "a" is new (writeNote request /marks/a)',
        ],
        ['breaking: request: the property "a" is gone (writeNote request /marks/a)'],
    ),
    "a name demanded of a map": (
        [put(f"{REQUEST} properties marks required", ["a"])],
        ['breaking: request: "a" is required now (writeNote request /marks)'],
        ['compatible: request: "a" is required no more (writeNote request /marks)'],
    ),
    "longer steps": (
        [put(f"{REQUEST} properties step multipleOf", 4)],
        ["breaking: request: multipleOf 2 became 4 (writeNote request /step)"],
        ["compatible: request: multipleOf 4 became 2 (writeNote request /step)"],
    ),
    "steps that do not meet": (
        [put(f"{REQUEST} properties step multipleOf", 3)],
        ["breaking: request: multipleOf 2 became 3 (writeNote request /step)"],
        ["breaking: request: multipleOf 3 became 2 (writeNote request /step)"],
    ),
    "several alternatives at once": (
        [put(f"{REQUEST} properties key", {"anyOf": [{"type": "string"}, {"type": "integer"}]})],
        ["compatible: request: oneOf became anyOf (writeNote request /key)"],
        ["breaking: request: anyOf became oneOf (writeNote request /key)"],
    ),
    "discriminator": (
        [put(f"{REQUEST} properties key discriminator", {"propertyName": "kind"})],
        ["breaking: request: discriminator changed (writeNote request /key)"],
        ["breaking: request: discriminator changed (writeNote request /key)"],
    ),
    "what must not be": (
        [put(f"{REQUEST} properties text not", {"enum": ["none"]})],
        ["breaking: request: not changed (writeNote request /text)"],
        ["breaking: request: not changed (writeNote request /text)"],
    ),
    "null through allOf": (
        [put(f"{REQUEST} properties colour", {"allOf": [{**COLOUR, "nullable": True}]})],
        ["compatible: request: null is admitted (writeNote request /colour)"],
        ["breaking: request: null is admitted no more (writeNote request /colour)"],
    ),
    "encoding": (
        [
            put(
                f"{WRITE} requestBody content application/json encoding",
                {"text": {"style": "form"}},
            )
        ],
        ["breaking: request: encoding changed (writeNote request)"],
        ["breaking: request: encoding changed (writeNote request)"],
    ),
    "reserved characters": (
        [put(f"{WRITE} parameters 0 allowReserved", True)],
        ["compatible: request: allowReserved is true now (writeNote query dry)"],
        ["breaking: request: allowReserved is false now (writeNote query dry)"],
    ),
    "another first server": (
        [put("servers", [{"url": "/v2"}, {"url": "/v1"}])],
        ["breaking: servers /v1 became /v2, /v1 (writeNote and 2 more)"],
        ["breaking: servers /v2, /v1 became /v1 (writeNote and 2 more)"],
    ),
    "wording": (
        [put(f"{CREATED} description", "It is written")],
        ["compatible: response: description reworded (writeNote 201)"],
        ["compatible: response: description reworded (writeNote 201)"],
    ),
    "variable of a path": (
        [
            put("paths /notes/{note_id} parameters 0 name", "id"),
            lambda document: document["paths"].update(
                {"/notes/{id}": document["paths"].pop("/notes/{note_id}")}
            ),
        ],
        [
            "compatible: request: path variable note_id became id (dropNote path id and 1 more)",
        ],
        ["compatible: request: path variable id became note_id (dropNote path note_id and 1 more)"],
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_change_is_classified(name: str, tmp_path: Path) -> None:
    edits, there, back = PLANTED[name]
    new = edited(*edits)
    assert lines(changes(tmp_path / "there", BASE, new)) == there
    assert lines(changes(tmp_path / "back", new, BASE)) == back


# -- what is no change -----------------------------------------------------------------------

TEXT = BASE["components"]["schemas"]["NoteRequest"]["properties"]["text"]
SIZE = BASE["components"]["schemas"]["Note"]["properties"]["size"]
BOUNDS = {key: TEXT[key] for key in ("minLength", "maxLength", "pattern")}
UNCHANGED: dict[str, list[Edit]] = {
    "nothing": [],
    "a schema under another name": [
        put("components schemas Root", BASE["components"]["schemas"]["Parent"]),
        put(f"{NOTE} properties parent $ref", "#/components/schemas/Root"),
        drop("components schemas Parent"),
    ],
    "a schema in place of its reference": [
        put(f"{NOTE} properties parent", BASE["components"]["schemas"]["Parent"]),
    ],
    "a reference wrapped in allOf": [
        put(f"{NOTE} properties parent", {"allOf": [{"$ref": "#/components/schemas/Parent"}]}),
    ],
    "keywords spread over allOf": [
        put(f"{REQUEST} properties text", {"allOf": [{"type": "string"}, BOUNDS]}),
    ],
    "a bound that a stricter one makes idle": [
        put(f"{REQUEST} properties text", {"allOf": [TEXT, {"maxLength": 200, "minLength": 0}]}),
    ],
    "a number that is an integer already": [
        put(f"{NOTE} properties size", {"allOf": [SIZE, {"type": "number"}]}),
    ],
    "null among values whose type it does not fit": [
        put(f"{REQUEST} properties colour enum", [*COLOUR["enum"], None]),
    ],
    "a property that is read only, which no request has": [
        put(f"{REQUEST} properties due", {"type": "string", "readOnly": True}),
        add(f"{REQUEST} required", "due"),
    ],
    "a parameter in the header in other letters": [put(f"{WRITE} parameters 1 name", "x-client")],
    "the order of things": [
        put(f"{REQUEST} properties colour enum", ["blue", "red", "green"]),
        put(f"{REQUEST} properties key oneOf", [{"type": "integer"}, {"type": "string"}]),
        put(f"{NOTE} required", ["state", "id"]),
    ],
    "an integer above nought": [
        put(f"{CREATED} headers X-Revision schema minimum", 0),
        put(f"{CREATED} headers X-Revision schema exclusiveMinimum", True),
    ],
    "what is the default anyway": [
        put(f"{WRITE} parameters 0 style", "form"),
        put(f"{WRITE} parameters 0 explode", True),
        put(f"{REQUEST} properties tags minItems", 0),
        put(f"{NOTE} additionalProperties", True),
    ],
    "a security scheme under another name": [
        put("components securitySchemes token", {"type": "http", "scheme": "bearer"}),
        put("security", [{"token": ["write"]}]),
    ],
    "a header in other letters": [
        put(
            f"{CREATED} headers x-hint",
            POSTED["responses"]["201"]["headers"]["X-Hint"],
        ),
        drop(f"{CREATED} headers X-Hint"),
    ],
    "security said where it was inherited": [put(f"{WRITE} security", [{"bearer": ["write"]}])],
    "a component that nothing uses": [put("components schemas Idle", {"type": "string"})],
    "format password, which is for the eye": [put(f"{REQUEST} properties text format", "password")],
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_what_means_the_same_is_no_change(name: str, tmp_path: Path) -> None:
    assert lines(changes(tmp_path, BASE, edited(*UNCHANGED[name]))) == SAME


def test_a_bundle_says_what_its_files_say(tmp_path: Path) -> None:
    shipped = ROOT / "spec" / "openapi.yaml"
    bundle = load(shipped, registry(), links="later").document
    assert lines(compare(document(tmp_path, bundle, "old"), Document(shipped, "new"))) == SAME


# -- judged extensions -----------------------------------------------------------------------


def test_an_extension_that_refuses_more_breaks(tmp_path: Path) -> None:
    judges = {"x-budget": lambda was, now: (now or {"free": 99})["free"] < was["free"]}
    stricter = edited(put(f"{WRITE} x-budget free", 3))
    looser = edited(put(f"{WRITE} x-budget free", 8))
    (breaking,) = changes(tmp_path / "a", BASE, stricter, stricter=judges)
    assert breaking.kind == "breaking"
    assert breaking.message == ('x-budget {"delay": 30, "free": 5} became {"delay": 30, "free": 3}')
    (compatible,) = changes(tmp_path / "b", BASE, looser, stricter=judges)
    assert compatible.kind == "compatible"
    assert changes(tmp_path / "c", BASE, BASE, stricter=judges) == []


# -- circles ---------------------------------------------------------------------------------

TREE = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 9},
        "below": {"type": "array", "items": {"$ref": "#/components/schemas/Parent"}},
    },
}


def test_schemas_that_hold_themselves_are_compared_once(tmp_path: Path) -> None:
    old = edited(put("components schemas Parent", TREE))
    new = copy.deepcopy(old)
    assert changes(tmp_path / "same", old, new) == []
    put("components schemas Parent properties name maxLength", 12)(new)
    assert lines(changes(tmp_path / "changed", old, new)) == [
        "breaking: response: maxLength 9 became 12 (writeNote 201 /parent/name and 1 more)"
    ]


def test_a_schema_made_of_itself_ends(tmp_path: Path) -> None:
    own = {"oneOf": [{"type": "string"}, {"$ref": "#/components/schemas/Parent"}]}
    old = edited(put("components schemas Parent", own))
    assert changes(tmp_path / "same", old, copy.deepcopy(old)) == []
    assert changes(tmp_path / "other", BASE, old)


def test_many_uses_of_a_schema_take_no_more_time_than_one(tmp_path: Path) -> None:
    """Forty floors with two doors each have a billion ways up."""
    floors = {
        f"F{number}": {
            "type": "object",
            "properties": {d: {"$ref": f"#/components/schemas/F{number + 1}"} for d in "ab"},
        }
        for number in range(40)
    }
    house = {"F40": {"type": "string"}, **floors}
    old = edited(*(put(f"components schemas {name}", floor) for name, floor in house.items()))
    put(f"{NOTE} properties parent $ref", "#/components/schemas/F0")(old)
    new = copy.deepcopy(old)
    assert changes(tmp_path / "same", old, new) == []
    put("components schemas F40 maxLength", 9)(new)
    (found,) = changes(tmp_path / "changed", old, new)
    assert [use.partition(" /")[0] for use in found.uses] == ["writeNote 201", "readNote 200"]


def test_a_schema_seen_before_in_a_reply_is_still_found_in_the_next(tmp_path: Path) -> None:
    """The wrapped one differs by nothing but what the first use has told already."""
    parent = {"$ref": "#/components/schemas/Parent"}
    both = {
        "type": "object",
        "properties": {"bare": parent, "wrapped": {"$ref": "#/components/schemas/Wrap"}},
    }
    old = edited(
        put("components schemas Wrap", {"type": "object", "properties": {"inner": parent}}),
        put(f"{CREATED} content application/json schema", both),
        put(
            f"{READ} responses 200 content application/json schema",
            {"$ref": "#/components/schemas/Wrap"},
        ),
    )
    new = copy.deepcopy(old)
    put("components schemas Parent properties name maxLength", 9)(new)
    (found,) = changes(tmp_path, old, new)
    assert found.uses == ("writeNote 201 /bare/name", "readNote 200 /inner/name")


# -- places ----------------------------------------------------------------------------------


def planted(folder: Path, file: str, old: str, new: str) -> list[Change]:
    """From the shipped spec to a copy of it with one edit."""
    spec = copied(folder, ROOT / "spec")
    plant(spec, file, old, new)
    root = Document(ROOT / "spec" / "openapi.yaml", "old", lambda name: f"before:{name}")
    return compare(root, Document(spec / "openapi.yaml", "new"))


def line_of(file: str, text: str) -> int:
    found = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(found, 1) if text in line)


def test_a_change_stands_where_it_was_made_and_says_whom_it_concerns(tmp_path: Path) -> None:
    old = "  minLength: 3\n  maxLength: 64\n"
    found = planted(tmp_path, "schemas/auth.yaml", old, old.replace("3", "4"))
    line = line_of("spec/schemas/auth.yaml", "  minLength: 3")
    where = {(c.kind, c.direction, str(c.location)) for c in found}
    assert where == {
        ("breaking", "request", f"spec/schemas/auth.yaml:{line}:3"),
        ("compatible", "response", f"spec/schemas/auth.yaml:{line}:3"),
    }
    request = next(c for c in found if c.direction == "request")
    assert request.uses == ("registerUser request /username", "login request /username")


def test_what_is_gone_stands_where_it_was(tmp_path: Path) -> None:
    old = '  /mfa/status:\n    $ref: "paths/mfa.yaml#/status"\n'
    (found,) = planted(tmp_path, "openapi.yaml", old, "")
    line = line_of("spec/paths/mfa.yaml", "status:") + 1
    assert (found.side, found.kind) == ("old", "breaking")
    assert str(found.location) == f"before:spec/paths/mfa.yaml:{line}:3"


def test_a_shared_value_is_told_where_it_is_shared(tmp_path: Path) -> None:
    (found,) = planted(tmp_path, "components/policies.yaml", "rate: 50", "rate: 40")
    line = line_of("spec/components/policies.yaml", "rate: 50")
    assert str(found).startswith(f"spec/components/policies.yaml:{line}:15: compatible: x-rate")
    assert len(found.uses) > 20


def test_replies_without_an_operation_are_compared(tmp_path: Path) -> None:
    old = '    pattern: "^[A-Z]+(?:, [A-Z]+)*$"\n'
    (found,) = planted(tmp_path, "components/headers.yaml", old, old.replace("(?:, ", "(?:,"))
    assert found.kind == "breaking"
    assert "any path 405 header allow" in found.uses


# -- what cannot be read ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (put("openapi", "3.1.0"), "not an OpenAPI 3.0 document"),
        (drop("paths"), '"paths" is missing here'),
        (put("paths", []), "object is due here, not array"),
        (put(f"{NOTE} properties size maximum", "ten"), "number is due here, not string"),
        (put(f"{NOTE} properties parent $ref", "#/components/schemas/Nobody"), "nothing at"),
        (put(f"{NOTE} properties parent $ref", "other.yaml#/Nobody"), "nothing at"),
        (put("components schemas Parent", {"$ref": "#/components/schemas/Parent"}), "circular"),
    ],
)
def test_what_is_no_spec_is_refused_where_it_is_none(
    edit: Edit, message: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=message) as refused:
        document(tmp_path, edited(edit), "new")
    assert all(d.location.file == "spec/openapi.json" for d in refused.value.diagnostics)


def test_what_the_lint_refuses_can_be_read(tmp_path: Path) -> None:
    """An old spec does not know today's rules, and the patterns in a bundle look like Jinja."""
    lax = edited(
        put(f"{WRITE} x-unheard-of", 1), put(f"{REQUEST} properties text pattern", "^{%a{{1}}$")
    )
    assert isinstance(document(tmp_path, lax, "new").root, Node)


# -- versions --------------------------------------------------------------------------------

BREAKING = [put(f"{READ} responses 404", {"description": "No such note"})]
COMPATIBLE = [put(f"{READ} deprecated", True)]
WORDING = [put(f"{CREATED} description", "It is written")]


@pytest.mark.parametrize(
    ("edits", "old", "right", "wrong"),
    [
        (BREAKING, "1.2.3", ["2.0.0", "2.0.0-rc.1", "2.0.0+5"], ["1.2.3", "1.2.4", "1.3.0"]),
        (BREAKING, "1.2.3", ["2.0.0"], ["1.0.0", "3.0.0", "2.0.1", "2.1.0"]),
        (COMPATIBLE, "1.2.3", ["1.3.0", "2.0.0"], ["1.2.3", "1.2.4", "1.3.1", "1.4.0"]),
        (WORDING, "1.2.3", ["1.2.4", "1.3.0", "2.0.0"], ["1.2.3", "1.2.2", "1.2.5"]),
        (BREAKING, "0.1.0", ["0.2.0", "1.0.0"], ["0.1.0", "0.1.1", "0.3.0", "0.2.1"]),
        (COMPATIBLE, "0.1.0", ["0.1.1", "0.2.0", "1.0.0"], ["0.1.0", "0.0.9", "0.1.2"]),
        (WORDING, "0.1.0", ["0.1.1", "0.2.0"], ["0.1.0", "0.1.2"]),
        ([], "0.1.0", ["0.1.0", "0.1.1", "0.2.0"], ["0.0.9", "0.1.2"]),
        ([], "1.2.3", ["1.2.3", "1.2.4"], ["1.2.2", "1.2.5"]),
    ],
)
def test_a_version_moves_as_the_changes_ask(
    edits: list[Edit], old: str, right: list[str], wrong: list[str], tmp_path: Path
) -> None:
    found = changes(tmp_path, BASE, edited(*edits))
    assert [version for version in right if misfit(old, version, found)] == []
    assert [version for version in wrong if not misfit(old, version, found)] == []


def test_the_message_says_what_would_do(tmp_path: Path) -> None:
    found = changes(tmp_path, BASE, edited(*BREAKING))
    assert misfit("0.1.0", "0.1.1", found) == (
        "0.1.1 cannot follow 0.1.0 after these changes; 0.2.0 or 1.0.0 can"
    )


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "01.2.3", "1.2.3-", "1.2.3 ", ""])
def test_what_is_no_semantic_version_is_refused(version: str) -> None:
    with pytest.raises(ValueError, match="not a semantic version"):
        misfit("1.2.3", version, [])
