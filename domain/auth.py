"""Signing up, in, on and out: one public function for each operation of ``paths/auth.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from domain import (
    accounts,
    audit,
    challenges,
    first_factor,
    passwords,
    second_factor,
    sessions,
    tokens,
    usernames,
)
from domain.audit import Trail, audited
from domain.errors import (
    InvalidChallenge,
    InvalidCredentials,
    InvalidRefreshToken,
    MFANotEnabled,
    NotFound,
    PasswordRefused,
    RegistrationClosed,
)
from domain.policy import OperationPolicy
from domain.ports import Transaction
from domain.records import Challenge, Client, Session
from domain.results import (
    ChallengeIssued,
    OwnEvents,
    RegisteredUser,
    SessionList,
    SessionSummary,
    SessionView,
    TokenPair,
)
from domain.second_factor import Admitted, CodeProof
from domain.services import Services


@audited
def register_user(services: Services, trail: Trail, username: str, password: str) -> RegisteredUser:
    """Create an account, if registration is open.

    Raises :class:`RegistrationClosed`, :class:`PasswordRefused`, :class:`UsernameTaken`.
    """
    if not services.registration_open:
        raise RegistrationClosed
    return accounts.make_user(services, trail, username, password)


@audited
def login(
    services: Services,
    trail: Trail,
    body: Mapping[str, str],
    client: Client,
    policy: OperationPolicy,
    session: Session | None,
) -> TokenPair | ChallengeIssued:
    """Begin with ``username`` and ``password``, or finish with ``challenge_id`` and ``mfa_code``.

    ``session`` is that of the bearer token, if one was sent; only a step-up challenge needs it.
    """
    if "challenge_id" in body:
        return _finish(
            services, trail, body["challenge_id"], body["mfa_code"], client, policy, session
        )
    return _begin(services, trail, body["username"], body["password"], client, policy)


def _begin(
    services: Services,
    trail: Trail,
    username: str,
    password: str,
    client: Client,
    policy: OperationPolicy,
) -> TokenPair | ChallengeIssued:
    key = usernames.key(username)
    with services.passwords.place() as hasher:
        now = services.clock.now()
        with services.store.write() as tx:
            user = tx.users.by_key(key)
            trail.user_id, trail.factor = user.id if user else None, audit.PASSWORD
            drawn = first_factor.admit(tx, key, user, client, policy.attempts, now)
            tx.commit()
        proof = first_factor.prove(hasher, user, drawn, password)
    with services.store.write() as tx:
        user = first_factor.spend(tx, proof)
        factor = tx.factors.active(user.id)
        result: TokenPair | ChallengeIssued
        if factor is not None:
            count = policy.attempts.require_count("challenge")
            result = challenges.open_login(services, tx, factor, count, now)
        else:
            first_factor.remember(tx, user.id, client, now)
            result = sessions.open_session(services, tx, user, (), client, now)
            trail.session_id = result.session_id
        trail.record(services, tx)
        tx.commit()
    return result


def _finish(
    services: Services,
    trail: Trail,
    challenge_id: str,
    code: str,
    client: Client,
    policy: OperationPolicy,
    session: Session | None,
) -> TokenPair:
    challenge, admitted = _admit(services, trail, challenge_id, code, policy, session)
    now = services.clock.now()
    proof = second_factor.prove(services, admitted, now)
    with services.store.write() as tx:
        user = tx.users.lock(challenge.user_id)
        if user is None or not user.active:
            raise InvalidChallenge
        second_factor.spend(services, tx, proof, now)
        challenges.spend(tx, challenge, now)
        if session is not None and challenge.session_id is not None:
            pair = _step_up(services, tx, session, proof, now)
        else:
            pair = sessions.open_session(services, tx, user, proof.methods, client, now)
        first_factor.remember(tx, user.id, client, now)
        trail.session_id = pair.session_id
        trail.record(services, tx)
        tx.commit()
    return pair


def _admit(
    services: Services,
    trail: Trail,
    challenge_id: str,
    code: str,
    policy: OperationPolicy,
    session: Session | None,
) -> tuple[Challenge, Admitted]:
    """Charge the code's budget and the challenge in one transaction.

    The budget is looked at first: a closed one answers 429 whatever the state of the challenge.
    A challenge that takes no more guesses rolls the budget's charge back.
    """
    now = services.clock.now()
    with services.store.write() as tx:
        challenge = challenges.find(tx, challenge_id, session)
        trail.user_id, trail.session_id = challenge.user_id, challenge.session_id
        factor = tx.factors.active(challenge.user_id)
        if factor is None:
            raise InvalidChallenge
        admitted = second_factor.admit(services, tx, factor, code, policy.attempts, now)
        trail.factor = admitted.kind.value
        challenges.charge(tx, challenge, policy.attempts.require_count("challenge"), now)
        tx.commit()
    return challenge, admitted


def _step_up(
    services: Services, tx: Transaction, session: Session, proof: CodeProof, now: datetime
) -> TokenPair:
    """Fresh tokens of the same session; the refresh token that it had is superseded."""
    stronger = sessions.raise_assurance(tx, session, proof.methods, now)
    sessions.renew(services, tx, stronger, now)
    tx.sessions.supersede_refresh_tokens(session.id, now)
    return sessions.issue(services, tx, stronger, now)


@audited
def refresh_tokens(services: Services, trail: Trail, refresh_token: str) -> TokenPair:
    """Rotate a refresh token; :class:`InvalidRefreshToken` where it is no good.

    Of a token that comes twice one bearer is a thief, and nobody can tell which: the session
    ends for both (RFC 9700 section 4.14.2).
    """
    now = services.clock.now()
    with services.store.write() as tx:
        pair = _rotate(services, trail, tx, tokens.digest(refresh_token), now)
        tx.commit()
    if pair is None:
        raise InvalidRefreshToken
    return pair


def _rotate(
    services: Services, trail: Trail, tx: Transaction, digest: str, now: datetime
) -> TokenPair | None:
    """New tokens; None after ending the session of a reused one, or where there is nothing."""
    token = tx.sessions.refresh_token(digest)
    if token is None:
        return None
    trail.session_id, trail.factor = token.session_id, audit.REFRESH_TOKEN
    session = tx.sessions.live(token.session_id, now)
    if session is None:
        return None
    trail.of(session)
    # The session's row before its tokens' rows: the order in which a step-up takes them too.
    if not sessions.renew(services, tx, session, now):
        return None
    if not tx.sessions.spend_refresh_token(digest, now):
        # The row alone: its step-up challenge needs a live session, and taking a challenge after
        # a session would be the reverse of what a sign-out and a step-up do.
        tx.sessions.end(session.id, now)
        trail.record_failure(services, tx, audit.REUSE)
        return None
    pair = sessions.issue(services, tx, session, now)
    trail.record(services, tx)
    return pair


@audited
def logout(services: Services, trail: Trail, session: Session) -> None:
    """End the present session."""
    trail.of(session)
    now = services.clock.now()
    with services.store.write() as tx:
        sessions.end(tx, session.id, now)
        trail.record(services, tx)
        tx.commit()


def get_session(_services: Services, session: Session) -> SessionView:
    """The present session; it ends at the latest at ``expires_at`` unless it is renewed."""
    return SessionView(
        user_id=session.user_id,
        username=session.username,
        session_id=session.id,
        acr=session.acr,
        amr=session.amr,
        auth_time=session.auth_time,
        mfa_time=session.mfa_time,
        expires_at=min(session.idle_until, session.expires_at),
    )


@audited
def create_challenge(services: Services, trail: Trail, session: Session) -> ChallengeIssued:
    """Open a step-up challenge of the session; :class:`MFANotEnabled` without a second factor."""
    trail.of(session)
    now = services.clock.now()
    with services.store.write() as tx:
        tx.users.lock(session.user_id)
        present = sessions.require_live(tx, session, now)
        factor = tx.factors.active(session.user_id)
        if factor is None:
            raise MFANotEnabled
        issued = challenges.open_step_up(services, tx, factor, present, now)
        trail.record(services, tx)
        tx.commit()
    return issued


def list_sessions(services: Services, session: Session) -> SessionList:
    """The user's live sessions, the newest first."""
    now = services.clock.now()
    with services.store.read() as tx:
        # The spec may have been edited since they were opened: no more is shown than it allows now.
        live = tx.sessions.live_of(session.user_id, now)[: services.policies.most_sessions]
    return SessionList(tuple(_summary(each, session) for each in live))


