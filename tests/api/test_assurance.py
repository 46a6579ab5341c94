"""How well and how recently a session was proven, where that matters (RFC 9470)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.api.calls import fresh_password, refresh
from tests.support.accounts import Account, ok
from tests.support.api import Reply
from tests.support.world import World

MAX_AGE = 600

Act = Callable[[Account], Reply]


def set_up(account: Account) -> Reply:
    return account.post("/mfa/setup")


def regenerate(account: Account) -> Reply:
    return account.post("/mfa/backup-codes/regenerate")


def change_password(account: Account) -> Reply:
    body = {"current_password": account.password, "new_password": fresh_password()}
    return account.post("/auth/password", json=body)


def insufficient(reply: Reply, level: str) -> None:
    assert (reply.status, reply.code) == (401, "insufficient_user_authentication"), reply.content
    assert reply.headers["WWW-Authenticate"] == (
        'Bearer error="insufficient_user_authentication", '
        'error_description="A more recent or stronger authentication is required", '
        f'acr_values="{level}", max_age="{MAX_AGE}"'
    )


HIGHEST = [set_up, change_password]
EVERY = [*HIGHEST, regenerate]


@pytest.mark.parametrize("act", HIGHEST)
def test_without_mfa_a_password_of_ten_minutes_ago_is_enough_and_no_older_one(
    world: World, user: Account, act: Act
) -> None:
    other = world.account().sign_in()
    world.clock.advance(seconds=MAX_AGE)
    ok(act(user))
    world.clock.advance(seconds=1)
    insufficient(act(other), "aal1")


@pytest.mark.parametrize("act", EVERY)
def test_with_mfa_a_second_factor_of_ten_minutes_ago_is_enough_and_no_older_one(
    world: World, act: Act
) -> None:
    first, second = (world.account().sign_in().enrol() for _ in range(2))
    world.clock.advance(seconds=MAX_AGE)
    ok(act(refresh(first)))
    world.clock.advance(seconds=1)
    insufficient(act(refresh(second)), "aal2")


@pytest.mark.parametrize("act", EVERY)
def test_a_refresh_makes_no_authentication_younger(world: World, member: Account, act: Act) -> None:
    world.clock.advance(seconds=MAX_AGE + 1)
    insufficient(act(refresh(member)), "aal2")


@pytest.mark.parametrize("act", EVERY)
def test_a_step_up_makes_the_second_factor_recent_again(
    world: World, member: Account, act: Act
) -> None:
    world.clock.advance(seconds=MAX_AGE + 1)
    ok(act(refresh(member).step_up()))


@pytest.mark.parametrize("act", EVERY)
def test_a_backup_code_in_the_session_makes_the_second_factor_recent_again(
    world: World, member: Account, act: Act
) -> None:
    world.clock.advance(seconds=MAX_AGE + 1)
    refresh(member)
    ok(member.post("/mfa/backup-codes/verify", json={"code": member.backup_codes.pop()}))
    ok(act(member))


def test_an_account_without_mfa_can_never_regenerate_backup_codes(user: Account) -> None:
    insufficient(regenerate(user), "aal2")


def test_a_session_proven_by_a_backup_code_is_aal2(member: Account) -> None:
    member.sign_in_with_backup_code()
    ok(regenerate(member))


def test_a_new_password_sign_in_does_not_pass_for_a_second_factor(
    world: World, member: Account
) -> None:
    """After the session's second factor has aged, a challenge alone changes nothing."""
    world.clock.advance(seconds=MAX_AGE + 1)
    refresh(member)
    member.another_device().begin()
    ok(member.post("/auth/challenge"))
    insufficient(set_up(member), "aal2")


def test_what_asks_for_no_assurance_is_open_to_an_old_session(
    world: World, member: Account
) -> None:
    world.clock.advance(minutes=50)
    refresh(member)
    for path in ("/mfa/status", "/auth/session", "/auth/sessions"):
        ok(member.get(path))


def test_after_disable_the_session_is_aal1_and_measured_by_its_password(
    world: World, member: Account
) -> None:
    world.clock.advance(seconds=MAX_AGE + 1)
    refresh(member).step_up()
    body = {"password": member.password, "code": member.backup_codes.pop()}
    ok(member.post("/mfa/disable", json=body))
    insufficient(set_up(member), "aal1")
    insufficient(regenerate(member), "aal2")
    ok(set_up(member.sign_in()))


def test_a_refused_act_changes_nothing(world: World, member: Account) -> None:
    world.clock.advance(seconds=MAX_AGE + 1)
    refresh(member)
    for act in EVERY:
        insufficient(act(member), "aal2")
    assert member.status()["pending"] is False
    member.sign_in_with_backup_code()
    member.sign_in()
