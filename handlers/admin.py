"""Handlers of ``paths/admin.yaml``: unpack, one act, pack."""

from __future__ import annotations

from typing import Any

from domain import admin
from domain.audit import Trail
from domain.records import Session
from domain.services import Services
from handlers.packing import pack


def list_users(
    services: Services, username: str | None, limit: int, cursor: str | None
) -> dict[str, Any]:
    return pack(admin.list_users(services, username, limit, cursor))


def get_user(services: Services, user_id: str) -> dict[str, Any]:
    return pack(admin.get_user(services, user_id))


def deactivate_user(services: Services, trail: Trail, session: Session, user_id: str) -> None:
    admin.deactivate_user(services, trail, session, user_id)


def reactivate_user(services: Services, trail: Trail, session: Session, user_id: str) -> None:
    admin.reactivate_user(services, trail, session, user_id)


def end_user_sessions(services: Services, trail: Trail, session: Session, user_id: str) -> None:
    admin.end_user_sessions(services, trail, session, user_id)


def reset_user_mfa(services: Services, trail: Trail, session: Session, user_id: str) -> None:
    admin.reset_user_mfa(services, trail, session, user_id)


def list_audit_events(
    services: Services, limit: int, cursor: str | None, user_id: str | None, event: str | None
) -> dict[str, Any]:
    return pack(admin.list_audit_events(services, limit, cursor, user_id, event))
