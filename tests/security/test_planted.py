"""The rows about guesses and spends against servers with a bug: each must notice its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.planted import GUARDS
from tests.security import planted, test_backup_codes, test_endurance, test_guessing, test_totp
from tests.security import site as sites
from tests.security.site import House, Site, house_of

ROW = Callable[[Site], None]

CATCHERS: dict[str, ROW] = {
    "a step is never spent": test_totp.test_s17_a_code_is_good_once,
    planted.LATE: test_guessing.bursts_keep_to_the_budget,
    planted.CHEAP: test_guessing.challenges_buy_no_guess,
    planted.ENDLESS: test_guessing.test_s28_wrong_codes_end_in_a_lock_that_only_recovery_opens,
    planted.FORGETFUL: test_endurance.test_of_2000_wrong_codes_fifty_in_a_row_are_looked_at,
    planted.CROSSED: test_guessing.test_s29_a_closed_authenticator_does_not_close_the_backup_codes,
    "a backup code is never spent": test_backup_codes.test_s37_a_backup_code_is_good_once,
    planted.BIASED: test_backup_codes.codes_are_even,
}
RACES: dict[str, ROW] = {
    "a step is never spent": test_totp.test_s19_twenty_at_once_with_one_code_make_one_session,
    "a backup code is never spent": test_backup_codes.test_s38_of_twenty_at_once_one_gets_in,
}


@dataclass
class Planted:
    """A house with a bug; ``plant`` says which, the empty text for none."""

    house: House
    bug: Path

    def guest(self) -> closing[Site]:
        return closing(Site(self.house))

    def plant(self, bug: str) -> None:
        self.bug.write_text(bug, encoding="utf-8")


@pytest.fixture(
    scope="module", params=["sqlite-2", pytest.param("postgresql-2", marks=pytest.mark.full)]
)
def lame(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Planted]:
    folder = tmp_path_factory.mktemp(f"planted-{request.param}")
    bug = folder / "bug"
    bug.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sites, "PROGRAM", (sys.executable, "-m", "tests.security.planted"))
        with house_of(request.param, folder, PLANTED_BUG=str(bug)) as house:
            yield Planted(house, bug)


@pytest.mark.parametrize("bug", CATCHERS)
def test_a_bug_is_noticed(lame: Planted, bug: str) -> None:
    lame.plant(bug)
    with lame.guest() as site, pytest.raises(AssertionError):
        CATCHERS[bug](site)


@pytest.mark.parametrize("bug", RACES)
def test_a_missing_guard_is_noticed_by_the_race(lame: Planted, bug: str) -> None:
    assert bug in GUARDS
    lame.plant(bug)
    with lame.guest() as site, pytest.raises(AssertionError):
        RACES[bug](site)


@pytest.mark.parametrize("bug", [planted.LATE, planted.ENDLESS])
def test_a_siege_notices_what_is_looked_at_too_often(lame: Planted, bug: str) -> None:
    lame.plant(bug)
    with lame.guest() as site, pytest.raises(AssertionError):
        test_endurance.withstood(site, 1000)


def test_the_planted_server_is_sound_where_nothing_is_planted(lame: Planted) -> None:
    """So that what is noticed above is the bug, and not the way it is planted."""
    lame.plant("")
    for row in {*CATCHERS.values(), *RACES.values()}:
        with lame.guest() as site:
            row(site)


@pytest.mark.parametrize("name", ["sqlite-1"])
def test_a_server_that_believes_forwarding_headers_is_noticed(name: str, tmp_path: Path) -> None:
    settings = {"COUNTERSIGN_TRUSTED_PROXIES": "127.0.0.0/8"}
    with (
        house_of(name, tmp_path, **settings) as house,
        closing(Site(house)) as site,
        pytest.raises(AssertionError),
    ):
        test_guessing.passwords_are_throttled(site, 50, test_guessing.forged)
