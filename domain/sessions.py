"""Sessions: who is signed in, how well, and since when. Tokens only report it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from types import MappingProxyType

from domain import tokens
from domain.errors import Forbidden, InsufficientAuthentication, InvalidToken
from domain.policy import Assurance, OperationPolicy
from domain.ports import Transaction
from domain.records import Client, RefreshToken, Session, User
from domain.results import TokenPair
from domain.services import Services

AAL1, AAL2, HIGHEST = "aal1", "aal2", "highest"
PASSWORD_ONLY = ("pwd",)
# The order in which amr values are reported.
METHODS = ("pwd", "otp", "mfa")
# Shown to the user as a reminder of which device it was; not worth more of the database.
USER_AGENT_LENGTH = 256

_LEVELS = MappingProxyType({AAL1: 1, AAL2: 2})


def authenticate(services: Services, token: str, policy: OperationPolicy) -> Session:
    """The live session of an access token, with the role and assurance that the operation asks for.

    The row is read on every request, so that a logout is immediate, and so is the loss of a role.
    The role comes first: nobody is sent to step up for what stays shut. Raises
    :class:`InvalidToken`, :class:`Forbidden` or :class:`InsufficientAuthentication`.
    """
    now = services.clock.now()
    claims = services.tokens.verify(token, now)
    with services.store.read() as tx:
        session = tx.sessions.live(claims.session_id, now)
        if session is None or session.user_id != claims.user_id:
            raise InvalidToken
        if policy.role is not None and session.role != policy.role:
            raise Forbidden
        if policy.assurance is not None:
            _assure(session, _level(tx, session, policy.assurance), policy.assurance, now)
    return session


def _level(tx: Transaction, session: Session, assurance: Assurance) -> str:
    """The level asked for; ``highest`` is a second factor where the account has one."""
    if assurance.level != HIGHEST:
        return assurance.level
    return AAL1 if tx.factors.active(session.user_id) is None else AAL2


def _assure(session: Session, level: str, assurance: Assurance, now: datetime) -> None:
    proven_at = session.auth_time if level == AAL1 else session.mfa_time
    max_age = assurance.max_age
    if (
        proven_at is None
        or _LEVELS[session.acr] < _LEVELS[level]
        or (max_age is not None and now - proven_at > max_age)
    ):
        seconds = None if max_age is None else int(max_age.total_seconds())
        raise InsufficientAuthentication(level, seconds)


def open_session(
    services: Services,
    tx: Transaction,
    user: User,
    methods: Iterable[str],
    client: Client,
    now: datetime,
) -> TokenPair:
    """A new session of the user, proven by a password and ``methods``, and its first tokens.

    Where the user has more than the spec allows, the ones longest unused end; the caller has
    locked the user, so that parallel sign-ins cannot exceed it together.
    """
    amr = merge_methods(PASSWORD_ONLY, methods)
    expires_at = now + services.policies.lifetimes.session
    session = Session(
        id=str(uuid.uuid4()),
        user_id=user.id,
        username=user.username,
        acr=AAL2 if "mfa" in amr else AAL1,
        amr=amr,
        auth_time=now,
        mfa_time=now if "mfa" in amr else None,
        created_at=now,
        last_used_at=now,
        idle_until=min(now + services.policies.lifetimes.refresh_token, expires_at),
        expires_at=expires_at,
        user_agent=client.user_agent and client.user_agent[:USER_AGENT_LENGTH],
        role=user.role,
    )
    # Room first: by a clock that was put back the new one would be the longest unused.
    tx.sessions.evict(user.id, services.policies.most_sessions - 1, now)
    tx.sessions.add(session)
    return issue(services, tx, session, now)


def issue(services: Services, tx: Transaction, session: Session, now: datetime) -> TokenPair:
    """A new pair of tokens of the session; the refresh token is stored by its digest."""
    refresh_token = tokens.new_opaque()
    tx.sessions.add_refresh_token(RefreshToken(tokens.digest(refresh_token), session.id, now))
    access_token = services.tokens.issue(session, now)
    return TokenPair(session.id, access_token, refresh_token, services.tokens.lifetime)


def renew(services: Services, tx: Transaction, session: Session, now: datetime) -> bool:
    """Begin the idle time anew, within the absolute life; False where the session has ended."""
    idle_until = min(now + services.policies.lifetimes.refresh_token, session.expires_at)
    return tx.sessions.renew(session.id, now, idle_until)


def raise_assurance(
    tx: Transaction, session: Session, methods: Iterable[str], now: datetime
) -> Session:
    """The session after a second factor was given: ``mfa_time`` moves, ``auth_time`` stays.

    Raises :class:`InvalidToken` where the session has ended meanwhile.
    """
    if not tx.sessions.set_assurance(session.id, AAL2, merge_methods(session.amr, methods), now):
        raise InvalidToken
    return require_live(tx, session, now)


def lower_assurance(tx: Transaction, session: Session) -> None:
    """Back to the password alone; :class:`InvalidToken` where the session has ended meanwhile."""
    if not tx.sessions.set_assurance(session.id, AAL1, PASSWORD_ONLY, None):
        raise InvalidToken


def require_live(tx: Transaction, session: Session, now: datetime) -> Session:
    """The session as it is now; :class:`InvalidToken` where it has ended since the request."""
    present = tx.sessions.live(session.id, now)
    if present is None:
        raise InvalidToken
    return present


def end(tx: Transaction, session_id: str, now: datetime) -> None:
    """End a session; its step-up challenges die with it."""
    tx.challenges.void_session(session_id)
    tx.sessions.end(session_id, now)


def end_others(tx: Transaction, user_id: str, now: datetime, keep: str | None = None) -> None:
    """After a change of a factor or the password: no other session and no challenge survives."""
    tx.challenges.void_user(user_id)
    tx.sessions.end_all(user_id, now, keep)


def merge_methods(present: Iterable[str], added: Iterable[str]) -> tuple[str, ...]:
    """The union of ``amr`` values (RFC 8176) in their order."""
    union = {*present, *added}
    return tuple(method for method in METHODS if method in union)
