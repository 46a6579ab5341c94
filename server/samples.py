"""What every operation can answer: the smallest and the largest result, and each refusal."""

from __future__ import annotations

import base64
import math
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from functools import cache, partial
from itertools import cycle, islice, product
from types import MappingProxyType
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import ec

from contract.operation import Operation
from domain import accounts, audit, errors, meta, sessions, totp
from domain.backup_codes import BackupCodes
from domain.errors import (
    InsufficientAuthentication,
    Refusal,
    TooManyAttempts,
    TooManyRequests,
    Unavailable,
)
from domain.keyring import Fixed
from domain.policy import FloodPolicy, OperationPolicy, Policies, RateLimits
from domain.records import Account, AuditEvent, Session
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
from domain.second_factor import Kind
from domain.tokens import AccessTokens, new_opaque
from server.extensions import RATE_LIMIT, SUNSET
from server.flood import READINESS, SILENT
from server.settings import Settings

_NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
_ID = str(uuid.UUID(int=0xABCDEF9876543210 << 64))
_KEY_IDS = tuple(f"20261124T093000000000-{number:08x}" for number in range(4))
# Every character of base32 and of base64url, so that no verdict hangs on chance.
_SECRET = base64.b32decode("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
_RARE = {"-", "_"}
# Nearly all of the time that a rehearsal takes, and the same for every spec that is read.
_qr_code = cache(totp.qr_code)
_Row = TypeVar("_Row")
_REQUEST_ID = "0123456789abcdef" * 2
_REVISION = "0123456789ab"
_ENDS = (
    (audit.SUCCESS, None, None),
    *((audit.SUCCESS, None, kind.value) for kind in Kind),
    (audit.FAILURE, errors.InvalidCredentials.code, audit.PASSWORD),
    (audit.FAILURE, audit.REUSE, audit.REFRESH_TOKEN),
)
"""Result, reason and factor of an event."""
_AMR = (sessions.PASSWORD_ONLY, ("pwd", "mfa"), sessions.METHODS)


class Samples:
    """Results as the acts make them, from throw-away keys and what the spec decides.

    ``usernames`` are names that the spec lets register, the shortest and the longest of them;
    ``pages`` is how long a page of each operation can be.
    """

    def __init__(
        self, policies: Policies, usernames: Sequence[str], pages: Mapping[str, int]
    ) -> None:
        self._policies = policies
        self._names = usernames
        self._pages = pages
        settings = Settings()
        self._tokens = AccessTokens(
            Fixed(
                {name: ec.generate_private_key(ec.SECP256R1()) for name in _KEY_IDS}, _KEY_IDS[0]
            ),
            settings.issuer,
            settings.audience,
            policies.lifetimes.access_token,
        )
        self._issuer = settings.totp_issuer
        self._codes = BackupCodes(policies.backup_codes, Fixed({"sample": bytes(32)}, "sample"))
        self._sizes = (policies.backup_codes.count, policies.backup_codes.enrolment_count)

    def of(self, operation_id: str) -> Iterable[object]:
        """What the act of an operation can return; nothing where RESULTS does not say."""
        make = RESULTS.get(operation_id)
        return () if make is None else make(self)

    def nothing(self) -> Iterator[None]:
        yield None

    def registered(self) -> Iterator[RegisteredUser]:
        return (RegisteredUser(_ID, name) for name in self._names)

    def token_pairs(self) -> Iterator[TokenPair]:
        for amr in _AMR:
            access_token = _telling(partial(self._tokens.issue, _session(amr), _NOW))
            yield TokenPair(_ID, access_token, _telling(new_opaque), self._tokens.lifetime)

    def challenges(self) -> Iterator[ChallengeIssued]:
        seconds = int(self._policies.lifetimes.challenge.total_seconds())
        for methods in (("totp",), ("totp", "backup_code")):
            yield ChallengeIssued(_telling(new_opaque), seconds, methods)

    def sign_ins(self) -> Iterator[TokenPair | ChallengeIssued]:
        yield from self.token_pairs()
        yield from self.challenges()

    def session_views(self) -> Iterator[SessionView]:
        for name, amr in product(self._names, _AMR):
            s = replace(_session(amr), username=name)
            yield SessionView(
                s.user_id, name, s.id, s.acr, amr, s.auth_time, s.mfa_time, s.expires_at
            )

    def session_lists(self) -> Iterator[SessionList]:
        """None at all where the present session ends in the same moment."""
        agents = (None, "", "A" * sessions.USER_AGENT_LENGTH)
        kinds = [
            SessionSummary(_ID, _NOW, _NOW, acr, current, agent)
            for acr, current, agent in product(
                (sessions.AAL1, sessions.AAL2), (True, False), agents
            )
        ]
        yield SessionList(())
        for kind in kinds:
            yield SessionList((kind,))
        yield SessionList(tuple(kinds[:1] * self._policies.most_sessions))

    def user_accounts(self) -> Iterator[Account]:
        roles, yes_or_no = (accounts.USER, accounts.ADMIN), (True, False)
        for name, role, active, enabled in product(self._names, roles, yes_or_no, yes_or_no):
            yield Account(1, _ID, name, role, active, enabled, _NOW)

    def account_pages(self) -> Iterator[AccountPage]:
        """Cursors are numbers of rows, of which no database will hold more than 10^18."""
        kinds = tuple(self.user_accounts())
        yield AccountPage((), None)
        yield AccountPage(kinds[:1], "1")
        yield AccountPage(_filled(kinds, self._pages["listUsers"]), "9" * 18)

    def own_events(self) -> Iterator[OwnEvents]:
        kinds = [
            OwnEvent(event.event, event.at, result, reason, factor, *where)
            for event in self.audit_events()
            for result, reason, factor in _ENDS
            for where in ((None, None, None, True), (_ID, event.address, _REQUEST_ID, False))
        ]
        yield OwnEvents((), None)
        yield OwnEvents(_filled(kinds, self._pages["listEvents"]), "1")
        yield OwnEvents(_filled(kinds[::-1], self._pages["listEvents"]), "9" * 18)

    def audit_pages(self) -> Iterator[AuditPage]:
        kinds = [
            replace(event, result=result, reason=reason, factor=factor)
            for event in self.audit_events()
            for result, reason, factor in _ENDS
        ]
        yield AuditPage((), None)
        yield AuditPage(_filled(kinds, self._pages["listAuditEvents"]), "1")
        yield AuditPage(_filled(kinds[::-1], self._pages["listAuditEvents"]), "9" * 18)

    def audit_events(self) -> Iterator[AuditEvent]:
        """Of whom it is about, who did it and from where, what can be known and what can be not."""
        some = AuditEvent(
            at=_NOW, event="user.registered", result=audit.SUCCESS, number=1, hash="0" * 64
        )
        events = {policy.audit for policy in self._policies.operations.values() if policy.audit}
        for name in sorted(events):
            yield replace(some, event=name)
        for user_id, actor_id in product((None, _ID), (None, _ID, audit.COMMAND_LINE)):
            yield replace(some, user_id=user_id, actor_id=actor_id)
        for address in ("192.0.2.10", "2001:db8:ffff:ffff:ffff:ffff:255.255.255.255"):
            yield replace(some, session_id=_ID, request_id=_REQUEST_ID, address=address)

    def enrolments(self) -> Iterator[Enrolment]:
        parameters, count = self._policies.totp, self._policies.backup_codes.enrolment_count
        secret = (_SECRET * 4)[: parameters.secret_bytes]
        for name in self._names:
            uri = totp.provisioning_uri(secret, name, self._issuer, parameters)
            yield Enrolment(
                secret=totp.base32(secret),
                otpauth_uri=uri,
                qr_code=_qr_code(uri),
                backup_codes=tuple(self._codes.generate(count)),
                expires_in=int(self._policies.lifetimes.enrolment.total_seconds()),
                algorithm=parameters.algorithm,
                digits=parameters.digits,
                period=parameters.period,
            )

    def states(self) -> Iterator[MFAStatus]:
        codes = self._policies.backup_codes
        for pending in (True, False):
            yield MFAStatus(False, pending, None, None, 0, 0, False)
            for total, left in ((size, left) for size in self._sizes for left in (size, 0)):
                yield MFAStatus(True, pending, _NOW, _NOW, left, total, left <= codes.low)

    def new_codes(self) -> Iterator[NewBackupCodes]:
        yield NewBackupCodes(tuple(self._codes.generate(self._sizes[0])), _NOW)

    def codes_left(self) -> Iterator[BackupCodesLeft]:
        low = self._policies.backup_codes.low
        return (BackupCodesLeft(n, n <= low) for size in self._sizes for n in (size - 1, 0))

    def key_sets(self) -> Iterator[KeySet]:
        keys = tuple(self._tokens.jwks(_NOW)["keys"])
        return iter((KeySet(keys[:1]), KeySet(keys)))

    def healthy(self) -> Iterator[Health]:
        yield meta.OK

    def ready(self) -> Iterator[Readiness]:
        yield Readiness(meta.OK.status, _REVISION)


RESULTS: Mapping[str, Callable[[Samples], Iterable[object]]] = MappingProxyType(
    {
        "registerUser": Samples.registered,
        "login": Samples.sign_ins,
        "refreshTokens": Samples.token_pairs,
        "logout": Samples.nothing,
        "getSession": Samples.session_views,
        "createChallenge": Samples.challenges,
        "listSessions": Samples.session_lists,
        "listEvents": Samples.own_events,
        "endSession": Samples.nothing,
        "changePassword": Samples.nothing,
        "setupMFA": Samples.enrolments,
        "verifyMFA": Samples.nothing,
        "disableMFA": Samples.nothing,
        "getMFAStatus": Samples.states,
        "regenerateBackupCodes": Samples.new_codes,
        "verifyBackupCode": Samples.codes_left,
        "listUsers": Samples.account_pages,
        "getUser": Samples.user_accounts,
        "deactivateUser": Samples.nothing,
        "reactivateUser": Samples.nothing,
        "endUserSessions": Samples.nothing,
        "resetUserMFA": Samples.nothing,
        "listAuditEvents": Samples.audit_pages,
        "getJWKS": Samples.key_sets,
        "getLiveness": Samples.healthy,
        "getReadiness": Samples.ready,
    }
)
_CODE = (errors.InvalidCode, TooManyAttempts)
REFUSALS: Mapping[str, tuple[type[Refusal], ...]] = MappingProxyType(
    {
        "registerUser": (errors.RegistrationClosed, errors.UsernameTaken, errors.PasswordRefused),
        # A session can end while its step-up is being finished: a token that is no good.
        "login": (
            *(*_CODE, errors.FactorLocked, errors.InvalidCredentials),
            *(errors.InvalidChallenge, errors.InvalidToken),
        ),
        "refreshTokens": (errors.InvalidRefreshToken,),
        "createChallenge": (errors.MFANotEnabled,),
        "endSession": (errors.NotFound,),
        "changePassword": (errors.PasswordRefused, errors.InvalidCredentials, TooManyAttempts),
        "verifyMFA": (errors.NoPendingEnrollment, errors.InvalidCode),
        "disableMFA": (
            *(errors.MFANotEnabled, errors.InvalidCredentials),
            *(errors.FactorLocked, TooManyAttempts),
        ),
        "regenerateBackupCodes": (InsufficientAuthentication,),
        "verifyBackupCode": (*_CODE, errors.MFANotEnabled),
        "getReadiness": (errors.KeysUnfit,),
        "getUser": (errors.NotFound,),
        "deactivateUser": (errors.NotFound, errors.OwnAccount),
        "reactivateUser": (errors.NotFound,),
        "endUserSessions": (errors.NotFound,),
        "resetUserMFA": (errors.NotFound, errors.OwnAccount),
    }
)
"""What the act of an operation raises; ``kinds`` adds what any act can."""
_ALONE = frozenset({"getJWKS", "getLiveness"})
"""The acts that need nothing outside the process."""


def kinds(operation: Operation, policies: Policies) -> dict[type[Refusal], None]:
    """The refusals that an operation can end in, each once."""
    policy, found = policies.operations[operation.id], list(REFUSALS.get(operation.id, ()))
    if errors.PasswordRefused in found and not policies.passwords.refuses:
        found.remove(errors.PasswordRefused)
    if operation.security.mandatory:
        found.append(errors.InvalidToken)
    if policy.role is not None:
        found.append(errors.Forbidden)
    if policy.assurance is not None:
        found.append(InsufficientAuthentication)
    if RATE_LIMIT.name in operation.extensions:
        found.append(TooManyRequests)
    if SUNSET.name in operation.extensions and operation.extensions[SUNSET.name].until:
        found.append(errors.Gone)
    if operation.id not in _ALONE or RATE_LIMIT.name in operation.extensions:
        found.append(Unavailable)
    return dict.fromkeys(found)


def refusals(operation: Operation, policies: Policies) -> Iterator[Refusal]:
    """One of each kind, and every one that says something of its own in its headers."""
    policy = policies.operations[operation.id]
    for kind in kinds(operation, policies):
        if kind is Unavailable:
            yield Unavailable()
            if operation.id == READINESS or RATE_LIMIT.name in operation.extensions:
                yield Unavailable(SILENT)
        elif kind is TooManyAttempts:
            yield from _closed_budgets(policy)
        elif kind is InsufficientAuthentication:
            age = policy.assurance and policy.assurance.max_age
            yield InsufficientAuthentication(sessions.AAL2)
            yield InsufficientAuthentication(sessions.AAL1, int(age.total_seconds()) if age else 0)
        elif kind is TooManyRequests:
            yield from _spent_limits(operation.extensions[RATE_LIMIT.name])
        else:
            yield kind()


def _spent_limits(limits: RateLimits) -> Iterator[TooManyRequests]:
    """The longest wait for each limit that there is."""
    for field in fields(limits):
        policy: FloodPolicy | None = getattr(limits, field.name)
        if policy is not None:
            yield TooManyRequests(field.name, policy.window, policy.burst, policy.window)


def _closed_budgets(policy: OperationPolicy) -> Iterator[TooManyAttempts]:
    """The shortest and the longest wait for each budget that can close."""
    attempts = policy.attempts
    budgets = {
        "password": attempts.password,
        "totp": attempts.totp,
        "backup-code": attempts.backup_code,
    }
    for name, budget in budgets.items():
        if budget is not None:
            longest = math.ceil(budget.max_delay.total_seconds())
            yield TooManyAttempts(name, 1, budget.free)
            yield TooManyAttempts(name, longest, budget.account_free or budget.free)


def _session(amr: tuple[str, ...]) -> Session:
    strong = "mfa" in amr
    return Session(
        id=_ID,
        user_id=_ID,
        username="",
        acr=sessions.AAL2 if strong else sessions.AAL1,
        amr=amr,
        auth_time=_NOW,
        mfa_time=_NOW if strong else None,
        created_at=_NOW,
        last_used_at=_NOW,
        idle_until=_NOW,
        expires_at=_NOW,
    )


def _filled(kinds: Sequence[_Row], length: int) -> tuple[_Row, ...]:
    """A page as long as one can be, of whatever rows there are."""
    return tuple(islice(cycle(kinds), length))


def _telling(make: Callable[[], str]) -> str:
    """A random text that holds the characters a narrower pattern would leave out first."""
    while not (text := make()) or not set(text) >= _RARE:
        pass
    return text
