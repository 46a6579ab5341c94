"""What the acts answer with, as the JSON that the spec describes: one packer for each result."""

from __future__ import annotations

from datetime import datetime
from functools import singledispatch
from typing import Any

from domain.records import Account, AuditEvent
from domain.results import (
    AccountPage,
    AuditPage,
    BackupCodesLeft,
    ChallengeIssued,
    Enrolment,
    Health,
    KeySet,
    MFAStatus,
    NewBackupCodes,
    OwnEvent,
    OwnEvents,
    Readiness,
    RegisteredUser,
    SessionList,
    SessionSummary,
    SessionView,
    TokenPair,
)
from domain.timestamps import rfc3339


@singledispatch
def pack(result: object) -> dict[str, Any]:
    """The JSON object of a result; TypeError for a type that has no packer."""
    raise TypeError(f"no packer for {type(result).__name__}")


@pack.register
def _(result: RegisteredUser | Health | Readiness | BackupCodesLeft) -> dict[str, Any]:
    return _members(result)


@pack.register
def _(result: TokenPair) -> dict[str, Any]:
    return {
        "access_token": result.access_token,
        "refresh_token": result.refresh_token,
        "token_type": "Bearer",
        "expires_in": result.expires_in,
    }


@pack.register
def _(result: ChallengeIssued) -> dict[str, Any]:
    return {
        "mfa_required": True,
        "challenge_id": result.challenge_id,
        "expires_in": result.expires_in,
        "methods": list(result.methods),
    }


@pack.register
def _(result: SessionView) -> dict[str, Any]:
    return {
        "user_id": result.user_id,
        "username": result.username,
        "session_id": result.session_id,
        "acr": result.acr,
        "amr": list(result.amr),
        "auth_time": rfc3339(result.auth_time),
        "mfa_time": _optional(result.mfa_time),
        "expires_at": rfc3339(result.expires_at),
    }


@pack.register
def _(result: SessionList) -> dict[str, Any]:
    return {"sessions": [pack(session) for session in result.sessions]}


@pack.register
def _(result: SessionSummary) -> dict[str, Any]:
    return {
        "session_id": result.session_id,
        "created_at": rfc3339(result.created_at),
        "last_used_at": rfc3339(result.last_used_at),
        "acr": result.acr,
        "current": result.current,
        "user_agent": result.user_agent,
    }


@pack.register
def _(result: AccountPage) -> dict[str, Any]:
    return {
        "users": [pack(account) for account in result.accounts],
        "next_cursor": result.next_cursor,
    }


@pack.register
def _(result: Account) -> dict[str, Any]:
    return {
        "user_id": result.id,
        "username": result.username,
        "role": result.role,
        "active": result.active,
        "mfa_enabled": result.mfa_enabled,
        "created_at": rfc3339(result.created_at),
    }


@pack.register
def _(result: Enrolment) -> dict[str, Any]:
    return {**_members(result), "backup_codes": list(result.backup_codes)}


@pack.register
def _(result: MFAStatus) -> dict[str, Any]:
    return {
        **_members(result),
        "enabled_at": _optional(result.enabled_at),
        "last_used_at": _optional(result.last_used_at),
    }


@pack.register
def _(result: NewBackupCodes) -> dict[str, Any]:
    return {"codes": list(result.codes), "generated_at": rfc3339(result.generated_at)}


@pack.register
def _(result: KeySet) -> dict[str, Any]:
    return {"keys": [dict(key) for key in result.keys]}


@pack.register
def _(result: OwnEvents | AuditPage) -> dict[str, Any]:
    return {
        "events": [pack(event) for event in result.events],
        "next_cursor": result.next_cursor,
    }


@pack.register
def _(result: OwnEvent) -> dict[str, Any]:
    return {**_members(result), "at": rfc3339(result.at)}


@pack.register
def _(result: AuditEvent) -> dict[str, Any]:
    # Which key sealed it is the business of whoever has the keys.
    members = {name: value for name, value in _members(result).items() if name != "key_id"}
    return {**members, "at": rfc3339(result.at)}


def _members(result: Any) -> dict[str, Any]:
    """A result's fields by name; ``dataclasses.asdict`` would copy them deeply."""
    return {name: getattr(result, name) for name in result.__slots__}


def _optional(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
