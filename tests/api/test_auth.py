"""Accounts, sign-in, renewal and sessions, as a client meets them."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from typing import Any

import pytest

from tests.api.calls import fresh_password, refresh
from tests.support.accounts import Account, ok
from tests.support.api import Api, Reply
from tests.support.world import World

TOKENS = {"access_token", "refresh_token", "token_type", "expires_in"}
CHALLENGE = {"mfa_required", "challenge_id", "expires_in", "methods"}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
OPAQUE = re.compile(r"[A-Za-z0-9_-]{43}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


def refused(reply: Reply, status: int, code: str) -> Reply:
    assert (reply.status, reply.code) == (status, code), reply.content
    return reply


def login(api: Api, username: str, password: str) -> Reply:
    return api.post("/auth/login", json={"username": username, "password": password})


def renew(api: Api, token: str) -> Reply:
    return api.post("/auth/refresh", json={"refresh_token": token})


def is_tokens(data: Any) -> None:
    assert set(data) == TOKENS
    assert data["access_token"].count(".") == 2
    assert OPAQUE.fullmatch(data["refresh_token"])
    assert (data["token_type"], data["expires_in"]) == ("Bearer", 600)
    assert type(data["expires_in"]) is int


def is_challenge(data: Any, methods: list[str]) -> None:
    assert set(data) == CHALLENGE
    assert data["mfa_required"] is True
    assert OPAQUE.fullmatch(data["challenge_id"])
    assert data["expires_in"] == 300
    assert data["methods"] == methods


def envelope(reply: Reply, *, data: bool) -> None:
    assert set(reply.json) == ({"success", "message", "data"} if data else {"success", "message"})
    assert reply.json["success"] is True
    assert reply.json["message"]


def dead(account: Account) -> None:
    """Neither of the account's tokens is good for anything."""
    refused(account.get("/auth/session"), 401, "invalid_token")
    refused(renew(account.api, account.refresh_token), 401, "invalid_token")


# -- register --------------------------------------------------------------------------------


def test_registration_answers_with_the_name_as_given_and_signs_nobody_in(world: World) -> None:
    name = f"Ann.O'Neil+{secrets.token_hex(4)}@exÄmple.org"
    reply = world.api.post("/auth/register", json={"username": name, "password": fresh_password()})
    assert reply.status == 201
    envelope(reply, data=True)
    assert set(reply.data) == {"user_id", "username"}
    assert reply.data["username"] == name
    assert UUID.fullmatch(reply.data["user_id"])


@pytest.mark.parametrize("spelling", [str.upper, str.title, lambda name: name.replace("f", "ｆ")])
def test_a_name_is_taken_however_it_is_written(world: World, spelling: Any) -> None:
    name = f"straße.ﬁ.{secrets.token_hex(4)}.f"
    world.account(username=name)
    body = {"username": spelling(name), "password": fresh_password()}
    refused(world.api.post("/auth/register", json=body), 409, "username_taken")


def test_the_compared_name_may_be_longer_than_the_given_one(world: World) -> None:
    """U+FDFA is eighteen characters after NFKC; the column has no limit to run into."""
    name = "\ufdfa" * 60 + secrets.token_hex(2)
    account = world.account(username=name).sign_in()
    assert account.get("/auth/session").data["username"] == name


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a" * 65,
        "a b c",
        "a:b",
        "a\tb",
        "ab\u200b",
        "a\u00a0b",
        "\ufeffab",
        "a\u202eb",
        "a\u0000b",
        "a\nb",
    ],
)
def test_a_name_that_people_cannot_see_or_type_is_refused(world: World, name: str) -> None:
    body = {"username": name, "password": fresh_password()}
    reply = refused(world.api.post("/auth/register", json=body), 400, "invalid_request")
    assert {d["pointer"] for d in reply.json["error"]["details"]} == {"/username"}


