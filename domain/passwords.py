"""Passwords: Argon2id, a bounded number at a time, and a list of common ones."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from domain import usernames
from domain.errors import Unavailable
from domain.policy import PasswordPolicy

# A request in the queue is answered with 503 before the five seconds that clients are promised.
LONGEST_WAIT_SECONDS = 4.0
# By then whoever waits now has been served or turned away.
RETRY_SECONDS = math.ceil(LONGEST_WAIT_SECONDS)


def refused(policy: PasswordPolicy, password: str, username: str) -> bool:
    """Whether a new password is, however written, one that the policy refuses.

    The whole of it is compared and no part: NIST 800-63B-4 section 3.1.1.2.
    """
    key = usernames.key(password)
    return (
        (policy.username and key == usernames.key(username))
        or (policy.common and key in common_passwords())
        or any(key == usernames.key(word) for word in policy.words)
    )


class Passwords:
    """Hashes and checks passwords as they were sent: no truncation, no trimming, no folding.

    The defaults are the second recommended option of RFC 9106 section 4 (64 MiB, 3 passes, 4
    lanes). ``concurrency`` hashes run at once, because each takes ``memory_cost`` KiB and a core;
    ``waiting`` more may queue, and what comes then, or waits longer than four seconds, is
    refused with :class:`Unavailable`.
    """

    def __init__(
        self,
        concurrency: int,
        *,
        time_cost: int = 3,
        memory_cost: int = 65_536,
        parallelism: int = 4,
        waiting: int = 64,
    ) -> None:
        self._admitted = BoundedSemaphore(concurrency + waiting)
        self._hasher = Hasher(
            PasswordHasher(time_cost, memory_cost, parallelism), BoundedSemaphore(concurrency)
        )

    @contextmanager
    def place(self) -> Iterator[Hasher]:
        """A place among those that hash or wait to, for as long as the block lasts.

        It is taken before a guess is charged, so that who is turned away for lack of room has
        lost nothing. Raises :class:`Unavailable`, at once, where there is none.
        """
        if not self._admitted.acquire(blocking=False):
            raise Unavailable(retry_after=RETRY_SECONDS)
        try:
            yield self._hasher
        finally:
            self._admitted.release()

    def hash(self, password: str) -> str:
        """The encoded Argon2id hash, in a place of its own."""
        with self.place() as hasher:
            return hasher.hash(password)


class Hasher:
    """Does the work, a bounded number at a time. Only :meth:`Passwords.place` hands one out."""

    def __init__(self, hasher: PasswordHasher, running: BoundedSemaphore) -> None:
        self._hasher = hasher
        self._running = running
        self._nobody = hasher.hash(secrets.token_urlsafe(32))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._running.acquire(timeout=LONGEST_WAIT_SECONDS):
            raise Unavailable(retry_after=RETRY_SECONDS)
        try:
            yield
        finally:
            self._running.release()

    def hash(self, password: str) -> str:
        """The encoded Argon2id hash, under a salt of its own."""
        with self._turn():
            return self._hasher.hash(password)

    def verify(self, encoded: str, password: str) -> bool:
        """Whether the encoded hash is of this password."""
        with self._turn():
            try:
                return self._hasher.verify(encoded, password)
            except VerifyMismatchError:
                return False

    def verify_nobody(self, password: str) -> None:
        """The same work as :meth:`verify`, so that time does not tell which accounts exist."""
        self.verify(self._nobody, password)

    def stale(self, encoded: str) -> bool:
        """Whether the hash was made with other parameters than the present ones."""
        return self._hasher.check_needs_rehash(encoded)


@cache
def common_passwords() -> frozenset[str]:
    """The passwords of ``data/common_passwords.txt``, one a line, ``#`` begins a comment line."""
    text = files("domain").joinpath("data/common_passwords.txt").read_text("utf-8")
    return frozenset(
        usernames.key(line) for line in text.splitlines() if line and not line.startswith("#")
    )
