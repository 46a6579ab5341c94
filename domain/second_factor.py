"""TOTP and backup codes, for every operation that takes one: admit, prove, spend.

Login, step-up, disable and the check of a backup code all go through here, so that one budget,
one replay rule and one spend serve them. ``admit`` charges the guess and is committed, ``prove``
does the heavy work outside of any transaction, ``spend`` belongs to the transaction of what the
code was given for; where its guarded UPDATE changes no row, nothing of that transaction stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from domain import guesses, totp
from domain.errors import InvalidCode
from domain.guesses import Guess
from domain.policy import Attempts
from domain.ports import Transaction
from domain.records import CodeSet, Factor
from domain.services import Services


class Kind(Enum):
    """What a code is, told from its shape alone."""

    TOTP = "totp"
    BACKUP_CODE = "backup_code"


@dataclass(frozen=True, slots=True)
class Admitted:
    """A code whose guess is charged. ``code`` is without separators, ``codes`` the factor's set."""

    factor: Factor
    kind: Kind
    code: str
    codes: CodeSet | None
    guess: Guess


@dataclass(frozen=True, slots=True)
class CodeProof:
    """A code that was right for the factor as read: ``step`` of a TOTP, ``digest`` of a backup
    code; ``resealed`` is the secret under the current key where it was under an old one."""

    admitted: Admitted
    step: int | None = None
    digest: str | None = None
    resealed: str | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """What the code adds to ``amr`` (RFC 8176): a backup code is no ``otp``."""
        return ("otp", "mfa") if self.admitted.kind is Kind.TOTP else ("mfa",)


def tell(services: Services, factor: Factor, text: str) -> Kind | None:
    """The kind of code that the text has the shape of; None for neither.

    Start is refused where a backup code could be digits alone, so the two never meet.
    """
    if totp.is_code(_bare(text), factor.digits):
        return Kind.TOTP
    return Kind.BACKUP_CODE if services.backup_codes.looks_like(text) else None


def budget(kind: Kind, user_id: str, attempts: Attempts) -> Guess:
    """The budget that a code of this kind draws on."""
    if kind is Kind.TOTP:
        return guesses.totp_guess(user_id, attempts.require("totp"))
    return guesses.backup_code_guess(user_id, attempts.require("backup_code"))


def admit(
    services: Services,
    tx: Transaction,
    factor: Factor,
    text: str,
    attempts: Attempts,
    now: datetime,
    *,
    kinds: frozenset[Kind] = frozenset(Kind),
) -> Admitted:
    """Charge a guess.

    A text of no shape among ``kinds`` is :class:`InvalidCode` and charges nothing;
    :class:`TooManyAttempts` and :class:`FactorLocked` where the kind's own budget is closed.
    """
    kind = tell(services, factor, text)
    if kind is None or kind not in kinds:
        raise InvalidCode
    guess = budget(kind, factor.user_id, attempts)
    guesses.charge(tx, [guess], now)
    codes = tx.backup_codes.of_factor(factor.id) if kind is Kind.BACKUP_CODE else None
    return Admitted(factor, kind, _bare(text), codes, guess)


def prove(services: Services, admitted: Admitted, now: datetime) -> CodeProof:
    """Check a charged code; :class:`InvalidCode` where it is wrong or late."""
    if admitted.kind is Kind.TOTP:
        return _prove_totp(services, admitted, now)
    if admitted.codes is None:
        raise InvalidCode
    return CodeProof(admitted, digest=services.backup_codes.digest(admitted.code, admitted.codes))


def _prove_totp(services: Services, admitted: Admitted, now: datetime) -> CodeProof:
    factor = admitted.factor
    secret = services.sealer.open(factor.sealed_secret, factor.id)
    step = matching_step(secret, factor, admitted.code, now)
    if step is None:
        raise InvalidCode
    stale = services.sealer.stale(factor.sealed_secret)
    resealed = services.sealer.seal(secret, factor.id) if stale else None
    return CodeProof(admitted, step=step, resealed=resealed)


def matching_step(secret: bytes, factor: Factor, code: str, now: datetime) -> int | None:
    """The step whose code this is, by the parameters that the factor was enrolled with."""
    return totp.matching_step(
        secret,
        code,
        algorithm=factor.algorithm,
        digits=factor.digits,
        period=factor.period,
        window=factor.window,
        now=now,
    )


def spend(services: Services, tx: Transaction, proof: CodeProof, now: datetime) -> None:
    """Spend the step or the backup code, then clear the budget of its kind.

    :class:`InvalidCode` where it was spent before, or the factor is not active any more. A backup
    code opens a locked TOTP factor too, and shortens no delay.
    """
    factor = proof.admitted.factor
    if not _spend_once(tx, proof, now):
        raise InvalidCode
    tx.factors.touch(factor.id, now)
    if proof.resealed is not None:
        tx.factors.reseal(factor.id, factor.sealed_secret, proof.resealed)
    guesses.clear(tx, [proof.admitted.guess])
    if proof.admitted.kind is Kind.BACKUP_CODE:
        guesses.unlock_totp(tx, factor.user_id, services.policies)


def _spend_once(tx: Transaction, proof: CodeProof, now: datetime) -> bool:
    factor, codes = proof.admitted.factor, proof.admitted.codes
    if proof.step is not None:
        return tx.factors.spend_step(factor.id, proof.step, now)
    if codes is None or proof.digest is None:
        return False
    # The set is deleted with its factor, so a code of a factor that is no more finds no row.
    return tx.backup_codes.spend(codes.id, proof.digest, now)


def _bare(text: str) -> str:
    return text.replace(" ", "").replace("-", "")
