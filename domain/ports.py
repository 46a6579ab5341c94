"""What the rules need from the outside, one sentence a method.

A ``Transaction`` is one database transaction: what was not committed when the block is left is
rolled back. Blocks are never nested. A method that spends or charges answers with whether its
guarded UPDATE changed exactly one row. Where the database does not answer in time, every method
and the block itself raise :class:`domain.errors.Unavailable`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from domain.keyring import KeyPrint
from domain.records import (
    Account,
    AuditEvent,
    AuditHead,
    Budget,
    Challenge,
    CodeSet,
    Factor,
    RefreshToken,
    Session,
    User,
)


class Clock(Protocol):
    """The only clock."""

    def now(self) -> datetime:
        """The present as an aware UTC datetime."""


class Users(Protocol):
    def add(self, user: User) -> bool:
        """Store a user; False where the username key is taken."""

    def get(self, user_id: str) -> User | None:
        """The user with this id, active or not."""

    def lock(self, user_id: str) -> User | None:
        """The user with this id, the row locked for this transaction where the engine can.

        Every act that changes an account's factors, challenges or sessions starts with it, so that
        a login which has checked the old password cannot open a session behind the back of a
        password change. Locks are taken in one order: user, factor and codes, budgets, challenges,
        sessions, and last of all the head of the audit trail. An act that locks two users takes
        them in the order of their ids.
        """

    def by_key(self, username_key: str) -> User | None:
        """The user with this username key, active or not."""

    def set_password(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        """Replace the hash where it is still ``old_hash``."""

    def set_active(self, user_id: str, active: bool) -> bool:
        """Activate or deactivate; False where there is no such user."""

    def set_role(self, user_id: str, role: str) -> bool:
        """Give the role; False where there is no such user."""

    def account(self, user_id: str) -> Account | None:
        """The user with this id, as administrators are shown one."""

    def page(self, prefix: str, after: int, limit: int) -> Sequence[Account]:
        """Up to ``limit`` users numbered above ``after``, in the order of creation.

        Their username keys begin with ``prefix``, in which no character means another.
        """


class Sessions(Protocol):
    """Sessions and their refresh tokens (the token family of a session is all of its tokens)."""

    def add(self, session: Session) -> None:
        """Store a new session."""

    def live(self, session_id: str, now: datetime) -> Session | None:
        """The session if it has not ended or run out and its user is active."""

    def live_of(self, user_id: str, now: datetime) -> Sequence[Session]:
        """A user's live sessions, the newest first."""

    def renew(self, session_id: str, now: datetime, idle_until: datetime) -> bool:
        """Move ``last_used_at`` and ``idle_until`` of a session that has not ended."""

    def set_assurance(
        self, session_id: str, acr: str, amr: tuple[str, ...], mfa_time: datetime | None
    ) -> bool:
        """Set what the session's assurance is, where it has not ended."""

    def end(self, session_id: str, now: datetime) -> bool:
        """End one session; False where it had ended before."""

    def end_all(self, user_id: str, now: datetime, keep: str | None = None) -> int:
        """End a user's sessions but ``keep``; the number that ended."""

    def evict(self, user_id: str, keep: int, now: datetime) -> None:
        """End those of a user's live sessions that were not used for longest, beyond ``keep``."""

    def add_refresh_token(self, token: RefreshToken) -> None:
        """Store a new refresh token."""

    def refresh_token(self, digest: str) -> RefreshToken | None:
        """The refresh token with this digest, spent or not."""

    def spend_refresh_token(self, digest: str, now: datetime) -> bool:
        """Mark a refresh token used where it was not: the guarded UPDATE of rotation."""

    def supersede_refresh_tokens(self, session_id: str, now: datetime) -> None:
        """Mark every unused refresh token of a session used."""


class Challenges(Protocol):
    def add(self, challenge: Challenge) -> None:
        """Store a new challenge."""

    def get(self, digest: str) -> Challenge | None:
        """The challenge with this digest, whatever its state."""

    def evict(self, user_id: str, keep: int, now: datetime) -> None:
        """Void the oldest open login challenges (no session) of a user beyond ``keep``."""

    def void_session(self, session_id: str) -> None:
        """Delete the step-up challenges of a session."""

    def void_user(self, user_id: str) -> None:
        """Delete all challenges of a user."""

    def charge(self, digest: str, max_wrong: int, now: datetime) -> bool:
        """Count one guess where the challenge is open and has guesses left."""

    def spend(self, digest: str, now: datetime) -> bool:
        """Mark used where it was open (unused and not expired)."""


