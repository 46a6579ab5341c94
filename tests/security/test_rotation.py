"""The long form of rotating keys under load: signing keys come, take their turns and retire."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import migrate
from tests.e2e.rotation import held, under_rotation
from tests.storage import databases

LONG, ROUNDS = 120, 4
"""Two minutes. A turn takes 13 seconds, and 40 after that the key before it has retired."""


@pytest.fixture(params=databases.ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database on each engine in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/countersign.db"
        return
    with databases.postgres_database() as made:
        migrate.upgrade(made)
        yield made


@pytest.mark.full
def test_two_minutes_of_rotation_under_load_pass_unnoticed(tmp_path: Path, url: str) -> None:
    outcome = under_rotation(tmp_path, url, LONG, rounds=ROUNDS)
    held(outcome, signers=ROUNDS + 1)
    made = outcome.made["signing"]
    assert len(made) == ROUNDS + 1
    assert made[0] not in outcome.shown
    assert made[-1] in outcome.shown
