"""What is done to accounts from above: by an administrator over the API, and on the command line.

An :data:`Act` is one such thing, inside the transaction that has locked the account; both ways use
the same ones. A function that takes a username is the command line's way, and raises
:class:`NotFound` where there is no such account. The form of a username and the length of a
password are the spec's to say and the caller's to check.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import datetime

from domain import guesses, passwords, sessions, usernames
from domain.audit import Trail, audited
from domain.errors import NotFound, PasswordRefused, UsernameTaken
from domain.ports import Transaction
from domain.records import Account, User
from domain.results import RegisteredUser
from domain.services import Services

USER, ADMIN = "user", "admin"
BATCH = 500
"""Accounts that are read at once where all are listed."""

Act = Callable[[Transaction, User, datetime], None]


def close(tx: Transaction, user: User, now: datetime) -> None:
    """Nothing of the account signs in any more, and all its sessions and challenges end."""
    tx.users.set_active(user.id, False)
    sessions.end_others(tx, user.id, now)


def reopen(tx: Transaction, user: User, now: datetime) -> None:
    """Open a closed account; its user signs in anew. An open one stays as it is."""
    if not user.active:
        tx.users.set_active(user.id, True)
        sessions.end_others(tx, user.id, now)


def end_sessions(tx: Transaction, user: User, now: datetime) -> None:
    """End all sessions and challenges of the account; it can sign in again at once."""
    sessions.end_others(tx, user.id, now)


def remove_factor(tx: Transaction, user: User, now: datetime) -> None:
    """Remove the second factor, pending or not, and forget its failures; sessions end."""
    tx.factors.delete_all(user.id)
    guesses.forget_factor(tx, user.id)
    sessions.end_others(tx, user.id, now)


def give_role(role: str) -> Act:
    """The act that gives an account a role; sessions end."""

    def act(tx: Transaction, user: User, now: datetime) -> None:
        tx.users.set_role(user.id, role)
        sessions.end_others(tx, user.id, now)

    return act


def give_password(password_hash: str) -> Act:
    """The act that replaces the password: sessions end, failures are forgotten."""

    def act(tx: Transaction, user: User, now: datetime) -> None:
        tx.users.set_password(user.id, user.password_hash, password_hash)
        tx.budgets.clear(guesses.password_key(user.username_key))
        sessions.end_others(tx, user.id, now)

    return act


@audited
def carry_out(services: Services, trail: Trail, act: Act, username: str) -> None:
    """Do one of the acts above to the account of this name."""
    now = services.clock.now()
    with services.store.write() as tx:
        user = _locked(tx, username)
        trail.user_id = user.id
        act(tx, user, now)
        trail.record(services, tx)
        tx.commit()


@audited
def create_user(
    services: Services, trail: Trail, username: str, password: str, role: str = USER
) -> RegisteredUser:
    """See :func:`make_user`, whether registration is open or not."""
    return make_user(services, trail, username, password, role)


def make_user(
    services: Services, trail: Trail, username: str, password: str, role: str = USER
) -> RegisteredUser:
    """Create an account, for an act that is :func:`audited`.

    Raises :class:`PasswordRefused`, :class:`UsernameTaken`.
    """
    if passwords.refused(services.policies.passwords, password, username):
        raise PasswordRefused
    user = User(
        id=str(uuid.uuid4()),
        username=username,
        username_key=usernames.key(username),
        password_hash=services.passwords.hash(password),
        active=True,
        created_at=services.clock.now(),
        role=role,
    )
    with services.store.write() as tx:
        if not tx.users.add(user):
            raise UsernameTaken
        trail.user_id = user.id
        trail.record(services, tx)
        tx.commit()
    return RegisteredUser(user.id, user.username)


def find(services: Services, username: str) -> User:
    """The account of this name."""
    with services.store.read() as tx:
        user = tx.users.by_key(usernames.key(username))
    if user is None:
        raise NotFound
    return user


def list_accounts(services: Services) -> Iterator[Account]:
    """All accounts in the order of creation, read in batches."""
    after = 0
    while True:
        with services.store.read() as tx:
            batch = tx.users.page("", after, BATCH)
        yield from batch
        if len(batch) < BATCH:
            return
        after = batch[-1].number


def set_password(services: Services, trail: Trail, username: str, password: str) -> None:
    """Set a new password; the second factor stays. Raises :class:`PasswordRefused`."""
    if passwords.refused(services.policies.passwords, password, username):
        raise PasswordRefused
    new_hash = services.passwords.hash(password)
    carry_out(services, trail, give_password(new_hash), username)


def deactivate(services: Services, trail: Trail, username: str) -> None:
    """See :func:`close`."""
    carry_out(services, trail, close, username)


def activate(services: Services, trail: Trail, username: str) -> None:
    """See :func:`reopen`."""
    carry_out(services, trail, reopen, username)


def reset_mfa(services: Services, trail: Trail, username: str) -> None:
    """See :func:`remove_factor`."""
    carry_out(services, trail, remove_factor, username)


def promote(services: Services, trail: Trail, username: str) -> None:
    """Make an administrator of a user."""
    carry_out(services, trail, give_role(ADMIN), username)


def demote(services: Services, trail: Trail, username: str) -> None:
    """Make an ordinary user of an administrator."""
    carry_out(services, trail, give_role(USER), username)


def _locked(tx: Transaction, username: str) -> User:
    user = tx.users.by_key(usernames.key(username))
    if user is None:
        raise NotFound
    return tx.users.lock(user.id) or user
