"""The objects of OpenAPI 3.0.3 and their keys (https://spec.openapis.org/oas/v3.0.3).

A rule is written `key: shape`, `key!: shape` where the key is required. A shape is the name of
another object, a JSON type, `any`, `[shape]` for an array, `{shape}` for a free map, or several
of these with `|` between them. A key that is a regular expression begins with `^`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

JSON_TYPES = frozenset({"string", "integer", "number", "boolean", "object", "array", "null"})

_HEADER = {
    "description": "string",
    "required": "boolean",
    "deprecated": "boolean",
    "style": "string",
    "explode": "boolean",
    "schema": "schema",
    "example": "any",
    "examples": "{example}",
    "content": "{mediaType}",
}
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
METHODS = frozenset(_METHODS)

_TABLE: Mapping[str, Mapping[str, str]] = {
    "document": {
        "openapi!": "string",
        "info!": "info",
        "servers": "[server]",
        "paths!": "paths",
        "components": "components",
        "security": "[securityRequirement]",
        "tags": "[tag]",
        "externalDocs": "externalDocs",
    },
    "info": {
        "title!": "string",
        "description": "string",
        "termsOfService": "string",
        "contact": "contact",
        "license": "license",
        "version!": "string",
    },
    "contact": {"name": "string", "url": "string", "email": "string"},
    "license": {"name!": "string", "url": "string"},
    "server": {"url!": "string", "description": "string", "variables": "{serverVariable}"},
    "serverVariable": {"enum": "[string]", "default!": "string", "description": "string"},
    "components": {
        "schemas": "{schema}",
        "responses": "{response}",
        "parameters": "{parameter}",
        "examples": "{example}",
        "requestBodies": "{requestBody}",
        "headers": "{header}",
        "securitySchemes": "{securityScheme}",
        "links": "{link}",
        "callbacks": "{callback}",
    },
    "paths": {"^/": "pathItem"},
    "pathItem": {
        "summary": "string",
        "description": "string",
        "servers": "[server]",
        "parameters": "[parameter]",
        **dict.fromkeys(_METHODS, "operation"),
    },
    "operation": {
        "tags": "[string]",
        "summary": "string",
        "description": "string",
        "externalDocs": "externalDocs",
        "operationId!": "string",
        "parameters": "[parameter]",
        "requestBody": "requestBody",
        "responses!": "responses",
        "callbacks": "{callback}",
        "deprecated": "boolean",
        "security": "[securityRequirement]",
        "servers": "[server]",
    },
    "externalDocs": {"description": "string", "url!": "string"},
    "parameter": {
        "name!": "string",
        "in!": "string",
        "allowEmptyValue": "boolean",
        "allowReserved": "boolean",
        **_HEADER,
    },
    "requestBody": {
        "description": "string",
        "content!": "{mediaType}",
        "required": "boolean",
    },
    "mediaType": {
        "schema": "schema",
        "example": "any",
        "examples": "{example}",
        "encoding": "{encoding}",
    },
    "encoding": {
        "contentType": "string",
        "headers": "{header}",
        "style": "string",
        "explode": "boolean",
        "allowReserved": "boolean",
    },
    "responses": {"^(?:default|[1-5](?:[0-9]{2}|XX))$": "response"},
    "response": {
        "description!": "string",
        "headers": "{header}",
        "content": "{mediaType}",
        "links": "{link}",
    },
    "callback": {"^": "pathItem"},
    "example": {
        "summary": "string",
        "description": "string",
        "value": "any",
        "externalValue": "string",
    },
    "link": {
        "operationRef": "string",
        "operationId": "string",
        "parameters": "{any}",
        "requestBody": "any",
        "description": "string",
        "server": "server",
    },
    "header": _HEADER,
    "tag": {"name!": "string", "description": "string", "externalDocs": "externalDocs"},
    "schema": {
        "title": "string",
        "multipleOf": "number",
        "maximum": "number",
        "exclusiveMaximum": "boolean",
        "minimum": "number",
        "exclusiveMinimum": "boolean",
        "maxLength": "integer",
        "minLength": "integer",
        "pattern": "string",
        "maxItems": "integer",
        "minItems": "integer",
        "uniqueItems": "boolean",
        "maxProperties": "integer",
        "minProperties": "integer",
        "required": "[string]",
        "enum": "[any]",
        "type": "string",
        "allOf": "[schema]",
        "oneOf": "[schema]",
        "anyOf": "[schema]",
        "not": "schema",
        "items": "schema",
        "properties": "{schema}",
        "additionalProperties": "schema|boolean",
        "description": "string",
        "format": "string",
        "default": "any",
        "nullable": "boolean",
        "discriminator": "discriminator",
        "readOnly": "boolean",
        "writeOnly": "boolean",
        "xml": "xml",
        "externalDocs": "externalDocs",
        "example": "any",
        "deprecated": "boolean",
    },
    "discriminator": {"propertyName!": "string", "mapping": "{string}"},
    "xml": {
        "name": "string",
        "namespace": "string",
        "prefix": "string",
        "attribute": "boolean",
        "wrapped": "boolean",
    },
    "securityScheme": {
        "type!": "string",
        "description": "string",
        "name": "string",
        "in": "string",
        "scheme": "string",
        "bearerFormat": "string",
        "flows": "oauthFlows",
        "openIdConnectUrl": "string",
    },
    "oauthFlows": dict.fromkeys(
        ("implicit", "password", "clientCredentials", "authorizationCode"), "oauthFlow"
    ),
    "oauthFlow": {
        "authorizationUrl": "string",
        "tokenUrl": "string",
        "refreshUrl": "string",
        "scopes!": "{string}",
    },
    "securityRequirement": {"^": "[string]"},
}

# Where each kind of object that may be referenced lives in a bundle. A path item has no such
# section in 3.0 and is put in place of its reference.
SECTIONS: Mapping[str, str] = {
    "schema": "schemas",
    "response": "responses",
    "parameter": "parameters",
    "example": "examples",
    "requestBody": "requestBodies",
    "header": "headers",
    "securityScheme": "securitySchemes",
    "link": "links",
    "callback": "callbacks",
}
REFERABLE = frozenset(SECTIONS) | {"pathItem"}

# Objects that OpenAPI 3.0.3 does not let carry `x-` keys.
_CLOSED = frozenset({"discriminator", "securityRequirement"})

# Keywords of OpenAPI 3.1 and later drafts of JSON Schema, which 3.0 tools silently ignore.
LATER_KEYWORDS = frozenset(
    {"const", "examples", "if", "then", "else", "prefixItems", "contains", "patternProperties"}
    | {"propertyNames", "dependentRequired", "dependentSchemas", "unevaluatedProperties"}
    | {"unevaluatedItems", "minContains", "maxContains", "contentEncoding", "contentMediaType"}
    | {"$defs", "$id", "$schema", "$anchor", "$comment", "definitions"}
)


@dataclass(frozen=True)
class Kind:
    """One object of OpenAPI: its keys, which of them are required, and its regular keys."""

    name: str
    keys: Mapping[str, str]
    required: tuple[str, ...]
    patterns: tuple[tuple[re.Pattern[str], str], ...]
    extensible: bool

    def shape(self, key: str) -> str | None:
        """The shape of a key's value; None where the object has no such key."""
        if key in self.keys:
            return self.keys[key]
        return next((shape for regex, shape in self.patterns if regex.search(key)), None)


def _kind(name: str, table: Mapping[str, str]) -> Kind:
    fixed = {key.rstrip("!"): shape for key, shape in table.items() if key[0] != "^"}
    return Kind(
        name,
        fixed,
        tuple(key[:-1] for key in table if key.endswith("!")),
        tuple((re.compile(key), shape) for key, shape in table.items() if key[0] == "^"),
        name not in _CLOSED,
    )


GRAMMAR: Mapping[str, Kind] = {name: _kind(name, table) for name, table in _TABLE.items()}


@cache
def alternatives(shape: str) -> tuple[str, ...]:
    """The shapes that a `|` separates."""
    return tuple(shape.split("|"))


def inner(shape: str) -> str:
    """The shape of the members of an array or a map."""
    return shape[1:-1]
