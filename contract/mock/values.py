"""Values that fit a schema: put together from its examples, or drawn at random.

A maker is built once for a schema. Every value that it hands out has been held against the schema,
so that a keyword which is only half understood costs another try and never a wrong value.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any, NoReturn

from contract.closed import flatten
from contract.mock.texts import text_of
from contract.rules import Rules

JSON = dict[str, Any]

_TRIES = 100
_NULL, _OPTIONAL = 0.2, 0.75  # how often a value that may be null is, and one that may be there
_SPAN = 1000  # of numbers without a bound
_MORE = 3  # items beyond the fewest, and members of a map
_LARGEST = 10_000  # characters or items; who asks for more has to write an example
_KINDS = ("object", "array", "string", "number", "integer", "boolean", "null")


@dataclass(frozen=True, slots=True)
class Source:
    """Where values come from: `shown` takes examples where there are any; the rest is drawn."""

    random: Random
    shown: bool


class Unmade(Exception):
    """No value was found that fits."""


Make = Callable[[Source], Any]


def maker(schema: JSON) -> Make:
    """The maker of a draft 4 schema without references, in which `example` was kept.

    What it makes is never null where it can be something else and is taken from examples. It
    raises Unmade.
    """
    return _maker(list(flatten(schema)))


def _maker(parts: list[JSON]) -> Make:
    """The maker of a conjunction of parts that have no `allOf` of their own."""
    fits = Rules({"allOf": parts}, closed=True).admits
    examples = [p["example"] for p in parts if "example" in p and fits(p["example"])]
    draw = _drawn(parts)

    def make(source: Source) -> Any:
        if source.shown and examples:
            return examples[0]
        for _ in range(_TRIES):
            value = draw(source)
            if fits(value):
                return value
        if examples:
            return examples[0]
        raise Unmade

    return make


def _drawn(parts: list[JSON]) -> Make:
    for index, part in enumerate(parts):
        for combinator in ("oneOf", "anyOf"):
            if combinator in part:
                return _choice(list(_branches(parts, index, combinator)))
    listed = [part["enum"] for part in parts if "enum" in part]
    if listed:
        return _one_of([value for value in listed[0] if all(value in other for other in listed)])
    kinds = _kinds(parts)
    make = next((_MAKERS[kind](parts) for kind in kinds if kind != "null"), _none)
    return _nullable(make, "null" in kinds)


def _branches(parts: list[JSON], index: int, combinator: str) -> Iterator[Make]:
    rest = {key: value for key, value in parts[index].items() if key != combinator}
    for branch in parts[index][combinator]:
        yield _maker([*parts[:index], rest, *parts[index + 1 :], *flatten(branch)])


def _choice(makers: list[Make]) -> Make:
    def make(source: Source) -> Any:
        if not source.shown:
            return source.random.choice(makers)(source)
        values = (each(source) for each in makers)
        return next((value for value in values if value is not None), None)

    return make


def _one_of(values: list[Any]) -> Make:
    def make(source: Source) -> Any:
        if not values:
            raise Unmade
        return values[0] if source.shown else source.random.choice(values)

    return make


def _kinds(parts: list[JSON]) -> list[str]:
    """The types that every part admits; an object where none says anything."""
    said = [p["type"] if isinstance(p["type"], list) else [p["type"]] for p in parts if "type" in p]
    wide = [{*kinds, "integer"} if "number" in kinds else {*kinds} for kinds in said]
    # A number is the wider of the two, and an integer only where another part asks for one.
    return [kind for kind in _KINDS if all(kind in kinds for kinds in wide)] if wide else ["object"]


def _nullable(make: Make, nullable: bool) -> Make:
    def made(source: Source) -> Any:
        if nullable and not source.shown and source.random.random() < _NULL:
            return None
        return make(source)

    return made if nullable else make


def _none(_source: Source) -> None:
    return None


def _unmade(_source: Source) -> NoReturn:
    raise Unmade


# -- one maker for each type -----------------------------------------------------------------


def _object(parts: list[JSON]) -> Make:
    required = {name for part in parts for name in part.get("required", ())}
    members = {name: list(_member(parts, name)) for name in _names(parts)}
    makers = {name: _maker(of) for name, of in members.items() if name in required or _telling(of)}

    more = _beyond(parts)

    def make(source: Source) -> JSON:
        drawn = {
            name: of(source)
            for name, of in makers.items()
            if name in required or source.shown or source.random.random() < _OPTIONAL
        }
        return more(source, len(drawn)) | drawn

    return make


def _beyond(parts: list[JSON]) -> Callable[[Source, int], JSON]:
    """Draws the members of a map, beside so many that have names: where examples are shown, the fewest."""
    given = [part["additionalProperties"] for part in parts if part.get("additionalProperties")]
    typed = [each for schema in given if schema is not True for each in flatten(schema)]
    least = max((part.get("minProperties", 0) for part in parts), default=0)
    if not typed or least > _LARGEST:
        return lambda _source, _present: {}
    member, name = _maker(typed), text_of({"minLength": 3})

    def make(source: Source, present: int) -> JSON:
        size = max(least - present, 0 if source.shown else source.random.randint(0, _MORE))
        return {name(source.random): member(source) for _ in range(size)}

    return make


def _names(parts: list[JSON]) -> Iterable[str]:
    return dict.fromkeys(name for part in parts for name in part.get("properties", ()))


def _member(parts: list[JSON], name: str) -> Iterator[JSON]:
    for part in parts:
        if name in part.get("properties", ()):
            yield from flatten(part["properties"][name])


def _telling(parts: list[JSON]) -> bool:
    """Not what belongs into requests only, and not an object of which nothing is said."""
    if any(part.get("not") == {} for part in parts):
        return False
    deeper = ("properties", "additionalProperties", "oneOf", "anyOf")
    return _kinds(parts)[:1] != ["object"] or any(key in part for part in parts for key in deeper)


def _array(parts: list[JSON]) -> Make:
    least = max((part.get("minItems", 0) for part in parts), default=0)
    most = min((part["maxItems"] for part in parts if "maxItems" in part), default=least + _MORE)
    if least > _LARGEST:
        return _unmade
    distinct = any(part.get("uniqueItems") for part in parts)
    item = _maker([each for p in parts if "items" in p for each in flatten(p["items"])] or [{}])

    def make(source: Source) -> list[Any]:
        random = source.random
        size = max(least, 1) if source.shown else random.randint(least, min(most, least + _MORE))
        return _items(item, source, min(size, most), distinct=distinct)

    return make


def _items(item: Make, source: Source, size: int, *, distinct: bool) -> list[Any]:
    """The first as it is shown; there is but one example, so that the others are drawn.

    Of those that have to be distinct there are fewer where no more are found.
    """
    found: dict[Any, Any] = {}
    for index in range(_TRIES + size):
        if len(found) == size:
            break
        value = item(source if index == 0 else replace(source, shown=False))
        found[json.dumps(value, sort_keys=True) if distinct else index] = value
    return list(found.values())


def _string(parts: list[JSON]) -> Make:
    """Patterns say little of lengths. What is repeated or cut off fits most of those with a `+`."""
    texts = [text_of(part) for part in parts if "pattern" in part or "format" in part]
    least = max((part.get("minLength", 0) for part in parts), default=0)
    most = min((part["maxLength"] for part in parts if "maxLength" in part), default=None)
    if least > _LARGEST:
        return _unmade
    plain = text_of({"minLength": least} | ({} if most is None else {"maxLength": most}))

    def make(source: Source) -> str:
        text = source.random.choice(texts or [plain])(source.random)
        if text and len(text) < least:
            text *= math.ceil(least / len(text))
        return (
            text
            if most is None or len(text) <= most
            else text[: source.random.randint(least, most)]
        )

    return make


def _number(parts: list[JSON]) -> Make:
    steps = [part["multipleOf"] for part in parts if "multipleOf" in part]
    if steps:
        return _multiple(parts, max(steps))
    low, high = _range(parts)

    def make(source: Source) -> float:
        return source.random.uniform(low, high)

    return make


def _integer(parts: list[JSON]) -> Make:
    steps = (math.ceil(part["multipleOf"]) for part in parts if "multipleOf" in part)
    return _multiple(parts, math.lcm(*steps))


def _multiple(parts: list[JSON], step: float) -> Make:
    low, high = _range(parts)
    first, last = math.ceil(low / step), math.floor(high / step)

    def make(source: Source) -> float:
        return source.random.randint(first, max(first, last)) * step

    return make


def _range(parts: list[JSON]) -> tuple[float, float]:
    """Bounds not far from zero, or from the bound that is given."""
    low = max((part["minimum"] for part in parts if "minimum" in part), default=-math.inf)
    high = min((part["maximum"] for part in parts if "maximum" in part), default=math.inf)
    return max(low, min(high, 0) - _SPAN), min(high, max(low, 0) + _SPAN)


def _boolean(_parts: list[JSON]) -> Make:
    return _one_of([True, False])


_MAKERS: dict[str, Callable[[list[JSON]], Make]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}
