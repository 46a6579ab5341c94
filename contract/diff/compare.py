"""Compares two specs: what a consumer of the old one meets in the new one."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from types import MappingProxyType

from contract.diff.access import Access
from contract.diff.changes import Change, Log, Scope, Weight
from contract.diff.document import Document, Place
from contract.diff.keywords import became, shown
from contract.diff.messages import Messages, flag
from contract.diff.notes import Notes, Stricter
from contract.diff.schemas import Schemas
from contract.grammar import METHODS
from contract.operation import ORPHANS
from contract.source import Node

_VARIABLE = re.compile(r"\{[^}]*\}")
_NOTHING: Stricter = MappingProxyType({})
_SERIALISED = {"query": "form", "cookie": "form", "path": "simple", "header": "simple"}
_SPOKEN_FOR = {"accept", "content-type", "authorization"}
"""Parameters in the header that OpenAPI 3.0.3 says are ignored under these names."""


@dataclass(frozen=True)
class Operation:
    """An operation and where it stands. Paths are told apart by shape, not by variables' names."""

    document: Document
    path: str
    method: str
    item: Node
    node: Node
    place: Place

    @property
    def name(self) -> str:
        given = self.node.value.get("operationId")
        return str(given.value) if given else f"{self.method.upper()} {self.path}"

    def parameters(self) -> dict[tuple[str, str], tuple[str, Node, Place]]:
        """By location and name, or number in the path: name, parameter and place."""
        found = {}
        variables = _VARIABLE.findall(self.path)
        for holder in (self.item, self.node):
            for listed in self._listed(holder):
                node = self.document.follow(listed)
                name, where = node.value["name"].value, node.value["in"].value
                key = _key(where, name, variables)
                if key not in {("header", reserved) for reserved in _SPOKEN_FOR}:
                    found[key] = name, node, self.document.place(listed.location)
        return found

    def _listed(self, holder: Node) -> list[Node]:
        parameters = holder.value.get("parameters")
        return list(parameters.value) if parameters else []


def _key(where: str, name: str, variables: list[str]) -> tuple[str, str]:
    if where == "path" and f"{{{name}}}" in variables:
        return where, str(variables.index(f"{{{name}}}"))
    return where, name.lower() if where == "header" else name


def compare(old: Document, new: Document, stricter: Stricter = _NOTHING) -> list[Change]:
    """Every change, the heaviest first.

    `stricter` says of an extension whether a change of it (old value, new value, None for none)
    refuses what was admitted; a change of any other extension is compatible.
    """
    log = Log()
    _Comparison(Notes(old, new, stricter), log).run()
    return list(log.changes())


