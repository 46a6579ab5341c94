"""Enrolment, rotation, removal and backup codes, as a client meets them."""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.api import faults
from tests.api.calls import fresh_password, refresh
from tests.api.test_auth import TIME, dead, envelope, refused
from tests.support.accounts import Account, ok
from tests.support.api import Reply
from tests.support.authenticator import Authenticator
from tests.support.world import World

SETUP = {
    *("secret", "otpauth_uri", "qr_code", "backup_codes", "expires_in"),
    *("algorithm", "digits", "period"),
}
STATUS = {
    *("enabled", "pending", "enabled_at", "last_used_at"),
    *("backup_codes_remaining", "backup_codes_total", "backup_codes_low"),
}
BACKUP_CODE = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}")
OFF = {
    "enabled": False,
    "pending": False,
    "enabled_at": None,
    "last_used_at": None,
    "backup_codes_remaining": 0,
    "backup_codes_total": 0,
    "backup_codes_low": False,
}


def verify(account: Account, code: str) -> Reply:
    return account.post("/mfa/verify", json={"code": code})


def spend(account: Account, code: str) -> Reply:
    return account.post("/mfa/backup-codes/verify", json={"code": code})


def disable(account: Account, password: str, code: str) -> Reply:
    return account.post("/mfa/disable", json={"password": password, "code": code})


def current(account: Account, setup: Any) -> str:
    return Authenticator(setup["secret"]).code(account.clock.now())


def mistaken(account: Account, setup: Any) -> str:
    return Authenticator(setup["secret"]).wrong(account.clock.now())


# -- setup -----------------------------------------------------------------------------------


def test_a_setup_shows_everything_that_an_authenticator_needs(user: Account) -> None:
    reply = ok(user.post("/mfa/setup"))
    envelope(reply, data=True)
    data = reply.data
    assert set(data) == SETUP
    assert len(base64.b32decode(data["secret"])) == 20
    assert (data["algorithm"], data["digits"], data["period"]) == ("SHA1", 6, 30)
    assert data["expires_in"] == 600
    assert base64.b64decode(data["qr_code"].partition(",")[2]).startswith(b"\x89PNG\r\n")
    assert data["qr_code"].startswith("data:image/png;base64,")


def test_the_uri_says_what_the_reply_says(world: World) -> None:
    account = world.account(username=f"ann.o'neil+x@exämple.org{id(world)}").sign_in()
    data = account.set_up()
    uri = urlsplit(data["otpauth_uri"])
    query = {name: value for name, (value,) in parse_qs(uri.query).items()}
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert unquote(uri.path) == f"/Countersign:{account.username}"
    assert query == {
        "secret": data["secret"],
        "issuer": "Countersign",
        "algorithm": "SHA1",
        "digits": "6",
        "period": "30",
    }


def test_a_set_is_ten_different_codes_in_the_form_of_the_spec(user: Account) -> None:
    codes = user.set_up()["backup_codes"]
    assert len(set(codes)) == len(codes) == 10
    assert all(BACKUP_CODE.fullmatch(code) for code in codes)


def test_a_setup_is_pending_and_changes_nothing_else(user: Account) -> None:
    codes = user.set_up()["backup_codes"]
    assert user.status() == OFF | {"pending": True}
    assert user.get("/auth/session").data["acr"] == "aal1"
    refused(spend(user, codes[0]), 409, "mfa_not_enabled")
    assert "access_token" in user.begin()


def test_a_second_setup_takes_the_place_of_the_first(user: Account) -> None:
    first, second = user.set_up(), user.set_up()
    assert first["secret"] != second["secret"]
    assert not set(first["backup_codes"]) & set(second["backup_codes"])
    refused(verify(user, current(user, first)), 401, "invalid_code")
    ok(verify(user, current(user, second)))


# -- verify ----------------------------------------------------------------------------------


