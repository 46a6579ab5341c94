"""The background of a serving process: it goes on whatever happens, and ends when it is told to."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from domain.errors import Unavailable
from domain.housekeeping import ROWS_PER_TABLE
from server import housekeeping
from server.housekeeping import Rounds, keeping_house
from tests.support.ledger import LEDGER
from tests.support.world import TestClock

LINE = "housekeeping"
SECRET = "correct horse"

Told = Callable[[], list[str]]


class Store:
    """A store whose purge deletes ``rows`` at a time, for ever, or does what ``trouble`` says."""

    def __init__(self) -> None:
        self.rows, self.batches = 0, 0
        self.trouble: Exception | None = None
        self.chores = SimpleNamespace(take=lambda *_: True)

    def write(self) -> Store:
        return self

    def __enter__(self) -> Store:
        if self.trouble is not None:
            raise self.trouble
        return self

    def __exit__(self, *_: object) -> None:
        return

    def commit(self) -> None:
        return

    def purge(self, *_: object) -> int:
        self.batches += 1
        return self.rows


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def services(store: Store, clock: TestClock) -> Any:
    return SimpleNamespace(store=store, clock=clock)


@pytest.fixture
def told() -> Told:
    """A function that gives the events that were logged since the test began."""
    begin = len(LEDGER.lines)

    def events() -> list[str]:
        lines = [
            json.loads(line) for name, line in LEDGER.lines[begin:] if name in (LINE, "contract")
        ]
        return [line["event"] for line in lines]

    return events


def looks(rounds: Rounds, clock: TestClock, number: int) -> None:
    for _ in range(number):
        rounds.look()
        clock.advance(minutes=1)


SILENT = "the database does not answer: nothing is purged"


def test_a_silent_database_is_told_once_each_time_and_the_purge_goes_on(
    services: Any, store: Store, clock: TestClock, told: Told
) -> None:
    rounds = Rounds(services.store, services.clock)
    for trouble in (Unavailable(), None, Unavailable()):
        store.trouble = trouble
        store.rows = 7
        looks(rounds, clock, 3)
    assert told() == [SILENT, "purged", "purged", "purged", SILENT]


def test_a_defect_is_told_without_its_words_and_the_purge_goes_on(
    services: Any, store: Store, clock: TestClock, told: Told
) -> None:
    rounds = Rounds(services.store, services.clock)
    begin = len(LEDGER.lines)
    store.trouble = KeyError(SECRET)
    looks(rounds, clock, 2)
    store.trouble = None
    looks(rounds, clock, 1)
    assert told() == ["internal_error"]
    assert store.batches == 1
    assert not any(SECRET in line for _, line in LEDGER.lines[begin:])


def test_a_purge_of_nothing_says_nothing(
    services: Any, store: Store, clock: TestClock, told: Told
) -> None:
    looks(Rounds(services.store, services.clock), clock, 2)
    assert (store.batches, told()) == (2, [])


def wait_for(store: Store, batches: int) -> None:
    end = time.monotonic() + 30
    while store.batches < batches:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_it_purges_while_the_block_lasts_also_when_nobody_comes(
    services: Any, store: Store, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "LOOK_SECONDS", 0.01)

    async def live() -> None:
        async with keeping_house(services.store, services.clock):
            for turn in (1, 2, 3):
                await asyncio.to_thread(wait_for, store, turn)
                clock.advance(minutes=1)

    asyncio.run(live())
    batches = store.batches
    clock.advance(hours=1)
    time.sleep(0.1)
    assert store.batches == batches


def test_a_server_that_ends_waits_for_one_batch_and_not_for_a_backlog(
    services: Any, store: Store, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "LOOK_SECONDS", 0.01)
    store.rows = ROWS_PER_TABLE

    async def live() -> None:
        async with keeping_house(services.store, services.clock):
            await asyncio.to_thread(wait_for, store, 3)

    asyncio.run(asyncio.wait_for(live(), 60))
    batches = store.batches
    time.sleep(0.3)
    assert store.batches == batches
