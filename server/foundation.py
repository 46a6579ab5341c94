"""What outlasts a contract: settings, clock, store, keys, passwords, and how tokens are counted on."""

from __future__ import annotations

import os
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Promised:
    """The longest that any contract so far has tokens live and verifiers keep the key set."""

    token_life: timedelta = timedelta(0)
    key_set_age: timedelta = timedelta(0)

    def and_by(self, policies: Policies) -> Promised:
        """What is promised when these policies are in force too."""
        lifetime = policies.lifetimes.access_token
        return Promised(max(self.token_life, lifetime), max(self.key_set_age, policies.key_set_age))


NOTHING = Promised()


class Foundation:
    """Opens the key directory and the database's pool, once for all contracts that follow.

    ``workers`` is the number of processes that share the machine's cores, ``promised`` what the
    contracts before, in another process, promised. Raises KeyDirectoryError.
    """

    def __init__(
        self,
        current: Settings,
        *,
        clock: Clock | None = None,
        passwords: Passwords | None = None,
        workers: int = 1,
        promised: Promised = NOTHING,
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
        self.promised = promised

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
        self.promised = self.promised.and_by(policies)
        longest = self.promised.token_life
        rota = Rota.of(self.promised.key_set_age, longest)
        return AccessTokens(
            Turns(SigningRing(self._directory), rota, keys.made_at),
            self.settings.issuer,
            self.settings.audience,
            policies.lifetimes.access_token,
            longest,
        )