class _Comparison:
    def __init__(self, notes: Notes, log: Log) -> None:
        self._old = notes.old
        self._new = notes.new
        self._notes = notes
        self._log = log
        self._schemas = Schemas(notes, log)
        self._messages = Messages(notes, self._schemas, log)
        self._access = Access(log)

    def run(self) -> None:
        self._document()
        old, new = _operations(self._old), _operations(self._new)
        for key in {**old, **new}:
            if key not in new:
                self._whole(old[key], Weight.BREAKING, "gone")
            elif key not in old:
                self._whole(new[key], Weight.COMPATIBLE, "new")
            else:
                self._operation(old[key], new[key])
        self._orphans()

    def _whole(self, operation: Operation, weight: Weight, what: str) -> None:
        title = f"{operation.method.upper()} {operation.path}"
        message = f"the operation {title} is {what}"
        self._log.add(weight, message, None, Scope(operation.name, operation.place))

    def _document(self) -> None:
        place = self._new.place(self._new.root.location)
        scope = Scope("the document", place)
        for names in ((), ("info",)):
            old, new = (
                self._old.member(self._old.root, *names),
                self._new.member(self._new.root, *names),
            )
            if old and new:
                self._notes.compare([old], [new], scope, self._log)

    def _orphans(self) -> None:
        """The replies that belong to no operation, which a spec may list under known names."""
        for status, name in ORPHANS.items():
            old, new = (
                d.members(d.member(d.root, "components"), "responses")
                for d in (self._old, self._new)
            )
            if name in old and name in new:
                place = self._new.place(self._new.follow(new[name]).location)
                scope = Scope(f"any path {status}", place, "response")
                self._messages.response((old[name], new[name]), scope)

    # -- one operation -----------------------------------------------------------------------

    def _operation(self, old: Operation, new: Operation) -> None:
        scope = Scope(new.name, new.place)
        if old.name != new.name:
            place = self._new.place(new.node.keys.get("operationId", new.node.location))
            message = f"operationId: {old.name} became {new.name}"
            self._log.add(Weight.COMPATIBLE, message, place, scope)
        self._notes.compare([old.item], [new.item], scope, self._log)
        self._notes.compare([old.node], [new.node], scope, self._log)
        self._access.security((self._old, old.node), (self._new, new.node), scope)
        self._access.servers(
            (self._old, [old.node, old.item]), (self._new, [new.node, new.item]), scope
        )
        self._parameters(old, new, scope)
        self._body(old.node, new.node, scope)
        self._messages.responses((old.node, new.node), scope)
        self._callbacks(old.node, new.node, scope)

    def _callbacks(self, old: Node, new: Node, scope: Scope) -> None:
        """Requests that the server makes; what has to answer them is not looked into."""
        was, now = self._old.member(old, "callbacks"), self._new.member(new, "callbacks")
        if (was and shown(self._old.value(was))) != (now and shown(self._new.value(now))):
            self._log.add(Weight.BREAKING, "callbacks changed", None, scope)

    def _parameters(self, old: Operation, new: Operation, scope: Scope) -> None:
        before, after = old.parameters(), new.parameters()
        for key in {**before, **after}:
            if key not in after:
                name, _, place = before[key]
                message = f'the {key[0]} parameter "{name}" is gone'
                self._log.add(Weight.BREAKING, message, place, scope)
            elif key not in before:
                self._new_parameter(key[0], after[key], scope)
            else:
                self._parameter(key[0], before[key], after[key], scope)

    def _new_parameter(self, where: str, given: tuple[str, Node, Place], scope: Scope) -> None:
        name, node, place = given
        required = flag(node, "required")
        message = f'the {"required" if required else "optional"} {where} parameter "{name}" is new'
        weight = Weight.BREAKING if required else Weight.COMPATIBLE
        self._log.add(weight, message, place, scope)

    def _parameter(
        self, where: str, old: tuple[str, Node, Place], new: tuple[str, Node, Place], scope: Scope
    ) -> None:
        name, node, place = new
        inner = replace(scope, use=f"{scope.use} {where} {name}", place=place, direction="request")
        if old[0] != name and where == "path":
            self._log.add(Weight.COMPATIBLE, became(f"{where} variable", old[0], name), None, inner)
        self._messages.demand((old[1], node), inner)
        self._messages.carried((old[1], node), _SERIALISED.get(where, "form"), inner)

    def _body(self, old: Node, new: Node, scope: Scope) -> None:
        was, now = self._old.member(old, "requestBody"), self._new.member(new, "requestBody")
        inner = replace(scope, use=f"{scope.use} request", direction="request")
        if was is None and now is not None:
            required = flag(now, "required")
            message = f"a request body is {'required' if required else 'admitted'} now"
            place = self._new.place(new.keys["requestBody"])
            self._log.add(Weight.BREAKING if required else Weight.COMPATIBLE, message, place, inner)
        elif was is not None and now is None:
            place = self._old.place(old.keys["requestBody"])
            self._log.add(Weight.BREAKING, "the request body is gone", place, inner)
        elif was is not None and now is not None:
            inner = replace(inner, place=self._new.place(new.keys["requestBody"]))
            self._messages.demand((was, now), inner)
            self._notes.compare([was], [now], inner, self._log)
            self._messages.content((was, now), inner)


def _operations(document: Document) -> dict[tuple[str, str], Operation]:
    found = {}
    for path, listed in document.members(document.root, "paths").items():
        item = document.follow(listed)
        for method in sorted(METHODS) if path.startswith("/") else ():
            if method in item.value:
                operation = Operation(
                    *(document, path, method, item, item.value[method]),
                    document.place(item.keys[method]),
                )
                found[_VARIABLE.sub("{}", path), method] = operation
    return found
