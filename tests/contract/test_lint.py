"""A mistake planted in any file of a spec is named at its file, line and column."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.bundle import load
from contract.diagnostics import Location, SpecError
from contract.lint import patterns
from contract.source import Node, Sources
from server.extensions import registry
from tests.contract.notes import SPEC, complaints, copy, loaded, plant

SHIPPED = Path(__file__).parents[2] / "spec"

# File, what is there, what is planted, place and message of the one error that follows.
PLANTED = [
    (
        "openapi.yaml",
        "info:\n",
        "inof:\n",
        "openapi.yaml:2:1",
        'unknown key "inof" (did you mean "info"?)',
    ),
    ("openapi.yaml", "  title: Notes\n", "", "openapi.yaml:2:1", 'an info needs "title"'),
    (
        "openapi.yaml",
        "  version: 1.0.0",
        "  version: 1.0",
        "openapi.yaml:4:12",
        '"version" must be a string, not a number',
    ),
    (
        "openapi.yaml",
        "openapi: 3.0.3",
        "openapi: 3.1.0",
        "openapi.yaml:1:10",
        "only OpenAPI 3.0 is supported (write 3.0.3)",
    ),
    (
        "openapi.yaml",
        "  - url: /\n",
        "  - ulr: /\n",
        "openapi.yaml:6:5",
        'unknown key "ulr" (did you mean "url"?)',
    ),
    (
        "openapi.yaml",
        "url: /\n",
        'url: "https://{host}/v1"\n',
        "openapi.yaml:6:10",
        'the url has no variable "host"',
    ),
    (
        "openapi.yaml",
        "url: /\n",
        'url: "{0}/v1"\n',
        "openapi.yaml:6:10",
        'the url has no variable "0"',
    ),
    (
        "openapi.yaml",
        "url: /\n",
        'url: "http://[::1"\n',
        "openapi.yaml:6:10",
        "the url is none (RFC 3986)",
    ),
    (
        "openapi.yaml",
        "url: /\n",
        "url: v1\n",
        "openapi.yaml:6:10",
        "the path of a url begins with a slash and has neither escapes nor spaces",
    ),
    (
        "openapi.yaml",
        "url: /\n",
        "url: /v 1\n",
        "openapi.yaml:6:10",
        "the path of a url begins with a slash and has neither escapes nor spaces",
    ),
    (
        "openapi.yaml",
        "title: Notes",
        "title: '{{ notes }}'",
        "openapi.yaml:3:11",
        '"{{" in the root is read as a Jinja template',
    ),
    (
        "openapi.yaml",
        'notes.yaml#/note"',
        'notes.yaml#/nota"',
        "openapi.yaml:13:11",
        'nothing at "paths/notes.yaml#/nota" in spec/paths/notes.yaml (did you mean "note"?)',
    ),
    (
        "openapi.yaml",
        "paths/notes.yaml#/notes",
        "paths/nots.yaml#/notes",
        "openapi.yaml:11:11",
        'no file "paths/nots.yaml" for "paths/nots.yaml#/notes" (did you mean "paths/notes.yaml"?)',
    ),
    (
        "openapi.yaml",
        '    $ref: "paths/notes.yaml#/notes"',
        "    get: {operationId: a, responses: {}}",
        "openapi.yaml:10:3",
        'the path "/notes" must be a $ref into a file of its noun',
    ),
    (
        "openapi.yaml",
        "  /notes/{note_id}:",
        "  notes/{note_id}:",
        "openapi.yaml:12:3",
        'the path "notes/{note_id}" must begin with "/"',
    ),
    (
        "openapi.yaml",
        '    $ref: "paths/notes.yaml#/notes"',
        '    $ref: "paths/notes.yaml#/notes"\n    summary: Notes',
        "openapi.yaml:12:5",
        '"summary" beside a $ref is ignored: wrap the $ref in allOf or move the key to its target',
    ),
    (
        "openapi.yaml",
        "type: http",
        "type: htp",
        "openapi.yaml:17:13",
        'unknown security type "htp" (did you mean "http"?)',
    ),
    (
        "openapi.yaml",
        "      scheme: bearer\n",
        "",
        "openapi.yaml:16:5",
        'a scheme of type http needs "scheme"',
    ),
    (
        "openapi.yaml",
        "      scheme: bearer",
        "      schema: bearer",
        "openapi.yaml:18:7",
        'unknown key "schema" (did you mean "scheme"?)',
    ),
    (
        "openapi.yaml",
        "    Options:\n",
        "    Option:\n",
        "openapi.yaml:14:1",
        'components.responses of the root must list "Options" (did you mean "Option"?)',
    ),
    (
        "openapi.yaml",
        "components/responses.yaml#/Options",
        "https://example.org/x.yaml#/Options",
        "openapi.yaml:25:13",
        '"https://example.org/x.yaml#/Options" is not a relative path',
    ),
    (
        "openapi.yaml",
        "components/responses.yaml#/Options",
        "../other/x.yaml#/Options",
        "openapi.yaml:25:13",
        '"../other/x.yaml#/Options" leaves the folder of the spec',
    ),
    (
        "openapi.yaml",
        "servers:\n",
        "servers:\n\t- url: /\n",
        "openapi.yaml:6:1",
        "syntax: a tab cannot indent YAML",
    ),
    (
        "openapi.yaml",
        "title: Notes",
        "title: [Notes",
        "openapi.yaml:4:10",
        "syntax: while parsing a flow sequence, did not find expected ',' or ']'",
    ),
    (
        "openapi.yaml",
        "  - url: /",
        "  - url: /\n    url: /b",
        "openapi.yaml:7:5",
        'duplicate key "url" (first at line 6)',
    ),
    (
        "openapi.yaml",
        "version: 1.0.0",
        "version: 1.0.0\n  x-logo: a.png",
        "openapi.yaml:5:3",
        'unknown extension "x-logo"',
    ),
    (
        "paths/notes.yaml",
        "    requestBody:",
        "    requestbody:",
        "paths/notes.yaml:12:5",
        'unknown key "requestbody" (did you mean "requestBody"?)',
    ),
    (
        "paths/notes.yaml",
        "    parameters:",
        "    parametrs:",
        "paths/notes.yaml:62:5",
        'unknown key "parametrs" (did you mean "parameters"?)',
    ),
    (
        "paths/notes.yaml",
        '      "404":',
        "      404:",
        "paths/notes.yaml:80:7",
        'the key 404 is not a string: write "404"',
    ),
    (
        "paths/notes.yaml",
        '      "404":',
        '      "402":',
        "paths/notes.yaml:80:7",
        'readNote must not declare 402 (did you mean "429"?)',
    ),
    (
        "paths/notes.yaml",
        '      "404":',
        '      "200":',
        "paths/notes.yaml:80:7",
        'duplicate key "200" (first at line 69)',
    ),
    (
        "paths/notes.yaml",
        '      "404":',
        '      "202":',
        "paths/notes.yaml:80:7",
        "readNote has one success, 200",
    ),
    (
        "paths/notes.yaml",
        '      "404":',
        '      "4O4":',
        "paths/notes.yaml:80:7",
        '"4O4" is not a status (three digits in quotes, 4XX or default)',
    ),
    (
        "paths/notes.yaml",
        '      "404":',
        '      "429":',
        "paths/notes.yaml:80:7",
        "readNote must not declare 429: no extension limits it",
    ),
    (
        "paths/notes.yaml",
        '      "404":',
        '      "413":',
        "paths/notes.yaml:80:7",
        "readNote must not declare 413 without a requestBody",
    ),
    (
        "paths/notes.yaml",
        '      "401":\n        $ref: "../components/responses.yaml#/Unauthorized"\n',
        "",
        "paths/notes.yaml:18:5",
        "writeNote must declare 401 (it has security)",
    ),
    (
        "paths/notes.yaml",
        '      "429":\n        $ref: "../components/responses.yaml#/TooManyRequests"\n',
        "",
        "paths/notes.yaml:18:5",
        "writeNote must declare 429 (an extension limits it)",
    ),
    (
        "paths/notes.yaml",
        '      "415":\n        $ref: "../components/responses.yaml#/UnsupportedMediaType"\n',
        "",
        "paths/notes.yaml:18:5",
        "writeNote must declare 415 (it has a requestBody)",
    ),
    (
        "paths/notes.yaml",
        "    operationId: readNote\n",
        "",
        "paths/notes.yaml:56:3",
        'an operation needs "operationId"',
    ),
    (
        "paths/notes.yaml",
        "        description: The note\n",
        "",
        "paths/notes.yaml:69:7",
        'a response needs "description"',
    ),
    (
        "paths/notes.yaml",
        "      - bearerAuth: []",
        "      - bearerAuht: []",
        "paths/notes.yaml:8:9",
        'spec/openapi.yaml has no security scheme "bearerAuht" (did you mean "bearerAuth"?)',
    ),
    (
        "paths/notes.yaml",
        "      - bearerAuth: []",
        "      - bearerAuth:",
        "paths/notes.yaml:8:20",
        '"bearerAuth" must be an array, not null',
    ),
    (
        "paths/notes.yaml",
        "      - bearerAuth: []",
        "      - bearerAuth: [read]",
        "paths/notes.yaml:8:21",
        '"bearerAuth" has no scopes: write []',
    ),
    (
        "paths/notes.yaml",
        "    security: []\n",
        "",
        "paths/notes.yaml:56:3",
        "readNote must say its security ([] where it needs none)",
    ),
    (
        "paths/notes.yaml",
        "x-budget",
        "x-bugdet",
        "paths/notes.yaml:9:5",
        'unknown extension "x-bugdet" (did you mean "x-budget"?)',
    ),
    (
        "paths/notes.yaml",
        "    x-budget:\n      write:\n",
        "    x-budget:\n      other: {free: -1}\n      write:\n",
        "paths/notes.yaml:10:21",
        '"x-budget": -1 is less than the minimum of 0',
    ),
    (
        "paths/notes.yaml",
        "    x-budget:\n      write:\n",
        "    x-budget:\n      other: {fre: 1}\n      write:\n",
        "paths/notes.yaml:10:15",
        '"x-budget": unknown key "fre" (did you mean "free"?)',
    ),
    (
        "paths/notes.yaml",
        "    x-budget:\n      write:\n",
        "    x-ttl: PT5M\n    x-budget:\n      write:\n",
        "paths/notes.yaml:9:5",
        '"x-ttl" does not belong on an operation, only on a schema',
    ),
    (
        "paths/notes.yaml",
        "policies.yaml#/write",
        "policies.yaml#/wriet",
        "paths/notes.yaml:11:15",
        'nothing at "../components/policies.yaml#/wriet" in spec/components/policies.yaml (did you mean "write"?)',
    ),
    (
        "paths/notes.yaml",
        "../schemas/notes.yaml#/NoteRequest",
        "../schemas/note.yaml#/NoteRequest",
        "paths/notes.yaml:17:19",
        'no file "../schemas/note.yaml" for "../schemas/note.yaml#/NoteRequest" (did you mean "../schemas/notes.yaml"?)',
    ),
    (
        "paths/notes.yaml",
        "../schemas/notes.yaml#/NoteRequest",
        "#/components/schemas/NoteRequest",
        "paths/notes.yaml:17:19",
        '"#/components/schemas/NoteRequest" would be looked up in the root first: write the path of the file that holds it',
    ),
    (
        "paths/notes.yaml",
        "        in: path\n",
        "        in: paht\n",
        "paths/notes.yaml:64:13",
        'no parameter is in "paht" (did you mean "path"?)',
    ),
    (
        "paths/notes.yaml",
        "        in: path\n        required: true\n",
        "        in: path\n",
        "paths/notes.yaml:63:9",
        "a path parameter needs required: true",
    ),
    (
        "paths/notes.yaml",
        "- Notes\n    summary: Write",
        "- Nots\n    summary: Write",
        "paths/notes.yaml:4:9",
        'the root declares no tag "Nots" (did you mean "Notes"?)',
    ),
    (
        "paths/notes.yaml",
        '        application/json:\n          schema:\n            $ref: "../schemas/notes.yaml#/NoteRequest"',
        '        application/jsom:\n          schema:\n            $ref: "../schemas/notes.yaml#/NoteRequest"',
        "paths/notes.yaml:15:9",
        '"application/jsom" is not a JSON media type (did you mean "application/json"?)',
    ),
    (
        "paths/notes.yaml",
        "                title: Milk",
        "                title: 5",
        "paths/notes.yaml:37:24",
        'the example does not fit its schema: it is not of type "string"',
    ),
    (
        "paths/notes.yaml",
        "                title: Milk",
        "                titel: Milk",
        "paths/notes.yaml:37:24",
        'the example does not fit its schema: no schema names the property "titel"',
    ),
    (
        "paths/notes.yaml",
        "note:\n  get:",
        "note:\n  head:",
        "paths/notes.yaml:56:3",
        "HEAD is answered as the path's other methods imply",
    ),
    (
        "paths/notes.yaml",
        "note:\n  get:",
        "note:\n  got:",
        "paths/notes.yaml:56:3",
        'unknown key "got" (did you mean "get"?)',
    ),
    (
        "paths/notes.yaml",
        '          X-Request-ID:\n            $ref: "../components/headers.yaml#/RequestID"\n        content:\n          application/json:\n            schema:\n              $ref',
        '          X-Requst-ID:\n            $ref: "../components/headers.yaml#/RequestID"\n        content:\n          application/json:\n            schema:\n              $ref',
        "paths/notes.yaml:72:11",
        'unusual header "X-Requst-ID" (did you mean "X-Request-ID"?)',
    ),
    (
        "paths/notes.yaml",
        '    responses:\n      "201":',
        '    responses:\n    - "201":',
        "paths/notes.yaml:19:5",
        '"responses" must be an object, not an array',
    ),
    (
        "paths/notes.yaml",
        "      - name: note_id\n",
        "      - {name: q, in: query, style: matrx, schema: {type: string, maxLength: 3}}\n      - name: note_id\n",
        "paths/notes.yaml:63:37",
        'no parameter in query has the style "matrx"',
    ),
    (
        "schemas/notes.yaml",
        "maxLength: 80",
        "maxLenght: 80",
        "schemas/notes.yaml:16:7",
        'unknown key "maxLenght" (did you mean "maxLength"?)',
    ),
    (
        "schemas/notes.yaml",
        "      maxLength: 80\n",
        "",
        "schemas/notes.yaml:13:5",
        "a request string needs maxLength",
    ),
    (
        "schemas/notes.yaml",
        "      maxItems: 3\n",
        "",
        "schemas/notes.yaml:19:5",
        "a request array needs maxItems",
    ),
    (
        "schemas/notes.yaml",
        "  additionalProperties: false\n  required: [title]",
        "  required: [title]",
        "schemas/notes.yaml:8:1",
        "a request object needs additionalProperties: false",
    ),
    (
        "schemas/notes.yaml",
        "required: [title]",
        "required: [titel]",
        "schemas/notes.yaml:11:14",
        '"titel" is required, but there is no such property (did you mean "title"?)',
    ),
    (
        "schemas/notes.yaml",
        "required: [title]",
        "required: title",
        "schemas/notes.yaml:11:13",
        '"required" must be an array, not a string',
    ),
    (
        "schemas/notes.yaml",
        "minLength: 1\n",
        "minLength: 81\n",
        "schemas/notes.yaml:15:18",
        "minLength 81 is over maxLength 80: nothing fits",
    ),
    (
        "schemas/notes.yaml",
        "minLength: 1\n",
        'minLength: "1"\n',
        "schemas/notes.yaml:15:18",
        '"minLength" must be an integer, not a string',
    ),
    (
        "schemas/notes.yaml",
        'pattern: "^[^ ].*$"',
        'pattern: "[^ ].*"',
        "schemas/notes.yaml:17:16",
        "the pattern is not anchored: begin it with ^ and end it with $, and group alternatives",
    ),
    (
        "schemas/notes.yaml",
        'pattern: "^[^ ].*$"',
        'pattern: "^a|b$"',
        "schemas/notes.yaml:17:16",
        "the pattern is not anchored: begin it with ^ and end it with $, and group alternatives",
    ),
    (
        "schemas/notes.yaml",
        'pattern: "^[^ ].*$"',
        'pattern: "^(?P<a>.)$"',
        "schemas/notes.yaml:17:16",
        "the pattern uses (?P<, which ECMA-262 lacks",
    ),
    (
        "schemas/notes.yaml",
        'pattern: "^[^ ].*$"',
        'pattern: "^(?i)[a-z]$"',
        "schemas/notes.yaml:17:16",
        "the pattern uses (?i), which ECMA-262 lacks",
    ),
    (
        "schemas/notes.yaml",
        'pattern: "^[^ ].*$"',
        'pattern: "^[a-z$"',
        "schemas/notes.yaml:17:16",
        "the pattern is not a regular expression of ECMA-262",
    ),
    (
        "schemas/notes.yaml",
        'pattern: "^[^ ].*$"',
        'pattern: "^.{81}$"',
        "schemas/notes.yaml:17:16",
        "the pattern needs 81 characters, over maxLength: nothing fits",
    ),
    (
        "schemas/notes.yaml",
        '      pattern: "^[^ ].*$"\n      example: Milk',
        '      pattern: "^[^ ].*$"',
        "schemas/notes.yaml:13:5",
        'the property "title" has no example',
    ),
    (
        "schemas/notes.yaml",
        '      pattern: "^[^ ].*$"\n      example: Milk',
        "      pattern: \"^[^ ].*$\"\n      example: ' Milk'",
        "schemas/notes.yaml:18:16",
        'the example does not fit its schema: it does not match "^[^ ].*$"',
    ),
    (
        "schemas/notes.yaml",
        "    title:\n      type: string\n      example",
        "    title:\n      type: strng\n      example",
        "schemas/notes.yaml:36:13",
        'unknown type "strng" (did you mean "string"?)',
    ),
    (
        "schemas/notes.yaml",
        "    title:\n      type: string\n      example",
        "    title:\n      const: 3\n      type: string\n      example",
        "schemas/notes.yaml:36:7",
        '"const" is not a keyword of OpenAPI 3.0',
    ),
    (
        "schemas/notes.yaml",
        '      $ref: "notes.yaml#/NoteID"',
        '      $ref: "notes.yaml#/NoteID"\n      description: Which',
        "schemas/notes.yaml:35:7",
        '"description" beside a $ref is ignored: wrap the $ref in allOf or move the key to its target',
    ),
    (
        "schemas/notes.yaml",
        '      $ref: "notes.yaml#/NoteID"',
        '      $ref: "notes.yaml#/NoteId"',
        "schemas/notes.yaml:34:13",
        'nothing at "notes.yaml#/NoteId" in spec/schemas/notes.yaml (did you mean "NoteID"?)',
    ),
    (
        "schemas/notes.yaml",
        '      $ref: "notes.yaml#/NoteID"',
        '      $ref: "notes.yaml#/Note"',
        "schemas/notes.yaml:34:13",
        "circular $ref: spec/schemas/notes.yaml#/Note -> spec/schemas/notes.yaml#/Note",
    ),
    (
        "schemas/notes.yaml",
        "x-ttl: PT10M",
        "x-ttl: PT10X",
        "schemas/notes.yaml:30:10",
        '"x-ttl": "PT10X" does not match "^PT[0-9]+[SMH]$"',
    ),
    (
        "schemas/notes.yaml",
        "x-ttl: PT10M",
        "x-ttl: PT10S",
        "schemas/notes.yaml:30:10",
        '"x-ttl": give minutes',
    ),
    (
        "schemas/notes.yaml",
        "x-ttl: PT10M",
        "x-tll: PT10M",
        "schemas/notes.yaml:30:3",
        'unknown extension "x-tll" (did you mean "x-ttl"?)',
    ),
    (
        "schemas/notes.yaml",
        "  x-ttl: PT10M",
        "  x-ttl: PT10M\n  x-budget: {}",
        "schemas/notes.yaml:31:3",
        '"x-budget" does not belong on a schema, only on an operation',
    ),
    (
        "schemas/notes.yaml",
        "      items:\n        type: string\n        maxLength: 20",
        "      item:\n        type: string\n        maxLength: 20",
        "schemas/notes.yaml:22:7",
        'unknown key "item" (did you mean "items"?)',
    ),
    (
        "schemas/common.yaml",
        "enum: [false]",
        "enum: [no]",
        "schemas/common.yaml:19:14",
        "YAML readers disagree on no: quote it, or write it as JSON does",
    ),
    (
        "schemas/common.yaml",
        "enum: [false]",
        "enum: ['false']",
        "schemas/common.yaml:19:14",
        'the enum does not fit its schema: it is not of type "boolean"',
    ),
    (
        "schemas/common.yaml",
        "enum: [false]",
        "enum: [nope]",
        "schemas/common.yaml:19:14",
        'the enum does not fit its schema: it is not of type "boolean"',
    ),
    (
        "schemas/common.yaml",
        "type: boolean\n      enum",
        "type: boolean\n      maxLength: 010\n      enum",
        "schemas/common.yaml:19:18",
        "YAML readers disagree on 010: quote it, or write it as JSON does",
    ),
    (
        "schemas/common.yaml",
        "type: boolean\n      enum",
        "type: boolean\n      maxLength: 10\n      enum",
        "schemas/common.yaml:19:7",
        '"maxLength" says nothing about a boolean',
    ),
    (
        "components/responses.yaml",
        "BadRequest:\n  description",
        "BadRequest:\n  descripton",
        "components/responses.yaml:2:3",
        'unknown key "descripton" (did you mean "description"?)',
    ),
    (
        "components/responses.yaml",
        "BadRequest:\n  description: The request is malformed\n",
        "BadRequest:\n",
        "components/responses.yaml:1:1",
        'a response needs "description"',
    ),
    (
        "components/responses.yaml",
        '    WWW-Authenticate:\n      $ref: "headers.yaml#/Challenge"\n',
        "",
        "components/responses.yaml:16:3",
        'a 401 needs the header "WWW-Authenticate"',
    ),
    (
        "components/responses.yaml",
        "    Retry-After:\n",
        "    Retry-Aftr:\n",
        "components/responses.yaml:96:5",
        'unusual header "Retry-Aftr" (did you mean "Retry-After"?)',
    ),
    (
        "components/responses.yaml",
        "code: invalid_request",
        "code: invalid_requst",
        "components/responses.yaml:12:15",
        'the example does not fit its schema: it is not one of "invalid_request", "invalid_token" or 3 other candidates',
    ),
    (
        "components/responses.yaml",
        "code: invalid_request",
        "kode: invalid_request",
        "components/responses.yaml:12:15",
        'the example does not fit its schema: no schema names the property "kode"',
    ),
    (
        "components/responses.yaml",
        "headers.yaml#/RetryAfter",
        "headers.yaml#/Retry",
        "components/responses.yaml:97:13",
        'nothing at "headers.yaml#/Retry" in spec/components/headers.yaml (did you mean "RetryAfter"?)',
    ),
    (
        "components/responses.yaml",
        "headers.yaml#/RetryAfter",
        "header.yaml#/RetryAfter",
        "components/responses.yaml:97:13",
        'no file "header.yaml" for "header.yaml#/RetryAfter" (did you mean "headers.yaml"?)',
    ),
    (
        "components/headers.yaml",
        "RequestID:\n  description: Names this exchange in the log\n  required: true",
        "RequestID:\n  description: Names this exchange in the log\n  requird: true",
        "components/headers.yaml:3:3",
        'unknown key "requird" (did you mean "required"?)',
    ),
    (
        "components/headers.yaml",
        "RequestID:\n  description: Names this exchange in the log\n  required: true",
        "RequestID:\n  description: Names this exchange in the log\n  required: yes",
        "components/headers.yaml:3:13",
        "YAML readers disagree on yes: quote it, or write it as JSON does",
    ),
    (
        "components/headers.yaml",
        "^[0-9a-f]{32}$",
        "[0-9a-f]{32}",
        "components/headers.yaml:6:14",
        "the pattern is not anchored: begin it with ^ and end it with $, and group alternatives",
    ),
    (
        "components/headers.yaml",
        "    type: integer\n    minimum: 1\n    example: 30",
        "    type: integer\n    minimum: 1\n    example: 0",
        "components/headers.yaml:22:14",
        "the example does not fit its schema: it is less than the minimum of 1",
    ),
    (
        "components/headers.yaml",
        "    type: integer\n    minimum: 1\n",
        "    type: integer\n    minimum: 9\n    maximum: 1\n",
        "components/headers.yaml:21:14",
        "minimum 9 is over maximum 1: nothing fits",
    ),
    (
        "components/headers.yaml",
        "  required: true\n  schema:\n    type: integer\n    minimum: 1\n    example: 30",
        "  required: true",
        "components/headers.yaml:16:1",
        'a header needs a "schema"',
    ),
    (
        "components/policies.yaml",
        "free: 5",
        "fre: 5",
        "components/policies.yaml:2:3",
        '"x-budget": unknown key "fre" (did you mean "free"?)',
    ),
    (
        "components/policies.yaml",
        "free: 5",
        "free: five",
        "components/policies.yaml:2:9",
        '"x-budget": "five" is not of type "integer"',
    ),
    (
        "components/policies.yaml",
        "  free: 5\n",
        "",
        "components/policies.yaml:2:3",
        '"x-budget": "free" is a required property',
    ),
    (
        "components/policies.yaml",
        "delay: PT30S",
        "delay: [PT30S",
        "components/policies.yaml:4:1",
        "syntax: while parsing a flow sequence, did not find expected ',' or ']'",
    ),
    (
        "components/policies.yaml",
        "delay: PT30S",
        'delay:\n    $ref: "policies.yaml#/wait"',
        "components/policies.yaml:4:11",
        'nothing at "policies.yaml#/wait" in spec/components/policies.yaml (did you mean "write"?)',
    ),
    (
        "components/policies.yaml",
        "delay: PT30S",
        'delay:\n    $ref: "policies.yaml#/write"',
        "components/policies.yaml:4:11",
        "circular $ref: spec/components/policies.yaml#/write -> spec/components/policies.yaml#/write",
    ),
    (
        "components/policies.yaml",
        "delay: PT30S",
        "delay: PT30S\n  delay: PT31S",
        "components/policies.yaml:4:3",
        'duplicate key "delay" (first at line 3)',
    ),
    (
        "components/links.yaml",
        "  operationId: readNote",
        "  operationId: readNot",
        "components/links.yaml:2:16",
        'no operation "readNot" (did you mean "readNote"?)',
    ),
    (
        "components/links.yaml",
        "  operationId: readNote",
        "  operationID: readNote",
        "components/links.yaml:2:3",
        'unknown key "operationID" (did you mean "operationId"?)',
    ),
    (
        "components/links.yaml",
        "    note_id: $",
        "    noteid: $",
        "components/links.yaml:5:5",
        'readNote has no parameter "noteid" (did you mean "note_id"?)',
    ),
    (
        "components/links.yaml",
        "$response.body#/data/note_id",
        "$respons.body#/data/note_id",
        "components/links.yaml:5:14",
        '"$respons.body#/data/note_id" is not a runtime expression',
    ),
    (
        "components/links.yaml",
        "$response.body#/data/note_id",
        "$response.body#/data/noteid",
        "components/links.yaml:5:14",
        'no body of the reply at spec/paths/notes.yaml:19:7 has "/data/noteid"',
    ),
    (
        "components/links.yaml",
        "  parameters:\n",
        "  requestBody: {a: 1}\n  parameters:\n",
        "components/links.yaml:4:3",
        "readNote takes no body",
    ),
    (
        "components/links.yaml",
        "  parameters:\n",
        "  paramters:\n",
        "components/links.yaml:4:3",
        'unknown key "paramters" (did you mean "parameters"?)',
    ),
    (
        "paths/notes.yaml",
        "../schemas/notes.yaml#/NoteRequest",
        "../components/responses.yaml#/BadRequest",
        "paths/notes.yaml:17:19",
        "spec/components/responses.yaml#/BadRequest is a response; a schema is due here",
    ),
    (
        "paths/notes.yaml",
        "../schemas/notes.yaml#/NoteRequest",
        "../components/headers.yaml#/Allow",
        "paths/notes.yaml:17:19",
        "spec/components/headers.yaml#/Allow is a header; a schema is due here",
    ),
    (
        "paths/notes.yaml",
        "../components/responses.yaml#/TooLarge",
        "../schemas/notes.yaml#/Note",
        "paths/notes.yaml:47:15",
        "spec/schemas/notes.yaml#/Note is a schema; a response is due here",
    ),
    (
        "openapi.yaml",
        'paths/notes.yaml#/note"',
        'components/links.yaml#/readNote"',
        "openapi.yaml:13:11",
        "spec/components/links.yaml#/readNote is a link; a path item is due here",
    ),
    (
        "schemas/notes.yaml",
        '      $ref: "notes.yaml#/NoteID"',
        '      $ref: "#/NoteID"',
        "schemas/notes.yaml:34:13",
        '"#/NoteID" would be looked up in the root first: write "notes.yaml#/NoteID"',
    ),
    (
        "schemas/notes.yaml",
        '      $ref: "notes.yaml#/NoteID"',
        "      $ref: 5",
        "schemas/notes.yaml:34:13",
        "a $ref must be a string, not an integer",
    ),
    (
        "schemas/notes.yaml",
        '      $ref: "notes.yaml#/NoteID"',
        '      $ref: "notes.yaml#NoteID"',
        "schemas/notes.yaml:34:13",
        'what follows "#" begins with "/": "notes.yaml#NoteID"',
    ),
    (
        "schemas/notes.yaml",
        "    title:\n      type: string\n      example",
        "    title:\n      type: string\n      format: uuidd\n      example",
        "schemas/notes.yaml:37:15",
        'unknown format "uuidd" (did you mean "uuid"?)',
    ),
    (
        "schemas/notes.yaml",
        "    title:\n      type: string\n      example",
        "    title:\n      type: string\n      default: 5\n      example",
        "schemas/notes.yaml:37:16",
        'the default does not fit its schema: it is not of type "string"',
    ),
    (
        "schemas/notes.yaml",
        "    title:\n      type: string\n      example",
        "    title:\n      type: string\n      enum: [Milk, Milk]\n      example",
        "schemas/notes.yaml:37:20",
        '"Milk" is listed twice',
    ),
    (
        "schemas/notes.yaml",
        "    title:\n      type: string\n      example",
        "    title:\n      type: string\n      enum: []\n      example",
        "schemas/notes.yaml:37:13",
        "not OpenAPI 3.0: [] has less than 1 item",
    ),
    (
        "schemas/notes.yaml",
        "    title:\n      type: string\n      example",
        "    title:\n      type: string\n      minLength: -1\n      example",
        "schemas/notes.yaml:37:18",
        "minLength cannot be negative",
    ),
    (
        "schemas/notes.yaml",
        "    title:\n      type: string\n      example",
        "    title:\n      example",
        "schemas/notes.yaml:35:5",
        'a schema needs a "type": this one takes anything',
    ),
    (
        "schemas/notes.yaml",
        "    title:\n      type: string\n      example",
        "    title:\n      maxLength: 5\n      example",
        "schemas/notes.yaml:35:5",
        'a schema of a string needs "type: string"',
    ),
    (
        "schemas/notes.yaml",
        "    title:\n      type: string\n      example",
        "    title:\n      type: string\n      discriminator: {propertyName: kind}\n      example",
        "schemas/notes.yaml:37:37",
        'no branch has the property "kind"',
    ),
    (
        "schemas/notes.yaml",
        "    title:\n      type: string\n      example",
        "    title:\n      type: string\n      nullable: 1\n      example",
        "schemas/notes.yaml:37:17",
        '"nullable" must be a boolean, not an integer',
    ),
    (
        "schemas/notes.yaml",
        "required: [note_id, title]",
        "required: [note_id, title, title]",
        "schemas/notes.yaml:31:30",
        '"title" is required twice',
    ),
    (
        "schemas/notes.yaml",
        "required: [note_id, title]",
        "required: []",
        "schemas/notes.yaml:31:13",
        "not OpenAPI 3.0: [] has less than 1 item",
    ),
    (
        "schemas/notes.yaml",
        "      items:\n        type: string\n        example: home\n",
        "      example: [home]\n",
        "schemas/notes.yaml:38:5",
        'an array needs "items"',
    ),
    (
        "components/headers.yaml",
        "    minimum: 1\n    example: 30",
        "    minimum: 1\n    maximum: 1\n    exclusiveMaximum: true\n    example: 1",
        "components/headers.yaml:21:14",
        "nothing lies between 1 and 1 when one is excluded",
    ),
    (
        "components/headers.yaml",
        "    type: integer\n    minimum: 1\n    example: 30",
        "    type: intger\n    minimum: 1\n    example: 30",
        "components/headers.yaml:20:11",
        'unknown type "intger" (did you mean "integer"?)',
    ),
    (
        "components/links.yaml",
        "  operationId: readNote\n",
        '  operationRef: "#/paths/~1notes"\n',
        "components/links.yaml:1:1",
        'a link needs "operationId"',
    ),
    (
        "components/links.yaml",
        "  operationId: readNote\n",
        "",
        "components/links.yaml:1:1",
        'a link needs "operationId"',
    ),
    (
        "components/links.yaml",
        "readNote:\n  operationId: readNote",
        "readNote:\n  server: {ulr: /}\n  operationId: readNote",
        "components/links.yaml:2:12",
        'unknown key "ulr" (did you mean "url"?)',
    ),
    (
        "components/responses.yaml",
        "Options:\n",
        "Options:\n  content: {text/plain: {schema: {type: string}}}\n",
        "components/responses.yaml:58:13",
        '"text/plain" is not a JSON media type',
    ),
    (
        "components/responses.yaml",
        'MethodNotAllowed:\n  description: The path has no such method\n  headers:\n    X-Request-ID:\n      $ref: "headers.yaml#/RequestID"\n    Allow:',
        'MethodNotAllowed:\n  description: The path has no such method\n  headers:\n    X-Request-ID:\n      $ref: "headers.yaml#/RequestID"\n    Aloow:',
        "components/responses.yaml:47:5",
        'unusual header "Aloow" (did you mean "Allow"?)',
    ),
    (
        "components/policies.yaml",
        "write:\n",
        "write:\n  fees: 3\n",
        "components/policies.yaml:2:3",
        '"x-budget": unknown key "fees" (did you mean "free"?)',
    ),
    (
        "components/policies.yaml",
        "  free: 5",
        "  free: 5.5",
        "components/policies.yaml:2:9",
        '"x-budget": 5.5 is not of type "integer"',
    ),
    (
        "paths/notes.yaml",
        "      - name: note_id\n",
        '      - $ref: "../components/responses.yaml#/NotFound"\n      - name: note_id\n',
        "paths/notes.yaml:63:15",
        "spec/components/responses.yaml#/NotFound is a response; a parameter is due here",
    ),
    (
        "paths/notes.yaml",
        '      - name: note_id\n        in: path\n        required: true\n        schema:\n          $ref: "../schemas/notes.yaml#/NoteID"\n',
        "      - name: note_id\n        in: path\n        required: true\n",
        "paths/notes.yaml:63:9",
        'a parameter needs a "schema"',
    ),
    (
        "paths/notes.yaml",
        "      - name: note_id\n        in: path",
        "      - {name: note_id, in: path, required: true, schema: {type: integer}}\n      - name: note_id\n        in: path",
        "paths/notes.yaml:64:9",
        'the parameter "note_id" is declared twice',
    ),
    (
        "paths/notes.yaml",
        "                  properties:\n                    data:",
        "                  properties:\n                    daat:",
        "paths/notes.yaml:31:21",
        '"daat" is not the "data" that spec/schemas/common.yaml:8:5 leaves open',
    ),
    (
        "schemas/notes.yaml",
        "maxItems: 3",
        "maxItems: 3000",
        "paths/notes.yaml:2:3",
        "a body that fits writeNote can be 730170 bytes, over the 64 KiB that are taken",
    ),
    (
        "schemas/notes.yaml",
        "      items:\n        type: string\n        maxLength: 20\n        example: home",
        "      items: {type: array, maxItems: 1, items: {type: array, maxItems: 1, items: {type: array, maxItems: 1, items: {type: array, maxItems: 1, items: {type: array, maxItems: 1, items: {type: array, maxItems: 1, items: {type: array, maxItems: 1, items: {type: array, maxItems: 1, items: {type: array, maxItems: 1, items: {type: array, maxItems: 1, items: {type: array, maxItems: 1, items: {type: array, maxItems: 1, items: {type: array, maxItems: 1, items: {type: array, maxItems: 1, items: {type: array, maxItems: 1, items: {type: string, maxLength: 1, example: a}}}}}}}}}}}}}}}}",
        "paths/notes.yaml:2:3",
        "a body that fits writeNote is 17 levels deep, over 16",
    ),
]

# The same for mistakes that show in several places, or in another file than they were made.
FAR_REACHING = [
    ("openapi.yaml", "{note_id}", "{noteid}", ["openapi.yaml:12:3", "paths/notes.yaml:63:15"]),
    ("openapi.yaml", "{note_id}", "{note_id", ["openapi.yaml:12:3", "paths/notes.yaml:63:15"]),
    (
        "openapi.yaml",
        "  /notes/{note_id}:\n",
        '  /notes/{x}:\n    $ref: "paths/notes.yaml#/note"\n  /notes/{note_id}:\n',
        [
            "openapi.yaml:12:3",
            "openapi.yaml:14:3",
            "paths/notes.yaml:60:18",
            "paths/notes.yaml:63:15",
        ],
    ),
    ("openapi.yaml", "    bearerAuth:", "    beererAuth:", ["paths/notes.yaml:8:9"]),
    (
        "openapi.yaml",
        "  - name: Notes\n",
        "  - name: Notes\n  - name: Notes\n",
        ["openapi.yaml:8:3", "openapi.yaml:9:11"],
    ),
    (
        "paths/notes.yaml",
        "    summary: Read a note\n",
        "    summary: Read a note\n    requestBody: {content: {application/json: {schema: {type: string, maxLength: 3}}}}\n",
        ["paths/notes.yaml:60:5", "paths/notes.yaml:69:5", "paths/notes.yaml:69:5"],
    ),
    (
        "paths/notes.yaml",
        "      - name: note_id\n",
        "      - name: limit\n        in: query\n        style: matrx\n        schema: {type: string}\n      - name: note_id\n",
        ["paths/notes.yaml:65:16", "paths/notes.yaml:66:9"],
    ),
    (
        "schemas/notes.yaml",
        "minLength: 36",
        "minLength: 37",
        ["schemas/notes.yaml:3:14", "schemas/notes.yaml:5:12"],
    ),
    (
        "schemas/notes.yaml",
        "Note:\n",
        "NoteRequest:\n",
        ["paths/notes.yaml:32:29", "paths/notes.yaml:77:21", "schemas/notes.yaml:27:1"],
    ),
    (
        "schemas/common.yaml",
        "Problem:",
        "Note:",
        [
            "components/responses.yaml:9:15",
            "components/responses.yaml:24:15",
            "components/responses.yaml:37:15",
            "components/responses.yaml:52:15",
            "components/responses.yaml:73:15",
            "components/responses.yaml:86:15",
            "components/responses.yaml:101:15",
            "components/responses.yaml:114:15",
        ],
    ),
    ("components/responses.yaml", "TooLarge:\n", "TooLarg:\n", ["paths/notes.yaml:47:15"]),
    (
        "components/headers.yaml",
        "RetryAfter:\n",
        "RetryAfer:\n",
        ["components/responses.yaml:97:13"],
    ),
    ("components/policies.yaml", "write:", "writ:", ["paths/notes.yaml:11:15"]),
    ("components/links.yaml", "readNote:", "readnote:", ["paths/notes.yaml:41:19"]),
    (
        "components/links.yaml",
        "  operationId: readNote\n",
        "  operationId: writeNote\n  requestBody: {titel: $response.body#/data/title}\n",
        ["components/links.yaml:3:17", "components/links.yaml:6:5"],
    ),
    (
        "components/responses.yaml",
        "TooLarge:\n  description: The body is too large\n  headers:",
        "TooLarge:\n  description: The body is too large\n  headers: []\n  header:",
        ["components/responses.yaml:67:12", "components/responses.yaml:68:3"],
    ),
]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return copy(tmp_path)


def test_the_spec_of_notes_is_sound(spec: Path) -> None:
    assert complaints(spec) == []
    assert loaded(spec).warnings == ()


@pytest.mark.parametrize(("file", "old", "new", "place", "message"), PLANTED)
def test_a_planted_mistake_is_named_where_it_was_made(
    spec: Path, file: str, old: str, new: str, place: str, message: str
) -> None:
    plant(spec, file, old, new)
    found = complaints(spec)
    assert found[0] == f"spec/{place}: error: {message}"
    assert len(found) == 1


@pytest.mark.parametrize(("file", "old", "new", "places"), FAR_REACHING)
def test_a_mistake_with_consequences_names_each_place(
    spec: Path, file: str, old: str, new: str, places: list[str]
) -> None:
    plant(spec, file, old, new)
    found = complaints(spec)
    assert [line.split(": ")[0] for line in found] == [f"spec/{place}" for place in places]
    assert all(f"spec/{file}" in line for line in found[:1])


def test_all_mistakes_of_all_files_are_listed_at_once_and_in_order(spec: Path) -> None:
    plant(spec, "components/policies.yaml", "free: 5", "fre: 5")
    plant(spec, "components/links.yaml", "operationId:", "operationID:")
    plant(spec, "openapi.yaml", "  title:", "  titel:")
    plant(spec, "paths/notes.yaml", "    parameters:", "    parametrs:")
    plant(spec, "schemas/notes.yaml", "maxItems: 3", "maxItmes: 3")
    assert [line.split(":")[0] for line in complaints(spec)] == [
        "spec/components/links.yaml",
        "spec/components/policies.yaml",
        "spec/openapi.yaml",
        "spec/paths/notes.yaml",
        "spec/schemas/notes.yaml",
    ]


def test_a_file_that_cannot_be_parsed_does_not_hide_mistakes_elsewhere(spec: Path) -> None:
    plant(spec, "schemas/common.yaml", "enum: [false]", "enum: [false")
    plant(spec, "paths/notes.yaml", "    parameters:", "    parametrs:")
    files = [line.split(":")[0] for line in complaints(spec)]
    assert files == ["spec/paths/notes.yaml", "spec/schemas/common.yaml"]


def test_no_diagnostic_is_wrapped(spec: Path) -> None:
    plant(spec, "schemas/notes.yaml", "x-ttl: PT10M", 'x-ttl: "PT\\n10M"')
    plant(spec, "openapi.yaml", "type: http", 'type: "ht\\ntp"')
    with pytest.raises(SpecError) as refusal:
        loaded(spec)
    assert len(str(refusal.value).splitlines()) == len(refusal.value.diagnostics) == 2


def test_an_example_that_does_not_fit_only_warns_at_start(spec: Path) -> None:
    plant(spec, "components/responses.yaml", "code: invalid_request", "code: bad")
    assert [str(w)[:46] for w in loaded(spec, "warning").warnings] == [
        "spec/components/responses.yaml:12:15: warning:"
    ]
    assert complaints(spec, "error")[0].startswith("spec/components/responses.yaml:12:15: error:")


def test_an_entry_that_nobody_refers_to_warns_and_is_still_checked(spec: Path) -> None:
    with (spec / "schemas/notes.yaml").open("a") as file:
        file.write("\nSpare:\n  type: string\n")
    (warning,) = loaded(spec).warnings
    assert str(warning) == 'spec/schemas/notes.yaml:44:1: warning: nothing refers to "Spare"'
    plant(spec, "schemas/notes.yaml", "Spare:\n  type", "Spare:\n  tipe")
    assert complaints(spec) == [
        'spec/schemas/notes.yaml:45:3: error: unknown key "tipe" (did you mean "type"?)'
    ]


WRONG_VALUES = ["null", "[]", "{}", "5", "x", "[null]", "[[]]", "[{}]", "{$ref: 5}", '{$ref: "x"}']


def _blocks() -> list[tuple[str, int, int]]:
    """Every key of the spec of notes: its file, its line, and the line after its value."""
    found = []
    for path in sorted(SPEC.rglob("*.yaml")):
        lines = path.read_text("utf-8").split("\n")
        depths = [len(line) - len(line.lstrip()) if line else 99 for line in lines]
        for at, line in enumerate(lines):
            if line.rstrip("0123456789abcdefghijklmnopqrstuvwxyz").endswith(":") or ": " in line:
                after = (n for n in range(at + 1, len(lines)) if depths[n] <= depths[at])
                found.append((str(path.relative_to(SPEC)), at, next(after, len(lines))))
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(block=st.sampled_from(_blocks()), value=st.sampled_from(WRONG_VALUES))
def test_a_value_of_any_type_is_answered_with_diagnostics(
    notes: Path, block: tuple[str, int, int], value: str
) -> None:
    file, start, end = block
    lines = (SPEC / file).read_text("utf-8").split("\n")
    lines[start:end] = [f"{lines[start].split(':')[0]}: {value}"]
    (notes / file).write_text("\n".join(lines), "utf-8")
    try:
        found = complaints(notes)
    finally:
        shutil.copy(SPEC / file, notes / file)
    assert all(line.startswith("spec/") and "\n" not in line for line in found)


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy(tmp_path_factory.mktemp("notes"))


# -- patterns --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern",
    [
        "^a$",
        "^(a|b)$",
        "^[a|b]$",
        "^(?<=a)b$",
        "^(?!x)[^\\u0000-\\u0020]+?$",
        "^[?+*]{2}$",
        "^[(?>]$",
    ],
)
def test_a_pattern_that_every_engine_reads_alike_is_taken(pattern: str) -> None:
    assert list(patterns.faults(pattern)) == []


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("a$", "not anchored"),
        ("^a", "not anchored"),
        ("^a\\$", "not anchored"),
        ("^a|b$", "not anchored"),
        ("^[a$]", "not anchored"),
        ("\\Aa\\Z", "uses \\A"),
        ("(?i)^a$", "uses (?i)"),
        ("^(?i:a)$", "uses (?i:"),
        ("^(?P<n>a)$", "uses (?P<"),
        ("^(?>a)$", "uses (?>"),
        ("^(?#a)b$", "uses (?#"),
        ("^a++$", "possessive ++"),
        ("^a{2}+$", "possessive }+"),
        ("^[]a]$", "begins a class with []"),
        ("^[a$", "not a regular expression"),
        ("^a)$", "not a regular expression"),
        ("^\\p{L}$", "cannot be read by Python"),
    ],
)
def test_a_pattern_that_engines_read_differently_is_refused(pattern: str, reason: str) -> None:
    assert any(reason in fault for fault in patterns.faults(pattern))


# -- the shipped spec ------------------------------------------------------------------------


def test_the_shipped_spec_is_sound() -> None:
    assert load(SHIPPED / "openapi.yaml", registry(), "error").warnings == ()


def test_the_shipped_spec_is_read_within_the_time_of_a_start() -> None:
    began = time.process_time()
    load(SHIPPED / "openapi.yaml", registry())
    assert time.process_time() - began < 0.7


@dataclass(frozen=True)
class Spot:
    """A word of a spec whose every letter matters."""

    place: Location
    text: str


def _spots() -> list[Spot]:
    sources = Sources(SHIPPED / "openapi.yaml")
    paths = (p for p in SHIPPED.rglob("*.yaml") if p.parent.name != "workflows")
    files = sorted(str(p.relative_to(SHIPPED.parent)) for p in paths)
    nodes = [(file, sources.read(file)) for file in files]
    return [s for f, n in nodes if n for s in _words(n, (f,), f.endswith("policies.yaml"))]


def _words(node: Node, path: tuple[str, ...], policy: bool) -> Iterator[Spot]:
    for key, child in node.children():
        inside = policy or key.startswith("x-")
        if key in node.keys and not _freely_named(node, key, path):
            yield Spot(node.keys[key], key)
        if child.type == "string" and (key == "$ref" or inside):
            yield Spot(child.location, child.value)
        yield from _words(child, (*path, key), inside)


def _freely_named(node: Node, key: str, path: tuple[str, ...]) -> bool:
    """Names whose change is a valid edit: of paths, examples, links and optional properties."""
    return path[-1] in ("paths", "examples", "links") or "example" in path[-1]


SPOTS = _spots()


def _with_a_letter_changed(spot: Spot, chance: random.Random) -> str:
    lines = (SHIPPED.parent / spot.place.file).read_text("utf-8").split("\n")
    line = lines[spot.place.line - 1]
    start = spot.place.column - 1 + (line[spot.place.column - 1] in "\"'")
    at = start + chance.randrange(len(spot.text))
    # Another letter, not another case of the same: names of headers have no case.
    letter = chance.choice([c for c in "qz" if c != line[at].lower()])
    lines[spot.place.line - 1] = line[:at] + letter + line[at + 1 :]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy(tmp_path_factory.mktemp("shipped"), SHIPPED)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(spot=st.sampled_from(SPOTS), chance=st.randoms(use_true_random=False))
def test_a_letter_changed_in_the_shipped_spec_is_told_by_its_file(
    shipped: Path, spot: Spot, chance: random.Random
) -> None:
    changed = shipped.parent / spot.place.file
    changed.write_text(_with_a_letter_changed(spot, chance), "utf-8")
    try:
        with pytest.raises(SpecError) as refusal:
            load(shipped / "openapi.yaml", registry(), "error")
    finally:
        shutil.copy(SHIPPED.parent / spot.place.file, changed)
    errors = [d for d in refusal.value.diagnostics if d.severity == "error"]
    assert spot.place.file in str(errors[0])
