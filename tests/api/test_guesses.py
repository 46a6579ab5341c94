"""Guess budgets: what a guess costs, who pays for it, and what opens a budget again."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator

import pytest

from domain import accounts
from tests.api import faults
from tests.api.calls import fresh_password, refresh
from tests.domain.world import a_trail
from tests.support.accounts import Account, ok
from tests.support.api import Api, Reply
from tests.support.doors import (
    at_backup_codes,
    at_disable,
    at_login,
    at_step_up,
    wrong_backup_code,
)
from tests.support.world import World

FREE, LOCK = 5, 50
PASSWORD_FREE, ACCOUNT_FREE = 10, 100
TOTP, BACKUP, PASSWORD = "totp", "backup-code", "password"
_addresses = (f"198.51.{a}.{b}" for a in range(100, 256) for b in range(256))


def address() -> str:
    return next(_addresses)


def refused(reply: Reply, budget: str, seconds: int) -> None:
    """429 that names the budget, what is left of it and when to come back."""
    quota = {TOTP: FREE, BACKUP: FREE, PASSWORD: PASSWORD_FREE}[budget]
    assert reply.status == 429, reply.content
    assert reply.code == "too_many_attempts"
    assert reply.headers["Retry-After"] == str(seconds)
    assert reply.headers["RateLimit"] == f'"{budget}";r=0;t={seconds}'
    assert reply.headers["RateLimit-Policy"] == f'"{budget}";q={quota}'


def wrong(reply: Reply, code: str = "invalid_code") -> None:
    assert (reply.status, reply.code) == (401, code), reply.content


def close(account: Account, budget: str = TOTP) -> None:
    """Use the free guesses up."""
    for _ in range(FREE):
        code = account.wrong_code() if budget == TOTP else wrong_backup_code()
        wrong(at_login(account, code))


def guess_on(account: Account, times: int) -> None:
    """Send wrong TOTP codes, waiting out every delay."""
    for _ in range(times):
        reply = at_login(account, account.wrong_code())
        if reply.status == 429:
            account.clock.advance(seconds=int(reply.headers["Retry-After"]))
            reply = at_login(account, account.wrong_code())
        wrong(reply)


def nearly_lock(world: World, account: Account) -> None:
    """As after 49 wrong codes; the walk there is another test's business."""
    close(account)
    wind = "UPDATE budgets SET count = ? WHERE key = ?"
    assert faults.change(world, wind, LOCK - 1, f"totp:{account.user_id}") == 1


def lock(world: World, account: Account) -> None:
    """The fiftieth wrong code in a row."""
    nearly_lock(world, account)
    guess_on(account, 1)


# -- the free guesses and the delays ---------------------------------------------------------


def test_five_wrong_codes_are_free_and_then_the_right_one_waits_30_seconds(
    world: World, member: Account
) -> None:
    close(member)
    refused(at_login(member, member.code()), TOTP, 30)
    world.clock.advance(seconds=29.5)
    refused(at_login(member, member.code()), TOTP, 1)
    world.clock.advance(seconds=0.5)
    ok(at_login(member, member.code()))


def test_the_delay_doubles_up_to_an_hour(world: World, member: Account) -> None:
    close(member)
    for seconds in (30, 60, 120, 240, 480, 960, 1920, 3600, 3600):
        refused(at_login(member, member.wrong_code()), TOTP, seconds)
        world.clock.advance(seconds=seconds)
        wrong(at_login(member, member.wrong_code()))


def test_a_refused_guess_costs_nothing(world: World, member: Account) -> None:
    close(member)
    for _ in range(10):
        refused(at_login(member, member.wrong_code()), TOTP, 30)
    world.clock.advance(seconds=30)
    ok(at_login(member, member.code()))


def test_a_success_gives_the_free_guesses_back(world: World, member: Account) -> None:
    for _ in range(2):
        for _ in range(FREE - 1):
            wrong(at_login(member, member.wrong_code()))
        ok(at_login(member, member.code()))


def test_backup_codes_have_a_budget_of_their_own_that_never_locks(
    world: World, member: Account
) -> None:
    close(member, BACKUP)
    wind = "UPDATE budgets SET count = ? WHERE key = ?"
    assert faults.change(world, wind, 10 * LOCK, f"backup-code:{member.user_id}") == 1
    refused(at_login(member, member.backup_codes[0]), BACKUP, 3600)
    ok(at_login(member, member.code()))
    world.clock.advance(hours=1)
    ok(at_login(member, member.backup_codes[0]))


# -- one budget for every way in -------------------------------------------------------------


