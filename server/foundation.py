"""What outlasts a contract: settings, clock, store, keys, passwords, and how tokens are counted on."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from domain.backup_codes import BackupCodes
from domain.chain import Chain
from domain.keyring import Rota, Turns
from domain.passwords import Passwords
from domain.policy import Policies
from domain.ports import Clock
from domain.sealing import Sealer
from domain.services import Services
from domain.tokens import AccessTokens
from server import keys
from server.keyring import Custodian, KeyDirectory, SigningRing
from server.settings import Settings
from server.spec import Reading
from server.trail import tell
from storage.engine import create_engine
from storage.store import SqlStore


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class Foundation:
    """Opens the key directory and the database's pool, once for all contracts that follow.

    ``workers`` is the number of processes that share the machine's cores. Raises KeyDirectoryError.
    """

    def __init__(
        self,
        current: Settings,
        *,
        clock: Clock | None = None,
        passwords: Passwords | None = None,
        workers: int = 1,
    ) -> None:
        self.settings = current
        self.clock = clock or SystemClock()
        self.store = SqlStore(create_engine(current.database_url))
        self._directory = KeyDirectory(current.key_dir)
        self._custodian = Custodian(self._directory, self.store)
        self._custodian.meet()
        self._passwords = passwords or Passwords(max(1, (os.cpu_count() or 1) // workers))
        self._sealer = Sealer(self._custodian.rings["encryption"])
        self._chain = Chain(self._custodian.audit, tell)
        self._token_life = self._key_set_age = timedelta(0)

    def services(self, reading: Reading) -> Services:
        """Everything the rules are given under this reading of the spec."""
        policies = reading.policies
        return Services(
            clock=self.clock,
            store=self.store,
            policies=policies,
            passwords=self._passwords,
            sealer=self._sealer,
            tokens=self._tokens(policies),
            backup_codes=BackupCodes(policies.backup_codes, self._custodian.rings["pepper"]),
            chain=self._chain,
            keys=self._custodian,
            revision=reading.contract.revision,
            registration_open=self.settings.registration == "open",
            totp_issuer=self.settings.totp_issuer,
        )

    def _tokens(self, policies: Policies) -> AccessTokens:
        """Tokens by the present lifetime. Those of a longer one before it are still about, and so
        are key sets that somebody may keep for longer."""
        lifetime = policies.lifetimes.access_token
        self._token_life = max(self._token_life, lifetime)
        self._key_set_age = max(self._key_set_age, policies.key_set_age)
        rota = Rota.of(self._key_set_age, self._token_life)
        return AccessTokens(
            Turns(SigningRing(self._directory), rota, keys.made_at),
            self.settings.issuer,
            self.settings.audience,
            lifetime,
            self._token_life,
        )