@pytest.mark.parametrize("password", ["password123", "PASSWORD123", "Qwertyuiop"])
def test_a_common_password_is_refused(world: World, password: str) -> None:
    body = {"username": f"u.{secrets.token_hex(4)}", "password": password}
    refused(world.api.post("/auth/register", json=body), 409, "password_refused")


def test_the_name_is_no_password(world: World) -> None:
    name = f"some.name.{secrets.token_hex(4)}"
    body = {"username": name, "password": name.upper()}
    refused(world.api.post("/auth/register", json=body), 409, "password_refused")


@pytest.mark.parametrize("length", [8, 1024])
def test_a_password_counts_to_its_last_character(world: World, length: int) -> None:
    password = secrets.token_hex(512)[:length]
    account = world.account(password=password).sign_in()
    refused(login(world.api, account.username, password[:-1] + "é"), 401, "invalid_credentials")


@pytest.mark.parametrize("length", [7, 1025])
def test_a_password_of_another_length_is_refused_without_being_repeated(
    world: World, length: int
) -> None:
    password = (secrets.token_hex(4) * 200)[:length]
    body = {"username": f"u.{secrets.token_hex(4)}", "password": password}
    reply = refused(world.api.post("/auth/register", json=body), 400, "invalid_request")
    (detail,) = reply.json["error"]["details"]
    assert detail["pointer"] == "/password"
    assert password.encode() not in reply.content


# -- login -----------------------------------------------------------------------------------


def test_without_mfa_a_password_gives_tokens(world: World) -> None:
    account = world.account()
    reply = login(world.api, account.username, account.password)
    envelope(reply, data=True)
    is_tokens(reply.data)
    assert reply.headers["Cache-Control"] == "no-store"


def test_with_mfa_a_password_gives_only_a_challenge(member: Account) -> None:
    reply = login(member.api, member.username, member.password)
    envelope(reply, data=True)
    is_challenge(reply.data, ["totp", "backup_code"])
    assert "Set-Cookie" not in reply.headers
    assert reply.headers["Cache-Control"] == "no-store"


def test_a_challenge_names_backup_codes_only_while_some_are_left(member: Account) -> None:
    while member.backup_codes:
        code = {"code": member.backup_codes.pop()}
        ok(member.post("/mfa/backup-codes/verify", json=code))
    is_challenge(member.begin(), ["totp"])
    member.sign_in()


def test_a_totp_code_finishes_a_challenge(member: Account) -> None:
    is_tokens(ok(member.finish(member.begin()["challenge_id"], member.code())).data)


@pytest.mark.parametrize(
    "spelling",
    [
        str,
        str.lower,
        lambda code: code.replace("-", ""),
        lambda code: code.replace("-", " ").lower(),
        lambda code: code.replace("0", "O").replace("1", "I"),
        lambda code: code.replace("0", "o").replace("1", "l"),
    ],
)
def test_a_backup_code_finishes_a_challenge_however_it_is_written(
    member: Account, spelling: Any
) -> None:
    challenge = member.begin()["challenge_id"]
    is_tokens(ok(member.finish(challenge, spelling(member.backup_codes[0]))).data)


def test_a_pending_enrolment_does_not_change_the_sign_in(user: Account) -> None:
    user.set_up()
    is_tokens(user.begin())


def test_a_wrong_password_is_answered_alike_for_everyone(
    world: World, user: Account, member: Account
) -> None:
    body = fresh_password()
    names = [user.username, member.username, f"nobody.{secrets.token_hex(4)}"]
    replies = [login(world.api, name, body) for name in names]
    for reply in replies:
        refused(reply, 401, "invalid_credentials")
        assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert len({anonymous(reply) for reply in replies}) == 1


def anonymous(reply: Reply) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    """Body and headers with the request's id taken out."""
    request_id = reply.headers["X-Request-ID"]
    headers = [(k, v.replace(request_id, "-")) for k, v in reply.headers.multi_items()]
    return reply.content.replace(request_id.encode(), b"-"), tuple(headers)


