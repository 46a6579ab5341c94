"""Holds the values of `x-` keys against their JSON Schemas and readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs

from contract.diagnostics import Diagnostic, closest, did_you_mean, error
from contract.extensions import Extension, Misfit
from contract.source import Node

Follow = Callable[[Node], Node]


class ValueChecker:
    """Checks values, each extension's schema compiled once.

    `follow` maps a reference object to what it refers to, and any other node to itself.
    """

    def __init__(self, follow: Follow) -> None:
        self._follow = follow
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}

    def check(self, extension: Extension, node: Node) -> Iterator[Diagnostic]:
        """Every reason why a value does not fit, each at the place that is to blame."""
        value = plain(node, self._follow)
        slips = list(self._validator(extension).iter_errors(value))
        for slip in without_consequences(slips):
            yield from self._explain(extension, node, slip)
        if not slips:
            yield from self._read(extension, node, value)

    def _read(self, extension: Extension, node: Node, value: Any) -> Iterator[Diagnostic]:
        try:
            extension.read(value)
        except ValueError as exc:
            path = exc.path if isinstance(exc, Misfit) else ()
            yield error(self._descend(node, [*path]).location, f'"{extension.name}": {exc}')

    def _validator(self, extension: Extension) -> jsonschema_rs.Draft202012Validator:
        if extension.name not in self._validators:
            self._validators[extension.name] = jsonschema_rs.Draft202012Validator(
                extension.schema, validate_formats=True
            )
        return self._validators[extension.name]

    def _explain(
        self, extension: Extension, node: Node, slip: jsonschema_rs.ValidationError
    ) -> Iterator[Diagnostic]:
        culprit = self._descend(node, slip.instance_path)
        unexpected = getattr(slip.kind, "unexpected", None)
        if unexpected is None or culprit.type != "object":
            yield error(culprit.location, f'"{extension.name}": {slip.message}')
            return
        known = _properties(extension.schema, slip.schema_path)
        for key in unexpected:
            hint = did_you_mean(key, known)
            yield error(culprit.keys[key], f'"{extension.name}": unknown key "{key}"{hint}')

    def _descend(self, node: Node, path: list[str | int]) -> Node:
        node = self._follow(node)
        for step in path:
            node = self._follow(node.value[step])
        return node


def without_consequences(
    slips: list[jsonschema_rs.ValidationError],
) -> list[jsonschema_rs.ValidationError]:
    """Leaves out the lack of a key where a misspelt one stands in its place."""
    misspelt = [
        (slip.instance_path, key)
        for slip in slips
        for key in getattr(slip.kind, "unexpected", None) or ()
    ]
    return [
        slip
        for slip in slips
        if not any(
            path == slip.instance_path and closest(getattr(slip.kind, "property", ""), [key])
            for path, key in misspelt
        )
    ]


def plain(node: Node, follow: Follow) -> Any:
    """The JSON value of a node, with references replaced by what they refer to."""
    node = follow(node)
    if isinstance(node.value, dict):
        return {key: plain(child, follow) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child, follow) for child in node.value]
    return node.value


def _properties(schema: Any, path: list[str | int]) -> list[str]:
    """The names that the schema at a path knows; none where the path leads through a `$ref`."""
    for step in path[:-1]:
        if isinstance(schema, dict) and step not in schema:
            return []
        schema = schema[step]
    return list(schema.get("properties", ())) if isinstance(schema, dict) else []
