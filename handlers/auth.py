"""Handlers of ``paths/auth.yaml``: unpack, one act, pack."""

from __future__ import annotations

from typing import Any

from domain import auth
from domain.policy import OperationPolicy
from domain.records import Client, Session
from domain.services import Services
from handlers.packing import pack


def register_user(services: Services, body: dict[str, str]) -> dict[str, Any]:
    return pack(auth.register_user(services, body["username"], body["password"]))


def login(
    services: Services,
    body: dict[str, str],
    client: Client,
    policy: OperationPolicy,
    session: Session | None,
) -> dict[str, Any]:
    return pack(auth.login(services, body, client, policy, session))


def refresh_tokens(services: Services, body: dict[str, str]) -> dict[str, Any]:
    return pack(auth.refresh_tokens(services, body["refresh_token"]))


def logout(services: Services, session: Session) -> None:
    auth.logout(services, session)


def get_session(services: Services, session: Session) -> dict[str, Any]:
    return pack(auth.get_session(services, session))


def create_challenge(services: Services, session: Session) -> dict[str, Any]:
    return pack(auth.create_challenge(services, session))


def list_sessions(services: Services, session: Session) -> dict[str, Any]:
    return pack(auth.list_sessions(services, session))


def end_session(services: Services, session: Session, session_id: str) -> None:
    auth.end_session(services, session, session_id)


def change_password(
    services: Services,
    body: dict[str, str],
    session: Session,
    client: Client,
    policy: OperationPolicy,
) -> None:
    auth.change_password(
        services, session, body["current_password"], body["new_password"], client, policy
    )