def test_the_name_is_compared_after_folding(world: World) -> None:
    account = world.account(username=f"MiXeD.{secrets.token_hex(4)}.ﬁ")
    folded = account.username.casefold().replace("ﬁ", "fi")
    is_tokens(ok(login(world.api, folded, account.password)).data)


ODD_LOGINS = [
    {"username": "ann", "mfa_code": "000000"},
    {"mfa_code": "000000"},
    {"challenge_id": "A" * 43},
    {"challenge_id": "A" * 43, "mfa_code": "000000", "username": "ann"},
    *({"challenge_id": "A" * 43, "mfa_code": code} for code in (None, "", " ", 492039, 1.5, True)),
    *({"challenge_id": "A" * 43, "mfa_code": code} for code in (["492039"], {"$ne": 1}, "4" * 33)),
    *(
        {"challenge_id": "A" * 43, "mfa_code": code}
        for code in ("٤٩٢٠٣٩", "४९२०३९", "４９２０３９")
    ),
    *({"challenge_id": value, "mfa_code": "492039"} for value in ("A" * 42, "A" * 44, None, 1)),
]


@pytest.mark.parametrize("body", ODD_LOGINS, ids=range(len(ODD_LOGINS)))
def test_a_login_of_neither_form_is_a_400(world: World, body: Any) -> None:
    refused(world.api.post("/auth/login", json=body), 400, "invalid_request")


def test_a_made_up_challenge_is_refused(world: World, member: Account) -> None:
    reply = member.finish(secrets.token_urlsafe(32), member.code())
    refused(reply, 401, "invalid_challenge")
    assert reply.headers["WWW-Authenticate"] == "Bearer"


def test_a_challenge_lives_five_minutes(world: World, member: Account) -> None:
    early, late = (member.begin()["challenge_id"] for _ in range(2))
    world.clock.advance(seconds=299)
    ok(member.finish(early, member.code()))
    world.clock.advance(seconds=1)
    refused(member.finish(late, member.backup_codes[0]), 401, "invalid_challenge")
    member.sign_in_with_backup_code()


def test_a_challenge_is_good_once(member: Account) -> None:
    challenge = member.begin()["challenge_id"]
    ok(member.finish(challenge, member.code()))
    refused(member.finish(challenge, member.code()), 401, "invalid_challenge")
    refused(member.finish(challenge, member.backup_codes[0]), 401, "invalid_challenge")
    member.sign_in_with_backup_code()


def test_a_wrong_code_leaves_the_challenge_open_for_four_more(member: Account) -> None:
    challenge = member.begin()["challenge_id"]
    for _ in range(4):
        refused(member.finish(challenge, member.wrong_code()), 401, "invalid_code")
    ok(member.finish(challenge, member.code()))


def test_the_sixth_open_challenge_evicts_the_oldest(member: Account) -> None:
    opened = [member.begin()["challenge_id"] for _ in range(6)]
    refused(member.finish(opened[0], member.code()), 401, "invalid_challenge")
    ok(member.finish(opened[1], member.code()))


def test_a_step_up_challenge_is_not_counted_with_those_of_the_login(member: Account) -> None:
    opened = [member.begin()["challenge_id"] for _ in range(5)]
    step_up = ok(member.post("/auth/challenge")).data["challenge_id"]
    ok(member.finish(opened[0], member.code()))
    member.begin()
    ok(member.finish(step_up, member.code(), member.token))


def test_another_users_code_finishes_nothing_and_stays_good(world: World, member: Account) -> None:
    other = world.account().sign_in().enrol()
    code = other.code()
    refused(member.finish(member.begin()["challenge_id"], code), 401, "invalid_code")
    backup = other.backup_codes.pop()
    refused(member.finish(member.begin()["challenge_id"], backup), 401, "invalid_code")
    ok(other.finish(other.begin()["challenge_id"], code))
    ok(other.finish(other.begin()["challenge_id"], backup))