def test_a_verified_setup_turns_mfa_on_for_this_session_too(world: World, user: Account) -> None:
    setup = user.set_up()
    envelope(ok(verify(user, current(user, setup))), data=False)
    session = user.get("/auth/session").data
    assert (session["acr"], session["amr"]) == ("aal2", ["pwd", "otp", "mfa"])
    assert datetime.fromisoformat(session["mfa_time"]) == world.clock.now()
    status = user.status()
    assert set(status) == STATUS
    assert (status["enabled"], status["pending"]) == (True, False)
    assert datetime.fromisoformat(status["enabled_at"]) == world.clock.now()
    assert TIME.fullmatch(status["enabled_at"])
    assert TIME.fullmatch(status["last_used_at"])
    assert (status["backup_codes_remaining"], status["backup_codes_total"]) == (10, 10)
    assert status["backup_codes_low"] is False


def test_a_wrong_code_leaves_mfa_off_and_the_enrolment_open(user: Account) -> None:
    setup = user.set_up()
    reply = refused(verify(user, mistaken(user, setup)), 401, "invalid_code")
    authenticate = reply.headers["WWW-Authenticate"]
    assert authenticate.startswith('Bearer error="insufficient_user_authentication"')
    assert user.status() == OFF | {"pending": True}
    ok(verify(user, current(user, setup)))


def test_the_enrolment_code_is_spent(world: World, user: Account) -> None:
    setup = user.set_up()
    code = current(user, setup)
    ok(verify(user, code))
    reply = user.finish(user.begin()["challenge_id"], code)
    refused(reply, 401, "invalid_code")


@pytest.mark.parametrize("steps", [-1, 1])
def test_one_time_step_each_way_is_accepted(user: Account, steps: int) -> None:
    phone = Authenticator(user.set_up()["secret"])
    ok(verify(user, phone.code(user.clock.now(), steps)))


@pytest.mark.parametrize("steps", [-2, 2])
def test_a_code_of_two_time_steps_away_is_not_accepted(user: Account, steps: int) -> None:
    phone = Authenticator(user.set_up()["secret"])
    refused(verify(user, phone.code(user.clock.now(), steps)), 401, "invalid_code")


def test_five_wrong_codes_end_the_enrolment(user: Account) -> None:
    setup = user.set_up()
    for _ in range(5):
        refused(verify(user, mistaken(user, setup)), 401, "invalid_code")
    refused(verify(user, current(user, setup)), 409, "no_pending_enrollment")
    ok(verify(user, current(user, user.set_up())))


def test_the_fifth_code_may_be_the_right_one(user: Account) -> None:
    setup = user.set_up()
    for _ in range(4):
        refused(verify(user, mistaken(user, setup)), 401, "invalid_code")
    ok(verify(user, current(user, setup)))


def test_an_enrolment_lives_ten_minutes(world: World, user: Account) -> None:
    other = world.account().sign_in()
    setups = user.set_up(), other.set_up()
    world.clock.advance(seconds=599)
    ok(verify(user, current(user, setups[0])))
    world.clock.advance(seconds=1)
    refused(verify(other, current(other, setups[1])), 409, "no_pending_enrollment")
    assert other.status() == OFF


def test_without_a_setup_there_is_nothing_to_verify(user: Account, member: Account) -> None:
    for account in (user, member):
        refused(verify(account, "000000"), 409, "no_pending_enrollment")


CODES = [
    "12345",
    "1234567",
    " 123456",
    "123 456",
    "123456\n",
    "abcdef",
    "",
    "１２３４５６",
    "٤٩٢٠٣٩",
]


@pytest.mark.parametrize("code", [*CODES, 492039, None, ["492039"], {"$ne": "1"}, True])
def test_a_code_is_strictly_six_digits(user: Account, code: Any) -> None:
    setup = user.set_up()
    reply = user.post("/mfa/verify", json={"code": code})
    refused(reply, 400, "invalid_request")
    assert {d["pointer"] for d in reply.json["error"]["details"]} == {"/code"}
    ok(verify(user, current(user, setup)))


def test_turning_mfa_on_ends_the_other_sessions(user: Account) -> None:
    other = user.another_device().sign_in()
    user.enrol()
    dead(other)
    ok(user.get("/auth/session"))
    refresh(user)


