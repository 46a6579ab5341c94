"""What can stand on any object beside what it is: wording, deprecation and extensions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from contract.diff.changes import Log, Scope, Weight
from contract.diff.document import Document, Place
from contract.diff.keywords import became, shown
from contract.source import Node

Stricter = Mapping[str, Callable[[Any, Any], bool]]
"""For an extension, whether its second value refuses what the first admits (None: not there)."""

Leaf = tuple[Any, Place]

TEXTS = ("title", "summary", "description", "externalDocs", "tags", "example", "examples")


class Notes:
    """Compares the notes on two objects; an object may come in parts."""

    def __init__(self, old: Document, new: Document, stricter: Stricter) -> None:
        self.old = old
        self.new = new
        self._stricter = stricter

    def compare(self, old: Sequence[Node], new: Sequence[Node], scope: Scope, log: Log) -> None:
        for key in TEXTS:
            before, after = self._said(old, new, key)
            if _values(before) != _values(after):
                place = (after or before)[0][1]
                log.add(Weight.WORDING, f"{key} reworded", place, scope)
        self._deprecation(old, new, scope, log)
        for key in _extensions(old, new):
            self._extension(key, old, new, scope, log)

    def _said(
        self, old: Sequence[Node], new: Sequence[Node], key: str
    ) -> tuple[list[Leaf], list[Leaf]]:
        return _leaves_of(self.old, old, key), _leaves_of(self.new, new, key)

    def _deprecation(
        self, old: Sequence[Node], new: Sequence[Node], scope: Scope, log: Log
    ) -> None:
        before, after = self._said(old, new, "deprecated")
        was, now = any(_values(before)), any(_values(after))
        if was != now:
            message = "is deprecated" if now else "is deprecated no more"
            log.add(Weight.COMPATIBLE, message, (after or before)[0][1], scope)

    def _extension(
        self, key: str, old: Sequence[Node], new: Sequence[Node], scope: Scope, log: Log
    ) -> None:
        if key in self._stricter:
            self._judged(key, old, new, scope, log)
            return
        before, after = self._leaves(self.old, old, key), self._leaves(self.new, new, key)
        for name in {**before, **after}:
            was, now = (shown(side[name][0]) if name in side else None for side in (before, after))
            if was != now:
                place = (after.get(name) or before[name])[1]
                log.add(Weight.COMPATIBLE, became(name, was, now), place, scope)

    def _judged(
        self, key: str, old: Sequence[Node], new: Sequence[Node], scope: Scope, log: Log
    ) -> None:
        before, after = self._said(old, new, key)
        was, now = (values[0] if (values := _values(v)) else None for v in (before, after))
        if was == now:
            return
        breaks = self._stricter[key](was, now)
        sentences = (
            shown(value) if there else None for value, there in ((was, before), (now, after))
        )
        message = became(key, *sentences)
        place = (after or before)[0][1]
        log.add(Weight.BREAKING if breaks else Weight.COMPATIBLE, message, place, scope)

    def _leaves(self, document: Document, nodes: Sequence[Node], key: str) -> dict[str, Leaf]:
        """The single values of an extension by dotted name, each where it is written."""
        return {
            name: leaf
            for node in nodes
            if key in node.value
            for name, leaf in _spread(document, key, node.value[key], node.keys[key])
        }


def _spread(document: Document, name: str, node: Node, key: Any) -> Iterator[tuple[str, Leaf]]:
    node = document.follow(node)
    if node.type == "object" and node.value:
        for inner, child in node.value.items():
            yield from _spread(document, f"{name} {inner}", child, node.keys[inner])
    else:
        yield name, (document.value(node), document.place(key))


def _leaves_of(document: Document, nodes: Sequence[Node], key: str) -> list[Leaf]:
    """The values of one key on every part that has it."""
    return [
        (document.value(node.value[key]), document.place(node.keys[key]))
        for node in nodes
        if key in node.value
    ]


def _values(leaves: list[Leaf]) -> list[Any]:
    return [value for value, _ in leaves]


def _extensions(old: Sequence[Node], new: Sequence[Node]) -> list[str]:
    keys = dict.fromkeys(key for node in (*old, *new) for key in node.value)
    return [key for key in keys if key.startswith("x-")]
