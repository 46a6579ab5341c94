"""Compiled schemas, and their verdicts in sentences that repeat nothing of the value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import jsonschema_rs
from jsonschema_rs import ValidationError

from contract.closed import close
from contract.violations import Place, Violation, step

JSON = dict[str, Any]
MOST = 20  # violations reported of one value

_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

# Formats that draft 4 does not have. The rest comes with the validator.
FORMATS: dict[str, Callable[[str], bool]] = {
    "uuid": lambda text: _UUID.fullmatch(text) is not None,
    "byte": lambda text: _BASE64.fullmatch(text) is not None,
    # Said to people and tools; every string is one.
    "password": lambda _text: True,
    "binary": lambda _text: True,
    "int32": lambda _text: True,
    "int64": lambda _text: True,
    "float": lambda _text: True,
    "double": lambda _text: True,
}

# One sentence per keyword, filled from the schema and from nothing else.
_SENTENCES: dict[str, Callable[[Any], str]] = {
    "type": lambda kind: f"must be {' or '.join(kind.types)}",
    "required": lambda kind: f'lacks "{kind.property}"',
    "additionalProperties": lambda _: "has a property that is not declared",
    "pattern": lambda _: "does not match the pattern",
    "format": lambda kind: f"is not in the format {kind.format}",
    "enum": lambda _: "is not one of the values listed",
    "minLength": lambda kind: f"is shorter than {kind.limit}",
    "maxLength": lambda kind: f"is longer than {kind.limit}",
    "minimum": lambda kind: f"is below {kind.limit}",
    "maximum": lambda kind: f"is above {kind.limit}",
    "exclusiveMinimum": lambda kind: f"is not above {kind.limit}",
    "exclusiveMaximum": lambda kind: f"is not below {kind.limit}",
    "multipleOf": lambda kind: f"is not a multiple of {kind.multiple_of}",
    "minItems": lambda kind: f"has fewer than {kind.limit} items",
    "maxItems": lambda kind: f"has more than {kind.limit} items",
    "uniqueItems": lambda _: "has the same item twice",
    "minProperties": lambda kind: f"has fewer than {kind.limit} properties",
    "maxProperties": lambda kind: f"has more than {kind.limit} properties",
    "oneOf": lambda _: "does not fit exactly one of the forms listed",
    "anyOf": lambda _: "does not fit any of the forms listed",
    "not": lambda _: "is not taken here",
}

# How far a broken keyword puts a value from the form: each name counts, the type decides.
_OF_TYPE = 1_000_000
_SHAPE: dict[str, Callable[[Any], int]] = {
    "type": lambda _: _OF_TYPE,
    "enum": lambda _: _OF_TYPE,
    "required": lambda _: 1,
    "additionalProperties": lambda kind: len(kind.unexpected),
}


class Rules:
    """A compiled draft 4 schema without references.

    Raises ValueError on a schema that cannot be compiled: an unknown format, a bad pattern.
    """

    def __init__(self, schema: JSON, *, closed: bool = False) -> None:
        self._validator = _compile(schema)
        self._closed = _compile(close(schema)) if closed else None
        self._names = frozenset(_property_names(schema))

    def admits(self, value: Any) -> bool:
        """Whether the value fits. The value is of JSON types, without lone surrogates."""
        if not self._validator.is_valid(value):
            return False
        return self._closed is None or bool(self._closed.is_valid(value))

    def violations(self, value: Any, place: Place, prefix: str = "") -> tuple[Violation, ...]:
        """What is wrong, at most MOST of it; empty if nothing is. `prefix` leads the pointers."""
        if self.admits(value):
            return ()
        errors = list(islice(self._validator.iter_errors(value), MOST))
        if not errors and self._closed is not None:
            errors = list(islice(self._closed.iter_errors(value), MOST))
        found = [
            Violation(place, prefix + self._pointer(error), _keyword(error), _sentence(error))
            for error in _explained(errors)
        ]
        return tuple(dict.fromkeys(found))[:MOST]

    def _pointer(self, error: ValidationError) -> str:
        pointer = ""
        for name in error.instance_path:
            if isinstance(name, str) and name not in self._names:
                break  # a submitted name
            pointer += step(name)
        return pointer


def _compile(schema: JSON) -> jsonschema_rs.Draft4Validator:
    return jsonschema_rs.Draft4Validator(
        schema, formats=FORMATS, validate_formats=True, ignore_unknown_formats=False
    )


def _keyword(error: ValidationError) -> str:
    """The keyword to blame. An object without any property refuses each with `false`."""
    name: str = error.kind.name
    return "additionalProperties" if name == "falseSchema" else name


def _sentence(error: ValidationError) -> str:
    sentence = _SENTENCES.get(_keyword(error))
    return sentence(error.kind) if sentence else "does not fit the schema"


def _explained(errors: list[ValidationError]) -> Iterator[ValidationError]:
    for error in errors:
        branch = _meant(error)
        if branch is None:
            yield error
        else:
            yield from _explained(branch)


def _meant(error: ValidationError) -> list[ValidationError] | None:
    """The errors of the branch that the value was evidently meant for, if there is one.

    Only the shape tells: the type, and which names are there. A branch with fewer faults of shape
    than every other one is the one meant, unless nothing is there to tell by.
    """
    branches = getattr(error.kind, "context", None)
    if not branches or not all(branches):
        return None
    faults = {id(branch): _misshapen(branch, error.instance_path) for branch in branches}
    ranked = sorted(branches, key=lambda branch: faults[id(branch)])
    best, second, *_ = [*(faults[id(branch)] for branch in ranked), _OF_TYPE]
    if best == second or (error.instance == {} and second < _OF_TYPE):
        return None
    return list(ranked[0])


def _misshapen(branch: list[ValidationError], path: list[str | int]) -> int:
    own = [error for error in branch if error.instance_path == path]
    return sum(_SHAPE[e.kind.name](e.kind) for e in own if e.kind.name in _SHAPE)


def _property_names(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for item in schema:
            yield from _property_names(item)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "properties":
                yield from value
                yield from _property_names(list(value.values()))
            elif key != "enum":
                yield from _property_names(value)
