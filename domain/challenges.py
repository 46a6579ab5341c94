"""Challenges: what stands between a password, or a session, and a second factor."""

from __future__ import annotations

from datetime import datetime

from domain import tokens
from domain.errors import InvalidChallenge
from domain.policy import CountPolicy
from domain.ports import Transaction
from domain.records import Challenge, Factor, Session
from domain.results import ChallengeIssued
from domain.services import Services


def open_login(
    services: Services, tx: Transaction, factor: Factor, policy: CountPolicy, now: datetime
) -> ChallengeIssued:
    """A challenge after a right password; beyond ``max_open`` the user's oldest is void."""
    issued = _open(services, tx, factor, None, now)
    if policy.max_open is not None:
        tx.challenges.evict(factor.user_id, policy.max_open, now)
    return issued


def open_step_up(
    services: Services, tx: Transaction, factor: Factor, session: Session, now: datetime
) -> ChallengeIssued:
    """A challenge of a session, in place of its former one; login challenges do not count it."""
    tx.challenges.void_session(session.id)
    return _open(services, tx, factor, session.id, now)


def _open(
    services: Services, tx: Transaction, factor: Factor, session_id: str | None, now: datetime
) -> ChallengeIssued:
    lifetime = services.policies.lifetimes.challenge
    challenge_id = tokens.new_opaque()
    tx.challenges.add(
        Challenge(
            digest=tokens.digest(challenge_id),
            user_id=factor.user_id,
            session_id=session_id,
            wrong=0,
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    return ChallengeIssued(challenge_id, int(lifetime.total_seconds()), _methods(tx, factor))


def _methods(tx: Transaction, factor: Factor) -> tuple[str, ...]:
    codes = tx.backup_codes.of_factor(factor.id)
    left = codes is not None and tx.backup_codes.remaining(codes.id) > 0
    return ("totp", "backup_code") if left else ("totp",)


def find(tx: Transaction, challenge_id: str, session: Session | None) -> Challenge:
    """The challenge, whatever its state; that of a step-up only for its own session.

    Raises :class:`InvalidChallenge`.
    """
    challenge = tx.challenges.get(tokens.digest(challenge_id))
    if challenge is None:
        raise InvalidChallenge
    if challenge.session_id is not None and (session is None or session.id != challenge.session_id):
        raise InvalidChallenge
    return challenge


def charge(tx: Transaction, challenge: Challenge, policy: CountPolicy, now: datetime) -> None:
    """Count one guess on the challenge itself; :class:`InvalidChallenge` where it takes no more."""
    if not tx.challenges.charge(challenge.digest, policy.max_wrong, now):
        raise InvalidChallenge


def spend(tx: Transaction, challenge: Challenge, now: datetime) -> None:
    """Use the challenge up; :class:`InvalidChallenge` where it was used, void or too old."""
    if not tx.challenges.spend(challenge.digest, now):
        raise InvalidChallenge
