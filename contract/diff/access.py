"""Compares how an operation is reached: by which credentials, under which address."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from contract.diff.changes import Log, Scope, Weight
from contract.diff.document import Document, Place
from contract.diff.keywords import became, shown
from contract.source import Node

Requirement = dict[str, frozenset[str]]
"""The scopes of each scheme that is needed; a scheme is known by what it says, not by its name."""

_HINTS = ("description", "bearerFormat")
_VARIABLE = re.compile(r"\{([^}]*)\}")


@dataclass(frozen=True)
class _Entry:
    requirements: list[Requirement]
    text: str
    place: Place | None


class Access:
    def __init__(self, log: Log) -> None:
        self._log = log

    def security(
        self, old: tuple[Document, Node], new: tuple[Document, Node], scope: Scope
    ) -> None:
        """Breaking where credentials that were enough are not enough now."""
        was, now = _entry(*old), _entry(*new)
        if all(each in was.requirements for each in now.requirements) and all(
            each in now.requirements for each in was.requirements
        ):
            return
        enough = all(
            any(_covers(given, asked) for asked in now.requirements) for given in was.requirements
        )
        weight = Weight.COMPATIBLE if enough else Weight.BREAKING
        message = became("security", was.text, now.text)
        if was.text == now.text:
            message = f"security {now.text}: another scheme under the same name"
        self._log.add(weight, message, now.place, scope)

    def servers(
        self,
        old: tuple[Document, Sequence[Node]],
        new: tuple[Document, Sequence[Node]],
        scope: Scope,
    ) -> None:
        """Breaking where an address is gone, or the first, which counts here, has another path."""
        (was, _), (now, place) = _servers(*old), _servers(*new)
        if set(was) == set(now) and was[0] == now[0]:
            return
        moved = urlsplit(was[0]).path != urlsplit(now[0]).path
        breaks = moved or not set(was) <= set(now)
        message = became("servers", ", ".join(was), ", ".join(now))
        self._log.add(Weight.BREAKING if breaks else Weight.COMPATIBLE, message, place, scope)


def _entry(document: Document, operation: Node) -> _Entry:
    """What an operation asks for; without a word of its own, what the document asks for."""
    holder = operation if "security" in operation.value else document.root
    if "security" not in holder.value or not holder.value["security"].value:
        said = holder.keys.get("security")
        return _Entry([{}], "none", document.place(said) if said else None)
    listed = [document.value(each) for each in holder.value["security"].value]
    requirements = [
        {_scheme(document, name): frozenset(scopes) for name, scopes in each.items()}
        for each in listed
    ]
    text = " or ".join(" and ".join(map(_named, each.items())) or "none" for each in listed)
    return _Entry(requirements, text, document.place(holder.keys["security"]))


def _named(requirement: tuple[str, list[str]]) -> str:
    name, scopes = requirement
    return f"{name} ({', '.join(scopes)})" if scopes else name


def _scheme(document: Document, name: str) -> str:
    schemes = document.members(document.member(document.root, "components"), "securitySchemes")
    if name not in schemes:
        return name
    said = document.value(schemes[name])
    return shown({k: v for k, v in said.items() if k not in _HINTS and not k.startswith("x-")})


def _covers(given: Requirement, asked: Requirement) -> bool:
    return all(scheme in given and scopes <= given[scheme] for scheme, scopes in asked.items())


def _servers(document: Document, holders: Sequence[Node]) -> tuple[list[str], Place | None]:
    for holder in (*holders, document.root):
        if "servers" in holder.value and holder.value["servers"].value:
            listed = [_url(document.value(each)) for each in holder.value["servers"].value]
            return listed, document.place(holder.keys["servers"])
    return ["/"], None


def _url(server: dict[str, str]) -> str:
    variables: object = server.get("variables")
    known = variables if isinstance(variables, dict) else {}
    return _VARIABLE.sub(lambda m: str(known.get(m[1], {}).get("default", m[0])), server["url"])
