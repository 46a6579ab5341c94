"""Everything the rules are given: one frozen object, composed by ``server/foundation.py``."""

from __future__ import annotations

from dataclasses import dataclass

from domain.backup_codes import BackupCodes
from domain.chain import Chain
from domain.keyring import Custody
from domain.passwords import Passwords
from domain.policy import Policies
from domain.ports import Clock, Store
from domain.sealing import Sealer
from domain.tokens import AccessTokens


@dataclass(frozen=True, slots=True)
class Services:
    """``registration_open`` and ``totp_issuer`` are settings; the rest does the work.

    ``passwords`` hashes and checks, ``sealer`` encrypts TOTP secrets at rest, ``tokens`` signs and
    checks access tokens, ``backup_codes`` makes and digests backup codes, ``chain`` seals and keeps
    audit events, ``keys`` tells whether the keys are those of the database, ``revision``
    names the contract in force.
    """

    clock: Clock
    store: Store
    policies: Policies
    passwords: Passwords
    sealer: Sealer
    tokens: AccessTokens
    backup_codes: BackupCodes
    chain: Chain
    keys: Custody
    revision: str
    registration_open: bool = True
    totp_issuer: str = "Countersign"
