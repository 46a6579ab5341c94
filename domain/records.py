"""The rows the rules reason about. Times are aware UTC datetimes; ids are UUID strings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request came from. ``address`` is the client's IP; None where there is none."""

    address: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    """``username`` as given; ``username_key`` is what is compared (NFKC, case folded).

    ``role`` is ``user`` or ``admin``.
    """

    id: str
    username: str
    username_key: str
    password_hash: str
    active: bool
    created_at: datetime
    role: str = "user"


@dataclass(frozen=True, slots=True)
class Account:
    """A user as administrators are shown one; ``number`` is the place in the order of creation."""

    number: int
    id: str
    username: str
    role: str
    active: bool
    mfa_enabled: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in session; assurance lives here, tokens only report it.

    ``amr`` holds RFC 8176 values. ``idle_until`` moves on refresh; ``expires_at`` never moves.
    ``username`` and ``role`` are the user's, carried along so that a request reads them with its
    session.
    """

    id: str
    user_id: str
    username: str
    acr: str
    amr: tuple[str, ...]
    auth_time: datetime
    mfa_time: datetime | None
    created_at: datetime
    last_used_at: datetime
    idle_until: datetime
    expires_at: datetime
    user_agent: str | None = None
    role: str = "user"


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """``digest`` is the SHA-256 hex of the token; ``used_at`` is set once, by rotation."""

    digest: str
    session_id: str
    created_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Challenge:
    """An open question for a second factor. ``session_id`` is set for a step-up."""

    digest: str
    user_id: str
    session_id: str | None
    wrong: int
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Factor:
    """A TOTP factor with the parameters it was enrolled with.

    ``sealed_secret`` is the encrypted secret; ``last_step`` the newest spent time step;
    ``wrong`` counts wrong codes while pending; ``expires_at`` is set while pending.
    """

    id: str
    user_id: str
    pending: bool
    sealed_secret: str
    algorithm: str
    digits: int
    period: int
    window: int
    last_step: int
    wrong: int
    created_at: datetime
    expires_at: datetime | None = None
    enabled_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CodeSet:
    """One generation of backup codes of one factor: salt (hex), pepper id, size."""

    id: str
    factor_id: str
    salt: str
    pepper_id: str
    total: int
    generated_at: datetime


@dataclass(frozen=True, slots=True)
class Budget:
    """Failed guesses in a row under one key, and when the last one was charged."""

    key: str
    count: int
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """What happened: one row of the audit trail, or what would be one.

    ``event`` is a name of the spec's ``x-audit``; ``result`` is ``success`` or ``failure``, and
    ``reason`` the code of the refusal. ``user_id`` is whom it is about, ``actor_id`` who did it
    where that is not the user (an administrator's id, or ``cli``), ``factor`` one of ``password``,
    ``totp``, ``backup_code``, ``refresh_token``. ``number``, ``key_id`` and ``hash`` (hex) are its
    place in the chain; 0 and empty of what was never stored.
    """

    at: datetime
    event: str
    result: str
    reason: str | None = None
    user_id: str | None = None
    actor_id: str | None = None
    session_id: str | None = None
    factor: str | None = None
    address: str | None = None
    request_id: str | None = None
    number: int = 0
    key_id: str = ""
    hash: str = ""


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The newest event's number and hash; 0 and empty before the first."""

    number: int
    hash: str
