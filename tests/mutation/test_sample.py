"""Some of the driving values, of every kind and of all files; which ones, a number decides.

The number is that of the day, so that a week sees more of them than a day does. Set MUTATION_SEED to
see those of another day again.
"""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime
from itertools import zip_longest

import pytest

from tests.mutation import report
from tests.mutation.bases import driving
from tests.mutation.bench import Bench
from tests.mutation.engine import carry_out
from tests.mutation.mutators import EXEMPT

SIZE = 60
SEED = int(os.environ.get("MUTATION_SEED") or datetime.now(UTC).toordinal())


def sample(seed: int, size: int) -> list[str]:
    """Places, in turn of each kind, so that the rare kinds are always there."""
    kinds: dict[str, list[str]] = {}
    for place, value in sorted(driving().items()):
        if place not in EXEMPT:
            kinds.setdefault(value.kind, []).append(place)
    chance = random.Random(seed)
    shuffled = [chance.sample(places, len(places)) for _, places in sorted(kinds.items())]
    turns = (place for turn in zip_longest(*shuffled) for place in turn if place)
    return [place for place, _ in zip(turns, range(size), strict=False)]


@pytest.mark.parametrize("place", sample(SEED, SIZE))
def test_a_change_of_the_value_is_seen(
    bench: Bench, request: pytest.FixtureRequest, place: str
) -> None:
    print(f"MUTATION_SEED={SEED}")
    value, outcome = driving()[place], None
    try:
        outcome = carry_out(bench, value)
    finally:
        report.note(request, value, outcome)


def test_the_sample_has_every_kind_and_every_part_of_the_spec() -> None:
    chosen = sample(1, SIZE)
    found = driving()
    assert {found[place].kind for place in chosen} == {value.kind for value in found.values()}
    assert {place.partition("/")[0] for place in chosen} >= {"paths", "schemas", "components"}
    assert set(chosen) != set(sample(2, SIZE))