# -- rotation --------------------------------------------------------------------------------


def test_the_old_factor_stays_in_force_until_the_new_one_is_proven(
    world: World, member: Account
) -> None:
    old_codes = list(member.backup_codes)
    setup = member.set_up()
    assert member.status()["pending"] is True
    refused(
        member.finish(member.begin()["challenge_id"], current(member, setup)), 401, "invalid_code"
    )
    reply = member.finish(member.begin()["challenge_id"], setup["backup_codes"][0])
    refused(reply, 401, "invalid_code")
    ok(member.finish(member.begin()["challenge_id"], member.code()))
    ok(spend(member, old_codes[0]))


def test_after_a_rotation_only_the_new_factor_is_good(world: World, member: Account) -> None:
    old_phone, old_codes = member.phone, list(member.backup_codes)
    other = member.another_device().sign_in()
    challenge = member.begin()["challenge_id"]
    member.enrol()
    assert old_phone is not None
    dead(other)
    refused(member.finish(challenge, member.backup_codes[0]), 401, "invalid_challenge")
    world.clock.advance(seconds=60)
    for code in (old_phone.code(world.clock.now()), old_codes[0], old_codes[9]):
        reply = member.finish(member.begin()["challenge_id"], code)
        refused(reply, 401, "invalid_code")
    assert member.status()["backup_codes_remaining"] == 10
    member.sign_in()
    member.sign_in_with_backup_code()


def test_a_rotation_that_is_given_up_changes_nothing(world: World, member: Account) -> None:
    member.set_up()
    world.clock.advance(seconds=601)
    refresh(member)
    assert (member.status()["enabled"], member.status()["pending"]) == (True, False)
    member.sign_in()
    member.sign_in_with_backup_code()


# -- TOTP codes ------------------------------------------------------------------------------


def test_a_code_is_good_once_and_none_older_is_after_it(world: World, member: Account) -> None:
    phone = member.phone
    assert phone is not None
    world.clock.advance(seconds=120)
    now = world.clock.now()
    ok(member.finish(member.begin()["challenge_id"], phone.code(now)))
    for steps in (0, -1):
        reply = member.finish(member.begin()["challenge_id"], phone.code(now, steps))
        refused(reply, 401, "invalid_code")
    ok(member.finish(member.begin()["challenge_id"], phone.code(now, 1)))
    refused(member.finish(member.begin()["challenge_id"], phone.code(now, 1)), 401, "invalid_code")


def test_a_spent_code_is_spent_at_login_step_up_and_disable(member: Account) -> None:
    code = member.code()
    ok(member.finish(member.begin()["challenge_id"], code))
    step_up = ok(member.post("/auth/challenge")).data["challenge_id"]
    refused(member.finish(step_up, code, member.token), 401, "invalid_code")
    refused(disable(member, member.password, code), 401, "invalid_credentials")
    assert member.status()["enabled"] is True


@pytest.mark.parametrize("zeros", ["0", "00"])
def test_a_code_with_leading_zeros_is_good_as_it_is_written(world: World, zeros: str) -> None:
    member = world.account().sign_in().enrol()
    phone = member.phone
    assert phone is not None
    world.clock.advance(seconds=30)  # the present step is spent
    while not phone.code(world.clock.now()).startswith(zeros):
        world.clock.advance(seconds=30)
    code = phone.code(world.clock.now())
    challenge = member.begin()["challenge_id"]
    refused(member.finish(challenge, code.lstrip("0").rjust(6)), 401, "invalid_code")
    ok(member.finish(challenge, code))


def test_only_the_servers_clock_counts(world: World, member: Account) -> None:
    phone = member.phone
    assert phone is not None
    world.clock.advance(minutes=20)
    body = {
        "challenge_id": member.begin()["challenge_id"],
        "mfa_code": phone.code(world.clock.now(), -20),
    }
    headers = {"Date": "Tue, 24 Nov 2026 09:00:00 GMT"}
    refused(member.api.post("/auth/login", json=body, headers=headers), 401, "invalid_code")


# -- disable ---------------------------------------------------------------------------------


