"""The places where a code can be given, and a wrong code to give there."""

from __future__ import annotations

import secrets

from tests.support.accounts import Account, ok
from tests.support.api import Reply

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base32."""


def at_login(account: Account, code: str) -> Reply:
    return account.finish(account.begin()["challenge_id"], code)


def at_step_up(account: Account, code: str) -> Reply:
    challenge = ok(account.post("/auth/challenge")).data["challenge_id"]
    return account.finish(challenge, code, account.token)


def at_disable(account: Account, code: str) -> Reply:
    return account.post("/mfa/disable", json={"password": account.password, "code": code})


def at_backup_codes(account: Account, code: str) -> Reply:
    return account.post("/mfa/backup-codes/verify", json={"code": code})


def wrong_backup_code() -> str:
    """Of the right shape; the chance that it is right is 2 to the minus 77."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(4))
