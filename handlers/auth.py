"""Handlers of ``paths/auth.yaml``: unpack, one act, pack."""

from __future__ import annotations

from typing import Any

from domain import auth
from domain.audit import Trail
from domain.policy import OperationPolicy
from domain.records import Client, Session
from domain.services import Services
from handlers.packing import pack


def register_user(services: Services, trail: Trail, body: dict[str, str]) -> dict[str, Any]:
    return pack(auth.register_user(services, trail, body["username"], body["password"]))


def login(
    services: Services,
    trail: Trail,
    body: dict[str, str],
    client: Client,
    policy: OperationPolicy,
    session: Session | None,
) -> dict[str, Any]:
    return pack(auth.login(services, trail, body, client, policy, session))


def refresh_tokens(services: Services, trail: Trail, body: dict[str, str]) -> dict[str, Any]:
    return pack(auth.refresh_tokens(services, trail, body["refresh_token"]))


def logout(services: Services, trail: Trail, session: Session) -> None:
    auth.logout(services, trail, session)


def get_session(services: Services, session: Session) -> dict[str, Any]:
    return pack(auth.get_session(services, session))


def create_challenge(services: Services, trail: Trail, session: Session) -> dict[str, Any]:
    return pack(auth.create_challenge(services, trail, session))


def list_sessions(services: Services, session: Session) -> dict[str, Any]:
    return pack(auth.list_sessions(services, session))


def list_events(
    services: Services, session: Session, limit: int, cursor: str | None
) -> dict[str, Any]:
    return pack(auth.list_events(services, session, limit, cursor))


def end_session(services: Services, trail: Trail, session: Session, session_id: str) -> None:
    auth.end_session(services, trail, session, session_id)


def change_password(
    services: Services,
    trail: Trail,
    body: dict[str, str],
    session: Session,
    client: Client,
    policy: OperationPolicy,
) -> None:
    auth.change_password(
        services, trail, session, body["current_password"], body["new_password"], client, policy
    )
