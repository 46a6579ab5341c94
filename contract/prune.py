"""A spec without some of its operations, as if nobody had written them."""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy
from dataclasses import replace

from contract.bundle import Bundle
from contract.extensions import Registry
from contract.grammar import METHODS
from contract.lint.lens import Lens
from contract.operation import ORPHANS


def without(bundle: Bundle, operations: Collection[str]) -> Bundle:
    """The bundle without the operations of these ids and without what is then about nothing.

    Those are paths that have no other operation, links to the ones that go, and the tags and
    components that only these needed. What nothing referred to before stays. `off` of the result
    holds the ids.
    """
    off = bundle.off.union(operations)
    left = replace(bundle, document=deepcopy(bundle.document), off=off)
    whole = _lens(bundle)
    _drop_operations(left, off)
    _drop_links(_lens(left), off)
    _drop_components(left, _needed(whole) - _needed(_lens(left)))
    _drop_tags(left, _tags(whole) - _tags(_lens(left)))
    return left


def _lens(bundle: Bundle) -> Lens:
    return Lens(bundle, Registry())


def _drop_operations(bundle: Bundle, off: Collection[str]) -> None:
    paths = bundle.document["paths"]
    for path, item in list(paths.items()):
        for method in METHODS & item.keys():
            if item[method]["operationId"] in off:
                del item[method]
        if not METHODS & item.keys():
            del paths[path]


def _drop_links(lens: Lens, off: Collection[str]) -> None:
    for response in lens.objects["response"]:
        for name, link in list(lens.members(response, "links")):
            if link.value["operationId"] in off:
                del response.value["links"][name]
        if not response.value.get("links", True):
            del response.value["links"]


def _needed(lens: Lens) -> set[str]:
    """The components that are referred to, in the end, from outside all components."""
    found: set[str] = set()
    waiting = [to for at, to in lens.references if not at.startswith("/components/")]
    waiting += [f"/components/responses/{name}" for name in ORPHANS.values()]
    for requirement in lens.objects["securityRequirement"]:
        waiting += [f"/components/securitySchemes/{name}" for name in requirement.value]
    while waiting:
        pointer = waiting.pop()
        if pointer not in found:
            found.add(pointer)
            waiting += [to for at, to in lens.references if f"{at}/".startswith(f"{pointer}/")]
    return found


def _drop_components(bundle: Bundle, pointers: Collection[str]) -> None:
    components = bundle.document.get("components", {})
    for pointer in pointers:
        _, _, section, name = pointer.split("/")
        del components[section][name]
        if not components[section]:
            del components[section]


def _tags(lens: Lens) -> set[str]:
    return {tag for operation in lens.operations() for tag in operation.value.get("tags", ())}


def _drop_tags(bundle: Bundle, names: Collection[str]) -> None:
    if "tags" in bundle.document:
        told = [tag for tag in bundle.document["tags"] if tag["name"] not in names]
        bundle.document["tags"] = told