class Factors(Protocol):
    def put_pending(self, factor: Factor, codes: CodeSet, digests: Iterable[str]) -> None:
        """Store a pending factor with its backup codes in place of the user's former one."""

    def pending(self, user_id: str, now: datetime) -> Factor | None:
        """The user's pending factor that has not expired."""

    def active(self, user_id: str) -> Factor | None:
        """The user's active factor."""

    def charge_pending(self, factor_id: str, max_wrong: int, now: datetime) -> bool:
        """Count one wrong code where the pending factor lives and has guesses left."""

    def activate(self, factor_id: str, step: int, now: datetime) -> bool:
        """Turn a live pending factor active, its step spent, in place of the old factor.

        The old active factor and its codes are deleted; False where it was not pending any more.
        """

    def spend_step(self, factor_id: str, step: int, now: datetime) -> bool:
        """Spend a time step of an active factor where ``last_step < step``."""

    def touch(self, factor_id: str, now: datetime) -> None:
        """Note that the factor or one of its backup codes was used."""

    def reseal(self, factor_id: str, old: str, new: str) -> bool:
        """Replace the encrypted secret where it is still ``old``."""

    def delete_all(self, user_id: str) -> int:
        """Delete active and pending factors of a user with their backup codes; how many."""


class BackupCodes(Protocol):
    def replace(self, codes: CodeSet, digests: Iterable[str]) -> None:
        """Store a set in place of the factor's former one."""

    def of_factor(self, factor_id: str) -> CodeSet | None:
        """The set of a factor."""

    def spend(self, set_id: str, digest: str, now: datetime) -> bool:
        """Spend a code where it is of this set and unused."""

    def remaining(self, set_id: str) -> int:
        """How many codes of the set are unused."""


class Budgets(Protocol):
    def get(self, key: str) -> Budget:
        """The budget under a key, locked for this transaction where the engine can; zero if new."""

    def charge(self, key: str, seen: int, now: datetime) -> bool:
        """Add one where the count is still ``seen``."""

    def clear(self, key: str) -> None:
        """Forget all failures under a key."""


class Addresses(Protocol):
    def known(self, user_id: str, address: str) -> bool:
        """Whether the user has signed in from this address before."""

    def remember(self, user_id: str, address: str, now: datetime) -> None:
        """Note that the user signed in from this address."""

    def evict(self, user_id: str, keep: int) -> None:
        """Forget those of a user's addresses that were not used for longest, beyond ``keep``."""


class Audit(Protocol):
    """The audit trail. It only grows."""

    def lock_head(self) -> AuditHead:
        """The newest event, locked for this transaction where the engine can.

        Whoever appends anywhere waits for it, so that the commit should be what comes next.
        """

    def append(self, event: AuditEvent, seen: AuditHead) -> bool:
        """Store the event and move the head to it where the head is still ``seen``."""

    def head(self) -> AuditHead:
        """The newest event."""

    def after(self, number: int, limit: int) -> Sequence[AuditEvent]:
        """Up to ``limit`` events beyond a number, in the order of their numbers."""

    def latest(
        self,
        limit: int,
        *,
        before: int | None = None,
        user_id: str | None = None,
        event: str | None = None,
        result: str | None = None,
    ) -> Sequence[AuditEvent]:
        """Up to ``limit`` events below a number that match, the newest first."""


class Keys(Protocol):
    """What the database knows of keys, and which of its rows need them."""

    def prints(self) -> Sequence[KeyPrint]:
        """Every fingerprint, by kind and id."""

    def register(self, known: KeyPrint) -> bool:
        """Store a fingerprint; False where the key of this kind and id has one."""

    def forget(self, kind: str, key_id: str) -> bool:
        """Delete a fingerprint; False where there was none."""

    def needed(self, kind: str, key_id: str) -> bool:
        """Whether a row was made with this key. It may read a whole table."""

    def sealed_otherwise(self, key_id: str, after: str, limit: int) -> Sequence[tuple[str, str]]:
        """Factors, pending ones too, whose secret is sealed with another key than this one.

        Up to ``limit`` pairs of id and envelope, in the order of the ids, which are above ``after``.
        """

    def count_otherwise(self, key_id: str) -> int:
        """How many factors there are whose secret is sealed with another key than this one."""


class Chores(Protocol):
    """What one process does for all that share a database."""

    def take(self, name: str, now: datetime, next_at: datetime) -> bool:
        """Move the time at which a chore is due on to ``next_at`` where that time has come."""


class Transaction(Protocol):
    """One transaction and the repositories that work inside it."""

    @property
    def users(self) -> Users: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def challenges(self) -> Challenges: ...
    @property
    def factors(self) -> Factors: ...
    @property
    def backup_codes(self) -> BackupCodes: ...
    @property
    def budgets(self) -> Budgets: ...
    @property
    def addresses(self) -> Addresses: ...
    @property
    def chores(self) -> Chores: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def audit(self) -> Audit: ...

    def commit(self) -> None:
        """Make what was done last."""

    def purge(self, now: datetime, limit: int) -> int:
        """Delete up to ``limit`` rows a table that no rule needs any more; how many."""


class Store(Protocol):
    def read(self) -> AbstractContextManager[Transaction]:
        """A transaction that only reads."""

    def write(self) -> AbstractContextManager[Transaction]:
        """A transaction that writes; on SQLite it holds the write lock from its start."""

    def close(self) -> None:
        """Give back what is held open; nothing is in flight any more."""

    def ping(self) -> None:
        """Return if the database answers and its schema is the expected one."""
