"""Rules of schemas: that they can be met, say what they mean, and show an example."""

from __future__ import annotations

import json
from collections.abc import Iterator

from contract.diagnostics import closest, did_you_mean
from contract.lint import patterns
from contract.lint.lens import Found, Json, Lens, join

_STRING = ("minLength", "maxLength", "pattern")
_NUMBER = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_ARRAY = ("items", "minItems", "maxItems", "uniqueItems")
_OBJECT = ("properties", "required", "additionalProperties", "minProperties", "maxProperties")
_KEYWORDS = {
    "string": _STRING,
    "number": _NUMBER,
    "integer": _NUMBER,
    "array": _ARRAY,
    "object": _OBJECT,
    "boolean": (),
}
_LIMITS = (
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
    ("minimum", "maximum"),
)
_FORMATS = (
    *("date-time", "date", "time", "duration", "email", "uuid", "uri", "uri-reference", "hostname"),
    *("ipv4", "ipv6", "int32", "int64", "float", "double", "byte", "binary", "password", "regex"),
    *("json-pointer", "idn-email", "idn-hostname", "iri", "iri-reference", "uri-template"),
)


def check(lens: Lens) -> None:
    closed = _names_of_groups(lens)
    for schema in lens.objects["schema"]:
        _type(lens, schema)
        _limits(lens, schema)
        _enum(lens, schema)
        _format(lens, schema)
        _pattern(lens, schema)
        _required(lens, schema, closed.get(schema.pointer))
        _discriminator(lens, schema)
        _untyped_slots(lens, schema)
        _examples_of_properties(lens, schema)


# -- types and limits ------------------------------------------------------------------------


def _type(lens: Lens, schema: Found) -> None:
    kind = schema.value.get("type")
    if kind is None:
        _untyped(lens, schema)
        return
    if kind not in _KEYWORDS:
        hint = did_you_mean(kind, _KEYWORDS)
        lens.error(join(schema.pointer, "type"), f'unknown type "{kind}"{hint}')
        return
    if kind == "array" and "items" not in schema.value and lens.whole(schema.pointer):
        lens.error(schema.pointer, 'an array needs "items"', key=True)
    for keywords in _KEYWORDS.values():
        for key in set(keywords) & schema.value.keys() - set(_KEYWORDS[kind]):
            message = f'"{key}" says nothing about {_article(kind)}'
            lens.error(join(schema.pointer, key), message, key=True)


def _untyped(lens: Lens, schema: Found) -> None:
    if not lens.whole(schema.pointer):
        return
    meant = [kind for kind, keys in _KEYWORDS.items() if set(keys) & schema.value.keys()]
    grouped = {"allOf", "oneOf", "anyOf", "not"} & schema.value.keys()
    if meant and not grouped:
        message = f'a schema of {_article(meant[0])} needs "type: {meant[0]}"'
        lens.error(schema.pointer, message, key=True)
    elif not meant and not grouped and "enum" not in schema.value:
        lens.error(schema.pointer, 'a schema needs a "type": this one takes anything', key=True)


def _limits(lens: Lens, schema: Found) -> None:
    for low, high in _LIMITS:
        least, most = schema.value.get(low), schema.value.get(high)
        if least is not None and most is not None and least > most:
            message = f"{low} {least} is over {high} {most}: nothing fits"
            lens.error(join(schema.pointer, low), message)
    for key in {"minLength", "maxLength", "minItems", "maxItems"} & schema.value.keys():
        if schema.value[key] < 0:
            lens.error(join(schema.pointer, key), f"{key} cannot be negative")
    _exclusive(lens, schema)


def _enum(lens: Lens, schema: Found) -> None:
    seen: set[str] = set()
    for index, value in enumerate(schema.value.get("enum", ())):
        text = json.dumps(value, sort_keys=True)
        if text in seen:
            lens.error(join(schema.pointer, "enum", str(index)), f"{text} is listed twice")
        seen.add(text)


def _exclusive(lens: Lens, schema: Found) -> None:
    least, most = schema.value.get("minimum"), schema.value.get("maximum")
    open_ended = schema.value.get("exclusiveMinimum") or schema.value.get("exclusiveMaximum")
    if least is not None and least == most and open_ended:
        message = f"nothing lies between {least} and {most} when one is excluded"
        lens.error(join(schema.pointer, "minimum"), message)


def _format(lens: Lens, schema: Found) -> None:
    name = schema.value.get("format")
    if name is not None and name not in _FORMATS:
        hint = did_you_mean(name, _FORMATS)
        lens.error(join(schema.pointer, "format"), f'unknown format "{name}"{hint}')


# -- patterns --------------------------------------------------------------------------------


