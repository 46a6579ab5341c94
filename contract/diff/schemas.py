"""Compares what fits two schemas, in the direction in which the value travels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from contract.diff.changes import Effect, Log, Scope, Weight
from contract.diff.document import Document, Place
from contract.diff.forms import Form, admits_null, expand
from contract.diff.keywords import became, differences, shown
from contract.diff.notes import Notes
from contract.source import Node

Cost = tuple[int, int]
_OPAQUE = ("not", "xml")
"""Keywords of which no more is said than that they changed."""


class Schemas:
    """Enters in `log` by what two schemas differ. A schema may come in parts that all must be met.

    A pair is compared once for each request and reply, so that circles end and the many ways to one
    schema are one way. A pair that has been found equal, nothing skipped, is not looked at again.
    """

    def __init__(self, notes: Notes, log: Log) -> None:
        self._old = notes.old
        self._new = notes.new
        self._notes = notes
        self._log = log
        self._equal: set[object] = set()
        self._seen: set[object] = set()
        self._skipped = 0

    def compare(self, old: Sequence[Node], new: Sequence[Node], scope: Scope) -> None:
        pair = (self._ids(self._old, old), self._ids(self._new, new), scope.direction)
        if pair in self._equal:
            return
        if (pair, scope.use) in self._seen:
            self._skipped += 1
            return
        self._seen.add((pair, scope.use))
        before = self._log.entries, self._skipped
        self._null(old, new, scope)
        forms = self._forms(self._old, old, scope), self._forms(self._new, new, scope)
        self._alternatives(*forms, scope)
        self._exclusiveness(old, new, scope)
        if (self._log.entries, self._skipped) == before:
            self._equal.add(pair)

    @staticmethod
    def _ids(document: Document, schemas: Sequence[Node]) -> tuple[int, ...]:
        return tuple(id(document.follow(schema)) for schema in schemas)

    @staticmethod
    def _forms(document: Document, schemas: Sequence[Node], scope: Scope) -> list[Form]:
        assert scope.direction is not None  # noqa: S101 - see Log.effect
        return [Form(document, parts, scope.direction) for parts in expand(document, schemas)]

    def _null(self, old: Sequence[Node], new: Sequence[Node], scope: Scope) -> None:
        was, now = admits_null(self._old, old), admits_null(self._new, new)
        if was is not None and now is not None and was != now:
            effect = Effect.WIDENS if now else Effect.NARROWS
            message = "null is admitted" if now else "null is admitted no more"
            keyword = "nullable" if now else "type"
            self._log.effect(effect, message, self._new_place(new, keyword, scope), scope)

    def _new_place(self, new: Sequence[Node], keyword: str, scope: Scope) -> Place | None:
        forms = self._forms(self._new, new, scope)
        return next((place for form in forms if (place := form.place(keyword))), None)

    def _exclusiveness(self, old: Sequence[Node], new: Sequence[Node], scope: Scope) -> None:
        """Where several branches fit, `anyOf` admits what `oneOf` refuses."""
        was, now = (_combinators(d, s) for d, s in ((self._old, old), (self._new, new)))
        if (was, now) == ({"oneOf"}, {"anyOf"}):
            self._log.effect(Effect.WIDENS, "oneOf became anyOf", None, scope)
        elif (was, now) == ({"anyOf"}, {"oneOf"}):
            self._log.effect(Effect.NARROWS, "anyOf became oneOf", None, scope)

    # -- alternatives ------------------------------------------------------------------------

    def _alternatives(self, old: list[Form], new: list[Form], scope: Scope) -> None:
        pairs = [(0, 0)] if len(old) == len(new) == 1 else self._paired(old, new, scope)
        for i, j in pairs:
            self._form(old[i], new[j], scope)
        for i in set(range(len(old))) - {i for i, _ in pairs}:
            place = _own_place(i, old) or scope.place
            self._log.effect(Effect.NARROWS, "an alternative is gone", place, scope)
        for j in set(range(len(new))) - {j for _, j in pairs}:
            self._log.effect(Effect.WIDENS, "an alternative is new", _own_place(j, new), scope)

    def _paired(self, old: list[Form], new: list[Form], scope: Scope) -> list[tuple[int, int]]:
        """Each alternative beside the one that it differs from least."""
        costs = sorted(
            (self._cost(a, b, scope), i, j) for i, a in enumerate(old) for j, b in enumerate(new)
        )
        pairs: list[tuple[int, int]] = []
        for _, i, j in costs:
            if all(i != left and j != right for left, right in pairs):
                pairs.append((i, j))
        return pairs

    def _cost(self, old: Form, new: Form, scope: Scope) -> Cost:
        log, seen = self._log, set(self._seen)
        self._log = Log()
        self._form(old, new, scope)
        weights = self._log.weights()
        self._log, self._seen = log, seen
        wordings = weights.count(Weight.WORDING)
        return len(weights) - wordings, wordings

    # -- one alternative ---------------------------------------------------------------------

    def _form(self, old: Form, new: Form, scope: Scope) -> None:
        scope = replace(scope, place=_own_place(0, [new]) or scope.place)
        for effect, keyword, message in differences(old, new):
            place = new.place(keyword) or old.place(keyword)
            self._log.effect(effect, message, place, scope)
        for name in {**old.properties, **new.properties}:
            self._property(name, old, new, scope)
        self._unnamed(old, new, scope)
        self._additional(old, new, scope)
        self._items(old, new, scope)
        self._opaque(old, new, scope)
        self._discriminator(old, new, scope)
        self._default(old, new, scope)
        self._notes.compare(old.parts, new.parts, scope, self._log)

    def _items(self, old: Form, new: Form, scope: Scope) -> None:
        was, now = old.said("items"), new.said("items")
        if was or now:
            self.compare(was, now, scope.under("*", new.place("items") or old.place("items")))

    def _opaque(self, old: Form, new: Form, scope: Scope) -> None:
        for keyword in _OPAQUE:
            before, after = _values(old, keyword), _values(new, keyword)
            if before != after:
                place = new.place(keyword) or old.place(keyword)
                self._log.effect(Effect.REPLACES, f"{keyword} changed", place, scope)

    def _discriminator(self, old: Form, new: Form, scope: Scope) -> None:
        """By name and values; where they lead is compared with the branches."""
        before, after = (
            [(each.get("propertyName"), sorted(each.get("mapping", {}))) for each in values]
            for values in (_json(old, "discriminator"), _json(new, "discriminator"))
        )
        if before != after:
            place = new.place("discriminator") or old.place("discriminator")
            self._log.effect(Effect.REPLACES, "discriminator changed", place, scope)

    def _default(self, old: Form, new: Form, scope: Scope) -> None:
        """Who sends a value less now means something else; who receives is sent the value."""
        before, after = _values(old, "default"), _values(new, "default")
        if before == after:
            return
        weighs = scope.direction == "request" and before
        message = became("default", " and ".join(before) or None, " and ".join(after) or None)
        place = new.place("default") or old.place("default")
        self._log.add(Weight.BREAKING if weighs else Weight.COMPATIBLE, message, place, scope)

    # -- objects -----------------------------------------------------------------------------

    def _property(self, name: str, old: Form, new: Form, scope: Scope) -> None:
        if name not in new.properties:
            inner = scope.under(name, old.property_place(name))
            self._log.add(Weight.BREAKING, f'the property "{name}" is gone', None, inner)
        elif name not in old.properties:
            self._new_property(name, old, new, scope.under(name, new.property_place(name)))
        else:
            inner = scope.under(name, new.property_place(name))
            self._demanded(name, old, new, inner)
            self.compare(old.properties[name], new.properties[name], inner)

    def _new_property(self, name: str, old: Form, new: Form, inner: Scope) -> None:
        required = name in new.required
        what = f'the {"required" if required else "optional"} property "{name}" is new'
        if inner.direction == "request":
            breaks = required and name not in old.required
        else:
            breaks = old.additional is False
        self._log.add(Weight.BREAKING if breaks else Weight.COMPATIBLE, what, None, inner)
        if isinstance(old.additional, list):
            self.compare(old.additional, new.properties[name], inner)

    def _demanded(self, name: str, old: Form, new: Form, scope: Scope) -> None:
        if name in new.required and name not in old.required:
            message, place = f'"{name}" is required now', new.required[name]
            self._log.effect(Effect.NARROWS, message, place, scope)
        elif name in old.required and name not in new.required:
            self._log.effect(Effect.WIDENS, f'"{name}" is required no more', None, scope)

    def _unnamed(self, old: Form, new: Form, scope: Scope) -> None:
        """Names that are demanded without being described."""
        named = {*old.properties, *new.properties}
        for name in {**old.required, **new.required}:
            if name not in named:
                self._demanded(name, old, new, scope)

    def _additional(self, old: Form, new: Form, scope: Scope) -> None:
        was, now = old.additional, new.additional
        place = new.place("additionalProperties") or old.place("additionalProperties")
        if isinstance(was, list) and isinstance(now, list):
            self.compare(was, now, scope.under("*", place))
        elif was is not now:
            effect = Effect.WIDENS if _openness(now) > _openness(was) else Effect.NARROWS
            message = f"additionalProperties: {_openly(was)} became {_openly(now)}"
            self._log.effect(effect, message, place, scope)


def _combinators(document: Document, schemas: Sequence[Node]) -> set[str]:
    said = {key for schema in schemas for key in document.follow(schema).value}
    return said & {"oneOf", "anyOf"}


def _own_place(index: int, forms: list[Form]) -> Place | None:
    """Where the first part stands that this alternative does not share with the others."""
    form = forms[index]
    others = [other for other in forms if other is not form]
    own = (p for p in form.parts if not others or any(p not in o.parts for o in others))
    return next((form.document.place(part.location) for part in own), None)


def _json(form: Form, keyword: str) -> Iterator[Any]:
    return (form.document.value(node) for node in form.said(keyword))


def _values(form: Form, keyword: str) -> list[str]:
    return [shown(value) for value in _json(form, keyword)]


def _openness(additional: bool | list[Node]) -> int:
    return 1 if isinstance(additional, list) else 2 if additional else 0


def _openly(additional: bool | list[Node]) -> str:
    return "a schema" if isinstance(additional, list) else "true" if additional else "false"
