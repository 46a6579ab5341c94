"""``countersign`` with the clock of :mod:`clocked` and one bug, to show that the rows would notice.

The file that ``PLANTED_BUG`` names holds the name of the bug of the moment. Guards of one-time
spends are taken away by :mod:`tests.e2e.planted`; here are the bugs of counting and of chance.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import wraps
from types import SimpleNamespace
from typing import Any

from domain import challenges, guesses, mfa, second_factor
from domain.backup_codes import BackupCodes
from domain.errors import InvalidCode
from domain.guesses import Guess
from domain.ports import Transaction
from domain.records import Budget
from domain.second_factor import Admitted, CodeProof
from domain.services import Services
from server import entry
from storage import transaction
from storage.repositories.budgets import Budgets
from tests.e2e.planted import planted
from tests.security import clocked  # noqa: F401  moves the clock

LATE = "a guess is charged after it was looked at"
CHEAP = "a new challenge clears the budget"
ENDLESS = "a factor never locks"
FORGETFUL = "guesses are counted in the process"
CROSSED = "the budget of backup codes is that of the authenticator"
BIASED = "a backup code favours the first half of its alphabet"
BROKEN = "a handler breaks"
UNTRUE = "a handler returns what the spec does not allow"

TALE = "/srv/countersign/storage.py: SELECT sealed_secret FROM factors"
"""What the broken handler would have told."""


def looking(charge: Callable[..., None]) -> Callable[..., None]:
    """Admit without a charge: whoever overlaps sees the budget that everybody else saw."""

    @wraps(charge)
    def admit(tx: Transaction, drawn: Sequence[Guess], now: datetime) -> None:
        if planted(LATE):
            guesses.check(tx, drawn, now)
        else:
            charge(tx, drawn, now)

    return admit


def charging_late(prove: Callable[..., CodeProof]) -> Callable[..., CodeProof]:
    @wraps(prove)
    def proved(services: Services, admitted: Admitted, now: datetime) -> CodeProof:
        try:
            return prove(services, admitted, now)
        except InvalidCode:
            if planted(LATE):
                _charge(services, admitted.guess, now)
            raise

    return proved


def _charge(services: Services, guess: Guess, now: datetime) -> None:
    with services.store.write() as tx:
        budget = tx.budgets.get(guess.key)
        tx.budgets.charge(guess.key, budget.count, now)
        tx.commit()


def forgetful(open_login: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(open_login)
    def opened(services: Services, tx: Transaction, factor: Any, *rest: Any) -> Any:
        if planted(CHEAP):
            guesses.forget_factor(tx, factor.user_id)
        return open_login(services, tx, factor, *rest)

    return opened


def unlocked(totp_guess: Callable[..., Guess]) -> Callable[..., Guess]:
    @wraps(totp_guess)
    def guess(*arguments: Any) -> Guess:
        found = totp_guess(*arguments)
        return replace(found, lock_after=None) if planted(ENDLESS) else found

    return guess


def crossed(backup_code_guess: Callable[..., Guess]) -> Callable[..., Guess]:
    @wraps(backup_code_guess)
    def guess(user_id: str, policy: Any) -> Guess:
        found = backup_code_guess(user_id, policy)
        return replace(found, key=guesses.totp_key(user_id)) if planted(CROSSED) else found

    return guess


def biased(one: Callable[[BackupCodes], str]) -> Callable[[BackupCodes], str]:
    @wraps(one)
    def code(self: BackupCodes) -> str:
        first, second = one(self), one(self)
        return first if not planted(BIASED) else "".join(map(min, first, second))

    return code


_counts: dict[str, Budget] = {}


def remembering(budgets: type[Budgets]) -> type[Budgets]:
    """Budgets that keep to the process where that is planted, and die with it."""

    class Local(budgets):  # type: ignore[valid-type, misc]
        def get(self, key: str) -> Budget:
            own = _counts.get(key, Budget(key, 0, None))
            return own if planted(FORGETFUL) else super().get(key)

        def charge(self, key: str, seen: int, now: datetime) -> bool:
            if not planted(FORGETFUL):
                return super().charge(key, seen, now)
            _counts[key] = Budget(key, seen + 1, now)
            return True

        def clear(self, key: str) -> None:
            _counts.pop(key, None)
            super().clear(key)

    return Local


def broken(get_mfa_status: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(get_mfa_status)
    def status(*arguments: Any) -> Any:
        if planted(BROKEN):
            raise RuntimeError(TALE)
        found = get_mfa_status(*arguments)
        return replace(found, backup_codes_total=-1) if planted(UNTRUE) else found

    return status


def plant() -> None:
    looks = vars(guesses) | {"charge": looking(guesses.charge)}
    second_factor.guesses = SimpleNamespace(**looks)  # type: ignore[assignment]
    second_factor.prove = charging_late(second_factor.prove)
    challenges.open_login = forgetful(challenges.open_login)
    second_factor.guesses.totp_guess = unlocked(guesses.totp_guess)
    second_factor.guesses.backup_code_guess = crossed(guesses.backup_code_guess)
    transaction.Budgets = remembering(Budgets)  # type: ignore[misc]
    mfa.get_mfa_status = broken(mfa.get_mfa_status)
    BackupCodes._one = biased(BackupCodes._one)  # type: ignore[method-assign]


if "PLANTED_BUG" in os.environ:  # in a server, and not where the tests read the names
    plant()

if __name__ == "__main__":
    entry.main()
