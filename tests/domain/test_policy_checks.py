from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.policy import Attempts, BackupCodeFormat, OperationPolicy, Policies
from domain.policy_checks import check
from tests.domain.world import BACKUP, OPERATIONS, POLICIES, TOTP


def test_the_spec_s_own_numbers_pass() -> None:
    check(POLICIES)


def codes(pattern: str, count: int = 10, low: int = 0) -> Policies:
    return replace(POLICIES, backup_codes=BackupCodeFormat(pattern, count, 10, low))


@pytest.mark.parametrize("digits", [6, 7, 8])
def test_codes_that_could_look_like_totp_are_refused(digits: int) -> None:
    with pytest.raises(ValueError, match="could look like a TOTP code"):
        check(codes(f"^[0-9A-Z]{{{digits}}}$"))


def test_codes_under_64_bits_are_refused_and_one_of_65_passes() -> None:
    with pytest.raises(ValueError, match=r"60\.0 bits"):
        check(codes("^[0-9A-HJKMNP-TV-Z]{12}$"))
    check(codes("^[0-9A-HJKMNP-TV-Z]{13}$"))


def test_entropy_that_normalising_takes_away_does_not_count() -> None:
    with pytest.raises(ValueError, match="bits of entropy"):
        check(codes("^[01OIL]{30}$"))


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        (codes("^[A-Z]+$"), "cannot hold"),
        (codes("^[!-,]{20}$"), "ASCII letters"),
        (codes("^[а-я]{20}$"), "ASCII letters"),
        (codes("^[A-Z]{20}$", 0), "at least one backup code"),
        (codes("^[A-Z]{20}$", 4, low=4), "would be low already"),
        (codes("^[A-Z]{20}$", 20, low=10), "would be low already"),
        (replace(POLICIES, totp=replace(POLICIES.totp, algorithm="MD5")), "algorithm"),
        (replace(POLICIES, totp=replace(POLICIES.totp, digits=5)), "digits"),
        (replace(POLICIES, totp=replace(POLICIES.totp, period=0)), "time step"),
        (replace(POLICIES, totp=replace(POLICIES.totp, window=-1)), "time step"),
        (replace(POLICIES, totp=replace(POLICIES.totp, secret_bytes=10)), "16 bytes"),
        (
            replace(POLICIES, lifetimes=replace(POLICIES.lifetimes, challenge=timedelta(0))),
            "lifetime of a challenge",
        ),
        (replace(POLICIES, most_sessions=0), "at least one session"),
    ],
)
def test_what_cannot_be_kept_to_is_refused(policies: Policies, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(policies)


@pytest.mark.parametrize(
    ("operation", "attempts", "message"),
    [
        ("login", Attempts(), "login names no budget backup-code"),
        ("verifyMFA", Attempts(), "verifyMFA names no budget enrolment"),
        ("verifyBackupCode", Attempts(totp=TOTP), "verifyBackupCode names no budget"),
        (
            "verifyBackupCode",
            Attempts(backup_code=replace(BACKUP, lock_after=5)),
            "locks what only a TOTP factor",
        ),
        (
            "x",
            Attempts(totp=replace(TOTP, lock_after=None)),
            "x locks a TOTP factor later than after 100",
        ),
        ("x", Attempts(totp=replace(TOTP, lock_after=101)), "later than after 100"),
    ],
)
def test_a_secret_without_a_proper_budget_is_refused(
    operation: str, attempts: Attempts, message: str
) -> None:
    operations = {**OPERATIONS, operation: OperationPolicy(attempts=attempts)}
    with pytest.raises(ValueError, match=message):
        check(replace(POLICIES, operations=operations))


def test_all_faults_are_reported_together() -> None:
    bad = replace(codes("^[0-9]{6}$"), operations={})
    with pytest.raises(ValueError, match="bits of entropy") as caught:
        check(bad)
    assert len(str(caught.value).splitlines()) == 2 + 10
