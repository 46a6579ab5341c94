"""The password, for every operation that takes one: admit, prove, spend.

A place to hash comes first, so that nobody is charged for whom there is no room. ``admit`` charges
the guess and is committed, ``prove`` does the heavy work outside of any transaction, ``spend``
belongs to the transaction of what the password was given for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from domain import addresses, guesses
from domain.errors import InvalidCredentials
from domain.guesses import Guess
from domain.passwords import Hasher
from domain.policy import Attempts
from domain.ports import Transaction
from domain.records import Client, User

# More than anybody uses in turn. Guesses from these are hardly delayed, so that whoever knows the
# password and signs in from everywhere must not make the list, and the table, as long as they like.
MOST_ADDRESSES = 100


@dataclass(frozen=True, slots=True)
class PasswordProof:
    """A password that was right for the user as read; ``new_hash`` is set where it went stale."""

    user: User
    guesses: tuple[Guess, ...]
    new_hash: str | None


def budgets(
    tx: Transaction, username_key: str, user: User | None, client: Client, attempts: Attempts
) -> tuple[Guess, ...]:
    """The budgets that a guess of this name's password draws on; unknown names have them too."""
    origin = addresses.origin(client.address)
    known = user is not None and tx.addresses.known(user.id, origin)
    return guesses.password_guesses(username_key, origin, attempts.require("password"), known=known)


def admit(
    tx: Transaction,
    username_key: str,
    user: User | None,
    client: Client,
    attempts: Attempts,
    now: datetime,
) -> tuple[Guess, ...]:
    """Charge a guess; raises :class:`TooManyAttempts` where a budget is closed."""
    drawn = budgets(tx, username_key, user, client, attempts)
    guesses.charge(tx, drawn, now)
    return drawn


def prove(
    hasher: Hasher, user: User | None, drawn: tuple[Guess, ...], password: str
) -> PasswordProof:
    """Check a charged password; :class:`InvalidCredentials`, after the same work, for nobody's."""
    if user is None or not user.active:
        hasher.verify_nobody(password)
        raise InvalidCredentials
    if not hasher.verify(user.password_hash, password):
        raise InvalidCredentials
    stale = hasher.stale(user.password_hash)
    return PasswordProof(user, drawn, hasher.hash(password) if stale else None)


def spend(tx: Transaction, proof: PasswordProof, new_hash: str | None = None) -> User:
    """Lock the account, see that the proof still holds, clear its budgets.

    ``new_hash`` (of a new password), or else a fresh hash of the old one where the stored one was
    stale, takes the place of the hash that was proven. Raises as :func:`confirm`.
    """
    user = confirm(tx, proof)
    guesses.clear(tx, proof.guesses)
    replacement = new_hash or proof.new_hash
    if replacement is not None:
        tx.users.set_password(user.id, user.password_hash, replacement)
    return user


def confirm(tx: Transaction, proof: PasswordProof) -> User:
    """Lock the account; :class:`InvalidCredentials` where it was closed or its password changed."""
    user = tx.users.lock(proof.user.id)
    if user is None or not user.active or user.password_hash != proof.user.password_hash:
        raise InvalidCredentials
    return user


def remember(tx: Transaction, user_id: str, client: Client, now: datetime) -> None:
    """Note a complete sign-in's address, the absence of one excepted."""
    origin = addresses.origin(client.address)
    if origin != addresses.NOWHERE:
        tx.addresses.remember(user_id, origin, now)
        tx.addresses.evict(user_id, MOST_ADDRESSES)
