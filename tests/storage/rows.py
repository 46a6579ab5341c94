"""Rows to store: each with the fields that a test does not care about filled in."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.records import Challenge, CodeSet, Factor, RefreshToken, Session, User
from storage.store import SqlStore, SqlTransaction

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SOON = NOW + timedelta(minutes=5)
LATER = NOW + timedelta(hours=1)
TOMORROW = NOW + timedelta(days=1)

_digests = itertools.count()


def new_id() -> str:
    return str(uuid.uuid4())


def a_digest() -> str:
    return f"{next(_digests):064x}"


def a_user(**fields: Any) -> User:
    name = f"user-{new_id()}"
    return replace(User(new_id(), name.title(), name, "hash", True, NOW), **fields)


def a_session(user: User, **fields: Any) -> Session:
    session = Session(
        id=new_id(),
        user_id=user.id,
        username=user.username,
        acr="aal1",
        amr=("pwd",),
        auth_time=NOW,
        mfa_time=None,
        created_at=NOW,
        last_used_at=NOW,
        idle_until=LATER,
        expires_at=TOMORROW,
        user_agent="tests",
    )
    return replace(session, **fields)


def a_token(session: Session, **fields: Any) -> RefreshToken:
    return replace(RefreshToken(a_digest(), session.id, NOW), **fields)


def a_challenge(user: User, **fields: Any) -> Challenge:
    return replace(Challenge(a_digest(), user.id, None, 0, NOW, SOON), **fields)


def a_factor(user: User, **fields: Any) -> Factor:
    factor = Factor(
        id=new_id(),
        user_id=user.id,
        pending=True,
        sealed_secret="sealed",
        algorithm="SHA1",
        digits=6,
        period=30,
        window=1,
        last_step=0,
        wrong=0,
        created_at=NOW,
        expires_at=SOON,
    )
    return replace(factor, **fields)


def a_set(factor: Factor, **fields: Any) -> CodeSet:
    return replace(CodeSet(new_id(), factor.id, "00ff", "pepper", 10, NOW), **fields)


def digests(count: int = 10) -> list[str]:
    return [a_digest() for _ in range(count)]


def enrol(transaction: SqlTransaction, user: User) -> tuple[Factor, CodeSet, list[str]]:
    """A pending factor of the user with its backup codes."""
    factor = a_factor(user)
    codes, spendable = a_set(factor), digests()
    transaction.factors.put_pending(factor, codes, spendable)
    return factor, codes, spendable


def activated(transaction: SqlTransaction, user: User) -> tuple[Factor, CodeSet, list[str]]:
    """An active factor of the user whose step 1 is spent."""
    enrolled = enrol(transaction, user)
    assert transaction.factors.activate(enrolled[0].id, 1, NOW)
    return enrolled


def stored_user(store: SqlStore, **fields: Any) -> User:
    """A user who is committed already."""
    user = a_user(**fields)
    with store.write() as transaction:
        assert transaction.users.add(user)
        transaction.commit()
    return user
