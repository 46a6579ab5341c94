"""Every driving value of the shipped spec is changed, one at a time (make mutations)."""

from __future__ import annotations

import pytest

from tests.mutation import report
from tests.mutation.bases import driving
from tests.mutation.bench import Bench
from tests.mutation.engine import carry_out
from tests.mutation.mutators import EXEMPT

PLACES = sorted(set(driving()) - EXEMPT.keys())


@pytest.mark.parametrize("place", PLACES)
def test_a_change_of_the_value_is_seen(
    bench: Bench, request: pytest.FixtureRequest, place: str
) -> None:
    value, outcome = driving()[place], None
    try:
        outcome = carry_out(bench, value)
    finally:
        report.note(request, value, outcome)