def test_the_totp_budget_is_shared_by_login_step_up_and_disable(
    world: World, member: Account
) -> None:
    for guess in (at_login, at_step_up, at_login, at_step_up):
        wrong(guess(member, member.wrong_code()))
    wrong(at_disable(member, member.wrong_code()), "invalid_credentials")
    right = member.code()
    for guess in (at_login, at_step_up, at_disable):
        refused(guess(member, right), TOTP, 30)


def test_the_backup_code_budget_is_shared_by_all_four(world: World, member: Account) -> None:
    for guess in (at_login, at_step_up, at_backup_codes, at_backup_codes):
        wrong(guess(member, wrong_backup_code()))
    wrong(at_disable(member, wrong_backup_code()), "invalid_credentials")
    for guess in (at_login, at_step_up, at_backup_codes, at_disable):
        refused(guess(member, member.backup_codes[0]), BACKUP, 30)


def test_neither_another_device_nor_another_address_buys_a_guess(
    world: World, member: Account
) -> None:
    close(member)
    other = member.another_device()
    other.api = world.api_from(address())
    refused(at_login(other, other.code()), TOTP, 30)


def test_a_forged_address_buys_no_guess(world: World, user: Account) -> None:
    body = {"username": user.username, "password": "x"}
    for number in range(PASSWORD_FREE):
        forged = dict.fromkeys(("X-Forwarded-For", "X-Real-IP"), f"203.0.113.{number}")
        forged["Forwarded"] = f"for=203.0.113.{number}"
        reply = world.api.post("/auth/login", json=body, headers=forged)
        wrong(reply, "invalid_credentials")
    reply = world.api.post("/auth/login", json=body, headers={"X-Forwarded-For": "203.0.113.99"})
    refused(reply, PASSWORD, 30)


def test_enrolment_codes_never_touch_the_logins_budget(world: World, member: Account) -> None:
    """A stolen session must not be able to close the owner's way in."""
    member.set_up()
    for _ in range(FREE):
        wrong(member.post("/mfa/verify", json={"code": member.wrong_code()}))
    ok(at_login(member, member.code()))


def test_a_text_of_neither_shape_is_refused_and_charges_nothing(
    world: World, member: Account
) -> None:
    shapeless = ["1234567", "12345678", "AAAA-BBBB-CCCC", "AAAA-BBBB-CCCC-DDDU", "abcdef", "- - - "]
    for text in shapeless:
        wrong(at_login(member, text))
        wrong(at_step_up(member, text))
        wrong(at_backup_codes(member, text))
        wrong(at_disable(member, text), "invalid_credentials")
    ok(at_login(member, member.code()))
    ok(at_login(member, member.backup_codes[0]))


def test_a_totp_code_is_not_taken_for_a_backup_code(world: World, member: Account) -> None:
    for _ in range(2 * FREE):
        wrong(at_backup_codes(member, member.wrong_code()))
    ok(at_login(member, member.code()))


# -- the challenge's own count ---------------------------------------------------------------


def test_a_closed_budget_is_seen_before_the_challenges_own_count(
    world: World, member: Account
) -> None:
    challenge = member.begin()["challenge_id"]
    for _ in range(FREE):
        wrong(member.finish(challenge, member.wrong_code()))
    refused(member.finish(challenge, member.code()), TOTP, 30)
    world.clock.advance(seconds=30)
    wrong(member.finish(challenge, member.code()), "invalid_challenge")
    ok(at_login(member, member.code()))


def test_a_dead_challenge_charges_no_budget(world: World, member: Account) -> None:
    challenge = member.begin()["challenge_id"]
    ok(member.finish(challenge, member.code()))
    for _ in range(2 * FREE):
        wrong(member.finish(challenge, member.wrong_code()), "invalid_challenge")
    ok(at_login(member, member.code()))


def test_wrong_codes_of_both_kinds_count_on_one_challenge(world: World, member: Account) -> None:
    challenge = member.begin()["challenge_id"]
    for _ in range(3):
        wrong(member.finish(challenge, member.wrong_code()))
    for _ in range(2):
        wrong(member.finish(challenge, wrong_backup_code()))
    wrong(member.finish(challenge, member.code()), "invalid_challenge")


# -- the lock --------------------------------------------------------------------------------


@pytest.fixture
def locked(world: World) -> Account:
    account = world.account().sign_in().enrol()
    lock(world, account)
    return account


def test_fifty_wrong_codes_in_a_row_lock_the_authenticator_for_good(
    world: World, member: Account
) -> None:
    guess_on(member, LOCK)
    for _ in range(2):
        reply = at_login(member, member.code())
        wrong(reply, "factor_locked")
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        world.clock.advance(days=30)


