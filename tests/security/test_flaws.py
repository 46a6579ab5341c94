"""The rows about login, enrolment and tokens against a server with a flaw: each notices its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.security import flawed, test_enrolment, test_login, test_tokens
from tests.security import site as sites
from tests.security.site import House, Site, house_of
from tests.support.ledger import LEDGER, Ledger

Row = Callable[[Site], None]

ROWS: dict[str, list[Row]] = {
    "MFA is forgotten at login": [
        test_login.test_s01_a_password_alone_yields_a_challenge_and_nothing_else
    ],
    "a code is not told": [test_login.test_s02_the_right_code_finishes_the_challenge],
    "digits pass for a password": [test_login.test_s03_a_code_without_a_challenge_is_no_way_in],
    "a challenge is a bearer token": [
        test_login.test_s04_a_challenge_is_no_bearer_token,
        test_enrolment.test_s55_half_a_login_changes_no_factor,
        test_tokens.test_s62_each_kind_of_token_has_one_place,
    ],
    "a challenge is never spent": [test_login.test_s05_a_challenge_is_good_once],
    "a challenge never expires": [test_login.test_s06_a_challenge_lives_five_minutes],
    "any code is right": [
        test_login.test_s07_a_challenge_belongs_to_its_user,
        test_login.test_s11_a_pending_enrolment_changes_no_login,
        test_enrolment.test_s49_a_wrong_code_turns_nothing_on,
        test_enrolment.test_s51_a_second_setup_replaces_the_first,
        test_enrolment.test_s52_disabling_takes_password_and_factor_together,
    ],
    "opaque tokens are in the order of time": [test_login.test_s08_challenges_cannot_be_guessed],
    "a password is two factors": [test_login.test_s09_without_mfa_a_password_yields_tokens],
    "nothing is counted": [test_login.test_s10_a_challenge_dies_of_five_wrong_codes],
    "a pending factor counts": [test_login.test_s11_a_pending_enrolment_changes_no_login],
    "nobody is told apart": [test_login.test_s12_a_wrong_password_tells_nothing_of_the_account],
    "zeros are right": [test_login.test_s13_no_odd_value_passes_for_a_code],
    "an expired token is good": [
        test_enrolment.test_s47_nothing_of_mfa_answers_a_stranger,
        test_tokens.test_s61_a_token_is_good_in_its_time_only,
    ],
    "freshness is not asked for": [
        test_enrolment.test_s48_a_rotation_needs_a_fresh_second_factor,
        test_enrolment.test_s54_an_old_session_enrols_nobody,
        partial(test_tokens.test_s66_a_renewal_is_no_authentication, proof="otp"),
    ],
    "an enrolment never expires": [test_enrolment.test_s50_an_enrolment_waits_ten_minutes],
    flawed.ONE_SECRET: [
        partial(test_enrolment.test_s53_nothing_of_a_former_enrolment_is_good, kind="totp")
    ],
    "backup codes come again": [
        partial(test_enrolment.test_s53_nothing_of_a_former_enrolment_is_good, kind="backup code")
    ],
    "a refusal repeats the password": [test_enrolment.test_s56_each_secret_is_shown_once],
    "other sessions live on": [
        test_enrolment.test_s57_turning_mfa_on_ends_the_other_sessions,
        *(
            partial(
                test_tokens.test_s65_a_change_of_credentials_ends_the_other_sessions, change=how
            )
            for how in test_tokens.CHANGES
        ),
        *(
            partial(test_tokens.test_s70_who_is_deactivated_is_out_at_once, removal=how)
            for how in ("deactivated", "deactivated by an administrator")
        ),
    ],
    "challenges outlive their factor": [
        test_enrolment.test_s58_a_challenge_does_not_outlive_its_factor
    ],
    "an unsigned token is good": [test_tokens.test_s59_an_unsigned_token_is_no_token],
    "signatures are not looked at": [test_tokens.test_s60_only_our_signature_over_all_of_it_counts],
    "claims are not looked at": [
        partial(test_tokens.test_s63_issuer_and_audience_are_exactly_ours, claim="iss"),
        partial(test_tokens.test_s63_issuer_and_audience_are_exactly_ours, claim="aud"),
    ],
    "a refresh token is never spent": [
        test_tokens.test_s64_a_refresh_token_that_comes_twice_ends_its_session
    ],
    "a logout is forgotten": [
        partial(test_tokens.test_s65_a_session_that_has_ended_is_gone_at_once, ending=how)
        for how in test_tokens.ENDINGS
    ],
    "the header is not looked at": [test_tokens.test_s67_no_key_is_taken_from_a_token],
    flawed.ONE_ID: [test_tokens.test_s68_a_token_says_what_it_must_and_no_more],
    "a token may do without an end": [test_tokens.test_s69_every_claim_is_required],
}
PAIRS = [(name, row) for name, rows in ROWS.items() for row in rows]


def test_every_flaw_has_a_row_and_every_row_a_flaw() -> None:
    assert set(ROWS) == {*flawed.FLAWS, flawed.ONE_SECRET, flawed.ONE_ID}
    modules = (test_login, test_enrolment, test_tokens)
    rows = {name for module in modules for name in vars(module) if name.startswith("test_s")}
    rows.remove("test_s10_a_challenge_takes_the_right_code_after_four_wrong_ones")  # a twin
    assert {_function(row).__name__ for _, row in PAIRS} == rows


def _function(row: Row) -> Row:
    return row.func if isinstance(row, partial) else row


@pytest.fixture(scope="module")
def flawed_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Path]]:
    """Servers with a flaw, and the file that names it."""
    folder = tmp_path_factory.mktemp("flawed")
    named = folder / "flaw"
    named.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sites, "PROGRAM", (sys.executable, "-m", "tests.security.flawed"))
        with house_of("sqlite-1", folder, PLANTED_BUG=str(named)) as house:
            LEDGER.files.remove(house.logs[0])  # a flaw may write what no server should
            yield house, named


def carry_out(house: House, row: Row) -> None:
    site = Site(house, ledger=Ledger())
    try:
        row(site)
    finally:
        site.close()


@pytest.mark.parametrize(
    ("name", "row"), PAIRS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_flaw_is_noticed(flawed_house: tuple[House, Path], name: str, row: Row) -> None:
    """And the row passes at the same server without the flaw."""
    house, named = flawed_house
    named.write_text("", encoding="utf-8")
    carry_out(house, row)
    named.write_text(name, encoding="utf-8")
    with pytest.raises(AssertionError):
        carry_out(house, row)
