"""What the acts answer with. Times are aware UTC datetimes, lifetimes whole seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.records import Account, AuditEvent


@dataclass(frozen=True, slots=True)
class RegisteredUser:
    user_id: str
    username: str


@dataclass(frozen=True, slots=True)
class TokenPair:
    """``session_id`` is for the rules; the tokens name the session to whom it concerns."""

    session_id: str
    access_token: str
    refresh_token: str
    expires_in: int


@dataclass(frozen=True, slots=True)
class ChallengeIssued:
    """``methods`` is a subset of ``totp`` and ``backup_code``."""

    challenge_id: str
    expires_in: int
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionView:
    user_id: str
    username: str
    session_id: str
    acr: str
    amr: tuple[str, ...]
    auth_time: datetime
    mfa_time: datetime | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SessionSummary:
    session_id: str
    created_at: datetime
    last_used_at: datetime
    acr: str
    current: bool
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class SessionList:
    sessions: tuple[SessionSummary, ...]


@dataclass(frozen=True, slots=True)
class AccountPage:
    """``next_cursor`` asks for what follows; None where nothing does."""

    accounts: tuple[Account, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The one time that a secret and its backup codes are shown; ``period`` is in seconds."""

    secret: str
    otpauth_uri: str
    qr_code: str
    backup_codes: tuple[str, ...]
    expires_in: int
    algorithm: str
    digits: int
    period: int


@dataclass(frozen=True, slots=True)
class MFAStatus:
    enabled: bool
    pending: bool
    enabled_at: datetime | None
    last_used_at: datetime | None
    backup_codes_remaining: int
    backup_codes_total: int
    backup_codes_low: bool


@dataclass(frozen=True, slots=True)
class NewBackupCodes:
    codes: tuple[str, ...]
    generated_at: datetime


@dataclass(frozen=True, slots=True)
class BackupCodesLeft:
    backup_codes_remaining: int
    backup_codes_low: bool


@dataclass(frozen=True, slots=True)
class KeySet:
    """A JWK Set (RFC 7517) of public keys."""

    keys: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Health:
    status: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """``revision`` names the contract that is in force."""

    status: str
    revision: str


@dataclass(frozen=True, slots=True)
class OwnEvent:
    """An event as the user sees it whom it is about.

    Of what an administrator did the session, the address and the request are not told: they are
    the administrator's.
    """

    event: str
    at: datetime
    result: str
    reason: str | None
    factor: str | None
    session_id: str | None
    address: str | None
    request_id: str | None
    by_administrator: bool


@dataclass(frozen=True, slots=True)
class OwnEvents:
    """A page, the newest first; ``next_cursor`` is None where nothing is older."""

    events: tuple[OwnEvent, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A page of everybody's events, as :class:`OwnEvents`."""

    events: tuple[AuditEvent, ...]
    next_cursor: str | None
