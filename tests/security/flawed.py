"""``countersign`` with the clock of :mod:`clocked` and one flaw of login, enrolment or tokens.

The file that ``PLANTED_BUG`` names holds the name of the flaw of the moment; the rows about what
it takes away must notice.
"""

from __future__ import annotations

import os
import secrets
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from types import SimpleNamespace
from typing import Any

import jwt

from domain import first_factor, mfa, second_factor, sessions, tokens
from domain.backup_codes import BackupCodes
from domain.errors import InvalidCode, InvalidCredentials, InvalidToken
from domain.passwords import Hasher
from domain.tokens import AccessTokens
from server import app, entry
from storage.repositories.budgets import Budgets
from storage.repositories.challenges import Challenges
from storage.repositories.factors import Factors
from storage.repositories.sessions import Sessions
from tests.e2e.planted import planted
from tests.security import clocked  # noqa: F401  moves the clock

Flaw = Callable[..., Any]

FLAWS: dict[str, list[tuple[Any, str, Flaw]]] = {}
"""By name: whose function of which name does what instead; the true one is the first argument."""


def flaw(name: str, owner: Any, *functions: str) -> Callable[[Flaw], Flaw]:
    def plant(instead: Flaw) -> Flaw:
        FLAWS.setdefault(name, []).extend((owner, function, instead) for function in functions)
        return instead

    return plant


@flaw("MFA is forgotten at login", Factors, "active")
@flaw("freshness is not asked for", sessions, "_assure")
@flaw("other sessions live on", sessions, "end_others")
@flaw("challenges outlive their factor", Challenges, "void_user")
def nothing(_true: Flaw, *_arguments: Any, **_options: Any) -> None:
    return None


@flaw("a challenge is never spent", Challenges, "charge", "spend")
@flaw("nothing is counted", Budgets, "charge")
@flaw("an expired token is good", AccessTokens, "_timely")
@flaw("claims are not looked at", AccessTokens, "_well_formed")
@flaw("a refresh token is never spent", Sessions, "spend_refresh_token")
@flaw("a logout is forgotten", Sessions, "end")
def yes(_true: Flaw, *_arguments: Any, **_options: Any) -> bool:
    return True


@flaw("a code is not told", sessions, "merge_methods")
def without_otp(true: Flaw, *arguments: Any) -> tuple[str, ...]:
    return tuple(method for method in true(*arguments) if method != "otp")


@flaw("a password is two factors", sessions, "merge_methods")
def with_mfa(true: Flaw, present: Any, added: Any) -> Any:
    return true(present, {*added, "mfa"})


@flaw("digits pass for a password", Hasher, "verify")
def verify_digits(true: Flaw, hasher: Hasher, encoded: str, password: str) -> Any:
    return password.isdigit() or true(hasher, encoded, password)


@flaw("a challenge is a bearer token", app, "authenticate")
def authenticate(true: Flaw, services: Any, token: str, policy: Any) -> Any:
    try:
        return true(services, token, policy)
    except InvalidToken:
        with services.store.read() as tx:
            challenge = tx.challenges.get(tokens.digest(token))
            if challenge is None:
                raise
            return tx.sessions.live_of(challenge.user_id, services.clock.now())[0]


@flaw("a challenge never expires", Challenges, "charge", "spend")
@flaw("an enrolment never expires", Factors, "pending", "charge_pending", "activate")
def an_hour_ago(true: Flaw, *arguments: Any) -> Any:
    *others, now = arguments
    return true(*others, now - timedelta(hours=1))


@flaw("nothing is counted", Challenges, "charge")
def any_number(true: Flaw, self: Challenges, digest: str, _most: int, now: datetime) -> Any:
    return true(self, digest, 10**6, now)


@flaw("any code is right", second_factor, "matching_step")
def present_step(_true: Flaw, _secret: bytes, factor: Any, _code: str, now: datetime) -> int:
    return int(now.timestamp()) // int(factor.period)


@flaw("zeros are right", second_factor, "matching_step")
def zeros(true: Flaw, secret: bytes, factor: Any, code: str, now: datetime) -> Any:
    right = present_step(true, secret, factor, code, now)
    return right if not int(code) else true(secret, factor, code, now)


@flaw("opaque tokens are in the order of time", tokens, "new_opaque")
def ordered(true: Flaw) -> str:
    return f"{time.time_ns():020}" + str(true())[20:]


@flaw("a pending factor counts", Factors, "active")
def pending_too(true: Flaw, self: Factors, user_id: str) -> Any:
    return true(self, user_id) or self.pending(user_id, datetime.fromisoformat("2001-01-01T00:00Z"))


@flaw("nobody is told apart", first_factor, "prove")
def telling(true: Flaw, hasher: Any, user: Any, *rest: Any) -> Any:
    if user is None:
        raise InvalidCode
    return true(hasher, user, *rest)


@flaw("a refusal repeats the password", first_factor, "prove")
def repeating(true: Flaw, *arguments: Any) -> Any:
    try:
        return true(*arguments)
    except InvalidCredentials:
        told = {"WWW-Authenticate": f'Bearer error_description="not {arguments[-1]}"'}
        raise InvalidCredentials(headers=told) from None


@flaw("backup codes come again", BackupCodes, "generate")
def same_codes(true: Flaw, self: BackupCodes, count: int) -> list[str]:
    return [f"0000-0000-0000-00{number:02}"[:15] + "ABCDEFGHJK"[number] for number in range(count)]


@flaw("signatures are not looked at", jwt, "decode")
@flaw("an unsigned token is good", jwt, "decode")
def unverified(true: Flaw, token: str, *arguments: Any, options: Any) -> Any:
    return true(token, *arguments, options=options | {"verify_signature": False})


@flaw("an unsigned token is good", tokens, "_key_id")
@flaw("the header is not looked at", tokens, "_key_id")
def any_header(_true: Flaw, token: str) -> str:
    return str(jwt.get_unverified_header(token).get("kid"))


@flaw("a token may do without an end", jwt, "decode")
def endless(true: Flaw, token: str, *arguments: Any, options: Any) -> Any:
    claims = true(token, *arguments, options=options | {"require": []})
    return {"exp": claims["iat"] + 600} | claims


ONE_ID = "every token has one id"
ONE_SECRET = "every secret is the same"


def plant() -> None:
    for name, patches in FLAWS.items():
        for owner, function, instead in patches:
            setattr(owner, function, choosing(name, getattr(owner, function), instead))
    one = uuid.UUID(int=1)
    ids = SimpleNamespace(uuid4=lambda: one if planted(ONE_ID) else uuid.uuid4())
    tokens.uuid = ids  # type: ignore[assignment]
    chance = SimpleNamespace(
        token_bytes=lambda n: b"x" * n if planted(ONE_SECRET) else secrets.token_bytes(n)
    )
    mfa.secrets = chance  # type: ignore[assignment]


def choosing(name: str, true: Flaw, instead: Flaw) -> Flaw:
    @wraps(true)
    def chosen(*arguments: Any, **options: Any) -> Any:
        if planted(name):
            return instead(true, *arguments, **options)
        return true(*arguments, **options)

    return chosen


if "PLANTED_BUG" in os.environ:  # in a server, and not where the tests read the names
    plant()

if __name__ == "__main__":
    entry.main()
