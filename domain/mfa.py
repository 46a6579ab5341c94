"""Enrolment, removal and backup codes: one public function for each of ``paths/mfa.yaml``."""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime

from domain import first_factor, guesses, second_factor, sessions, totp
from domain.audit import Trail, audited
from domain.errors import (
    InsufficientAuthentication,
    InvalidCode,
    InvalidCredentials,
    InvalidToken,
    MFANotEnabled,
    NoPendingEnrollment,
)
from domain.first_factor import PasswordProof
from domain.policy import CountPolicy, OperationPolicy
from domain.ports import Transaction
from domain.records import Client, Factor, Session, User
from domain.results import BackupCodesLeft, Enrolment, MFAStatus, NewBackupCodes
from domain.second_factor import Admitted, CodeProof, Kind
from domain.services import Services


@audited
def setup_mfa(services: Services, trail: Trail, session: Session) -> Enrolment:
    """Start an enrolment in place of a former pending one; an active factor stays in force.

    The secret and the backup codes are shown here and never again.
    """
    trail.of(session)
    now = services.clock.now()
    secret = secrets.token_bytes(services.policies.totp.secret_bytes)
    factor = _pending(services, session, secret, now)
    codes = services.backup_codes.generate(services.policies.backup_codes.enrolment_count)
    code_set, digests = services.backup_codes.new_set(factor.id, now, codes)
    with services.store.write() as tx:
        tx.users.lock(session.user_id)
        sessions.require_live(tx, session, now)
        tx.factors.put_pending(factor, code_set, digests)
        trail.record(services, tx)
        tx.commit()
    return _enrolment(services, session, secret, codes)


def _pending(services: Services, session: Session, secret: bytes, now: datetime) -> Factor:
    """The parameters are stored with the factor, so that an edit of the spec breaks no old one."""
    parameters = services.policies.totp
    factor_id = str(uuid.uuid4())
    return Factor(
        id=factor_id,
        user_id=session.user_id,
        pending=True,
        sealed_secret=services.sealer.seal(secret, factor_id),
        algorithm=parameters.algorithm,
        digits=parameters.digits,
        period=parameters.period,
        window=parameters.window,
        last_step=-1,
        wrong=0,
        created_at=now,
        expires_at=now + services.policies.lifetimes.enrolment,
    )


def _enrolment(services: Services, session: Session, secret: bytes, codes: list[str]) -> Enrolment:
    parameters = services.policies.totp
    uri = totp.provisioning_uri(secret, session.username, services.totp_issuer, parameters)
    return Enrolment(
        secret=totp.base32(secret),
        otpauth_uri=uri,
        qr_code=totp.qr_code(uri),
        backup_codes=tuple(codes),
        expires_in=int(services.policies.lifetimes.enrolment.total_seconds()),
        algorithm=parameters.algorithm,
        digits=parameters.digits,
        period=parameters.period,
    )


@audited
def verify_mfa(
    services: Services, trail: Trail, session: Session, code: str, policy: OperationPolicy
) -> None:
    """Prove the pending factor: MFA is on, or rotated, and the present session is ``aal2``.

    Wrong codes are counted on the enrolment alone: whoever holds a session but no second factor
    must not be able to close the login's budget. Raises :class:`NoPendingEnrollment`,
    :class:`InvalidCode`.
    """
    trail.of(session)
    pending = _charged_pending(services, session, policy.attempts.require_count("enrolment"))
    trail.factor = Kind.TOTP.value
    now = services.clock.now()
    secret = services.sealer.open(pending.sealed_secret, pending.id)
    step = second_factor.matching_step(secret, pending, code, now)
    if step is None:
        raise InvalidCode
    with services.store.write() as tx:
        tx.users.lock(session.user_id)
        if not tx.factors.activate(pending.id, step, now):
            raise NoPendingEnrollment
        guesses.forget_factor(tx, session.user_id)
        sessions.end_others(tx, session.user_id, now, keep=session.id)
        sessions.raise_assurance(tx, session, ("otp", "mfa"), now)
        trail.record(services, tx)
        tx.commit()


def _charged_pending(services: Services, session: Session, policy: CountPolicy) -> Factor:
    now = services.clock.now()
    with services.store.write() as tx:
        pending = tx.factors.pending(session.user_id, now)
        if pending is None or not tx.factors.charge_pending(pending.id, policy.max_wrong, now):
            raise NoPendingEnrollment
        tx.commit()
    return pending


@audited
def disable_mfa(
    services: Services,
    trail: Trail,
    session: Session,
    password: str,
    code: str,
    client: Client,
    policy: OperationPolicy,
) -> None:
    """Remove the second factor: password and a TOTP or backup code, one answer for both.

    The trail of a refusal names no factor: whoever holds the session can read it, and would learn
    which part was wrong. Raises :class:`MFANotEnabled`, :class:`InvalidCredentials`,
    :class:`TooManyAttempts`, :class:`FactorLocked`.
    """
    trail.of(session)
    proof = _prove_password(services, session, password, code, client, policy)
    try:
        code_proof = _prove_code(services, session, code, proof, policy)
        _disable(services, trail, session, proof, code_proof)
    except InvalidCode:
        raise InvalidCredentials from None


