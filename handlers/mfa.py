"""Handlers of ``paths/mfa.yaml``: unpack, one act, pack."""

from __future__ import annotations

from typing import Any

from domain import mfa
from domain.audit import Trail
from domain.policy import OperationPolicy
from domain.records import Client, Session
from domain.services import Services
from handlers.packing import pack


def setup_mfa(services: Services, trail: Trail, session: Session) -> dict[str, Any]:
    return pack(mfa.setup_mfa(services, trail, session))


def verify_mfa(
    services: Services,
    trail: Trail,
    body: dict[str, str],
    session: Session,
    policy: OperationPolicy,
) -> None:
    mfa.verify_mfa(services, trail, session, body["code"], policy)


def disable_mfa(
    services: Services,
    trail: Trail,
    body: dict[str, str],
    session: Session,
    client: Client,
    policy: OperationPolicy,
) -> None:
    mfa.disable_mfa(services, trail, session, body["password"], body["code"], client, policy)


def get_mfa_status(services: Services, session: Session) -> dict[str, Any]:
    return pack(mfa.get_mfa_status(services, session))


def regenerate_backup_codes(services: Services, trail: Trail, session: Session) -> dict[str, Any]:
    return pack(mfa.regenerate_backup_codes(services, trail, session))


def verify_backup_code(
    services: Services,
    trail: Trail,
    body: dict[str, str],
    session: Session,
    policy: OperationPolicy,
) -> dict[str, Any]:
    return pack(mfa.verify_backup_code(services, trail, session, body["code"], policy))
