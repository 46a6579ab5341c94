"""For each kind of value, one edit of it that what is sent today cannot satisfy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from tests.mutation.edits import Edit, remove, rename, replace
from tests.mutation.values import Value

NOTHING_BEGINS_SO = "^~[^~]*$"
BARE_REPLY = {
    "description": "A reply without a body",
    "headers": {
        name: {"$ref": f"../components/headers.yaml#/{component}"}
        for name, component in (
            ("X-Request-ID", "RequestID"),
            ("Retry-After", "RetryHint"),
            ("WWW-Authenticate", "WWWAuthenticate"),
        )
    },
}
"""Every header that the lint asks for, and no body."""
EXEMPT = {
    "schemas/audit.yaml#/EventFactor/enum/4": (
        "null in an enum restates `nullable`, which alone decides; OpenAPI 3.0.3 leaves open whether "
        "both are needed, so readers are told twice"
    ),
}
"""Values that restate another one, each with the reason."""
OTHER_METHODS = {"get": "put", "post": "put", "delete": "put", "put": "post"}
_UNMET = {"minLength": 5_000, "maxLength": 0, "minItems": 5_000, "maxItems": 0}
_UNMET |= {"minimum": 10**12, "maximum": -(10**12)}


def mutation(value: Value) -> Edit:
    """The edit of a value. Raises KeyError where nobody has said how to change its kind."""
    return _MUTATORS[value.kind](value)


def known(kind: str) -> bool:
    return kind in _MUTATORS


def _type(value: Value) -> Edit:
    return replace(value, "integer" if value.value == "boolean" else "boolean")


def _bound(value: Value) -> Edit:
    """By one where a request can meet it exactly, else beyond whatever is sent."""
    if value.of_requests():
        return replace(value, value.value + (1 if value.kind.startswith("min") else -1))
    return replace(value, _UNMET[value.kind])


def _enum(value: Value) -> Edit:
    """A list of one value has to keep one."""
    if value.alone:
        return replace(value, _another(value.value))
    return remove(value)


def _required(value: Value) -> Edit:
    """A list has a name at least, or does not stand there."""
    return Edit(value.file, value.path[:-1], "remove") if value.alone else remove(value)


def _another(value: Any) -> Any:
    return not value if isinstance(value, bool) else f"{value}x"


def _status(value: Value) -> Edit:
    if value.path[-1].startswith("2"):
        return rename(value, "202")
    return replace(value, BARE_REPLY)


def _security(value: Value) -> Edit:
    """An open door is closed, a closed one may be passed without a token."""
    locked: list[Any] = [{"bearerAuth": []}]
    return replace(value, [{}, *locked] if value.value == locked else locked)


def _flipped(value: Value) -> Edit:
    return replace(value, not value.value)


_MUTATORS: Mapping[str, Callable[[Value], Edit]] = MappingProxyType(
    {
        "type": _type,
        "format": lambda value: replace(value, "ipv4"),
        "pattern": lambda value: replace(value, NOTHING_BEGINS_SO),
        **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _bound),
        **dict.fromkeys(("minimum", "maximum"), _bound),
        **dict.fromkeys(
            ("nullable", "uniqueItems", "additionalProperties", "deprecated"), _flipped
        ),
        **dict.fromkeys(("body required", "header required", "parameter required"), _flipped),
        "enum": _enum,
        "required": _required,
        **dict.fromkeys(("oneOf", "header"), remove),
        "property": lambda value: rename(value, f"{value.path[-1]}x"),
        "path": lambda value: rename(value, f"/another{value.path[-1]}"),
        **dict.fromkeys(
            ("media type", "body media type"),
            lambda value: rename(value, "application/problem+json"),
        ),
        "status": _status,
        **dict.fromkeys(("message", "wording"), lambda value: replace(value, "Another message")),
        "method": lambda value: rename(value, OTHER_METHODS[value.path[-1]]),
        "security": _security,
        "servers": lambda value: replace(value, "/another/path"),
        "operationId": lambda value: replace(value, f"{value.value}x"),
        "parameter name": lambda value: replace(value, f"{value.value}_x"),
        "parameter in": lambda value: replace(
            value, "header" if value.value == "query" else "query"
        ),
        "security scheme type": lambda value: replace(value, "openIdConnect"),
        "security scheme scheme": lambda value: replace(value, "basic"),
    }
)
