"""What the spec decides, read once at start into frozen values (see ``server/extensions.py``)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal


@dataclass(frozen=True, slots=True)
class GuessPolicy:
    """Budget of a secret that can be guessed for ever: ``free`` guesses, then growing delays.

    After ``free`` wrong guesses in a row the next one waits ``delay``, then ``delay * factor``
    and so on up to ``max_delay``; ``lock_after`` in a row locks (None: never).
    ``account_free`` is the ceiling of one account over all addresses, and
    ``known_address_max_delay`` the longest delay for an address the account has signed in from.
    Source: RFC 4226 section 7.3, NIST 800-63B-4 section 3.2.2.
    """

    free: int
    delay: timedelta
    factor: int
    max_delay: timedelta
    lock_after: int | None = None
    account_free: int | None = None
    known_address_max_delay: timedelta | None = None


@dataclass(frozen=True, slots=True)
class CountPolicy:
    """Budget of a short-lived thing (challenge, enrolment): wrong guesses until it is gone."""

    max_wrong: int
    max_open: int | None = None


@dataclass(frozen=True, slots=True)
class FloodPolicy:
    """Requests that may be sent: ``burst`` at once, refilled at ``rate`` in ``per``."""

    rate: int
    per: timedelta
    burst: int

    @property
    def window(self) -> int:
        """Whole seconds in which a spent burst comes back."""
        return math.ceil(self.burst * self.per / timedelta(seconds=self.rate))


@dataclass(frozen=True, slots=True)
class RateLimits:
    """``x-rate-limit``: what one address, one account, and all callers together may send."""

    address: FloodPolicy | None = None
    user: FloodPolicy | None = None
    operation: FloodPolicy | None = None


@dataclass(frozen=True, slots=True)
class Attempts:
    """The guess budgets that one operation's ``x-attempts`` names."""

    password: GuessPolicy | None = None
    totp: GuessPolicy | None = None
    backup_code: GuessPolicy | None = None
    enrolment: CountPolicy | None = None
    challenge: CountPolicy | None = None

    def require(self, name: Literal["password", "totp", "backup_code"]) -> GuessPolicy:
        """The budget of this name; LookupError where the operation's ``x-attempts`` lacks it.

        :func:`domain.policy_checks.check` sees to it at start that none is lacking.
        """
        policy: GuessPolicy | None = getattr(self, name)
        if policy is None:
            raise LookupError(f"x-attempts names no budget {name}")
        return policy

    def require_count(self, name: Literal["enrolment", "challenge"]) -> CountPolicy:
        """As :meth:`require`, for what is short-lived."""
        policy: CountPolicy | None = getattr(self, name)
        if policy is None:
            raise LookupError(f"x-attempts names no budget {name}")
        return policy


@dataclass(frozen=True, slots=True)
class Assurance:
    """``x-assurance``: level ``aal1``, ``aal2`` or ``highest`` (NIST 800-63B-4 4.1.2.1)."""

    level: str
    max_age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Sunset:
    """``x-sunset``: since when an operation is deprecated, when it ends, and what follows it.

    Each is None where it is not known. ``successor`` is an operationId or a URI path.
    """

    since: datetime | None = None
    until: datetime | None = None
    successor: str | None = None


@dataclass(frozen=True, slots=True)
class OperationPolicy:
    """Everything one operation's extensions say to the rules.

    ``audit`` is the name of the event that the operation leaves behind, ``role`` the one that the
    caller needs; None where there is none.
    """

    assurance: Assurance | None = None
    attempts: Attempts = field(default_factory=Attempts)
    audit: str | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class TotpParameters:
    """``x-totp``: algorithm, digits, period in seconds, window in steps each way, secret bytes."""

    algorithm: str
    digits: int
    period: int
    window: int
    secret_bytes: int


@dataclass(frozen=True, slots=True)
class BackupCodeFormat:
    """The ECMA-262 pattern of a backup code and how many make a set.

    ``count`` is the size of a regenerated set, ``enrolment_count`` that of an enrolment's: two
    schemas say so, and each is kept to. ``low`` (``x-low-threshold``) is how many are left when it
    is time to replace them (NIST 800-63B-4 section 4.2).
    """

    pattern: str
    count: int
    enrolment_count: int
    low: int


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """``x-password-policy``: what a new password must not be, as a whole (NIST 800-63B-4 3.1.1.2).

    ``common`` is the list of common passwords, ``username`` the account's own name, ``words`` are
    those that this service makes likely.
    """

    common: bool
    username: bool
    words: tuple[str, ...] = ()

    @property
    def refuses(self) -> bool:
        """Whether there is any password that it refuses."""
        return self.common or self.username or bool(self.words)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """``x-ttl`` of what the schemas describe.

    ``refresh_token`` is the idle life of a session, ``session`` its absolute one.
    """

    challenge: timedelta
    access_token: timedelta
    refresh_token: timedelta
    session: timedelta
    enrolment: timedelta


@dataclass(frozen=True, slots=True)
class Policies:
    """All that the spec decides for the rules.

    ``most_sessions`` is how many live sessions a user may have, ``key_set_age`` how long verifiers
    may keep the published keys.
    """

    totp: TotpParameters
    backup_codes: BackupCodeFormat
    lifetimes: Lifetimes
    passwords: PasswordPolicy
    most_sessions: int
    operations: Mapping[str, OperationPolicy] = field(default_factory=dict)
    key_set_age: timedelta = timedelta(0)
