"""Whatever is done to a row is named, by itself, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from domain import verification
from domain.chain import digest
from domain.keyring import Fixed
from domain.records import AuditEvent, AuditHead
from domain.verification import verify
from tests.domain.world import START

KEYS = {"a1": b"1" * 32, "a2": b"2" * 32}
RING = Fixed(KEYS, "a2")
LENGTH = 12
NUMBERS = range(1, LENGTH + 1)


@dataclass
class Trail:
    """A store that holds nothing but events."""

    events: list[AuditEvent]
    head: AuditHead

    @contextmanager
    def read(self) -> Iterator[Any]:
        audit = SimpleNamespace(after=self._after, head=lambda: self.head)
        yield SimpleNamespace(audit=audit)

    def _after(self, number: int, limit: int) -> Sequence[AuditEvent]:
        later = sorted((e for e in self.events if e.number > number), key=lambda e: e.number)
        return later[:limit]

    def change(self, number: int, /, **members: Any) -> None:
        self.events = [replace(e, **members) if e.number == number else e for e in self.events]

    def delete(self, *numbers: int) -> None:
        self.events = [e for e in self.events if e.number not in numbers]

    def insert(self, number: int) -> None:
        """Put a forged event in between, and number what follows anew."""
        self.events = [
            replace(e, number=e.number + 1) if e.number >= number else e for e in self.events
        ]
        self.events.append(replace(self.events[0], number=number, reason="forged"))

    def close_up(self, number: int) -> None:
        """Take an event out, and number what follows anew."""
        self.delete(number)
        self.events = [
            replace(e, number=e.number - 1) if e.number > number else e for e in self.events
        ]
        self.head = replace(self.head, number=self.head.number - 1)

    def defects(self) -> list[str]:
        found: list[str] = []
        verify(self, RING, lambda defect: found.append(str(defect)))  # type: ignore[arg-type]
        return found


@pytest.fixture(autouse=True, params=[3, 1000], ids=["small pages", "one page"])
def page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "PAGE", request.param)


@pytest.fixture
def trail() -> Trail:
    """Twelve events, of which the first five were sealed with an older key."""
    made, previous = [], ""
    for number in NUMBERS:
        key_id = "a1" if number <= 5 else "a2"
        event = AuditEvent(
            at=START + timedelta(seconds=number),
            event="session.opened",
            result="failure",
            reason="invalid_code",
            user_id="u",
            session_id="s",
            factor="totp",
            address="192.0.2.1",
            request_id="r",
            number=number,
            key_id=key_id,
        )
        event = replace(event, hash=digest(KEYS[key_id], previous, event))
        previous = event.hash
        made.append(event)
    return Trail(made, AuditHead(LENGTH, previous))


def test_a_trail_that_nobody_touched_has_no_defect(trail: Trail) -> None:
    assert trail.defects() == []
    assert verify(trail, RING, pytest.fail) == LENGTH  # type: ignore[arg-type]
    assert Trail([], AuditHead(0, "")).defects() == []


def flipped(value: Any) -> Any:
    """A value of which the smallest part has changed."""
    if isinstance(value, str):
        return chr(ord(value[0]) ^ 1) + value[1:]
    return "x" if value is None else value + timedelta(microseconds=1)


COLUMNS = [f.name for f in fields(AuditEvent) if f.name not in ("number", "key_id")]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_member_is_named_wherever_it_stands(trail: Trail, column: str) -> None:
    whole = trail.events
    for number in NUMBERS:
        trail.events = whole
        trail.change(number, **{column: flipped(getattr(whole[number - 1], column))})
        assert trail.defects() == [f"event {number}: edited"]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_member_that_was_emptied_is_named(trail: Trail, column: str) -> None:
    if column == "actor_id":
        trail.change(4, actor_id="")  # None and empty are not the same
    elif column == "at":
        trail.change(4, at=START)
    else:
        trail.change(4, **{column: "" if column in ("event", "result", "hash") else None})
    assert trail.defects() == ["event 4: edited"]


def test_a_key_that_is_not_there_is_told_from_an_edit(trail: Trail) -> None:
    trail.change(7, key_id="a3")
    assert trail.defects() == ["event 7: sealed with a key that is not here"]
    trail.change(7, key_id="a1")
    assert trail.defects() == ["event 7: edited"]


def test_a_lost_key_is_told_in_one_line(trail: Trail) -> None:
    found: list[str] = []
    only_new = Fixed({"a2": KEYS["a2"]}, "a2")
    verify(trail, only_new, lambda defect: found.append(str(defect)))  # type: ignore[arg-type]
    assert found == ["events 1 to 5: sealed with a key that is not here"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_removed_event_is_named(trail: Trail, number: int) -> None:
    trail.delete(number)
    assert trail.defects() == [f"event {number}: missing"]


def test_removed_neighbours_are_named_together(trail: Trail) -> None:
    trail.delete(5, 6, 7)
    assert trail.defects() == ["events 5 to 7: missing"]


def test_everything_removed_is_named(trail: Trail) -> None:
    trail.delete(*NUMBERS)
    assert trail.defects() == ["events 1 to 12: missing"]


@pytest.mark.parametrize("number", NUMBERS)
def test_an_event_put_in_between_is_named(trail: Trail, number: int) -> None:
    trail.insert(number)
    assert trail.defects() == [f"event {number}: inserted"]


@pytest.mark.parametrize("number", [-(1 << 40), 0, LENGTH + 1, LENGTH + 5, 1 << 40])
def test_an_event_put_outside_is_named(trail: Trail, number: int) -> None:
    trail.events.append(replace(trail.events[3], number=number))
    assert trail.defects() == [f"event {number}: inserted"]


def test_a_forged_end_is_named_even_where_the_head_was_moved_to_it(trail: Trail) -> None:
    forged = replace(trail.events[-1], number=LENGTH + 1, hash="0" * 64)
    trail.events.append(forged)
    trail.head = AuditHead(forged.number, forged.hash)
    assert trail.defects() == [f"event {LENGTH + 1}: edited"]


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (lambda head: replace(head, hash="0" * 64), "head: does not match event 12"),
        (lambda head: replace(head, number=11), "head: stands at 11, before the newest event"),
        (lambda head: replace(head, number=13), "event 13: missing"),
    ],
)
def test_a_changed_head_is_named(
    trail: Trail, head: Callable[[AuditHead], AuditHead], told: str
) -> None:
    trail.head = head(trail.head)
    assert trail.defects() == [told]


def test_a_renumbered_event_is_missing_in_one_place_and_inserted_in_another(trail: Trail) -> None:
    trail.change(4, number=40)
    assert trail.defects() == ["event 4: missing", "event 40: inserted"]


@pytest.mark.parametrize("number", NUMBERS[:-2])
def test_a_gap_that_was_closed_up_is_named(trail: Trail, number: int) -> None:
    trail.close_up(number)
    assert trail.defects() == [f"event {number}: {verification.CLOSED_UP}"]


def test_a_gap_that_was_closed_up_at_the_end_is_found(trail: Trail) -> None:
    trail.close_up(LENGTH - 1)
    assert trail.defects() == [f"event {LENGTH - 1}: edited"]


def test_two_events_that_changed_places_are_both_named(trail: Trail) -> None:
    fourth, fifth = trail.events[3], trail.events[4]
    trail.events[3:5] = [replace(fifth, number=4), replace(fourth, number=5)]
    fourth_twice = ["event 4: inserted", f"event 6: {verification.CLOSED_UP}"]
    assert trail.defects() == fourth_twice


def test_defects_apart_from_each_other_are_each_named_once(trail: Trail) -> None:
    trail.insert(3)
    trail.change(6, reason="forged")
    trail.delete(9)
    assert trail.defects() == ["event 3: inserted", "event 6: edited", "event 9: missing"]


def test_without_the_key_nobody_makes_a_chain_that_passes(trail: Trail) -> None:
    previous, forged = "", []
    for event in trail.events:
        event = replace(event, user_id="somebody else")
        event = replace(event, hash=digest(b"3" * 32, previous, event))
        previous = event.hash
        forged.append(event)
    trail.events, trail.head = forged, AuditHead(LENGTH, previous)
    assert trail.defects() == [f"events 1 to {LENGTH}: edited"]


def test_events_that_arrive_meanwhile_are_held_too(trail: Trail) -> None:
    newest, head = trail.events.pop(), trail.head
    trail.head = AuditHead(LENGTH - 1, trail.events[-1].hash)
    after = trail._after

    def appended(number: int, limit: int) -> Sequence[AuditEvent]:
        found = after(number, limit)
        if not found and trail.head != head:
            trail.events.append(newest)
            trail.head = head
        return found

    trail._after = appended  # type: ignore[method-assign]
    assert trail.defects() == []
    assert trail.head == head
