"""Whether examples, defaults and enumerated values fit the schemas they stand on."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from urllib.parse import quote

import jsonschema_rs

from contract.diagnostics import Severity
from contract.extension_values import without_consequences
from contract.lint.lens import Found, Json, Lens, join

_DOCUMENT = "urn:bundle"
_ANNOTATIONS = frozenset({"example", "default", "discriminator", "xml", "externalDocs"})


def check(lens: Lens, severity: Severity) -> None:
    fit = Fit(lens)
    fit.leave_out(_unreadable(lens))
    _ruling_values(lens, fit)
    fit.leave_out(_unreadable(lens))
    _own_examples(lens, fit, severity)
    for kind in ("mediaType", "parameter", "header"):
        for holder in lens.objects[kind]:
            if "schema" in holder.value:
                _shown_values(lens, fit, holder, severity)


class Fit:
    """Validates values against any schema of the document, all of it translated once."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens
        self._unreadable: AbstractSet[str] = frozenset()
        document = _translate(lens.document, {f.pointer for f in lens.objects["schema"]}, "")
        self._registry = jsonschema_rs.Registry([(_DOCUMENT, document)])

    def leave_out(self, pointers: AbstractSet[str]) -> None:
        """From now on nothing is held against a schema that reaches one of these."""
        self._unreadable = pointers

    def slips(self, schema: Found, value: Json, pointer: str) -> Iterator[tuple[str, str]]:
        """Pointer and message of each way in which a value does not fit a schema.

        Silent where the schema itself is broken, which has been said already.
        """
        if self._lens.reaches(schema, self._unreadable):
            return
        validator = jsonschema_rs.Draft202012Validator(
            {"$ref": f"{_DOCUMENT}#{quote(schema.pointer)}"},
            registry=self._registry,
            validate_formats=True,
            mask="it",
        )
        slips = list(validator.iter_errors(value))
        for slip in without_consequences(slips):
            place = join(pointer, *map(str, slip.instance_path))
            yield from _explain(slip, place)
        if not slips:
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


def _explain(slip: jsonschema_rs.ValidationError, pointer: str) -> Iterator[tuple[str, str]]:
    for key in getattr(slip.kind, "unexpected", None) or ():
        yield join(pointer, key), f'no schema names the property "{key}"'
    if not hasattr(slip.kind, "unexpected"):
        yield pointer, " ".join(slip.message.split())


def _unreadable(lens: Lens) -> set[str]:
    """Schemas against which nothing can be judged: those that lost a key or have an error."""
    known = {schema.pointer for schema in lens.objects["schema"]}
    below = (pointer.rpartition("/")[0] for pointer in lens.named)
    deeper = (pointer.rpartition("/")[0].rpartition("/")[0] for pointer in lens.named)
    return set(lens.bundle.broken) | known.intersection({*lens.named, *below, *deeper})


# -- what is checked -------------------------------------------------------------------------


def _ruling_values(lens: Lens, fit: Fit) -> None:
    """Values that the schema itself lives by are never a mere matter of tidiness."""
    for schema in lens.objects["schema"]:
        if "default" in schema.value:
            shown = (join(schema.pointer, "default"), schema.value["default"])
            _hold(lens, fit, schema, shown, ("default", "error"))
        for index, value in enumerate(schema.value.get("enum", ())):
            shown = (join(schema.pointer, "enum", str(index)), value)
            _hold(lens, fit, schema, shown, ("enum", "error"))


def _own_examples(lens: Lens, fit: Fit, severity: Severity) -> None:
    for schema in lens.objects["schema"]:
        if "example" in schema.value:
            shown = (join(schema.pointer, "example"), schema.value["example"])
            _hold(lens, fit, schema, shown, ("example", severity))


def _shown_values(lens: Lens, fit: Fit, holder: Found, severity: Severity) -> None:
    schema = lens.member(holder, "schema")
    shown = [(join(e.pointer, "value"), e.value) for _, e in lens.members(holder, "examples")]
    values = [(pointer, value["value"]) for pointer, value in shown if "value" in value]
    if "example" in holder.value:
        values.append((join(holder.pointer, "example"), holder.value["example"]))
    for value in values:
        _hold(lens, fit, schema, value, ("example", severity))


def _hold(
    lens: Lens, fit: Fit, schema: Found, shown: tuple[str, Json], as_what: tuple[str, Severity]
) -> None:
    pointer, value = shown
    name, severity = as_what
    for place, message in fit.slips(schema, value, pointer):
        lens.say(severity, place, f"the {name} does not fit its schema: {message}")


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