def test_without_mfa_there_is_nothing_to_disable(user: Account) -> None:
    refused(disable(user, user.password, "000000"), 409, "mfa_not_enabled")


@pytest.mark.parametrize("kind", ["totp", "backup code"])
def test_disable_takes_the_password_and_a_factor_and_leaves_nothing(
    world: World, member: Account, kind: str
) -> None:
    other = member.another_device().sign_in()
    member.set_up()
    challenge = member.begin()["challenge_id"]
    code = member.code() if kind == "totp" else member.backup_codes[0]
    envelope(ok(disable(member, member.password, code)), data=False)
    assert member.status() == OFF
    session = member.get("/auth/session").data
    assert (session["acr"], session["amr"], session["mfa_time"]) == ("aal1", ["pwd"], None)
    dead(other)
    refused(member.finish(challenge, member.backup_codes[1]), 401, "invalid_challenge")
    refused(verify(member, "000000"), 409, "no_pending_enrollment")
    assert "access_token" in member.begin()
    for table in ("factors", "challenges"):
        count = f"UPDATE {table} SET user_id = user_id WHERE user_id = ?"
        assert faults.change(world, count, member.user_id) == 0


def test_disable_has_one_answer_whichever_part_was_wrong(member: Account) -> None:
    replies = [
        disable(member, fresh_password(), member.code()),
        disable(member, member.password, member.wrong_code()),
        disable(member, fresh_password(), member.wrong_code()),
        disable(member, member.password, "0000-0000-0000-0000"),
        disable(member, member.password, "no shape at all"),
    ]
    for reply in replies:
        refused(reply, 401, "invalid_credentials")
        authenticate = reply.headers["WWW-Authenticate"]
        assert authenticate.startswith('Bearer error="insufficient_user_authentication"')
    assert len({reply.json["message"] for reply in replies}) == 1
    assert member.status()["enabled"] is True


def test_a_code_that_was_not_looked_at_is_not_spent(member: Account) -> None:
    code, backup = member.code(), member.backup_codes[0]
    for each in (code, backup):
        refused(disable(member, fresh_password(), each), 401, "invalid_credentials")
    ok(spend(member, backup))
    ok(disable(member, member.password, code))


ONE_FACTOR: list[Any] = [{}, None, {"password": "x" * 8}, {"code": "492039"}]


@pytest.mark.parametrize("body", ONE_FACTOR, ids=["nothing", "null", "password", "code"])
def test_one_factor_alone_is_no_request(member: Account, body: Any) -> None:
    content = b"null" if body is None else None
    headers = {"Content-Type": "application/json"} if body is None else None
    reply = member.post("/mfa/disable", json=body, content=content, headers=headers)
    refused(reply, 400, "invalid_request")
    assert member.status()["enabled"] is True


def test_what_was_disabled_stays_dead_after_a_new_enrolment(world: World, member: Account) -> None:
    old_phone, old_codes = member.phone, list(member.backup_codes)
    assert old_phone is not None
    ok(disable(member, member.password, old_codes[0]))
    member.sign_in().enrol()
    world.clock.advance(seconds=60)
    for code in (old_phone.code(world.clock.now()), old_codes[0], old_codes[1]):
        reply = member.finish(member.begin()["challenge_id"], code)
        refused(reply, 401, "invalid_code")


# -- status ----------------------------------------------------------------------------------


def test_the_status_of_an_account_without_mfa_is_all_off(user: Account) -> None:
    reply = user.get("/mfa/status")
    envelope(reply, data=True)
    assert reply.data == OFF


def test_the_status_tells_when_the_factor_was_last_used(world: World, member: Account) -> None:
    enabled_at = world.clock.now()
    world.clock.advance(seconds=90)
    member.sign_in()
    status = member.status()
    assert datetime.fromisoformat(status["enabled_at"]) == enabled_at
    assert datetime.fromisoformat(status["last_used_at"]) == world.clock.now()


