"""A store on a file of its own, the services over it, and people to use them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.services import Services
from storage.store import SqlStore
from tests.domain.world import Make, Person, SettableClock, register, services_on
from tests.storage import databases


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    with databases.store_at(databases.migrated_sqlite_url(tmp_path)) as store:
        yield store


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def services(store: SqlStore, clock: SettableClock) -> Services:
    return services_on(store, clock)


@pytest.fixture
def person(services: Services, clock: SettableClock) -> Make:
    """A function that registers a user, by default of a new name."""
    return lambda **fields: register(services, clock, **fields)


@pytest.fixture
def ann(person: Make) -> Person:
    """A user with MFA on, signed in at ``aal2``; the present step is spent."""
    return person().sign_in().enrol()


@pytest.fixture
def bob(person: Make) -> Person:
    """A user without MFA, signed in."""
    return person().sign_in()