def _summary(session: Session, present: Session) -> SessionSummary:
    return SessionSummary(
        session_id=session.id,
        created_at=session.created_at,
        last_used_at=session.last_used_at,
        acr=session.acr,
        current=session.id == present.id,
        user_agent=session.user_agent,
    )


def list_events(services: Services, session: Session, limit: int, cursor: str | None) -> OwnEvents:
    """The user's own events; see :func:`domain.audit.list_own`."""
    return audit.list_own(services, session, limit=limit, cursor=cursor)


@audited
def end_session(services: Services, trail: Trail, session: Session, session_id: str) -> None:
    """End one of the user's sessions; :class:`NotFound` for another user's too."""
    trail.of(session)
    now = services.clock.now()
    with services.store.write() as tx:
        found = tx.sessions.live(session_id, now)
        if found is None or found.user_id != session.user_id:
            raise NotFound
        sessions.end(tx, session_id, now)
        trail.session_id = session_id
        trail.record(services, tx)
        tx.commit()


@audited
def change_password(
    services: Services,
    trail: Trail,
    session: Session,
    current_password: str,
    new_password: str,
    client: Client,
    policy: OperationPolicy,
) -> None:
    """Replace the password; the user's other sessions and all challenges end.

    The new one is judged first, for that costs nothing and tells nothing about the current one.
    Raises :class:`PasswordRefused`, :class:`InvalidCredentials`, :class:`TooManyAttempts`.
    """
    trail.of(session)
    if passwords.refused(services.policies.passwords, new_password, session.username):
        raise PasswordRefused
    with services.passwords.place() as hasher:
        now = services.clock.now()
        with services.store.write() as tx:
            user = tx.users.get(session.user_id)
            if user is None:
                raise InvalidCredentials
            trail.factor = audit.PASSWORD
            drawn = first_factor.admit(tx, user.username_key, user, client, policy.attempts, now)
            tx.commit()
        proof = first_factor.prove(hasher, user, drawn, current_password)
        new_hash = hasher.hash(new_password)
    with services.store.write() as tx:
        first_factor.spend(tx, proof, new_hash)
        sessions.require_live(tx, session, now)
        sessions.end_others(tx, session.user_id, now, keep=session.id)
        trail.record(services, tx)
        tx.commit()
