"""Whose turn a chore is: one taker an interval, whatever the clocks and the number of takers."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from storage.store import SqlStore
from tests.storage import races
from tests.storage.rows import NOW

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
CHORE = "purge"


def take(store: SqlStore, after: timedelta, name: str = CHORE) -> bool:
    now = NOW + after
    return races.changing(store, lambda tx: tx.chores.take(name, now, now + MINUTE))()


def test_a_chore_is_due_at_first_and_then_once_an_interval(store: SqlStore) -> None:
    turns = [take(store, seconds * SECOND) for seconds in (0, 0, 59, 60, 61, 119, 120, 9999)]
    assert turns == [True, False, False, True, False, False, True, True]


def test_an_unknown_chore_is_nobody_s(store: SqlStore) -> None:
    assert not take(store, 0 * SECOND, "dusting")


def test_a_time_that_only_a_wrong_clock_can_have_set_is_passed_over(store: SqlStore) -> None:
    assert take(store, timedelta(days=365))
    assert take(store, 0 * SECOND)
    assert not take(store, SECOND)


@pytest.mark.parametrize("skew", [-SECOND, SECOND, 59 * SECOND])
def test_clocks_that_differ_by_less_than_an_interval_do_not_matter(
    store: SqlStore, skew: timedelta
) -> None:
    assert take(store, skew)
    assert not take(store, 0 * SECOND)


def test_of_many_at_once_one_has_the_turn(store: SqlStore) -> None:
    for turn in range(10):
        # Each reads its clock at a moment of its own.
        moments = itertools.count(turn * 60_000)
        assert races.race(lambda moments=moments: take(store, next(moments) * SECOND / 1000)) == 1
