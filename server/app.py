"""The composition root: settings, keys, storage, the rules, the contract, one application."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from domain.backup_codes import BackupCodes
from domain.passwords import Passwords
from domain.policy import Policies
from domain.ports import Clock
from domain.sealing import Sealer
from domain.services import Services
from domain.tokens import AccessTokens
from server import keys
from server.settings import Settings
from storage import migrate
from storage.engine import create_engine
from storage.store import SqlStore

log = structlog.get_logger("server")

Observer = Callable[[str | None, int, str | None], None]


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def prepare(current: Settings) -> None:
    """What happens once before any worker starts: keys in development, the schema on SQLite."""
    if current.env == "development":
        keys.ensure(current.key_dir)
    if current.database_url.startswith("sqlite"):
        migrate.upgrade(current.database_url)


def compose(
    current: Settings,
    policies: Policies,
    *,
    clock: Clock | None = None,
    passwords: Passwords | None = None,
    workers: int = 1,
) -> Services:
    """Everything the rules are given. Opens the key directory and the database's pool.

    ``workers`` is the number of processes that share the machine's cores.
    """
    ring = keys.load(current.key_dir)
    return Services(
        clock=clock or SystemClock(),
        store=SqlStore(create_engine(current.database_url)),
        policies=policies,
        passwords=passwords or Passwords(max(1, (os.cpu_count() or 1) // workers)),
        sealer=Sealer(ring.encryption, max(ring.encryption)),
        tokens=AccessTokens(
            ring.signing,
            max(ring.signing),
            current.issuer,
            current.audience,
            policies.lifetimes.access_token,
        ),
        backup_codes=BackupCodes(policies.backup_codes, ring.pepper, max(ring.pepper)),
        registration_open=current.registration == "open",
        totp_issuer=current.totp_issuer,
    )
