"""What follows from a spec is written into its bundle, so that everybody reads the same promise."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any

from contract.bundle import Bundle
from contract.diagnostics import Location
from contract.schema import JSON, followed
from contract.violations import step

IMPLIED = "x-implied"
"""Marks a header that nobody wrote: it follows from something else, which says when it changes."""

Places = dict[str, tuple[Location, Location]]


def with_headers(bundle: Bundle, operation: str, headers: Mapping[str, JSON]) -> Bundle:
    """The bundle with further headers on every reply of one operation, given by its pointer.

    `headers` maps names to header objects (OpenAPI 3.0.3 section 4.7.21). A header that a reply
    declares itself stays as it is. Each that is added is marked as `IMPLIED`. Replies that the
    operation shares with others are put in place, so that the others keep theirs.
    """
    document, places = copy(bundle.document), dict(bundle.places)
    marked = {name: header | {IMPLIED: True} for name, header in headers.items()}
    parent = _copied(document, operation)
    parent["responses"] = dict(parent["responses"])
    for status in parent["responses"]:
        own = f"{operation}/responses{step(status)}"
        shared, response = followed(own, parent["responses"][status], bundle.document)
        if shared != own:
            _lead(places, shared, own)
        said = response.get("headers", {})
        known = {name.lower() for name in said}
        more = {name: header for name, header in marked.items() if name.lower() not in known}
        parent["responses"][status] = response | {"headers": more | said}
    return replace(bundle, document=document, places=places)


def _copied(document: dict[str, Any], pointer: str) -> dict[str, Any]:
    """The object at a pointer, and all that hold it, replaced by copies; the rest is shared."""
    node = document
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        node[key] = copy(node[key])
        node = node[key]
    return node


def _lead(places: Places, shared: str, own: str) -> None:
    """What stands under the shared pointer was written where it was, also under the new one."""
    found = {p: place for p, place in places.items() if p.startswith(f"{shared}/")}
    places.update({own + p.removeprefix(shared): place for p, place in found.items()})
    places.pop(f"{own}/$ref", None)
