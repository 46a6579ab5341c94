"""What the spec must not decide: checked once at start, all of it reported together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from domain import totp
from domain.backup_codes import alphabets, could_be_digits, entropy_bits
from domain.policy import BackupCodeFormat, Policies, TotpParameters

# NIST 800-63B-4 section 4.2.1.1: a saved recovery code has at least 64 bits.
LEAST_CODE_BITS = 64
# RFC 4226 section 4, R6: a shared secret of at least 128 bits.
LEAST_SECRET_BYTES = 16
# Digits of any TOTP code that RFC 4226 section 5.3 knows; old factors keep theirs.
CODE_DIGITS = range(6, 9)
# NIST 800-63B-4 section 3.2.2: at most 100 failures in a row.
MOST_FAILURES = 100

# The budgets that the rules draw on, by operationId; without one a secret could be guessed freely.
NEEDED = {
    "login": ("password", "totp", "backup_code", "challenge"),
    "changePassword": ("password",),
    "disableMFA": ("password", "totp", "backup_code"),
    "verifyMFA": ("enrolment",),
    "verifyBackupCode": ("backup_code",),
}

Fault = tuple[str, str]
_PATTERN = "backup_codes.pattern"


class PolicyFaults(ValueError):
    """Policies that cannot be kept to: ``faults`` are pairs of the policy's place and a sentence.

    A place is an attribute path into :class:`Policies`, such as ``lifetimes.challenge``.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(sentence for _, sentence in self.faults))


def check(policies: Policies) -> None:
    """Raises PolicyFaults, which lists every fault, where the policies cannot be kept to."""
    faults = [
        *_backup_codes(policies.backup_codes),
        *_totp(policies.totp),
        *_lifetimes(policies),
        *_sessions(policies),
        *_attempts(policies),
    ]
    if faults:
        raise PolicyFaults(faults)


def _backup_codes(codes: BackupCodeFormat) -> Iterator[Fault]:
    try:
        bits = entropy_bits(codes.pattern)
        digits = could_be_digits(codes.pattern)
    except ValueError as fault:
        yield _PATTERN, str(fault)
        return
    if bits < LEAST_CODE_BITS:
        yield (
            _PATTERN,
            f"a backup code has {bits:.1f} bits of entropy; {LEAST_CODE_BITS} are the least",
        )
    if digits in CODE_DIGITS:
        yield _PATTERN, "a backup code could look like a TOTP code"
    if not _typeable(codes.pattern):
        yield _PATTERN, "a backup code may hold ASCII letters, digits, spaces and hyphens only"
    for count in ("count", "enrolment_count"):
        if getattr(codes, count) < 1:
            yield f"backup_codes.{count}", "a set has at least one backup code"
    if codes.low >= min(codes.count, codes.enrolment_count):
        yield "backup_codes.low", "a fresh set of backup codes would be low already"


def _typeable(pattern: str) -> bool:
    """Whether every code fits the alphabet of the requests that take one."""
    return all(
        character.isascii() and (character.isalnum() or character in " -")
        for alphabet in alphabets(pattern)
        for character in alphabet
    )


def _totp(parameters: TotpParameters) -> Iterator[Fault]:
    if parameters.algorithm not in totp.ALGORITHMS:
        yield "totp", f"the TOTP algorithm is one of {', '.join(totp.ALGORITHMS)}"
    if parameters.digits not in CODE_DIGITS:
        yield "totp", "a TOTP code has six to eight digits"
    if parameters.period < 1 or parameters.window < 0:
        yield (
            "totp",
            "a TOTP time step lasts at least a second, and its window has no negative size",
        )
    if parameters.secret_bytes < LEAST_SECRET_BYTES:
        yield "totp", f"a TOTP secret has at least {LEAST_SECRET_BYTES} bytes"


def _lifetimes(policies: Policies) -> Iterator[Fault]:
    lifetimes = policies.lifetimes
    for name in ("challenge", "access_token", "refresh_token", "session", "enrolment"):
        if getattr(lifetimes, name) < timedelta(seconds=1):
            yield (
                f"lifetimes.{name}",
                f"the lifetime of a {name.replace('_', ' ')} is at least a second",
            )


def _sessions(policies: Policies) -> Iterator[Fault]:
    if policies.most_sessions < 1:
        yield "most_sessions", "a user may have at least one session"


def _attempts(policies: Policies) -> Iterator[Fault]:
    for operation, names in NEEDED.items():
        policy = policies.operations.get(operation)
        missing = [n for n in names if policy is None or getattr(policy.attempts, n) is None]
        for name in missing:
            yield (
                f"operations.{operation}",
                f"x-attempts of {operation} names no budget {name.replace('_', '-')}",
            )
    for operation, policy in policies.operations.items():
        attempts = policy.attempts
        for budget in (attempts.password, attempts.backup_code):
            if budget is not None and budget.lock_after is not None:
                yield (
                    f"operations.{operation}",
                    f"x-attempts of {operation} locks what only a TOTP factor may be locked by",
                )
        if attempts.totp is not None and not 0 < (attempts.totp.lock_after or 0) <= MOST_FAILURES:
            yield (
                f"operations.{operation}",
                f"x-attempts of {operation} locks a TOTP factor later than after {MOST_FAILURES}",
            )
