"""Compares what a request and a reply are made of: statuses, headers, media types, links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from contract.diff.changes import Effect, Log, Scope, Weight
from contract.diff.document import Document
from contract.diff.keywords import became, shown
from contract.diff.notes import Notes
from contract.diff.schemas import Schemas
from contract.enrich import IMPLIED
from contract.media import essence
from contract.source import Node

Pair = tuple[Node, Node]
"""What stood in the old document beside what stands in the new one, past references."""


class Messages:
    def __init__(self, notes: Notes, schemas: Schemas, log: Log) -> None:
        self._old = notes.old
        self._new = notes.new
        self._notes = notes
        self._schemas = schemas
        self._log = log

    # -- what carries a value ----------------------------------------------------------------

    def demand(self, pair: Pair, scope: Scope) -> None:
        """Whether a parameter, a header or a body must be there."""
        was, now = (flag(node, "required") for node in pair)
        if was != now:
            message = "is required now" if now else "is required no more"
            place = (
                self._new.place(pair[1].keys["required"]) if "required" in pair[1].keys else None
            )
            self._log.effect(Effect.NARROWS if now else Effect.WIDENS, message, place, scope)

    def carried(self, pair: Pair, style: str, scope: Scope) -> None:
        """The value of a parameter or a header; `style` is how it is written if nothing is said."""
        was, now = (_serialisation(node, style) for node in pair)
        if was != now:
            self._log.effect(Effect.REPLACES, became("style", was, now), None, scope)
        for key in ("allowReserved", "allowEmptyValue"):
            before, after = (flag(node, key) for node in pair)
            if before != after:
                effect = Effect.WIDENS if after else Effect.NARROWS
                self._log.effect(effect, f"{key} is {str(after).lower()} now", None, scope)
        self._schema(pair, scope)
        self.content(pair, scope)
        self._notes.compare([pair[0]], [pair[1]], scope, self._log)

    def content(self, pair: Pair, scope: Scope) -> None:
        """The media types of a body, each with its schema."""
        old, new = _content(self._old, pair[0]), _content(self._new, pair[1])
        for name in {**old, **new}:
            if name not in new:
                place = self._old.place(old[name].location)
                self._log.add(Weight.BREAKING, f"the media type {name} is gone", place, scope)
            elif name not in old:
                place = self._new.place(new[name].location)
                self._log.effect(Effect.WIDENS, f"the media type {name} is new", place, scope)
            else:
                self._media_type((old[name], new[name]), scope)

    def _media_type(self, pair: Pair, scope: Scope) -> None:
        self._schema(pair, scope)
        was, now = (
            shown(document.value(node.value["encoding"])) if "encoding" in node.value else None
            for document, node in zip((self._old, self._new), pair, strict=True)
        )
        if was != now:
            self._log.effect(Effect.REPLACES, "encoding changed", None, scope)
        self._notes.compare([pair[0]], [pair[1]], scope, self._log)

    def _schema(self, pair: Pair, scope: Scope) -> None:
        old, new = ([node.value["schema"]] if "schema" in node.value else [] for node in pair)
        if old or new:
            place = self._new.place(pair[1].keys["schema"]) if new else None
            self._schemas.compare(old, new, replace(scope, place=place or scope.place))

    # -- replies -----------------------------------------------------------------------------

    def responses(self, pair: Pair, scope: Scope) -> None:
        """A range or `default` speaks for the statuses that are not listed."""
        old, new = self._old.members(pair[0], "responses"), self._new.members(pair[1], "responses")
        for status in sorted({*old, *new}):
            if not status.startswith("x-"):
                inner = replace(scope, use=f"{scope.use} {status}", direction="response")
                self._status(status, (pair, old, new), inner)

    def _status(
        self, status: str, sides: tuple[Pair, Mapping[str, Node], Mapping[str, Node]], scope: Scope
    ) -> None:
        (old_node, new_node), old, new = sides
        was, now = _spoken_for(status, old), _spoken_for(status, new)
        if now is None:
            place = self._old.place(old_node.value["responses"].keys[status])
            weight = Weight.BREAKING if _is_lost(status, new) else Weight.COMPATIBLE
            self._log.add(weight, f"the status {status} is gone", place, scope)
            return
        keys = new_node.value["responses"].keys
        inner = replace(scope, place=self._new.place(keys.get(status, now.location)))
        if was is None:
            self._log.effect(Effect.WIDENS, f"the status {status} is new", None, inner)
        else:
            self.response((was, now), inner)

    def response(self, pair: Pair, scope: Scope) -> None:
        pair = self._old.follow(pair[0]), self._new.follow(pair[1])
        self._notes.compare([pair[0]], [pair[1]], scope, self._log)
        self.content(pair, replace(scope, place=self._new.place(pair[1].location)))
        self._headers(pair, scope)
        self._links(pair, scope)

    def _headers(self, pair: Pair, scope: Scope) -> None:
        old, new = _headers(self._old, pair[0]), _headers(self._new, pair[1])
        for name in {**old, **new}:
            inner = replace(scope, use=f"{scope.use} header {name}")
            if name not in new:
                place = self._old.place(old[name].location)
                self._log.add(Weight.BREAKING, f"the header {name} is gone", place, inner)
            elif name not in old:
                place = self._new.place(new[name].location)
                self._log.add(Weight.COMPATIBLE, f"the header {name} is new", place, inner)
            else:
                both = self._old.follow(old[name]), self._new.follow(new[name])
                inner = replace(inner, place=self._new.place(both[1].location))
                self.demand(both, inner)
                self.carried(both, "simple", inner)

    def _links(self, pair: Pair, scope: Scope) -> None:
        """A link says what can be asked next; nothing that is asked or answered hangs on it."""
        old, new = self._old.members(pair[0], "links"), self._new.members(pair[1], "links")
        for name in {**old, **new}:
            was = shown(self._old.value(old[name])) if name in old else None
            now = shown(self._new.value(new[name])) if name in new else None
            if was != now:
                what = "new" if was is None else "gone" if now is None else "another"
                place = (
                    self._new.place(new[name].location)
                    if name in new
                    else self._old.place(old[name].location)
                )
                self._log.add(Weight.COMPATIBLE, f"the link {name} is {what}", place, scope)


def flag(node: Node, key: str) -> bool:
    return key in node.value and bool(node.value[key].value)


def _serialisation(node: Node, style: str) -> str:
    given = str(node.value["style"].value) if "style" in node.value else style
    explode = flag(node, "explode") if "explode" in node.value else given == "form"
    return f"{given}{' exploded' if explode else ''}"


def _content(document: Document, node: Node) -> dict[str, Node]:
    """Media types in the form in which they are matched."""
    found = document.members(node, "content")
    return {essence(name) or name: media_type for name, media_type in found.items()}


def _headers(document: Document, node: Node) -> dict[str, Node]:
    """By name in lower case, without Content-Type, which OpenAPI 3.0.3 ignores here.

    What a bundle adds and its files do not have is left to what it follows from.
    """
    return {
        name.lower(): header
        for name, header in document.members(node, "headers").items()
        if name.lower() != "content-type" and not flag(document.follow(header), IMPLIED)
    }


def _spoken_for(status: str, responses: Mapping[str, Node]) -> Node | None:
    keys = (status,) if status == "default" else (status, f"{status[0]}XX", "default")
    return next((responses[key] for key in keys if key in responses), None)


def _is_lost(status: str, new: Mapping[str, Node]) -> bool:
    """Whether consumers wait for what has gone: a success, or the last one of a range."""
    if not status.startswith("2"):
        return False
    return status != "2XX" or not any(other.startswith("2") for other in new)
