"""Each request begins with all of its patience for the database."""

from __future__ import annotations

import pytest

from storage import patience
from storage.store import SqlStore
from tests.support.world import World


def test_every_request_has_a_patience_of_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[float] = []

    def ping(_store: SqlStore) -> None:
        left.append(patience.present().left)
        patience.begin()  # as it would be used up: nothing of it reaches the next request
        with patience.present():
            patience.present()._left -= patience.SECONDS

    monkeypatch.setattr(SqlStore, "ping", ping)
    for _ in range(2):
        assert world.api.get("/health/ready").status == 200
    assert left == [patience.SECONDS] * 2
    assert patience.present().left == float("inf")
