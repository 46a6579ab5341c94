"""The rows about codes, guesses, paper and HTTP against servers with a flaw: each notices its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.planted import GUARDS, STALE
from tests.security import flawed, planted
from tests.security import site as sites
from tests.security import test_backup_codes as paper
from tests.security import test_endurance as siege
from tests.security import test_guessing as guessing
from tests.security import test_http as http
from tests.security import test_totp as totp
from tests.security.site import House, Site, house_of
from tests.support.ledger import LEDGER, Ledger

Row = Callable[[Site], None]


def asked(row: Callable[..., None], **parameters: Any) -> Row:
    """A row that wants a court beside the site."""

    def carried_out(site: Site) -> None:
        row(site, http.Court(site, http.judge_of(site.house)), **parameters)

    carried_out.__name__ = row.__name__
    return carried_out


def chaired(row: Callable[..., None], **parameters: Any) -> Row:
    """A row that wants the court of an administrator and no site."""

    def carried_out(site: Site) -> None:
        row(http.seated(site, http.Court(site, http.judge_of(site.house))), **parameters)

    carried_out.__name__ = row.__name__
    return carried_out


def judged(row: Callable[..., None], **parameters: Any) -> Row:
    def carried_out(site: Site) -> None:
        row(site, http.judge_of(site.house), **parameters)

    carried_out.__name__ = row.__name__
    return carried_out


def named(row: Callable[..., None], **parameters: Any) -> Row:
    """A court alone, and a parameter."""

    def carried_out(site: Site) -> None:
        row(http.Court(site, http.judge_of(site.house)), **parameters)

    carried_out.__name__ = row.__name__
    return carried_out


STEP, CODE = "a step is never spent", "a backup code is never spent"
UNCOUNTED, SCHEMA = "nothing is counted", "the schema is not looked at"

ROWS: dict[str, list[Row]] = {
    "the label is not encoded": [totp.test_s14_what_setup_shows_is_what_the_server_accepts],
    flawed.ONE_SECRET: [totp.test_s14_no_secret_is_made_twice],
    "a code is a number": [
        partial(totp.test_s15_a_code_that_begins_with_zero_is_a_string_of_six_digits, start="0")
    ],
    "the window is two steps wide": [
        totp.test_s16_one_step_each_way_is_accepted_and_no_more,
        totp.test_s16_a_code_lives_for_ninety_seconds,
    ],
    STEP: [
        totp.test_s17_a_code_is_good_once,
        totp.test_s18_a_spent_code_stays_spent_while_its_window_lasts,
        totp.test_s18_no_older_step_is_accepted_after_a_newer_one,
        partial(totp.test_s21_another_spelling_is_the_same_code, name="a space before"),
    ],
    STALE: [totp.test_s19_twenty_at_once_with_one_code_make_one_session],
    "any code is right": [totp.test_s20_another_user_s_code_is_a_wrong_code],
    SCHEMA: [
        partial(totp.test_s22_only_ascii_digits_are_digits, script="full-width"),
        totp.test_s22_superscripts_are_no_digits,
        totp.test_s23_a_code_of_another_type_is_never_read_as_the_string,
        named(http.test_s75_odd_names_are_taken_or_refused_alike_on_both_engines, name="CR LF"),
        asked(http.test_s78_members_that_nobody_asked_for_are_refused, name="role"),
    ],
    "more digits do no harm": [
        partial(totp.test_s24_a_code_has_six_digits_and_no_other_number, name="seven digits")
    ],
    "a refusal takes its time": [totp.test_s24_a_long_code_takes_no_longer_than_a_wrong_one],
    "the window is an hour wide": [totp.test_s25_only_the_server_s_clock_counts],
    "a new challenge clears the budget": [
        guessing.test_s26_neither_a_new_challenge_nor_a_new_sign_in_buys_a_guess
    ],
    "a factor never locks": [
        guessing.test_s28_wrong_codes_end_in_a_lock_that_only_recovery_opens,
        partial(siege.withstood, size=1000),
    ],
    "backup codes have the budget of the authenticator": [
        guessing.test_s29_a_closed_authenticator_does_not_close_the_backup_codes
    ],
    UNCOUNTED: [
        guessing.test_s27_at_the_limit_the_right_code_waits_as_long_as_retry_after_says,
        guessing.test_s29_every_door_draws_on_the_one_budget_of_the_code_s_kind,
        partial(
            guessing.test_s30_a_session_buys_no_guess_of_a_code,
            door=guessing.at_disable,
            kind="totp",
        ),
        guessing.test_s30_a_session_buys_no_guess_of_the_password,
        guessing.test_s31_passwords_are_throttled_alike_for_users_and_for_nobody,
        guessing.test_s31_the_right_password_waits_where_the_wrong_ones_came_from,
        guessing.test_s35_an_address_alone_proves_nothing,
        paper.test_s46_the_last_code_is_the_last,
    ],
    "an enrolment takes any number of codes": [
        guessing.test_s30_an_enrolment_takes_five_wrong_codes_and_then_none
    ],
    "a body that nobody asked for is ignored": [
        guessing.test_s30_where_no_secret_is_asked_for_none_can_be_guessed
    ],
    "a success clears nothing": [guessing.test_s32_a_success_clears_the_budget_of_its_factor],
    planted.LATE: [
        guessing.test_s33_sixty_guesses_at_once_are_looked_at_no_further_than_the_budget
    ],
    planted.FORGETFUL: [partial(siege.withstood, size=1000)],
    "no address is known": [
        guessing.test_s35_strangers_guesses_keep_the_owner_out_for_seconds_only
    ],
    "a backup code favours the first half of its alphabet": [
        paper.test_s36_codes_are_many_long_unique_and_even
    ],
    CODE: [
        paper.test_s37_a_backup_code_is_good_once,
        partial(paper.test_s37_a_code_spent_at_login_is_spent_at_every_door, door=paper.at_step_up),
        paper.test_s38_of_twenty_at_once_one_gets_in,
        paper.test_s39_another_user_s_backup_code_is_a_wrong_one,
        paper.test_s39_a_user_named_by_another_s_id_has_codes_of_its_own,
    ],
    "new codes are not stored": [paper.test_s40_a_new_set_replaces_the_old_one_whole],
    "backup codes come again": [paper.test_s41_codes_are_shown_once_and_then_only_counted],
    "freshness is not asked for": [paper.test_s42_new_codes_need_a_second_factor_that_is_fresh],
    "anybody gets new codes": [paper.test_s42_a_password_alone_makes_no_new_codes],
    "codes are lost": [paper.test_s43_wrong_codes_use_none_up],
    "codes are hashed without a salt": [
        paper.test_s44_neither_the_database_nor_the_logs_hold_a_code
    ],
    "a code is not told": [paper.test_s45_a_backup_code_is_a_second_factor_but_no_otp],
    "JSON is what Python takes": [
        chaired(
            http.test_s71_bytes_that_are_no_text_are_refused_in_the_envelope,
            name="invalid UTF-8 in a field",
        ),
        chaired(http.test_s72_deep_nesting_is_refused_and_kills_no_worker, name="60 000 brackets"),
        chaired(http.test_s73_numbers_that_are_none_are_refused, number="9" * 5000),
        asked(http.test_s74_a_name_that_stands_twice_is_refused_whichever_is_right),
    ],
    "a password ends at NUL": [
        partial(http.test_s75_any_character_of_a_password_counts, name="a NUL")
    ],
    "the log has the password": [asked(http.test_s75_what_is_sent_forges_no_log_line)],
    "every media type is JSON": [
        asked(
            http.test_s76_another_media_type_is_no_way_round_the_limits,
            content_type="text/plain",
        ),
        asked(http.test_s76_forms_and_xml_are_no_way_in),
    ],
    planted.BOUNDLESS: [
        judged(http.test_s77_a_flood_is_refused_before_it_is_read, name="a body of 1 MB")
    ],
    planted.TIGHT: [asked(http.test_s77_what_the_limits_allow_is_answered)],
    "a header makes another method": [
        chaired(http.test_s79_a_post_route_takes_post, method="PUT"),
        asked(http.test_s79_no_header_makes_another_method_of_a_post),
    ],
    "a token may stand in the query": [asked(http.test_s79_no_credential_is_taken_from_the_query)],
    "an error tells where it comes from": [
        asked(http.test_s80_no_error_tells_how_the_server_is_made)
    ],
    "everything may be stored": [asked(http.test_s81_what_carries_a_secret_is_not_stored)],
}
PAIRS = [(name, row) for name, rows in ROWS.items() for row in rows]

ALONE = {
    "test_s34_a_forged_address_buys_no_guess",
    "test_s36_codes_of_a_thousand_sets",
    "test_s80_a_fault_of_the_server_s_own_tells_nothing",
    "test_s80_closed_registration_tells_nothing_either",
}
"""A setting is the flaw (below), a long form, a flaw of its own, a setting of its own."""


def name_of(row: Row) -> str:
    return (row.func if isinstance(row, partial) else row).__name__


def test_every_row_has_a_flaw_and_every_flaw_a_row() -> None:
    rows = {
        name
        for module in (totp, guessing, paper, http)
        for name in vars(module)
        if name.startswith("test_s")
    }
    assert {name_of(row) for _, row in PAIRS} - {"withstood"} == rows - ALONE
    known = {name for name, *_ in planted.FLAWS} | {planted.LATE, planted.FORGETFUL}
    known |= {planted.BOUNDLESS, planted.TIGHT, STALE, *GUARDS, *flawed.FLAWS, flawed.ONE_SECRET}
    assert set(ROWS) <= known
    own = {name for name, *_ in planted.FLAWS if not name.startswith("a handler ")}
    assert own <= set(ROWS)


@pytest.fixture(
    scope="module", params=["sqlite-2", pytest.param("postgresql-2", marks=pytest.mark.full)]
)
def lame(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[House, Path]]:
    """Two workers with a flaw, and the file that names it."""
    folder = tmp_path_factory.mktemp(f"planted-{request.param}")
    bug = folder / "bug"
    bug.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sites, "PROGRAM", (sys.executable, "-m", "tests.security.planted"))
        with house_of(request.param, folder, PLANTED_BUG=str(bug)) as house:
            yield house, bug
            for log in {*house.logs} & {*LEDGER.files}:
                LEDGER.files.remove(log)  # a flaw may write what no server should


def carry_out(house: House, row: Row) -> None:
    house.heal()
    with closing(Site(house, ledger=Ledger())) as site:
        row(site)


@pytest.mark.parametrize(
    ("name", "row"), PAIRS, ids=lambda value: value if isinstance(value, str) else name_of(value)
)
def test_a_flaw_is_noticed(lame: tuple[House, Path], name: str, row: Row) -> None:
    house, bug = lame
    bug.write_text(name, encoding="utf-8")
    with pytest.raises(AssertionError):
        carry_out(house, row)


@pytest.mark.full
@pytest.mark.parametrize("row", [row for _, row in PAIRS], ids=name_of)
def test_without_a_flaw_the_row_passes_there(lame: tuple[House, Path], row: Row) -> None:
    """So that what is noticed above is the flaw, and not the way it is planted."""
    house, bug = lame
    bug.write_text("", encoding="utf-8")
    carry_out(house, row)


def test_a_server_that_believes_forwarding_headers_is_noticed(tmp_path: Path) -> None:
    settings = {"COUNTERSIGN_TRUSTED_PROXIES": "127.0.0.0/8"}
    with (
        house_of("sqlite-1", tmp_path, **settings) as house,
        closing(Site(house)) as site,
        pytest.raises(AssertionError),
    ):
        guessing.passwords_are_throttled(site, 50, guessing.forged)
