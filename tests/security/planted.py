"""``countersign`` with the clock of :mod:`clocked` and one flaw of codes, guesses, paper or HTTP.

The file that ``PLANTED_BUG`` names holds the name of the flaw of the moment; those of
:mod:`flawed` and of :mod:`tests.e2e.planted` can be named too.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

from contract import compile as compiling
from contract import guard, routing, size, view
from domain import (
    backup_codes,
    challenges,
    first_factor,
    guesses,
    mfa,
    second_factor,
    sessions,
    totp,
)
from domain.backup_codes import BackupCodes
from domain.errors import InvalidCode, InvalidCredentials
from domain.guesses import Guess
from domain.passwords import Hasher
from domain.ports import Transaction
from domain.records import Budget
from domain.results import NewBackupCodes
from server import entry
from storage import transaction
from storage.repositories.addresses import Addresses
from storage.repositories.backup_codes import BackupCodes as StoredCodes
from storage.repositories.budgets import Budgets
from storage.repositories.factors import Factors
from tests.e2e.planted import planted
from tests.security.flawed import Flaw, choosing

FLAWS: list[tuple[str, Any, str, Flaw]] = []
"""Name; whose function of which name does what instead; the true one is its first argument."""

LATE = "a guess is charged after it was looked at"
FORGETFUL = "guesses are counted in the process"
BOUNDLESS = "a body has no limit"
TIGHT = "a body has half the limit"

TALE = "/srv/countersign/storage.py: SELECT sealed_secret FROM factors"
"""What the broken handler would have told."""


def flaw(name: str, owner: Any, *functions: str) -> Callable[[Flaw], Flaw]:
    def note(instead: Flaw) -> Flaw:
        FLAWS.extend((name, owner, function, instead) for function in functions)
        return instead

    return note


# Codes


@flaw("the label is not encoded", totp, "provisioning_uri")
def unquoted(true: Flaw, *arguments: Any) -> str:
    return unquote(true(*arguments))


@flaw("a code is a number", second_factor, "_bare")
def padded(true: Flaw, text: str) -> str:
    bare = str(true(text))
    return bare.zfill(6) if bare.isdecimal() else bare


@flaw("more digits do no harm", second_factor, "_bare")
def shortened(true: Flaw, text: str) -> str:
    bare = str(true(text))
    return bare[:6] if bare.isdecimal() else bare


@flaw("the window is two steps wide", second_factor, "matching_step")
def two_steps(true: Flaw, secret: bytes, factor: Any, *rest: Any) -> Any:
    return true(secret, replace(factor, window=2), *rest)


@flaw("the window is an hour wide", second_factor, "matching_step")
def an_hour(true: Flaw, secret: bytes, factor: Any, *rest: Any) -> Any:
    return true(secret, replace(factor, window=60), *rest)


# Guesses


@flaw("a new challenge clears the budget", challenges, "open_login")
def forgiving(true: Flaw, services: Any, tx: Transaction, factor: Any, *rest: Any) -> Any:
    guesses.forget_factor(tx, factor.user_id)
    return true(services, tx, factor, *rest)


@flaw("a factor never locks", guesses, "totp_guess")
def unlocked(true: Flaw, *arguments: Any) -> Guess:
    return replace(true(*arguments), lock_after=None)


@flaw("backup codes have the budget of the authenticator", guesses, "backup_code_guess")
def crossed(true: Flaw, user_id: str, policy: Any) -> Guess:
    return replace(true(user_id, policy), key=guesses.totp_key(user_id))


@flaw("an enrolment takes any number of codes", Factors, "charge_pending")
def yes(_true: Flaw, *_arguments: Any) -> bool:
    return True


@flaw("a success clears nothing", guesses, "clear")
@flaw("new codes are not stored", StoredCodes, "replace")
@flaw("anybody gets new codes", sessions, "_assure")
def nothing(_true: Flaw, *_arguments: Any, **_options: Any) -> None:
    return None


@flaw("no address is known", Addresses, "known")
def no(_true: Flaw, *_arguments: Any) -> bool:
    return False


@flaw(LATE, second_factor, "prove")
def proving_first(true: Flaw, services: Any, admitted: Any, now: datetime) -> Any:
    try:
        return true(services, admitted, now)
    except InvalidCode:
        with services.store.write() as tx:
            budget = tx.budgets.get(admitted.guess.key)
            tx.budgets.charge(budget.key, budget.count, now)
            tx.commit()
        raise


def looking(charge: Flaw, tx: Transaction, drawn: Sequence[Guess], now: datetime) -> None:
    """Admit without a charge: whoever overlaps sees the budget that everybody else saw."""
    guesses.check(tx, drawn, now)


_counts: dict[str, Budget] = {}


class ForgetfulBudgets(Budgets):
    """Budgets that keep to the process where that is planted, and die with it."""

    def get(self, key: str) -> Budget:
        return _counts.get(key, Budget(key, 0, None)) if planted(FORGETFUL) else super().get(key)

    def charge(self, key: str, seen: int, now: datetime) -> bool:
        if not planted(FORGETFUL):
            return super().charge(key, seen, now)
        _counts[key] = Budget(key, seen + 1, now)
        return True

    def clear(self, key: str) -> None:
        _counts.pop(key, None)
        super().clear(key)


# Paper


@flaw("a backup code favours the first half of its alphabet", BackupCodes, "_one")
def biased(true: Flaw, self: BackupCodes) -> str:
    return "".join(map(min, true(self), true(self)))


@flaw("codes are hashed without a salt", BackupCodes, "digest")
def bare_hash(_true: Flaw, _self: BackupCodes, code: str, _codes: Any) -> str:
    return hashlib.sha256(backup_codes.normalise(code).encode()).hexdigest()


@flaw("anybody gets new codes", mfa, "regenerate_backup_codes")
def generous(_true: Flaw, services: Any, *_rest: Any) -> NewBackupCodes:
    return NewBackupCodes(tuple(services.backup_codes.generate(10)), services.clock.now())


_losses = itertools.count()


@flaw("codes are lost", mfa, "_count")
def fewer(true: Flaw, *arguments: Any) -> tuple[int, int]:
    total, left = true(*arguments)
    return total, max(0, left - next(_losses))


# HTTP


@flaw("the schema is not looked at", view, "_body")
def any_value(true: Flaw, *arguments: Any) -> Any:
    value, wrong = true(*arguments)
    return value, wrong if value is None else ()


@flaw("a body that nobody asked for is ignored", view, "read_parameters")
def no_body(true: Flaw, operation: Any, exchange: Any) -> Any:
    if operation.body is None:
        exchange.body = None
    return true(operation, exchange)


@flaw("JSON is what Python takes", view, "parse")
def as_python_does(_true: Flaw, text: bytes) -> Any:
    return json.loads(text)


@flaw("a refusal takes its time", view, "parse")
def slow(true: Flaw, text: bytes) -> Any:
    time.sleep(len(text) / 5000)
    return true(text)


@flaw("every media type is JSON", view, "_is_json")
def is_json(_true: Flaw, _types: Any) -> bool:
    return True


@flaw("a password ends at NUL", Hasher, "hash", "verify")
def up_to_nul(true: Flaw, self: Hasher, *texts: str) -> Any:
    *others, password = texts
    return true(self, *others, password.partition("\0")[0])


@flaw("the log has the password", first_factor, "prove")
def logging_it(true: Flaw, *arguments: Any) -> Any:
    print(arguments[-1], file=sys.stderr, flush=True)
    return true(*arguments)


@flaw("an error tells where it comes from", first_factor, "prove")
def telling(true: Flaw, *arguments: Any) -> Any:
    try:
        return true(*arguments)
    except InvalidCredentials:
        raise InvalidCredentials(f'File "{__file__}", line 1') from None


@flaw("a header makes another method", routing.Routing, "_enter")
def overridden(true: Flaw, self: Any, exchange: Any, scope: Any) -> None:
    fields = dict(scope["headers"])
    scope["method"] = fields.get(b"x-http-method-override", scope["method"].encode()).decode()
    true(self, exchange, scope)


@flaw("a token may stand in the query", routing.Routing, "_enter")
def with_token(true: Flaw, self: Any, exchange: Any, scope: Any) -> None:
    name, _, token = scope["query_string"].partition(b"=")
    if name == b"access_token":
        scope["headers"] = [*scope["headers"], (b"authorization", b"Bearer " + token)]
        scope["query_string"] = b""
    true(self, exchange, scope)


@flaw("everything may be stored", guard, "_framed")
def storable(true: Flaw, *arguments: Any) -> Any:
    reply = true(*arguments)
    fields = [(name, value) for name, value in reply.headers if name.lower() != "cache-control"]
    return replace(reply, headers=fields)


@flaw("a handler breaks", mfa, "get_mfa_status")
def broken(_true: Flaw, *_arguments: Any) -> None:
    raise RuntimeError(TALE)


@flaw("a handler returns what the spec does not allow", mfa, "get_mfa_status")
def untrue(true: Flaw, *arguments: Any) -> Any:
    return replace(true(*arguments), backup_codes_total=-1)


class Elastic(int):
    """The limit of bodies, which a comparison asks on which side it is."""

    def __lt__(self, size: int) -> bool:
        if planted(BOUNDLESS):
            return False
        return int(self) // (2 if planted(TIGHT) else 1) < size


def plant() -> None:
    for name, owner, function, instead in FLAWS:
        setattr(owner, function, choosing(name, getattr(owner, function), instead))
    looks = vars(guesses) | {"charge": choosing(LATE, guesses.charge, looking)}
    second_factor.guesses = SimpleNamespace(**looks)  # type: ignore[assignment]
    transaction.Budgets = ForgetfulBudgets  # type: ignore[misc]
    compiling.limit = lambda schema: Elastic(size.limit(schema))  # type: ignore[attr-defined]


if "PLANTED_BUG" in os.environ:  # in a server, and not where the tests read the names
    plant()

if __name__ == "__main__":
    entry.main()
