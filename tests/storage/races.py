"""Races for a row that may be won once: the contests, and how to run one.

A contest puts its prize into the store and names the attempt to win it. Names and arguments are
strings, so that a worker process can make the same attempt: ``python -m tests.storage.races URL``
reads lines of start time, contest and arguments, and writes how many of its threads won.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select, update

from domain.records import Session, User
from storage.engine import create_engine
from storage.models import backup_codes
from storage.store import SqlStore, SqlTransaction
from tests.storage import rows
from tests.storage.rows import NOW

Attempt = Callable[[], bool]
Change = Callable[[SqlTransaction], bool]

UNGUARDED = "unguarded backup code"

# What one competitor does in a writing block, given what the preparation handed out.
_CHANGES: dict[str, Callable[..., Change]] = {
    "step": lambda factor: lambda tx: tx.factors.spend_step(factor, 2, NOW),
    "backup code": lambda of, code: lambda tx: tx.backup_codes.spend(of, code, NOW),
    "challenge": lambda digest: lambda tx: tx.challenges.spend(digest, NOW),
    "refresh token": lambda digest: lambda tx: tx.sessions.spend_refresh_token(digest, NOW),
    "activation": lambda factor: lambda tx: tx.factors.activate(factor, 2, NOW),
    "password": lambda user: lambda tx: tx.users.set_password(user, "hash", rows.new_id()),
    "budget": lambda key: lambda tx: tx.budgets.charge(key, 0, NOW),
    "last challenge guess": lambda digest: lambda tx: tx.challenges.charge(digest, 1, NOW),
    "last enrolment guess": lambda factor: lambda tx: tx.factors.charge_pending(factor, 1, NOW),
    "username": lambda key: lambda tx: tx.users.add(rows.a_user(username_key=key)),
    "session end": lambda session: lambda tx: tx.sessions.end(session, NOW),
}
CONTESTS = tuple(_CHANGES)


def prepare(store: SqlStore, contest: str) -> list[str]:
    """Put the prize in place and return the arguments of the attempt."""
    with store.write() as transaction:
        arguments = _PREPARATIONS[contest](transaction)
        transaction.commit()
    return arguments


def attempt(store: SqlStore, contest: str, arguments: list[str]) -> Attempt:
    """What one competitor of a contest does."""
    if contest == UNGUARDED:
        return lambda: spend_unguarded(store, *arguments)
    return changing(store, _CHANGES[contest](*arguments))


def changing(store: SqlStore, change: Change) -> Attempt:
    """A change in a writing block of its own, committed where it took place."""

    def run() -> bool:
        with store.write() as transaction:
            won = change(transaction)
            if won:
                transaction.commit()
        return won

    return run


def spend_unguarded(store: SqlStore, set_id: str, digest: str) -> bool:
    """The bug the races exist to find: see that the code is unused, and then use it."""
    code = (backup_codes.c.set_id == set_id) & (backup_codes.c.digest == digest)
    with store.read() as transaction:
        used = transaction._connection.execute(select(backup_codes.c.used_at).where(code)).scalar()
    if used is not None:
        return False
    with store.write() as transaction:
        transaction._connection.execute(update(backup_codes).where(code).values(used_at=NOW))
        transaction.commit()
    return True


def race(attempt: Attempt, threads: int = 16) -> int:
    """How many of so many threads, let go together, won."""
    gate = threading.Barrier(threads)

    def run(_: int) -> bool:
        gate.wait(10)
        return attempt()

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(run, range(threads)))


def _user(transaction: SqlTransaction) -> User:
    user = rows.a_user()
    assert transaction.users.add(user)
    return user


def _session(transaction: SqlTransaction) -> Session:
    session = rows.a_session(_user(transaction))
    transaction.sessions.add(session)
    return session


def _token(transaction: SqlTransaction) -> list[str]:
    token = rows.a_token(_session(transaction))
    transaction.sessions.add_refresh_token(token)
    return [token.digest]


def _challenge(transaction: SqlTransaction) -> list[str]:
    challenge = rows.a_challenge(_user(transaction))
    transaction.challenges.add(challenge)
    return [challenge.digest]


def _rotation(transaction: SqlTransaction) -> list[str]:
    """A pending factor beside an active one, which the winner replaces."""
    user = _user(transaction)
    rows.activated(transaction, user)
    return [rows.enrol(transaction, user)[0].id]


def _codes(transaction: SqlTransaction) -> list[str]:
    _, codes, spendable = rows.activated(transaction, _user(transaction))
    return [codes.id, spendable[0]]


_PREPARATIONS: dict[str, Callable[[SqlTransaction], list[str]]] = {
    "step": lambda tx: [rows.activated(tx, _user(tx))[0].id],
    "backup code": _codes,
    "challenge": _challenge,
    "refresh token": _token,
    "activation": _rotation,
    "password": lambda tx: [_user(tx).id],
    "budget": lambda tx: ["totp:" + rows.new_id()],
    "last challenge guess": _challenge,
    "last enrolment guess": lambda tx: [rows.enrol(tx, _user(tx))[0].id],
    "username": lambda tx: [rows.new_id()],
    "session end": lambda tx: [_session(tx).id],
    UNGUARDED: _codes,
}


def work(url: str) -> None:
    """Take part in races from another process until standard input ends."""
    store = SqlStore(create_engine(url))
    store.ping()
    print("ready", flush=True)
    for line in sys.stdin:
        start, contest, *arguments = line.rstrip("\n").split("\t")
        # Everybody is told the moment beforehand: that brings processes nearer together than a message.
        time.sleep(max(0.0, float(start) - time.time()))
        print(race(attempt(store, contest, arguments), threads=4), flush=True)


if __name__ == "__main__":
    work(sys.argv[1])
