"""The arithmetic of budgets, and the budgets of the three secrets."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from domain import guesses
from domain.errors import FactorLocked, TooManyAttempts, Unavailable
from domain.guesses import Guess
from domain.records import Budget
from domain.services import Services
from storage.store import SqlStore
from tests.domain.world import (
    BACKUP,
    MINUTE,
    PASSWORDS,
    POLICIES,
    SECOND,
    START,
    TOTP,
    SettableClock,
)

GUESS = guesses.totp_guess("u", TOTP)


def charge(store: SqlStore, clock: SettableClock, *drawn: Guess) -> None:
    with store.write() as tx:
        guesses.charge(tx, drawn or [GUESS], clock.now())
        tx.commit()


def count(store: SqlStore, key: str) -> int:
    with store.read() as tx:
        return tx.budgets.get(key).count


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (1, 0), (4, 0), (5, 30), (6, 60), (7, 120), (11, 1920), (12, 3600), (13, 3600)],
)
def test_the_delay_begins_after_the_free_guesses_and_doubles_up_to_its_cap(
    failures: int, seconds: int
) -> None:
    assert GUESS.delay(failures) == timedelta(seconds=seconds)


def test_the_delay_of_an_endless_attack_is_the_cap() -> None:
    assert GUESS.delay(1_000_000) == timedelta(hours=1)
    assert guesses.backup_code_guess("u", replace(BACKUP, factor=10)).delay(10**9) == timedelta(
        hours=1
    )


def test_a_factor_of_one_keeps_the_delay() -> None:
    assert guesses.backup_code_guess("u", replace(BACKUP, factor=1)).delay(40) == 30 * SECOND


def test_a_closed_budget_says_when_it_opens_rounded_up(
    store: SqlStore, clock: SettableClock
) -> None:
    for _ in range(5):
        charge(store, clock)
    clock.advance(seconds=0.5)
    with pytest.raises(TooManyAttempts) as caught:
        charge(store, clock)
    assert dict(caught.value.headers) == {
        "Retry-After": "30",
        "RateLimit": '"totp";r=0;t=30',
        "RateLimit-Policy": '"totp";q=5',
    }
    assert count(store, "totp:u") == 5


def test_a_free_guess_is_free_to_one_whose_moment_was_before_the_last_charge(
    store: SqlStore, clock: SettableClock
) -> None:
    """Two sign-ins at once: the one that looked at the clock first is charged second."""
    charge(store, clock)
    clock.advance(seconds=-0.001)
    charge(store, clock)
    assert count(store, "totp:u") == 2


def test_a_budget_opens_on_the_second_it_named(store: SqlStore, clock: SettableClock) -> None:
    for _ in range(5):
        charge(store, clock)
    clock.advance(seconds=29.99)
    with pytest.raises(TooManyAttempts) as caught:
        charge(store, clock)
    assert caught.value.headers["Retry-After"] == "1"
    clock.advance(seconds=0.01)
    charge(store, clock)
    assert count(store, "totp:u") == 6


def test_a_clock_that_goes_back_opens_nothing(store: SqlStore, clock: SettableClock) -> None:
    for _ in range(5):
        charge(store, clock)
    clock.advance(hours=-1)
    with pytest.raises(TooManyAttempts):
        charge(store, clock)


def test_the_fiftieth_failure_locks_for_ever(store: SqlStore, clock: SettableClock) -> None:
    for _ in range(50):
        charge(store, clock)
        clock.advance(hours=1)
    clock.advance(days=1000)
    with pytest.raises(FactorLocked):
        charge(store, clock)
    assert count(store, "totp:u") == 50


def test_a_closed_budget_charges_none_of_the_others(store: SqlStore, clock: SettableClock) -> None:
    account, own = guesses.password_guesses("ann", "192.0.2.1", PASSWORDS, known=False)
    for _ in range(10):
        charge(store, clock, account, own)
    with pytest.raises(TooManyAttempts):
        charge(store, clock, account, own)
    assert (count(store, account.key), count(store, own.key)) == (10, 10)


def test_of_two_closed_budgets_the_longer_wait_is_told(
    store: SqlStore, clock: SettableClock
) -> None:
    short = guesses.totp_guess("short", TOTP)
    long = guesses.backup_code_guess("long", replace(BACKUP, free=1, delay=5 * MINUTE))
    for _ in range(5):
        charge(store, clock, short)
    charge(store, clock, long)
    with pytest.raises(TooManyAttempts) as caught:
        charge(store, clock, short, long)
    assert caught.value.headers["Retry-After"] == "300"
    assert '"backup-code"' in caught.value.headers["RateLimit"]


def test_the_password_of_a_name_has_a_budget_per_origin_under_a_ceiling() -> None:
    account, own = guesses.password_guesses("ann", "192.0.2.1", PASSWORDS, known=False)
    assert (account.free, own.free) == (100, 10)
    assert own.key == f"{account.key}:192.0.2.1"
    assert "ann" not in own.key
    assert account.delay(100) == own.delay(10) == 30 * SECOND
    assert account.delay(200) == own.delay(200) == 15 * MINUTE


def test_a_known_address_never_waits_longer_than_its_cap() -> None:
    for guess in guesses.password_guesses("ann", "192.0.2.1", PASSWORDS, known=True):
        assert guess.delay(10_000) == 30 * SECOND


def test_without_a_ceiling_there_is_one_budget() -> None:
    policy = replace(PASSWORDS, account_free=None, known_address_max_delay=None)
    (own,) = guesses.password_guesses("ann", "-", policy, known=True)
    assert own.delay(10_000) == 15 * MINUTE


@pytest.mark.parametrize(("failures", "left"), [(49, 49), (50, 0), (51, 0)])
def test_unlocking_opens_a_locked_budget_and_shortens_no_delay(
    services: Services, store: SqlStore, failures: int, left: int
) -> None:
    with store.write() as tx:
        for seen in range(failures):
            assert tx.budgets.charge("totp:u", seen, START)
        guesses.unlock_totp(tx, "u", POLICIES)
        tx.commit()
    assert count(store, "totp:u") == left


def test_without_a_lock_there_is_nothing_to_unlock(store: SqlStore) -> None:
    with store.write() as tx:
        for seen in range(60):
            tx.budgets.charge("totp:u", seen, START)
        guesses.unlock_totp(tx, "u", replace(POLICIES, operations={}))
        tx.commit()
    assert count(store, "totp:u") == 60


class Overtaken:
    """A transaction in which somebody else is always a little faster."""

    def __init__(self, losses: int) -> None:
        self.losses, self.count = losses, 0
        self.budgets = self

    def get(self, key: str) -> object:
        return Budget(key, self.count, START)

    def charge(self, key: str, seen: int, now: object) -> bool:
        if self.losses:
            self.losses -= 1
            self.count += 1
            return False
        return seen == self.count


def test_a_lost_race_is_run_again_with_what_is_there_now() -> None:
    guesses.charge(Overtaken(3), [GUESS], START)  # type: ignore[arg-type]


def test_a_race_lost_into_a_closed_budget_is_refused() -> None:
    tx = Overtaken(1)
    tx.count = 4
    with pytest.raises(TooManyAttempts):
        guesses.charge(tx, [GUESS], START)  # type: ignore[arg-type]


def test_a_race_that_is_always_lost_is_refused() -> None:
    guess = replace(GUESS, free=100, lock_after=None)
    with pytest.raises(Unavailable):
        guesses.charge(Overtaken(50), [guess], START)  # type: ignore[arg-type]