def test_a_spent_code_is_refused_on_a_challenge_opened_before(
    world: World, member: Account
) -> None:
    first, second = (member.begin()["challenge_id"] for _ in range(2))
    code = member.code()
    ok(member.finish(first, code))
    world.clock.advance(seconds=20)
    refused(member.finish(second, code), 401, "invalid_code")


def test_a_stale_token_does_not_stand_in_the_way_of_a_login(world: World, user: Account) -> None:
    body = {"username": user.username, "password": user.password}
    for token in ("no.good.token", user.refresh_token):
        is_tokens(ok(world.api.post("/auth/login", json=body, token=token)).data)


# -- refresh ---------------------------------------------------------------------------------


def test_a_refresh_token_is_good_once_and_its_reuse_ends_the_session(user: Account) -> None:
    first = user.refresh_token
    reply = renew(user.api, first)
    envelope(reply, data=True)
    is_tokens(reply.data)
    user.take(reply.data)
    assert user.refresh_token != first
    refused(renew(user.api, first), 401, "invalid_token")
    dead(user)


def test_reuse_ends_one_session_and_no_other(user: Account) -> None:
    other = user.another_device().sign_in()
    first = user.refresh_token
    refresh(user)
    refused(renew(user.api, first), 401, "invalid_token")
    dead(user)
    ok(other.get("/auth/session"))


def test_an_unknown_refresh_token_is_a_401_with_a_bare_challenge(world: World) -> None:
    reply = refused(renew(world.api, secrets.token_urlsafe(32)), 401, "invalid_token")
    assert reply.headers["WWW-Authenticate"] == "Bearer"


def test_the_old_access_token_stays_good_after_a_refresh(user: Account) -> None:
    old = user.token
    refresh(user)
    ok(user.api.get("/auth/session", token=old))


def test_a_session_that_is_idle_for_an_hour_has_ended(world: World, user: Account) -> None:
    other = user.another_device().sign_in()
    world.clock.advance(seconds=3599)
    refresh(user)
    world.clock.advance(seconds=1)
    dead(other)
    world.clock.advance(seconds=3598)
    refresh(user)
    world.clock.advance(seconds=3600)
    dead(user)


def test_a_session_ends_after_a_day_however_often_it_is_renewed(world: World) -> None:
    user = world.account().sign_in()
    for _ in range(28):
        world.clock.advance(minutes=50)
        refresh(user)
    world.clock.advance(minutes=39, seconds=59)
    refresh(user)
    world.clock.advance(seconds=1)
    dead(user)


# -- the present session ---------------------------------------------------------------------


def test_a_session_of_a_password_tells_its_ten_facts(world: World, user: Account) -> None:
    reply = user.get("/auth/session")
    envelope(reply, data=True)
    data = reply.data
    assert set(data) == {
        *("user_id", "username", "session_id", "acr", "amr", "auth_time", "mfa_time"),
        "expires_at",
    }
    assert (data["user_id"], data["username"]) == (user.user_id, user.username)
    assert (data["acr"], data["amr"], data["mfa_time"]) == ("aal1", ["pwd"], None)
    assert UUID.fullmatch(data["session_id"])
    assert TIME.fullmatch(data["auth_time"])
    assert datetime.fromisoformat(data["auth_time"]) == world.clock.now()


def test_a_session_is_dead_when_it_says_it_ends(world: World, user: Account) -> None:
    expires_at = user.get("/auth/session").data["expires_at"]
    assert TIME.fullmatch(expires_at)
    left = datetime.fromisoformat(expires_at) - world.clock.now()
    world.clock.advance(seconds=left.total_seconds())
    dead(user)


def test_a_second_factor_is_told_with_its_time(world: World, member: Account) -> None:
    signed_in = world.clock.now()
    member.sign_in()
    data = member.get("/auth/session").data
    assert (data["acr"], data["amr"]) == ("aal2", ["pwd", "otp", "mfa"])
    assert datetime.fromisoformat(data["mfa_time"]) >= signed_in