def test_a_backup_code_opens_a_locked_authenticator(world: World, locked: Account) -> None:
    locked.sign_in_with_backup_code()
    close(locked)
    refused(at_login(locked, locked.code()), TOTP, 30)


def test_a_backup_code_in_a_session_opens_a_locked_authenticator(
    world: World, member: Account
) -> None:
    lock_with_a_session(world, member)
    ok(at_backup_codes(member, member.backup_codes.pop()))
    ok(at_step_up(member, member.code()))


def lock_with_a_session(world: World, account: Account) -> None:
    """A sign-in with a backup code leaves 49 failures; the session outlives the next delay."""
    nearly_lock(world, account)
    account.sign_in_with_backup_code()
    for _ in range(2):
        world.clock.advance(minutes=30)
        refresh(account)
    wrong(at_login(account, account.wrong_code()))
    wrong(at_step_up(account, account.code()), "factor_locked")


def test_disable_refuses_a_locked_authenticator_and_takes_a_backup_code(
    world: World, member: Account
) -> None:
    lock_with_a_session(world, member)
    wrong(at_disable(member, member.code()), "factor_locked")
    ok(at_disable(member, member.backup_codes.pop()))


def test_an_administrator_opens_a_locked_authenticator(world: World, locked: Account) -> None:
    accounts.reset_mfa(world.services, a_trail(), locked.username)
    locked.sign_in().enrol()
    ok(at_login(locked, locked.code()))


@pytest.mark.parametrize("guess", [at_login, at_step_up, at_backup_codes])
def test_a_backup_code_shortens_no_delay(
    world: World, member: Account, guess: Callable[[Account, str], Reply]
) -> None:
    close(member)
    ok(guess(member, member.backup_codes.pop()))
    refused(at_login(member, member.code()), TOTP, 30)


def test_neither_delay_nor_lock_of_the_authenticator_blocks_backup_codes(
    world: World, member: Account
) -> None:
    close(member)
    ok(at_login(member, member.backup_codes.pop()))
    world.clock.advance(seconds=30)
    ok(at_login(member, member.code()))
    lock(world, member)
    ok(at_login(member, member.backup_codes.pop()))


# -- disable ---------------------------------------------------------------------------------


def test_disable_looks_at_nothing_while_the_passwords_budget_is_closed(
    world: World, member: Account
) -> None:
    for _ in range(PASSWORD_FREE):
        reply = member.post("/mfa/disable", json={"password": "x", "code": member.wrong_code()})
        wrong(reply, "invalid_credentials")
    refused(at_disable(member, member.code()), PASSWORD, 30)
    # The password was wrong each time, so no code was ever looked at or paid for.
    world.clock.advance(seconds=30)
    ok(at_disable(member, member.code()))


def test_disable_looks_at_no_password_while_the_codes_budget_is_closed(
    world: World, member: Account
) -> None:
    close(member)
    for _ in range(2 * PASSWORD_FREE):
        body = {"password": "x", "code": member.wrong_code()}
        refused(member.post("/mfa/disable", json=body), TOTP, 30)
    member.begin()


def test_disable_is_open_to_the_factor_whose_budget_is_open(world: World, member: Account) -> None:
    close(member)
    ok(at_disable(member, member.backup_codes[0]))


def test_at_disable_a_right_password_clears_its_budget_though_the_code_was_wrong(
    world: World, member: Account
) -> None:
    for _ in range(PASSWORD_FREE - 1):
        body = {"password": "x", "code": member.wrong_code()}
        wrong(member.post("/mfa/disable", json=body), "invalid_credentials")
    wrong(at_disable(member, member.wrong_code()), "invalid_credentials")
    body = {"password": "x", "code": member.wrong_code()}
    wrong(member.post("/mfa/disable", json=body), "invalid_credentials")


# -- passwords -------------------------------------------------------------------------------


def try_password(api: Api, username: str, password: str | None = None) -> Reply:
    body = {"username": username, "password": password or fresh_password()}
    return api.post("/auth/login", json=body)


def test_ten_wrong_passwords_are_free_and_then_the_right_one_waits(
    world: World, user: Account
) -> None:
    stranger = world.api_from(address())
    for _ in range(PASSWORD_FREE):
        wrong(try_password(stranger, user.username), "invalid_credentials")
    refused(try_password(stranger, user.username, user.password), PASSWORD, 30)
    world.clock.advance(seconds=30)
    ok(try_password(stranger, user.username, user.password))


def test_the_passwords_delay_doubles_up_to_a_quarter_of_an_hour(
    world: World, user: Account
) -> None:
    assert list(delays(world, user.username, 7)) == [30, 60, 120, 240, 480, 900, 900]