def test_the_status_counts_what_is_left_and_warns_at_three(member: Account) -> None:
    for left in range(9, -1, -1):
        reply = ok(spend(member, member.backup_codes.pop()))
        low = left <= 3
        assert reply.data == {"backup_codes_remaining": left, "backup_codes_low": low}
        status = member.status()
        assert (status["backup_codes_remaining"], status["backup_codes_total"]) == (left, 10)
        assert status["backup_codes_low"] is low


# -- backup codes ----------------------------------------------------------------------------


def test_a_backup_code_is_good_once_wherever_it_is_given(member: Account) -> None:
    code = member.backup_codes.pop()
    envelope(ok(spend(member, code)), data=True)
    refused(spend(member, code), 401, "invalid_code")
    refused(member.finish(member.begin()["challenge_id"], code), 401, "invalid_code")
    refused(disable(member, member.password, code), 401, "invalid_credentials")
    assert member.status()["backup_codes_remaining"] == 9


def test_a_backup_code_spent_at_login_is_spent_in_the_session(member: Account) -> None:
    code = member.backup_codes[-1]
    member.sign_in_with_backup_code()
    refused(spend(member, code), 401, "invalid_code")


def test_another_users_backup_code_is_refused_and_stays_good(world: World, member: Account) -> None:
    other = world.account().sign_in().enrol()
    refused(spend(member, other.backup_codes[0]), 401, "invalid_code")
    ok(spend(other, other.backup_codes[0]))


def test_wrong_backup_codes_cost_no_right_one(member: Account) -> None:
    for _ in range(3):
        refused(spend(member, "0000-0000-0000-0000"), 401, "invalid_code")
    assert member.status()["backup_codes_remaining"] == 10


def test_the_check_of_a_backup_code_renews_the_second_factors_time(
    world: World, member: Account
) -> None:
    before = member.get("/auth/session").data
    world.clock.advance(minutes=5)
    ok(spend(member, member.backup_codes[0]))
    after = member.get("/auth/session").data
    assert datetime.fromisoformat(after["mfa_time"]) == world.clock.now()
    assert after["auth_time"] == before["auth_time"]


def test_the_check_of_a_backup_code_gives_no_tokens(member: Account) -> None:
    reply = ok(spend(member, member.backup_codes[0]))
    assert set(reply.data) == {"backup_codes_remaining", "backup_codes_low"}
    assert reply.headers["Cache-Control"] == "no-store"


def test_new_backup_codes_replace_every_old_one(world: World, member: Account) -> None:
    old = list(member.backup_codes)
    ok(spend(member, old[0]))
    challenge = member.begin()["challenge_id"]
    reply = ok(member.post("/mfa/backup-codes/regenerate"))
    envelope(reply, data=True)
    assert set(reply.data) == {"codes", "generated_at"}
    new = reply.data["codes"]
    assert len(set(new)) == len(new) == 10
    assert all(BACKUP_CODE.fullmatch(code) for code in new)
    assert datetime.fromisoformat(reply.data["generated_at"]) == world.clock.now()
    refused(member.finish(challenge, new[0]), 401, "invalid_challenge")
    for code in old[1:5]:
        refused(spend(member, code), 401, "invalid_code")
    ok(spend(member, new[0]))
    assert member.status()["backup_codes_remaining"] == 9


def test_new_backup_codes_leave_the_session_and_the_phone_alone(member: Account) -> None:
    other = member.another_device().sign_in()
    ok(member.post("/mfa/backup-codes/regenerate"))
    ok(other.get("/auth/session"))
    member.sign_in()


# -- who may ---------------------------------------------------------------------------------


def test_a_challenge_opens_none_of_this(member: Account) -> None:
    challenge = member.begin()["challenge_id"]
    for path in ("/mfa/setup", "/mfa/backup-codes/regenerate"):
        refused(member.api.post(path, token=challenge), 401, "invalid_token")
    for path in ("/mfa/setup", "/mfa/backup-codes/regenerate"):
        refused(
            member.api.post(path, headers={"Cookie": f"token={challenge}"}), 401, "invalid_token"
        )
    refused(member.api.get("/mfa/status", token=challenge), 401, "invalid_token")
    assert member.status()["pending"] is False
