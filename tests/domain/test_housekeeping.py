from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from domain.errors import Unavailable
from domain.housekeeping import Housekeeper
from domain.services import Services
from storage.store import SqlStore
from tests.domain.world import START, Person, SettableClock


class Watched:
    """A store that counts its sweeps and can be made to fail at them."""

    def __init__(self, store: SqlStore, *, failing: bool = False) -> None:
        self.store, self.failing, self.sweeps = store, failing, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def write(self) -> Any:
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
        self.watched.sweeps += 1
        if self.watched.failing:
            raise Unavailable
        return int(self.tx.purge(now, limit))


def test_a_process_sweeps_at_most_once_a_minute(store: SqlStore, clock: SettableClock) -> None:
    watched, keeper = Watched(store), Housekeeper()
    for seconds, sweeps in ((0, 1), (30, 1), (29, 1), (1, 2), (59, 2), (3600, 3)):
        clock.advance(seconds=seconds)
        keeper.sweep(watched, clock.now())
        assert watched.sweeps == sweeps


def test_a_login_sweeps_away_what_nobody_needs(
    services: Services, store: SqlStore, clock: SettableClock, ann: Person
) -> None:
    ann.challenge()
    clock.advance(hours=25)
    ann.elsewhere().sign_in()
    with store.write() as tx:
        assert tx.purge(clock.now(), 1000) == 0
        assert len(tx.sessions.live_of(ann_id(services), clock.now())) == 1


def ann_id(services: Services) -> str:
    with services.store.read() as tx:
        return tx.users.list()[0].id


def test_a_sweep_that_fails_costs_no_login(
    services: Services, store: SqlStore, bob: Person
) -> None:
    watched = Watched(store, failing=True)
    swept = replace(services, store=watched, housekeeper=Housekeeper())
    assert replace(bob, services=swept).sign_in().session()
    assert watched.sweeps == 1
    assert bob.clock.now() == START
