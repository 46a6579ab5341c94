"""The catalogue of extensions, written from their own JSON Schemas (docs/extensions.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from contract.extensions import Extension, Registry

JSON = dict[str, Any]
_WIDTH = 100

_HEAD = """\
# Extensions

What the `x-` keys of the spec mean. `countersign spec extensions` prints this page from the schemas
that the keys are held against at start; a key that is not here is refused. Durations are ISO 8601:
`PT30S`, `PT10M`, `P1DT12H`.
"""


def catalogue(registry: Registry, document: JSON) -> str:
    """The page, in Markdown. Examples are what the document itself says first."""
    known = [registry.get(name) for name in sorted(registry.names())]
    sections = (_section(each, document) for each in known if each is not None)
    return "\n".join([_HEAD, *sections])


def _section(extension: Extension, document: JSON) -> str:
    schema = extension.schema
    kinds: dict[str, JSON] = {}
    lines = [f"## `{extension.name}`", "", schema["description"], ""]
    lines += [f"Stands on: {', '.join(sorted(extension.where))}.", ""]
    if "properties" in schema:
        lines += [*_table(schema, kinds), ""]
    else:
        lines += [f"Value: {_value(schema, kinds)}.", ""]
    # What is found while a table is written is written after it.
    for title, kind in kinds.items():
        lines += [f"A {title}:", "", *_table(kind, {}), ""]
    return "\n".join([*lines, *_example(extension, document)])


def _table(schema: JSON, kinds: dict[str, JSON]) -> Iterator[str]:
    yield "| member | value | needed | decides |"
    yield "| --- | --- | --- | --- |"
    for name, member in schema["properties"].items():
        needed = "yes" if name in schema.get("required", ()) else "no"
        yield f"| `{name}` | {_value(member, kinds)} | {needed} | {member['description']} |"


def _value(schema: JSON, kinds: dict[str, JSON]) -> str:
    """What a value may be, in words; a titled object is described in a table of its own."""
    if "enum" in schema:
        return _either([f"`{json.dumps(v).strip(chr(34))}`" for v in schema["enum"]])
    if "properties" in schema:
        kinds.setdefault(schema["title"], schema)
        return f"a {schema['title']}"
    if "title" in schema:
        return f"a {schema['title']}"
    if schema["type"] == "array":
        return f"a list of {_value(schema['items'], kinds)}"
    return _scalar(schema)


def _scalar(schema: JSON) -> str:
    if "minimum" in schema:
        return f"{schema['minimum']:,} to {schema['maximum']:,}"
    if "pattern" in schema:
        return f"text that matches `{schema['pattern'].replace('|', chr(92) + '|')}`"
    return "texts" if schema["type"] == "string" else str(schema["type"])


def _either(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _example(extension: Extension, document: JSON) -> Iterator[str]:
    """The first use in the document, and the statuses that it makes an operation declare."""
    value = next(_uses(document, extension.name), None)
    if value is None:
        value = extension.schema["examples"][0]
    flow = None if isinstance(value, dict) else False
    shown = {extension.name: value}
    text = yaml.safe_dump(shown, sort_keys=False, default_flow_style=flow, width=_WIDTH)
    yield from ("```yaml", text.rstrip(), "```", "")
    statuses = sorted(extension.statuses(value))
    if statuses:
        yield from (f"With this the operation has to declare {', '.join(statuses)}.", "")


def _uses(node: Any, name: str) -> Iterator[Any]:
    if isinstance(node, Mapping):
        if name in node:
            yield node[name]
        for value in node.values():
            yield from _uses(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from _uses(value, name)
