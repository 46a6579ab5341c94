"""One change of a spec, what it weighs, and the book that changes are entered in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, IntEnum
from typing import Any

from contract.diagnostics import Location
from contract.diff.document import Place, Side
from contract.schema import Direction


class Weight(IntEnum):
    """How much a change asks of a consumer. Wording asks nothing, and is `compatible` too."""

    WORDING = 1
    COMPATIBLE = 2
    BREAKING = 3


class Effect(Enum):
    """What a change of a schema does to the set of values that fit."""

    NARROWS = "narrows"
    WIDENS = "widens"
    REPLACES = "replaces"

    def weight(self, direction: Direction) -> Weight:
        """Who sends is broken by a narrower set, who receives by a wider one."""
        harmless = Effect.WIDENS if direction == "request" else Effect.NARROWS
        return Weight.COMPATIBLE if self is harmless else Weight.BREAKING


@dataclass(frozen=True, slots=True)
class Scope:
    """What is being compared: part of which request or reply, and where it stands."""

    use: str
    place: Place
    direction: Direction | None = None
    pointer: str = ""

    def under(self, name: str, place: Place | None) -> Scope:
        return replace(self, pointer=f"{self.pointer}/{name}", place=place or self.place)

    def __str__(self) -> str:
        return " ".join(filter(None, (self.use, self.pointer)))


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `uses` lists where the API shows it: operation, request or status, pointer.

    `location` is in the new document, and in the old one for what is gone (`side`).
    """

    weight: Weight
    direction: Direction | None
    message: str
    side: Side
    location: Location
    uses: tuple[str, ...]

    @property
    def kind(self) -> str:
        return "breaking" if self.weight is Weight.BREAKING else "compatible"

    def __str__(self) -> str:
        what = f"{self.direction}: {self.message}" if self.direction else self.message
        more = f" and {len(self.uses) - 1} more" if len(self.uses) > 1 else ""
        return f"{self.location}: {self.kind}: {what} ({self.uses[0]}{more})"

    def as_json(self) -> dict[str, Any]:
        return {
            "class": self.kind,
            "wording": self.weight is Weight.WORDING,
            "direction": self.direction,
            "message": self.message,
            "side": self.side,
            "file": self.location.file,
            "line": self.location.line,
            "column": self.location.column,
            "uses": list(self.uses),
        }


class Log:
    """Changes as they are found. What many operations share is one change with many uses."""

    def __init__(self) -> None:
        self._found: dict[tuple[Weight, Direction | None, str, Place], dict[str, None]] = {}
        self.entries = 0

    def add(self, weight: Weight, message: str, place: Place | None, scope: Scope) -> None:
        """Without a place, a change stands where its scope does."""
        key = (weight, scope.direction, message, place or scope.place)
        self._found.setdefault(key, {})[str(scope)] = None
        self.entries += 1

    def effect(self, effect: Effect, message: str, place: Place | None, scope: Scope) -> None:
        """A change of what fits a schema, weighed for whom the scope's direction concerns."""
        assert scope.direction is not None  # noqa: S101 - schemas stand in requests and replies
        self.add(effect.weight(scope.direction), message, place, scope)

    def weights(self) -> list[Weight]:
        return [weight for weight, *_ in self._found]

    def changes(self) -> Iterator[Change]:
        """The heaviest first, those of one weight by place."""
        for (weight, direction, message, place), uses in sorted(self._found.items(), key=_order):
            yield Change(weight, direction, message, place.side, place.location, tuple(uses))


def _order(entry: tuple[tuple[Weight, Direction | None, str, Place], Any]) -> tuple[Any, ...]:
    (weight, direction, message, place), _ = entry
    return -weight, place.location, direction or "", message