# -- step-up ---------------------------------------------------------------------------------


def test_a_step_up_without_mfa_is_a_409(user: Account) -> None:
    refused(user.post("/auth/challenge"), 409, "mfa_not_enabled")


def test_a_step_up_moves_the_second_factors_time_and_leaves_the_passwords(
    world: World, member: Account
) -> None:
    before = member.get("/auth/session").data
    world.clock.advance(minutes=5)
    member.step_up()
    after = member.get("/auth/session").data
    assert datetime.fromisoformat(after["mfa_time"]) == world.clock.now()
    same = ("session_id", "auth_time", "acr", "username", "user_id")
    assert [after[name] for name in same] == [before[name] for name in same]


def test_a_step_up_answers_with_a_challenge_and_then_with_tokens(member: Account) -> None:
    reply = ok(member.post("/auth/challenge"))
    envelope(reply, data=True)
    is_challenge(reply.data, ["totp", "backup_code"])
    done = member.finish(reply.data["challenge_id"], member.code(), member.token)
    is_tokens(ok(done).data)


def test_a_step_up_supersedes_the_refresh_token_and_its_reuse_ends_the_session(
    member: Account,
) -> None:
    old = member.refresh_token
    member.step_up()
    ok(member.get("/auth/session"))
    refused(renew(member.api, old), 401, "invalid_token")
    dead(member)


def test_a_step_up_needs_the_sessions_own_token(world: World, member: Account) -> None:
    challenge = ok(member.post("/auth/challenge")).data["challenge_id"]
    sibling = member.another_device().sign_in()
    stranger = world.account().sign_in()
    for token in (None, sibling.token, stranger.token, "no.good.token"):
        reply = member.finish(challenge, member.backup_codes[0], token)
        refused(reply, 401, "invalid_challenge")
        assert reply.headers["WWW-Authenticate"] == "Bearer"
    ok(member.finish(challenge, member.backup_codes[0], member.token))


def test_a_session_has_one_step_up_at_a_time(member: Account) -> None:
    first, second = (ok(member.post("/auth/challenge")).data["challenge_id"] for _ in range(2))
    refused(member.finish(first, member.code(), member.token), 401, "invalid_challenge")
    ok(member.finish(second, member.code(), member.token))


def test_a_step_up_dies_with_its_session(member: Account) -> None:
    challenge = ok(member.post("/auth/challenge")).data["challenge_id"]
    other = member.another_device().sign_in()
    ok(member.post("/auth/logout"))
    for token in (member.token, other.token, None):
        reply = member.finish(challenge, member.backup_codes[0], token)
        refused(reply, 401, "invalid_challenge")


def test_a_login_challenge_makes_a_new_session_whatever_token_comes_with_it(
    member: Account,
) -> None:
    present = member.get("/auth/session").data["session_id"]
    challenge = member.begin()["challenge_id"]
    tokens = ok(member.finish(challenge, member.code(), member.token)).data
    new = member.api.get("/auth/session", token=tokens["access_token"]).data["session_id"]
    assert new != present
    ok(member.get("/auth/session"))


# -- the list of sessions --------------------------------------------------------------------


def test_the_list_shows_every_live_session_of_the_account_and_no_other(
    world: World, user: Account
) -> None:
    world.account().sign_in()
    body = {"username": user.username, "password": user.password}
    agent = {"User-Agent": "Firefox/140"}
    ok(world.api.post("/auth/login", json=body, headers=agent))
    gone = user.another_device().sign_in()
    ok(gone.post("/auth/logout"))
    reply = user.get("/auth/sessions")
    envelope(reply, data=True)
    assert set(reply.data) == {"sessions"}
    listed = reply.data["sessions"]
    for each in listed:
        assert set(each) == {
            *("session_id", "created_at", "last_used_at", "acr", "current", "user_agent")
        }
        assert TIME.fullmatch(each["created_at"])
        assert TIME.fullmatch(each["last_used_at"])
    assert sorted(each["current"] for each in listed) == [False, True]
    (other,) = (each for each in listed if not each["current"])
    assert (other["user_agent"], other["acr"]) == ("Firefox/140", "aal1")


