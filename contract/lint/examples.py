"""Whether examples, defaults and enumerated values fit the schemas they stand on."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import jsonschema_rs

from contract.diagnostics import Severity
from contract.lint.lens import Found, Json, Lens, join

_DOCUMENT = "urn:bundle"
_ANNOTATIONS = frozenset({"example", "default", "discriminator", "xml", "externalDocs"})


def check(lens: Lens, severity: Severity) -> None:
    fit = Fit(lens)
    _own_values(lens, fit, severity)
    for kind in ("mediaType", "parameter", "header"):
        for holder in lens.objects[kind]:
            if "schema" in holder.value:
                _shown_values(lens, fit, holder, severity)


class Fit:
    """Validates values against any schema of the document, all of it translated once."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens
        self._strange = _unreadable(lens)
        document = _translate(lens.document, {f.pointer for f in lens.objects["schema"]}, "")
        self._registry = jsonschema_rs.Registry([(_DOCUMENT, document)])

    def slips(self, schema: Found, value: Json, pointer: str) -> Iterator[tuple[str, str]]:
        """Pointer and message of each way in which a value does not fit a schema.

        Silent where the schema itself is broken, which has been said already.
        """
        if self._reaches(schema, self._strange):
            return
        validator = jsonschema_rs.Draft202012Validator(
            {"$ref": f"{_DOCUMENT}#{quote(schema.pointer)}"},
            registry=self._registry,
            validate_formats=True,
            mask="it",
        )
        wrong = False
        for slip in validator.iter_errors(value):
            wrong = True
            yield join(pointer, *map(str, slip.instance_path)), " ".join(slip.message.split())
        if not wrong:
            yield from self._undeclared([schema], value, pointer)

    def _undeclared(
        self, schemas: list[Found], value: Json, pointer: str
    ) -> Iterator[tuple[str, str]]:
        """Properties that no schema names: replies are held to a closed world."""
        schemas = list(self._parts(schemas, value))
        if isinstance(value, list):
            items = [self._lens.member(s, "items") for s in schemas if "items" in s.value]
            for index, item in enumerate(value):
                yield from self._undeclared(items, item, join(pointer, str(index)))
        elif isinstance(value, dict) and not any(_open(s) for s in schemas):
            yield from self._undeclared_members(schemas, value, pointer)

    def _undeclared_members(
        self, schemas: list[Found], value: dict[str, Json], pointer: str
    ) -> Iterator[tuple[str, str]]:
        for name, child in value.items():
            known = [
                self._lens.member(schema, "properties", name)
                for schema in schemas
                if name in schema.value.get("properties", {})
            ]
            if known:
                yield from self._undeclared(known, child, join(pointer, name))
            else:
                yield join(pointer, name), f'no schema names the property "{name}"'

    def _parts(self, schemas: list[Found], value: Json) -> Iterator[Found]:
        """The schemas that apply to a value: all branches of `allOf`, the fitting ones else."""
        for schema in schemas:
            yield schema
            yield from self._parts(list(self._lens.items(schema, "allOf")), value)
            for key in ("oneOf", "anyOf"):
                fitting = (
                    part
                    for part in self._lens.items(schema, key)
                    if not any(True for _ in self.slips(part, value, ""))
                )
                yield from self._parts(list(fitting), value)

    def _reaches(
        self, schema: Found, pointers: set[str], seen: frozenset[str] = frozenset()
    ) -> bool:
        """Whether a schema is, holds or refers to one of these."""
        if not pointers or schema.pointer in seen:
            return False
        if any(p == schema.pointer or p.startswith(f"{schema.pointer}/") for p in pointers):
            return True
        below = [
            self._lens.resolve(pointer, {"$ref": f"#{target}"})
            for pointer, target in self._lens.references
            if pointer.startswith(f"{schema.pointer}/")
        ]
        return any(self._reaches(found, pointers, seen | {schema.pointer}) for found in below)


def _unreadable(lens: Lens) -> set[str]:
    """Schemas against which nothing can be judged: those that lost a key, or cannot compile."""
    broken = set(lens.bundle.broken)
    wrong = {d.location for d in lens.diagnostics if d.severity == "error"}
    for schema in lens.objects["schema"]:
        for place in (schema.pointer, *(join(schema.pointer, key) for key in schema.value)):
            if lens.bundle.where(place) in wrong or lens.bundle.where(place, key=True) in wrong:
                broken.add(schema.pointer)
    return broken


# -- what is checked -------------------------------------------------------------------------


def _own_values(lens: Lens, fit: Fit, severity: Severity) -> None:
    for schema in lens.objects["schema"]:
        levels: dict[str, Severity] = {"example": severity, "default": "error"}
        for key, level in levels.items():
            if key in schema.value:
                shown = (join(schema.pointer, key), schema.value[key])
                _hold(lens, fit, schema, shown, level)
        for index, value in enumerate(schema.value.get("enum", ())):
            pointer = join(schema.pointer, "enum", str(index))
            _hold(lens, fit, schema, (pointer, value), "error")


def _shown_values(lens: Lens, fit: Fit, holder: Found, severity: Severity) -> None:
    schema = lens.member(holder, "schema")
    if "example" in holder.value:
        pointer = join(holder.pointer, "example")
        _hold(lens, fit, schema, (pointer, holder.value["example"]), severity)
    for _, example in lens.members(holder, "examples"):
        if "value" in example.value:
            pointer = join(example.pointer, "value")
            _hold(lens, fit, schema, (pointer, example.value["value"]), severity)


def _hold(lens: Lens, fit: Fit, schema: Found, shown: tuple[str, Json], severity: Severity) -> None:
    pointer, value = shown
    for place, message in fit.slips(schema, value, pointer):
        lens.say(severity, place, f"does not fit its schema: {message}")


# -- OpenAPI 3.0 schemas as JSON Schema --------------------------------------------------------


def _translate(value: Json, schemas: set[str], pointer: str) -> Json:
    """The document with each of its schemas in the words of JSON Schema 2020-12."""
    if isinstance(value, list):
        return [_translate(item, schemas, f"{pointer}/{i}") for i, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    is_schema = pointer in schemas
    members = {
        key: _translate(child, schemas, join(pointer, key))
        for key, child in value.items()
        if not (is_schema and (key in _ANNOTATIONS or key.startswith("x-")))
    }
    return _modern(members) if is_schema else members


def _modern(schema: dict[str, Json]) -> dict[str, Json]:
    for limit, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if schema.pop(exclusive, False) is True and limit in schema:
            schema[exclusive] = schema.pop(limit)
    if schema.pop("nullable", False) is True and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    return schema


def _open(schema: Found) -> bool:
    return schema.value.get("additionalProperties") not in (None, False)
