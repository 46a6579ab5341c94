"""Budgets of the secrets that can be guessed for ever (RFC 4226 section 7.3, NIST 3.2.2).

A guess is charged, in a transaction that is committed, before it is looked at: parallel guesses
cannot overtake the counter, and a crash in between costs the guesser, not the account. Budgets
belong to a user and a factor; no challenge, session, endpoint or address buys more of them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.errors import FactorLocked, TooManyAttempts, Unavailable
from domain.policy import GuessPolicy, Policies
from domain.ports import Transaction
from domain.records import Budget

# Beyond this the delay has long met its cap; without a bound the power would grow with the count.
LARGEST_EXPONENT = 64
# The row is locked where the engine can, so that a lost race is rare and two in a row rarer.
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Guess:
    """One budget that a guess draws on.

    ``name`` is what the client is told, ``key`` the row, ``free`` the guesses without a delay and
    ``longest`` the cap of the delay; ``lock_after`` in a row locks (None: never).
    """

    name: str
    key: str
    policy: GuessPolicy
    free: int
    longest: timedelta
    lock_after: int | None = None

    def delay(self, count: int) -> timedelta:
        """How long the next guess waits after the ``count``-th failure in a row."""
        if count < self.free:
            return timedelta(0)
        exponent = min(count - self.free, LARGEST_EXPONENT)
        seconds = self.policy.delay.total_seconds() * self.policy.factor**exponent
        return timedelta(seconds=min(seconds, self.longest.total_seconds()))


def totp_guess(user_id: str, policy: GuessPolicy) -> Guess:
    """The budget of a user's TOTP codes."""
    return Guess(
        "totp", totp_key(user_id), policy, policy.free, policy.max_delay, policy.lock_after
    )


def backup_code_guess(user_id: str, policy: GuessPolicy) -> Guess:
    """The budget of a user's backup codes. It never locks: they are the way out of a lock."""
    return Guess("backup-code", backup_code_key(user_id), policy, policy.free, policy.max_delay)


def password_guesses(
    username_key: str, origin: str, policy: GuessPolicy, *, known: bool
) -> tuple[Guess, ...]:
    """The budgets of a name's password: over all addresses, and from this one.

    ``origin`` is what :func:`domain.addresses.origin` makes of the address. ``known`` says that
    the account has signed in from there, so that a stranger's guesses never keep its owner out.
    """
    longest = policy.max_delay
    if known and policy.known_address_max_delay is not None:
        longest = min(longest, policy.known_address_max_delay)
    account = password_key(username_key)
    own = Guess("password", f"{account}:{origin}", policy, policy.free, longest)
    if policy.account_free is None:
        return (own,)
    return Guess("password", account, policy, policy.account_free, longest), own


def totp_key(user_id: str) -> str:
    return f"totp:{user_id}"


def backup_code_key(user_id: str) -> str:
    return f"backup-code:{user_id}"


def password_key(username_key: str) -> str:
    """Hashed, because people type passwords into the field of the name."""
    return f"password:{hashlib.sha256(username_key.encode()).hexdigest()}"


def check(tx: Transaction, guesses: Sequence[Guess], now: datetime) -> list[Budget]:
    """The budgets as they are, all of them open.

    Raises :class:`FactorLocked`, or :class:`TooManyAttempts` for the one that opens last.
    """
    budgets = [tx.budgets.get(guess.key) for guess in guesses]
    pairs = list(zip(guesses, budgets, strict=True))
    if any(_locked(guess.lock_after, budget) for guess, budget in pairs):
        raise FactorLocked
    waits = [(_wait(guess, budget, now), guess) for guess, budget in pairs]
    wait, guess = max(waits, key=lambda pair: pair[0])
    if wait > 0:
        raise TooManyAttempts(guess.name, wait, guess.free)
    return budgets


def charge(tx: Transaction, guesses: Sequence[Guess], now: datetime) -> None:
    """Count one failure on each budget, provided that all are open; see :func:`check`.

    The caller commits before it looks at what was sent.
    """
    for guess, budget in zip(guesses, check(tx, guesses, now), strict=True):
        _charge_one(tx, guess, budget, now)


def _charge_one(tx: Transaction, guess: Guess, budget: Budget, now: datetime) -> None:
    for _ in range(ROUNDS):
        if tx.budgets.charge(guess.key, budget.count, now):
            return
        (budget,) = check(tx, [guess], now)
    raise Unavailable


def clear(tx: Transaction, guesses: Sequence[Guess]) -> None:
    """Forget the failures, because the guess was right."""
    for guess in guesses:
        tx.budgets.clear(guess.key)


def unlock_totp(tx: Transaction, user_id: str, policies: Policies) -> None:
    """Open a locked TOTP budget; one that is merely delayed stays as it is."""
    if _locked(_totp_lock(policies), tx.budgets.get(totp_key(user_id))):
        tx.budgets.clear(totp_key(user_id))


def forget_factor(tx: Transaction, user_id: str) -> None:
    """Forget the failures against a second factor that is no more."""
    tx.budgets.clear(totp_key(user_id))
    tx.budgets.clear(backup_code_key(user_id))


def _totp_lock(policies: Policies) -> int | None:
    """The lowest lock that any operation names: the operation at hand may take no TOTP code."""
    attempts = (operation.attempts.totp for operation in policies.operations.values())
    return min(
        (policy.lock_after for policy in attempts if policy and policy.lock_after), default=None
    )


def _locked(lock_after: int | None, budget: Budget) -> bool:
    return lock_after is not None and budget.count >= lock_after


def _wait(guess: Guess, budget: Budget, now: datetime) -> int:
    """Whole seconds until the budget opens, rounded up; 0 where it is open."""
    delay = guess.delay(budget.count)
    if budget.last_at is None or not delay:
        # Of two guesses at the same moment the later may be charged first; a budget without a
        # delay must not look closed to the other because its last charge lies ahead.
        return 0
    opens_at = budget.last_at + delay
    return max(0, math.ceil((opens_at - now).total_seconds()))
