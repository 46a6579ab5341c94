"""The keywords of a schema that bound a value by themselves, old against new."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from contract.diff.changes import Effect
from contract.diff.forms import Form

Difference = tuple[Effect, str, str]
"""What it does, the keyword at whose place it stands, and a sentence."""

_LEAST = ("minLength", "minItems", "minProperties")
_MOST = ("maxLength", "maxItems", "maxProperties")
_NAMED = ("type", "format", "pattern", "multipleOf", "uniqueItems")
_FINER = {("number", "integer"), ("int64", "int32"), ("double", "float")}
_NO_RULE = frozenset({False, "password"})
"""`uniqueItems: false` and `format: password` exclude nothing."""


def differences(old: Form, new: Form) -> Iterator[Difference]:
    """Every such keyword by which the values that fit differ, however the keywords are spread."""
    for keyword in _NAMED:
        yield from _named(keyword, old, new)
    yield from _enum(old, new)
    for keyword in _LEAST:
        yield from _bound(keyword, _least(keyword, old), _least(keyword, new), 1)
    for keyword in _MOST:
        yield from _bound(keyword, _most(keyword, old), _most(keyword, new), -1)
    yield from _range("minimum", old, new, 1)
    yield from _range("maximum", old, new, -1)


def became(what: str, before: str | None, after: str | None) -> str:
    """The sentence of a change from one value (None: there was none) to another."""
    if before is None:
        return f"{what} {after} is new"
    return f"{what} {before} is gone" if after is None else f"{what} {before} became {after}"


def shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


# -- rules by name ---------------------------------------------------------------------------


def _named(keyword: str, old: Form, new: Form) -> Iterator[Difference]:
    before, after = _rules(keyword, old), _rules(keyword, new)
    if before != after:
        effect = _effect(before - after, after - before)
        yield effect, keyword, became(keyword, _listed(before), _listed(after))


def _rules(keyword: str, form: Form) -> frozenset[Any]:
    rules = {node.value for node in form.said(keyword)} - _NO_RULE
    # An integer is a number already.
    return frozenset(rules - {"number"} if "integer" in rules else rules)


def _effect(lost: frozenset[Any], gained: frozenset[Any]) -> Effect:
    if not lost or _finer(lost, gained):
        return Effect.NARROWS
    return Effect.WIDENS if not gained or _finer(gained, lost) else Effect.REPLACES


def _finer(coarse: frozenset[Any], fine: frozenset[Any]) -> bool:
    """Whether whatever keeps to the one rule keeps to the other too."""
    if len(coarse) != 1 or len(fine) != 1:
        return False
    (a,), (b,) = coarse, fine
    if isinstance(a, str) or isinstance(b, str):
        return (a, b) in _FINER
    return Fraction(str(b)) % Fraction(str(a)) == 0


def _listed(rules: frozenset[Any]) -> str | None:
    return " and ".join(sorted(map(shown, rules))) or None


# -- enumerations ----------------------------------------------------------------------------


def _enum(old: Form, new: Form) -> Iterator[Difference]:
    before, after = _values(old), _values(new)
    if before is None or after is None:
        if before != after:
            effect = Effect.NARROWS if before is None else Effect.WIDENS
            yield effect, "enum", became("enum", _joined(before), _joined(after))
        return
    if lost := [value for value in before if value not in after]:
        yield Effect.NARROWS, "enum", f"enum loses {', '.join(lost)}"
    if gained := [value for value in after if value not in before]:
        yield Effect.WIDENS, "enum", f"enum gains {', '.join(gained)}"


def _values(form: Form) -> list[str] | None:
    """The values that every part admits, as JSON, for 1 is not true; null is `nullable`'s."""
    said = [[shown(form.document.value(v)) for v in node.value] for node in form.said("enum")]
    if not said:
        return None
    common = [value for value in said[0] if all(value in each for each in said)]
    return [value for value in common if value != "null"]


def _joined(values: list[str] | None) -> str | None:
    return None if values is None else f"[{', '.join(values)}]"


# -- bounds ----------------------------------------------------------------------------------


def _least(keyword: str, form: Form) -> float:
    return max((node.value for node in form.said(keyword)), default=0)


def _most(keyword: str, form: Form) -> float:
    return min((node.value for node in form.said(keyword)), default=math.inf)


def _bound(keyword: str, before: float, after: float, sign: int) -> Iterator[Difference]:
    """`sign` is 1 for a lower bound, -1 for an upper one."""
    if before != after:
        effect = Effect.NARROWS if (after - before) * sign > 0 else Effect.WIDENS
        none = 0 if sign > 0 else math.inf
        said = [None if value == none else str(value) for value in (before, after)]
        yield effect, keyword, became(keyword, *said)


def _range(keyword: str, old: Form, new: Form, sign: int) -> Iterator[Difference]:
    before, after = _limit(keyword, old, sign), _limit(keyword, new, sign)
    if before != after:
        effect = Effect.NARROWS if after > before else Effect.WIDENS
        sentences = (_limit_text(limit, sign) for limit in (before, after))
        yield effect, keyword, became(keyword, *sentences)


def _limit(keyword: str, form: Form, sign: int) -> tuple[float, bool]:
    """The strictest limit, times the sign so that greater is stricter, and whether it is open."""
    limits = [(-math.inf, False)]
    exclusive = f"exclusive{keyword.capitalize()}"
    whole = "integer" in _rules("type", form)
    for part in form.parts:
        if keyword in part.value:
            is_open = exclusive in part.value and part.value[exclusive].value
            limits.append(_whole(part.value[keyword].value * sign, is_open, whole))
    return max(limits)


def _whole(value: float, is_open: bool, whole: bool) -> tuple[float, bool]:
    """Among integers, above 4 is from 5 on."""
    if not whole:
        return value, is_open
    return (math.floor(value) + 1 if is_open else math.ceil(value)), False


def _limit_text(limit: tuple[float, bool], sign: int) -> str | None:
    value, is_open = limit
    return None if math.isinf(value) else f"{value * sign}{' (exclusive)' if is_open else ''}"
