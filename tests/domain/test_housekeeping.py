"""When the turn to purge is taken, by whom, how long it lasts, and what a failure costs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from domain.errors import Unavailable
from domain.housekeeping import CHORE, INTERVAL, ROWS_PER_TABLE, Housekeeper
from storage.store import SqlStore
from tests.domain.world import START, Person, SettableClock


class Watched:
    """A store that counts the batches, pretends a backlog, and can be made to fail at a batch."""

    def __init__(self, store: SqlStore, *, backlog: int = 0, fails_at: int = 0) -> None:
        self.store, self.backlog, self.fails_at = store, backlog, fails_at
        self.blocks = self.batches = 0

    def write(self) -> Any:
        self.blocks += 1
        return Block(self, self.store.write())


class Block:
    def __init__(self, watched: Watched, block: Any) -> None:
        self.watched, self.block = watched, block

    def __enter__(self) -> Any:
        self.tx = self.block.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.block.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tx, name)

    def purge(self, now: datetime, limit: int) -> int:
        self.watched.batches += 1
        if self.watched.batches == self.watched.fails_at:
            raise Unavailable
        deleted = min(limit, self.watched.backlog)
        self.watched.backlog -= deleted
        return deleted


def keeper_of(store: Any, clock: SettableClock, rest: Any = lambda: True) -> Housekeeper:
    return Housekeeper(store, clock, rest)


def look(keeper: Housekeeper) -> int | None:
    """What the background does every second."""
    return keeper.take_turn() if keeper.is_time() else None


def test_a_process_asks_the_database_at_most_once_a_minute(
    store: SqlStore, clock: SettableClock
) -> None:
    watched = Watched(store)
    keeper = keeper_of(watched, clock)
    for seconds, turns in ((0, 1), (30, 1), (29, 1), (1, 2), (59, 2), (3600, 3)):
        clock.advance(seconds=seconds)
        look(keeper)
        assert watched.batches == turns
        assert watched.blocks == 2 * turns


def test_of_many_processes_one_purges_in_a_minute(store: SqlStore, clock: SettableClock) -> None:
    watched = Watched(store)
    keepers = [keeper_of(watched, clock) for _ in range(5)]
    for second in range(180):
        look(keepers[second % 5])
        assert watched.batches == second // 60 + 1
        clock.advance(seconds=1)


def test_without_the_guard_all_of_them_would(store: SqlStore, clock: SettableClock) -> None:
    class Unguarded(Block):
        """The bug: whoever asks has the turn."""

        @property
        def chores(self) -> Unguarded:
            return self

        def take(self, *_: object) -> bool:
            return True

    watched = Watched(store)
    watched.write = lambda: Unguarded(watched, store.write())  # type: ignore[method-assign]
    for keeper in [keeper_of(watched, clock) for _ in range(5)]:
        look(keeper)
    assert watched.batches == 5


def test_a_turn_whose_process_died_costs_one_interval(
    store: SqlStore, clock: SettableClock
) -> None:
    with store.write() as tx:
        assert tx.chores.take(CHORE, clock.now(), clock.now() + INTERVAL)
        tx.commit()
    watched = Watched(store)
    for _ in range(3):
        clock.advance(seconds=20)
        look(keeper_of(watched, clock))
    assert watched.batches == 1


def test_a_backlog_is_worked_off_in_batches_with_rests(
    store: SqlStore, clock: SettableClock
) -> None:
    rests: list[None] = []
    watched = Watched(store, backlog=5 * ROWS_PER_TABLE + 1)
    keeper = keeper_of(watched, clock, lambda: rests.append(None) or True)
    assert look(keeper) == 5 * ROWS_PER_TABLE + 1
    assert (watched.batches, len(rests)) == (6, 5)


def test_a_turn_ends_when_the_next_may_be_another_s(store: SqlStore, clock: SettableClock) -> None:
    watched = Watched(store, backlog=100 * ROWS_PER_TABLE)

    def rest() -> bool:
        clock.advance(seconds=20)
        return True

    assert look(keeper_of(watched, clock, rest)) == 3 * ROWS_PER_TABLE


def test_a_turn_ends_when_the_server_does(store: SqlStore, clock: SettableClock) -> None:
    watched = Watched(store, backlog=100 * ROWS_PER_TABLE)
    assert look(keeper_of(watched, clock, lambda: False)) == ROWS_PER_TABLE


def test_a_failure_is_the_caller_s_to_tell_and_the_next_turn_goes_on(
    store: SqlStore, clock: SettableClock
) -> None:
    watched = Watched(store, backlog=3 * ROWS_PER_TABLE, fails_at=2)
    keeper = keeper_of(watched, clock)
    with pytest.raises(Unavailable):
        look(keeper)
    assert watched.backlog == 2 * ROWS_PER_TABLE
    assert look(keeper) is None
    clock.advance(minutes=1)
    assert look(keeper) == 2 * ROWS_PER_TABLE


def test_a_clock_that_was_put_back_stops_nobody(store: SqlStore, clock: SettableClock) -> None:
    watched = Watched(store)
    keeper = keeper_of(watched, clock)
    clock.advance(days=365)
    look(keeper)
    clock.present = START
    look(keeper)
    assert watched.batches == 2
    clock.advance(seconds=59)
    look(keeper)
    look(keeper_of(watched, clock))
    assert watched.batches == 2


def test_what_nobody_needs_goes_and_what_lives_stays(
    store: SqlStore, clock: SettableClock, ann: Person
) -> None:
    ann.challenge()
    clock.advance(hours=25)
    ann.elsewhere().sign_in()
    assert look(keeper_of(store, clock))
    with store.write() as tx:
        assert tx.purge(clock.now(), 1000) == 0
        assert len(tx.sessions.live_of(tx.users.page("", 0, 1)[0].id, clock.now())) == 1