def _prove_password(
    services: Services,
    session: Session,
    password: str,
    code: str,
    client: Client,
    policy: OperationPolicy,
) -> PasswordProof:
    """Both budgets are looked at before anything is charged; then the password alone is."""
    with services.passwords.place() as hasher:
        now = services.clock.now()
        with services.store.write() as tx:
            user, factor = _user(tx, session), _active(tx, session)
            kind = second_factor.tell(services, factor, code)
            drawn = first_factor.budgets(tx, user.username_key, user, client, policy.attempts)
            shaped = [second_factor.budget(kind, user.id, policy.attempts)] if kind else []
            guesses.check(tx, [*drawn, *shaped], now)
            if kind is None:
                raise InvalidCredentials
            guesses.charge(tx, drawn, now)
            tx.commit()
        return first_factor.prove(hasher, user, drawn, password)


def _prove_code(
    services: Services, session: Session, code: str, proof: PasswordProof, policy: OperationPolicy
) -> CodeProof:
    """The password was right, so its budget is cleared whatever becomes of the code.

    Hence two transactions: what refuses the code rolls its own back.
    """
    with services.store.write() as tx:
        first_factor.confirm(tx, proof)
        guesses.clear(tx, proof.guesses)
        tx.commit()
    now = services.clock.now()
    with services.store.write() as tx:
        factor = _active(tx, session)
        admitted = second_factor.admit(services, tx, factor, code, policy.attempts, now)
        tx.commit()
    return second_factor.prove(services, admitted, now)


def _disable(
    services: Services,
    trail: Trail,
    session: Session,
    proof: PasswordProof,
    code_proof: CodeProof,
) -> None:
    now = services.clock.now()
    with services.store.write() as tx:
        first_factor.spend(tx, proof)
        second_factor.spend(services, tx, code_proof, now)
        tx.factors.delete_all(session.user_id)
        guesses.forget_factor(tx, session.user_id)
        sessions.end_others(tx, session.user_id, now, keep=session.id)
        sessions.lower_assurance(tx, session)
        trail.factor = code_proof.admitted.kind.value
        trail.record(services, tx)
        tx.commit()


def get_mfa_status(services: Services, session: Session) -> MFAStatus:
    """The state of the user's second factor; counts only, never a code."""
    now = services.clock.now()
    with services.store.read() as tx:
        factor = tx.factors.active(session.user_id)
        pending = tx.factors.pending(session.user_id, now) is not None
        if factor is None:
            return MFAStatus(False, pending, None, None, 0, 0, False)
        total, left = _count(tx, factor)
    return MFAStatus(
        enabled=True,
        pending=pending,
        enabled_at=factor.enabled_at,
        last_used_at=factor.last_used_at,
        backup_codes_remaining=left,
        backup_codes_total=total,
        backup_codes_low=left <= services.policies.backup_codes.low,
    )


def _count(tx: Transaction, factor: Factor) -> tuple[int, int]:
    """How many codes the present set began with and how many are left."""
    codes = tx.backup_codes.of_factor(factor.id)
    return (0, 0) if codes is None else (codes.total, tx.backup_codes.remaining(codes.id))


@audited
def regenerate_backup_codes(services: Services, trail: Trail, session: Session) -> NewBackupCodes:
    """Replace all backup codes in one step; the new ones are shown here and never again.

    An account without MFA cannot reach the assurance that the operation asks for.
    """
    trail.of(session)
    now = services.clock.now()
    with services.store.read() as tx:
        factor = tx.factors.active(session.user_id)
    if factor is None:
        raise InsufficientAuthentication(sessions.AAL2)
    codes = services.backup_codes.generate(services.policies.backup_codes.count)
    code_set, digests = services.backup_codes.new_set(factor.id, now, codes)
    with services.store.write() as tx:
        tx.users.lock(session.user_id)
        sessions.require_live(tx, session, now)
        present = tx.factors.active(session.user_id)
        if present is None or present.id != factor.id:
            raise InsufficientAuthentication(sessions.AAL2)
        tx.backup_codes.replace(code_set, digests)
        tx.challenges.void_user(session.user_id)
        trail.record(services, tx)
        tx.commit()
    return NewBackupCodes(tuple(codes), now)


@audited
def verify_backup_code(
    services: Services, trail: Trail, session: Session, code: str, policy: OperationPolicy
) -> BackupCodesLeft:
    """Spend a backup code; the session's second-factor time begins anew.

    It is no way to tokens. Raises :class:`MFANotEnabled`, :class:`InvalidCode`,
    :class:`TooManyAttempts`.
    """
    trail.of(session)
    admitted = _admit_backup_code(services, session, code, policy)
    trail.factor = Kind.BACKUP_CODE.value
    now = services.clock.now()
    proof = second_factor.prove(services, admitted, now)
    with services.store.write() as tx:
        tx.users.lock(session.user_id)
        second_factor.spend(services, tx, proof, now)
        sessions.raise_assurance(tx, session, proof.methods, now)
        _, left = _count(tx, admitted.factor)
        trail.record(services, tx)
        tx.commit()
    return BackupCodesLeft(left, left <= services.policies.backup_codes.low)


def _admit_backup_code(
    services: Services, session: Session, code: str, policy: OperationPolicy
) -> Admitted:
    now = services.clock.now()
    with services.store.write() as tx:
        admitted = second_factor.admit(
            services,
            tx,
            _active(tx, session),
            code,
            policy.attempts,
            now,
            kinds=frozenset({Kind.BACKUP_CODE}),
        )
        tx.commit()
    return admitted


def _active(tx: Transaction, session: Session) -> Factor:
    factor = tx.factors.active(session.user_id)
    if factor is None:
        raise MFANotEnabled
    return factor


def _user(tx: Transaction, session: Session) -> User:
    user = tx.users.get(session.user_id)
    if user is None:
        raise InvalidToken
    return user
