"""What an administrator does to accounts, by username.

Each raises :class:`NotFound` where there is no such account. The form of a username and the
length of a password are the spec's to say and the caller's to check.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from domain import guesses, sessions, usernames
from domain.errors import NotFound, PasswordRefused, UsernameTaken
from domain.ports import Transaction
from domain.records import User
from domain.results import RegisteredUser
from domain.services import Services


def create_user(services: Services, username: str, password: str) -> RegisteredUser:
    """Create an account whether registration is open or not.

    Raises :class:`PasswordRefused`, :class:`UsernameTaken`.
    """
    if services.passwords.refused(password, username):
        raise PasswordRefused
    user = User(
        id=str(uuid.uuid4()),
        username=username,
        username_key=usernames.key(username),
        password_hash=services.passwords.hash(password),
        active=True,
        created_at=services.clock.now(),
    )
    with services.store.write() as tx:
        if not tx.users.add(user):
            raise UsernameTaken
        tx.commit()
    return RegisteredUser(user.id, user.username)


def list_users(services: Services) -> Sequence[User]:
    """All accounts in the order of creation."""
    with services.store.read() as tx:
        return tx.users.list()


def set_password(services: Services, username: str, password: str) -> None:
    """Set a new password: sessions and challenges end, failures are forgotten.

    The second factor stays as it is. Raises :class:`PasswordRefused`.
    """
    if services.passwords.refused(password, username):
        raise PasswordRefused
    new_hash = services.passwords.hash(password)
    now = services.clock.now()
    with services.store.write() as tx:
        user = _locked(tx, username)
        tx.users.set_password(user.id, user.password_hash, new_hash)
        tx.budgets.clear(guesses.password_key(user.username_key))
        sessions.end_others(tx, user.id, now)
        tx.commit()


def reset_mfa(services: Services, username: str) -> None:
    """Remove the second factor, pending or not, and forget its failures; sessions end."""
    now = services.clock.now()
    with services.store.write() as tx:
        user = _locked(tx, username)
        tx.factors.delete_all(user.id)
        guesses.forget_factor(tx, user.id)
        sessions.end_others(tx, user.id, now)
        tx.commit()


def deactivate(services: Services, username: str) -> None:
    """Close an account: nothing of it signs in, and all its sessions and challenges end."""
    _set_active(services, username, active=False)


def activate(services: Services, username: str) -> None:
    """Open an account again; its users sign in anew."""
    _set_active(services, username, active=True)


def _set_active(services: Services, username: str, *, active: bool) -> None:
    now = services.clock.now()
    with services.store.write() as tx:
        user = _locked(tx, username)
        tx.users.set_active(user.id, active)
        sessions.end_others(tx, user.id, now)
        tx.commit()


def _locked(tx: Transaction, username: str) -> User:
    user = tx.users.by_key(usernames.key(username))
    if user is None:
        raise NotFound
    return tx.users.lock(user.id) or user