def test_a_session_that_is_ended_is_dead_at_once(user: Account) -> None:
    other = user.another_device().sign_in()
    session_id = other.get("/auth/session").data["session_id"]
    reply = user.delete(f"/auth/sessions/{session_id}")
    envelope(reply, data=False)
    dead(other)
    ok(user.get("/auth/session"))
    refused(user.delete(f"/auth/sessions/{session_id}"), 404, "not_found")


def test_a_session_can_end_itself(user: Account) -> None:
    session_id = user.get("/auth/session").data["session_id"]
    ok(user.delete(f"/auth/sessions/{session_id}"))
    dead(user)


def test_another_users_session_is_as_unknown_as_one_that_never_was(
    world: World, user: Account
) -> None:
    other = world.account().sign_in()
    theirs = other.get("/auth/session").data["session_id"]
    never = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
    replies = [user.delete(f"/auth/sessions/{name}") for name in (theirs, never)]
    for reply in replies:
        refused(reply, 404, "not_found")
    assert len({anonymous(reply) for reply in replies}) == 1
    ok(other.get("/auth/session"))


@pytest.mark.parametrize("name", ["x", "7C9E6679-7425-40DE-944B-E07FC1F90AE7", "%2e%2e"])
def test_a_session_id_of_another_form_is_a_400(user: Account, name: str) -> None:
    reply = refused(user.delete(f"/auth/sessions/{name}"), 400, "invalid_request")
    assert {detail["location"] for detail in reply.json["error"]["details"]} == {"path"}


def test_a_logout_is_immediate_and_ends_one_session(user: Account) -> None:
    other = user.another_device().sign_in()
    envelope(user.post("/auth/logout"), data=False)
    dead(user)
    ok(other.get("/auth/session"))


# -- the password ----------------------------------------------------------------------------


def change(account: Account, current: str, new: str) -> Reply:
    body = {"current_password": current, "new_password": new}
    return account.post("/auth/password", json=body)


def test_a_new_password_takes_the_place_of_the_old_one(user: Account) -> None:
    new = fresh_password()
    envelope(ok(change(user, user.password, new)), data=False)
    refused(login(user.api, user.username, user.password), 401, "invalid_credentials")
    is_tokens(ok(login(user.api, user.username, new)).data)


def test_a_new_password_ends_every_other_session_and_every_challenge(member: Account) -> None:
    other = member.another_device().sign_in()
    challenge = member.begin()["challenge_id"]
    step_up = ok(member.post("/auth/challenge")).data["challenge_id"]
    new = fresh_password()
    ok(change(member, member.password, new))
    dead(other)
    ok(member.get("/auth/session"))
    refresh(member)
    code = member.backup_codes[0]
    refused(member.finish(challenge, code), 401, "invalid_challenge")
    refused(member.finish(step_up, code, member.token), 401, "invalid_challenge")
    member.password = new
    member.sign_in()


def test_a_wrong_current_password_is_told_apart_from_a_dead_token(user: Account) -> None:
    reply = change(user, fresh_password(), fresh_password())
    refused(reply, 401, "invalid_credentials")
    authenticate = reply.headers["WWW-Authenticate"]
    assert authenticate.startswith('Bearer error="insufficient_user_authentication"')
    user.sign_in()


@pytest.mark.parametrize("new", ["password123", None])
def test_a_refused_new_password_changes_nothing(user: Account, new: str | None) -> None:
    reply = change(user, user.password, new or user.username.upper())
    refused(reply, 409, "password_refused")
    user.sign_in()
