"""The `x-` keys that a spec may use: one JSON Schema and one reader each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def _no_statuses(_value: Any) -> frozenset[str]:
    return frozenset()


class Misfit(ValueError):
    """What a reader says of a part of a value: a sentence, and the keys that lead to the part."""

    def __init__(self, message: str, *path: str) -> None:
        self.path = path
        super().__init__(message)

    def under(self, key: str) -> Misfit:
        """The same, said of a value in which this one stands under `key`."""
        return Misfit(str(self), key, *self.path)


@dataclass(frozen=True, slots=True)
class Extension:
    """What an `x-` key means.

    `where` names the kinds of object it may stand on (`operation`, `schema`, ...: the keys of
    `contract.grammar.GRAMMAR`). `schema` is a JSON Schema (draft 2020-12) of its value. `read` turns
    a value that fits into a frozen policy object and may raise Misfit, or any ValueError with a
    sentence for the author. `statuses` says which statuses an operation that carries the value must declare.
    """

    name: str
    where: frozenset[str]
    schema: dict[str, Any]
    read: Callable[[Any], Any]
    statuses: Callable[[Any], frozenset[str]] = _no_statuses


class Registry:
    """The extensions that are known. A spec that uses any other is refused."""

    def __init__(self) -> None:
        self._extensions: dict[str, Extension] = {}

    def register(self, extension: Extension) -> None:
        """Raises ValueError for a name that is taken or does not begin with `x-`."""
        if not extension.name.startswith("x-"):
            raise ValueError(f"an extension's name begins with x-: {extension.name}")
        if extension.name in self._extensions:
            raise ValueError(f"{extension.name} is registered twice")
        self._extensions[extension.name] = extension

    def get(self, name: str) -> Extension | None:
        return self._extensions.get(name)

    def names(self) -> tuple[str, ...]:
        return tuple(self._extensions)
