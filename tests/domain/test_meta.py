from __future__ import annotations

from dataclasses import replace

import pytest

from domain import meta
from domain.errors import KeysUnfit, Unavailable
from domain.services import Services
from domain.timestamps import numeric_date, rfc3339
from storage.engine import create_engine
from storage.store import SqlStore
from tests.domain.world import START, KnownKeys, SettableClock, services_on


def test_the_published_keys_are_those_of_the_tokens(services: Services) -> None:
    assert list(meta.get_jwks(services).keys) == services.tokens.jwks(START)["keys"]


def test_a_server_with_its_database_is_live_and_ready(services: Services) -> None:
    assert meta.get_liveness(services).status == "ok"
    assert meta.get_readiness(services).status == "ok"


def test_a_server_without_its_tables_is_live_and_not_ready(
    tmp_path: object, clock: SettableClock
) -> None:
    empty = services_on(SqlStore(create_engine(f"sqlite:///{tmp_path}/empty.db")), clock)
    assert meta.get_liveness(empty).status == "ok"
    with pytest.raises(Unavailable):
        meta.get_readiness(empty)


class LostKeys(KnownKeys):
    def check(self) -> None:
        raise KeysUnfit


def test_a_server_without_the_keys_of_its_database_is_live_and_not_ready(
    services: Services,
) -> None:
    lost = replace(services, keys=LostKeys())
    assert meta.get_liveness(lost).status == "ok"
    with pytest.raises(KeysUnfit, match="unfit_key"):
        meta.get_readiness(lost)


def test_times_leave_as_rfc_3339_in_utc_and_whole_seconds() -> None:
    later = START.replace(microsecond=999_999)
    assert rfc3339(later) == "2026-11-24T09:00:07Z"
    assert numeric_date(later) == numeric_date(START) == int(START.timestamp())
