"""The rules on a real SQLite store, with a clock that the test moves and users who know things.

The policies are built by hand with the numbers of the spec, so that a test names what it relies on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from domain import auth, mfa, sessions
from domain.audit import Trail
from domain.backup_codes import BackupCodes
from domain.chain import Chain
from domain.keyring import VOUCHED, Fixed
from domain.passwords import Passwords
from domain.policy import (
    Assurance,
    Attempts,
    BackupCodeFormat,
    CountPolicy,
    GuessPolicy,
    Lifetimes,
    OperationPolicy,
    PasswordPolicy,
    Policies,
    TotpParameters,
)
from domain.records import Client, Session
from domain.results import ChallengeIssued, Enrolment, MFAStatus, TokenPair
from domain.sealing import Sealer
from domain.services import Services
from domain.tokens import AccessTokens
from storage.store import SqlStore
from tests.support.authenticator import Authenticator

START = datetime(2026, 11, 24, 9, 0, 7, tzinfo=UTC)
PATTERN = "^[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){3}$"
PASSWORD = "kestrel over the weir"
HOME = Client("192.0.2.10", "Firefox")
STRANGER = Client("198.51.100.7", "curl")

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
TOTP = GuessPolicy(5, 30 * SECOND, 2, HOUR, lock_after=50)
BACKUP = GuessPolicy(5, 30 * SECOND, 2, HOUR)
PASSWORDS = GuessPolicy(
    10, 30 * SECOND, 2, 15 * MINUTE, account_free=100, known_address_max_delay=30 * SECOND
)
CHALLENGE, ENROLMENT = CountPolicy(5, 5), CountPolicy(5)

OPERATIONS = {
    "login": OperationPolicy(
        attempts=Attempts(PASSWORDS, TOTP, BACKUP, challenge=CHALLENGE),
    ),
    "changePassword": OperationPolicy(
        Assurance("highest", 10 * MINUTE), Attempts(password=PASSWORDS)
    ),
    "setupMFA": OperationPolicy(Assurance("highest", 10 * MINUTE)),
    "verifyMFA": OperationPolicy(attempts=Attempts(enrolment=ENROLMENT)),
    "disableMFA": OperationPolicy(attempts=Attempts(PASSWORDS, TOTP, BACKUP)),
    "regenerateBackupCodes": OperationPolicy(Assurance("aal2", 10 * MINUTE)),
    "verifyBackupCode": OperationPolicy(attempts=Attempts(backup_code=BACKUP)),
}
POLICIES = Policies(
    totp=TotpParameters("SHA1", 6, 30, 1, 20),
    backup_codes=BackupCodeFormat(PATTERN, 10, 10, 3),
    lifetimes=Lifetimes(5 * MINUTE, 10 * MINUTE, HOUR, 24 * HOUR, 10 * MINUTE),
    passwords=PasswordPolicy(common=True, username=True, words=("Countersign",)),
    most_sessions=100,
    operations=OPERATIONS,
)
NOTHING_ASKED = OperationPolicy()

_numbers = itertools.count(1)


def a_trail(event: str = "a.test", client: Client = HOME) -> Trail:
    """What a request leaves behind, as the server would make it."""
    return Trail(event, client.address, f"r{next(_numbers)}")


@dataclass
class SettableClock:
    """Stands still until it is moved."""

    present: datetime = START

    def now(self) -> datetime:
        return self.present

    def advance(self, **duration: float) -> None:
        self.present += timedelta(**duration)


def quick_passwords(concurrency: int = 4, **changes: Any) -> Passwords:
    """Argon2id at its cheapest."""
    return Passwords(concurrency, time_cost=1, memory_cost=8, parallelism=1, **changes)


class KnownKeys:
    """Keys that are always those of the database; ``tests/server`` has the ones that are not."""

    rings = MappingProxyType({kind: Fixed({"k": bytes(32)}, "k") for kind in VOUCHED})
    audit = rings["audit"]

    def vouch(self) -> None:
        return

    def check(self) -> None:
        return


def services_on(store: SqlStore, clock: SettableClock, **changes: Any) -> Services:
    key = ec.generate_private_key(ec.SECP256R1())
    made: dict[str, Any] = {
        "clock": clock,
        "store": store,
        "policies": POLICIES,
        "passwords": quick_passwords(),
        "sealer": Sealer(Fixed({"k1": bytes(range(32))}, "k1")),
        "tokens": AccessTokens(Fixed({"s1": key}, "s1"), "https://i.example", "a", 10 * MINUTE),
        "backup_codes": BackupCodes(POLICIES.backup_codes, Fixed({"p1": bytes(32)}, "p1")),
        "chain": Chain(Fixed({"a1": bytes(32)}, "a1")),
        "keys": KnownKeys(),
        "revision": "0123456789ab",
    }
    return Services(**(made | changes))


@dataclass
class Person:
    """One user: what they know, and what they do about it. Acts go the way a request goes."""

    services: Services
    clock: SettableClock
    username: str
    password: str = PASSWORD
    client: Client = HOME
    tokens: TokenPair | None = None
    phone: Authenticator | None = None
    codes: list[str] = field(default_factory=list)

    def policy(self, operation: str) -> OperationPolicy:
        return self.services.policies.operations.get(operation, NOTHING_ASKED)

    def trail(self, client: Client | None = None) -> Trail:
        return a_trail(client=client or self.client)

    def begin(self, password: str | None = None, client: Client | None = None) -> Any:
        body = {"username": self.username, "password": password or self.password}
        return auth.login(
            self.services,
            self.trail(client),
            body,
            client or self.client,
            self.policy("login"),
            None,
        )

    def challenge(self) -> str:
        issued = self.begin()
        assert isinstance(issued, ChallengeIssued)
        return issued.challenge_id

    def finish(self, challenge_id: str, code: str, session: Session | None = None) -> TokenPair:
        body = {"challenge_id": challenge_id, "mfa_code": code}
        pair = auth.login(
            self.services, self.trail(), body, self.client, self.policy("login"), session
        )
        assert isinstance(pair, TokenPair)
        return pair

    def sign_in(self, code: str | None = None) -> Person:
        begun = self.begin()
        if isinstance(begun, ChallengeIssued):
            begun = self.finish(begun.challenge_id, code or self.code())
        self.tokens = begun
        return self

    def step_up(self, code: str) -> TokenPair:
        session = self.session()
        issued = auth.create_challenge(self.services, self.trail(), session)
        self.tokens = self.finish(issued.challenge_id, code, session)
        return self.tokens

    def session(self, operation: str = "") -> Session:
        """The session, authenticated as for the operation."""
        assert self.tokens is not None
        policy = self.policy(operation)
        return sessions.authenticate(self.services, self.tokens.access_token, policy)

    def refresh(self) -> Person:
        assert self.tokens is not None
        self.tokens = auth.refresh_tokens(self.services, self.trail(), self.tokens.refresh_token)
        return self

    def set_up(self) -> Enrolment:
        return mfa.setup_mfa(self.services, self.trail(), self.session("setupMFA"))

    def verify(self, code: str) -> None:
        mfa.verify_mfa(
            self.services, self.trail(), self.session("verifyMFA"), code, self.policy("verifyMFA")
        )

    def enrol(self) -> Person:
        """Turn MFA on, or rotate; the present step's code is spent by it."""
        enrolment = self.set_up()
        phone = phone_of(enrolment)
        self.verify(phone.code(self.clock.now()))
        self.phone, self.codes = phone, list(enrolment.backup_codes)
        return self

    def code(self) -> str:
        """A code that was not used before: the clock moves on by a step first."""
        assert self.phone is not None
        self.clock.advance(seconds=self.phone.period)
        return self.phone.code(self.clock.now())

    def next_code(self) -> str:
        """The next step's code, which the window takes already; the clock stands still."""
        assert self.phone is not None
        return self.phone.code(self.clock.now(), 1)

    def wrong_code(self) -> str:
        assert self.phone is not None
        return self.phone.wrong(self.clock.now())

    def disable(self, code: str, password: str | None = None) -> None:
        mfa.disable_mfa(
            self.services,
            self.trail(),
            self.session("disableMFA"),
            password or self.password,
            code,
            self.client,
            self.policy("disableMFA"),
        )

    def verify_backup_code(self, code: str) -> Any:
        return mfa.verify_backup_code(
            self.services,
            self.trail(),
            self.session("verifyBackupCode"),
            code,
            self.policy("verifyBackupCode"),
        )

    def regenerate(self) -> list[str]:
        session = self.session("regenerateBackupCodes")
        self.codes = list(mfa.regenerate_backup_codes(self.services, self.trail(), session).codes)
        return self.codes

    def change_password(self, new: str, current: str | None = None) -> None:
        auth.change_password(
            self.services,
            self.trail(),
            self.session("changePassword"),
            current or self.password,
            new,
            self.client,
            self.policy("changePassword"),
        )

    def status(self) -> MFAStatus:
        return mfa.get_mfa_status(self.services, self.session())

    def elsewhere(self) -> Person:
        """The same user on another device, not signed in."""
        return Person(
            self.services,
            self.clock,
            self.username,
            self.password,
            Client("203.0.113.5", "Safari"),
            phone=self.phone,
            codes=self.codes,
        )


def phone_of(enrolment: Enrolment) -> Authenticator:
    return Authenticator(enrolment.secret, enrolment.digits, enrolment.period, enrolment.algorithm)


def register(services: Services, clock: SettableClock, **fields: Any) -> Person:
    person = Person(services, clock, fields.pop("username", f"user{next(_numbers)}"), **fields)
    auth.register_user(services, a_trail(), person.username, person.password)
    return person


Make = Callable[..., Person]