def delays(world: World, username: str, rounds: int) -> Iterator[int]:
    """The delays that wrong passwords from one strange address earn, one after the other."""
    stranger = world.api_from(address())
    for _ in range(PASSWORD_FREE):
        wrong(try_password(stranger, username), "invalid_credentials")
    for _ in range(rounds):
        reply = try_password(stranger, username)
        seconds = int(reply.headers["Retry-After"])
        refused(reply, PASSWORD, seconds)
        world.clock.advance(seconds=seconds)
        wrong(try_password(stranger, username), "invalid_credentials")
        yield seconds


def test_an_unknown_name_is_treated_alike(world: World) -> None:
    assert list(delays(world, f"nobody.{secrets.token_hex(4)}", 3)) == [30, 60, 120]


def test_the_names_spelling_buys_no_guess(world: World, user: Account) -> None:
    stranger = world.api_from(address())
    spellings = itertools.cycle([user.username, user.username.upper(), user.username.title()])
    for _, name in zip(range(PASSWORD_FREE), spellings, strict=False):
        wrong(try_password(stranger, name), "invalid_credentials")
    refused(try_password(stranger, user.username), PASSWORD, 30)


def test_an_address_that_the_account_knows_never_waits_longer_than_30_seconds(
    world: World, user: Account
) -> None:
    for _ in range(PASSWORD_FREE):
        wrong(try_password(world.api, user.username), "invalid_credentials")
    for _ in range(4):
        refused(try_password(world.api, user.username), PASSWORD, 30)
        world.clock.advance(seconds=30)
        wrong(try_password(world.api, user.username), "invalid_credentials")
    world.clock.advance(seconds=30)
    user.sign_in()


def test_budgets_of_addresses_are_apart(world: World, user: Account) -> None:
    stranger = world.api_from(address())
    for _ in range(PASSWORD_FREE):
        try_password(stranger, user.username)
    assert try_password(stranger, user.username).status == 429
    user.sign_in()


def test_the_accounts_ceiling_holds_over_all_addresses_and_spares_the_owner(
    world: World, user: Account
) -> None:
    for _ in range(ACCOUNT_FREE // PASSWORD_FREE):
        stranger = world.api_from(address())
        for _ in range(PASSWORD_FREE):
            wrong(try_password(stranger, user.username), "invalid_credentials")
    late = world.api_from(address())
    reply = try_password(late, user.username)
    assert (reply.status, reply.headers["Retry-After"]) == (429, "30")
    assert try_password(world.api, user.username, user.password).status == 429
    world.clock.advance(seconds=30)
    user.sign_in()


def test_the_ipv6_network_of_a_customer_is_one_address(world: World, user: Account) -> None:
    for host in range(PASSWORD_FREE):
        guess = try_password(world.api_from(f"2001:db8:7:7::{host + 1:x}"), user.username)
        wrong(guess, "invalid_credentials")
    refused(try_password(world.api_from("2001:db8:7:7:8::1"), user.username), PASSWORD, 30)
    wrong(try_password(world.api_from("2001:db8:7:8::1"), user.username), "invalid_credentials")


def test_login_change_and_disable_share_the_passwords_budget(world: World, member: Account) -> None:
    new = fresh_password()
    for _ in range(4):
        wrong(try_password(member.api, member.username), "invalid_credentials")
    for _ in range(3):
        body = {"current_password": "x", "new_password": new}
        wrong(member.post("/auth/password", json=body), "invalid_credentials")
    for _ in range(3):
        body = {"password": "x", "code": member.wrong_code()}
        wrong(member.post("/mfa/disable", json=body), "invalid_credentials")
    refused(try_password(member.api, member.username, member.password), PASSWORD, 30)
    body = {"current_password": member.password, "new_password": new}
    refused(member.post("/auth/password", json=body), PASSWORD, 30)
    refused(at_disable(member, member.code()), PASSWORD, 30)


def test_who_does_not_know_the_password_never_touches_the_second_factor(
    world: World, member: Account
) -> None:
    for _ in range(3):
        stranger = world.api_from(address())
        for _ in range(PASSWORD_FREE + 1):
            try_password(stranger, member.username)
    member.sign_in()
    member.sign_in_with_backup_code()


def test_another_accounts_password_is_unaffected(world: World, user: Account) -> None:
    neighbour = world.account()
    stranger = world.api_from(address())
    for _ in range(PASSWORD_FREE + 1):
        try_password(stranger, user.username)
    ok(try_password(stranger, neighbour.username, neighbour.password))
