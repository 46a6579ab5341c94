"""Edits of one value in the text of a file, which leave every other line where it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from tests.mutation.values import Value, compose

Action = Literal["replace", "rename", "remove"]


@dataclass(frozen=True)
class Edit:
    """One edit: a value replaced, its key renamed, or both removed."""

    file: str
    path: tuple[str, ...]
    action: Action
    new: Any = None

    def apply(self, folder: Path) -> None:
        """Edit the file in a copy of the spec."""
        file = folder / self.file
        file.write_text(self.applied(file.read_text("utf-8")), "utf-8")

    def applied(self, text: str) -> str:
        """The text after the edit."""
        parent, index = _find(compose(text), self.path)
        if self.action == "remove":
            return _blanked(text, *_whole(text, parent, index))
        node = _parts(parent)[index][0 if self.action == "rename" else -1]
        return _blanked(text, *_span(text, node), json.dumps(self.new, ensure_ascii=False))


def replace(value: Value, new: Any) -> Edit:
    return Edit(value.file, value.path, "replace", new)


def rename(value: Value, new: str) -> Edit:
    return Edit(value.file, value.path, "rename", new)


def remove(value: Value) -> Edit:
    return Edit(value.file, value.path, "remove")


def _find(node: yaml.Node, path: tuple[str, ...]) -> tuple[yaml.Node, int]:
    """The collection that holds the end of a path, and the member's number."""
    for token in path[:-1]:
        node = _parts(node)[_index(node, token)][-1]
    return node, _index(node, path[-1])


def _index(node: yaml.Node, token: str) -> int:
    if isinstance(node, yaml.SequenceNode):
        return int(token)
    return [key.value for key, _ in node.value].index(token)


def _parts(node: yaml.Node) -> list[tuple[yaml.Node, ...]]:
    """Key and value of each member of a mapping, the item alone of a sequence."""
    return [part if isinstance(part, tuple) else (part,) for part in node.value]


def _span(text: str, node: yaml.Node) -> tuple[int, int]:
    """A block ends where the next begins; what lies between is none of its own."""
    start, end = node.start_mark.index, node.end_mark.index
    return start, start + len(text[start:end].rstrip())


def _whole(text: str, parent: yaml.Node, index: int) -> tuple[int, int]:
    """Where a member stands with what separates it from the others."""
    parts = _parts(parent)
    start, end = parts[index][0].start_mark.index, _span(text, parts[index][-1])[1]
    if parent.flow_style:
        if index + 1 < len(parts):
            return start, parts[index + 1][0].start_mark.index
        return (_span(text, parts[index - 1][-1])[1] if index else start), end
    if isinstance(parent, yaml.SequenceNode):
        return text.rindex("-", 0, start), end
    return start, end


def _blanked(text: str, start: int, end: int, new: str = "") -> str:
    lines = "\n" * text.count("\n", start, end)
    return text[:start] + new + lines + text[end:]