def _pattern(lens: Lens, schema: Found) -> None:
    pattern = schema.value.get("pattern")
    if pattern is None:
        return
    pointer = join(schema.pointer, "pattern")
    reasons = list(patterns.faults(pattern))
    for reason in reasons:
        lens.error(pointer, f"the pattern {reason}")
    for token in patterns.doubtful(pattern):
        message = f"{token} means ASCII to some engines and Unicode to others: list the characters"
        lens.say("warning", pointer, message)
    width = None if reasons else patterns.width(pattern)
    if width is None:
        return
    least, most = width
    if least > schema.value.get("maxLength", least):
        lens.error(pointer, f"the pattern needs {least} characters, over maxLength: nothing fits")
    if most < schema.value.get("minLength", 0):
        lens.error(pointer, f"the pattern ends at {most} characters, under minLength: nothing fits")


# -- names -----------------------------------------------------------------------------------


def _names_of_groups(lens: Lens) -> dict[str, set[str]]:
    """For each branch of an `allOf`, every name that the whole of it knows."""
    names: dict[str, set[str]] = {}
    for schema in lens.objects["schema"]:
        if "allOf" in schema.value:
            whole = names.get(schema.pointer, set()) | set(properties(lens, schema))
            for index in range(len(schema.value["allOf"])):
                names[join(schema.pointer, "allOf", str(index))] = whole
    return names


def properties(lens: Lens, schema: Found) -> dict[str, list[Found]]:
    """The property schemas that a schema knows by name, its branches included."""
    names: dict[str, list[Found]] = {}
    for name, found in lens.members(schema, "properties"):
        names.setdefault(name, []).append(found)
    for branch in branches(lens, schema):
        for name, inherited in properties(lens, branch).items():
            names.setdefault(name, []).extend(inherited)
    return names


def branches(lens: Lens, schema: Found) -> Iterator[Found]:
    for key in ("allOf", "oneOf", "anyOf"):
        yield from lens.items(schema, key)


def _required(lens: Lens, schema: Found, group: set[str] | None) -> None:
    known = group or set(properties(lens, schema))
    seen: set[str] = set()
    for index, name in enumerate(schema.value.get("required", ())):
        pointer = join(schema.pointer, "required", str(index))
        if name in seen:
            lens.error(pointer, f'"{name}" is required twice')
        elif name not in known and lens.whole(schema.pointer, join(schema.pointer, "properties")):
            hint = did_you_mean(name, known)
            lens.error(pointer, f'"{name}" is required, but there is no such property{hint}')
        seen.add(name)


def _untyped_slots(lens: Lens, schema: Found) -> None:
    """An envelope's bare `data` waits for another branch to type it; a near miss types nothing."""
    known = properties(lens, schema) if "allOf" in schema.value else {}
    slots = {name: found[0] for name, found in known.items() if all(map(_bare, found))}
    for index, branch in enumerate(schema.value.get("allOf", ())):
        for name in branch.get("properties", {}) if slots else ():
            meant = closest(name, slots, 0.7)
            if name not in slots and meant:
                pointer = join(schema.pointer, "allOf", str(index), "properties", name)
                place = lens.bundle.where(slots[meant].pointer, key=True)
                message = f'"{name}" is not the "{meant}" that {place} leaves open'
                lens.error(pointer, message, key=True)


def _bare(schema: Found) -> bool:
    return schema.value.get("type") == "object" and "properties" not in schema.value


def _discriminator(lens: Lens, schema: Found) -> None:
    found = schema.value.get("discriminator", {})
    name, known = found.get("propertyName"), properties(lens, schema)
    pointer = join(schema.pointer, "discriminator")
    if name is not None and name not in known:
        hint = did_you_mean(name, known)
        message = f'no branch has the property "{name}"{hint}'
        lens.error(join(pointer, "propertyName"), message)
    components = lens.document.get("components", {}).get("schemas", {})
    for value, target in found.get("mapping", {}).items():
        if target not in components:
            hint = did_you_mean(target, components)
            lens.error(join(pointer, "mapping", value), f'no schema is named "{target}"{hint}')


# -- examples --------------------------------------------------------------------------------


def _examples_of_properties(lens: Lens, schema: Found) -> None:
    for name, value in schema.value.get("properties", {}).items():
        pointer = join(schema.pointer, "properties", name)
        if not _shown(lens, lens.resolve(pointer, value)):
            lens.error(pointer, f'the property "{name}" has no example', key=True)


def _shown(lens: Lens, schema: Found) -> bool:
    """Whether a reader sees what a value looks like: an example here or in every part."""
    value: Json = schema.value
    if "example" in value or not lens.whole(schema.pointer):
        return True
    if value.get("type") == "array":
        return _shown(lens, lens.member(schema, "items"))
    parts = list(branches(lens, schema))
    if parts:
        return all(_shown(lens, part) for part in parts)
    return bool(value.get("properties"))


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
