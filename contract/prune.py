"""A spec without some of its operations, as if nobody had written them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
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
    stock = _stock(whole)
    _drop_operations(left, off)
    _drop_links(_lens(left), off)
    _drop_components(left, _needed(whole, stock) - _needed(_lens(left), stock))
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


def _references(lens: Lens) -> Iterator[tuple[str, str]]:
    """From where to which component; security schemes are referred to by name."""
    yield from lens.references
    for requirement in lens.objects["securityRequirement"]:
        for name in requirement.value:
            yield requirement.pointer, f"/components/securitySchemes/{name}"


def _stock(lens: Lens) -> set[str]:
    """The components that are there for themselves, whatever the operations are."""
    sections = lens.document.get("components", {})
    everything = {
        f"/components/{section}/{name}"
        for section, members in sections.items()
        if not section.startswith("x-")
        for name in members
    }
    loose = {f"/components/responses/{name}" for name in ORPHANS.values()}
    return loose | everything - {to for _, to in _references(lens)}


def _needed(lens: Lens, stock: set[str]) -> set[str]:
    """The stock, and the components that it or something else refers to in the end."""
    references = list(_references(lens))
    found: set[str] = set()
    waiting = [*stock, *(to for at, to in references if not at.startswith("/components/"))]
    while waiting:
        pointer = waiting.pop()
        if pointer not in found:
            found.add(pointer)
            waiting += [to for at, to in references if f"{at}/".startswith(f"{pointer}/")]
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
