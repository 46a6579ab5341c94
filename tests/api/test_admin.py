"""Administration as a client meets it: who is let in, what is shown, and who is out afterwards."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from tests.api.calls import FOR_ADMINISTRATORS, administrator, ready, refresh
from tests.api.test_auth import TIME, dead, envelope, login, refused
from tests.support.accounts import Account, ok
from tests.support.api import Reply
from tests.support.world import World

NOBODY = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
USER = {"user_id", "username", "role", "active", "mfa_enabled", "created_at"}


@pytest.fixture
def root(world: World) -> Account:
    return administrator(world)


def act(who: Account, what: str, on: Account | str) -> Reply:
    """An act upon an account by the last part of its path."""
    user_id = on if isinstance(on, str) else on.user_id
    method = "DELETE" if what == "sessions" else "POST"
    return who.api.request(method, f"/admin/users/{user_id}/{what}", token=who.token)


# -- who is let in ---------------------------------------------------------------------------


@pytest.mark.parametrize("operation", FOR_ADMINISTRATORS)
def test_an_ordinary_user_is_told_so_and_not_to_step_up(
    world: World, user: Account, member: Account, operation: str
) -> None:
    call = ready(world, operation)
    for account in (user, member):
        reply = refused(call.send(token=account.token), 403, "forbidden")
        assert "WWW-Authenticate" not in reply.headers
    ok(call.send())


@pytest.mark.parametrize("operation", FOR_ADMINISTRATORS)
def test_an_administrator_without_a_second_factor_is_told_to_give_one(
    world: World, operation: str
) -> None:
    call = ready(world, operation)
    who = world.account().sign_in()
    with world.services.store.write() as tx:
        tx.users.set_role(who.user_id, "admin")
        tx.commit()
    reply = call.send(token=who.token)
    refused(reply, 401, "insufficient_user_authentication")
    assert 'acr_values="aal2"' in reply.headers["WWW-Authenticate"]
    ok(call.send(token=who.enrol().token))


@pytest.mark.parametrize("operation", FOR_ADMINISTRATORS)
def test_a_role_that_was_taken_away_is_gone_with_the_next_request(
    world: World, operation: str
) -> None:
    call = ready(world, operation)
    for role in ("user", "admin"):
        with world.services.store.write() as tx:
            tx.users.set_role(call.account.user_id, role)
            tx.commit()
        if role == "user":
            refused(call.send(), 403, "forbidden")
    ok(call.send())


def test_the_answer_is_the_same_whoever_it_is_about(world: World, member: Account) -> None:
    """An ordinary user does not learn which ids there are, and not what is wrong with one."""
    for user_id in (member.user_id, world.account().user_id, NOBODY, "no id at all"):
        refused(member.get(f"/admin/users/{user_id}"), 403, "forbidden")
        for what in ("deactivate", "reactivate", "sessions", "reset-mfa"):
            refused(act(member, what, user_id), 403, "forbidden")
    ok(member.get("/auth/session"))


# -- what is shown ---------------------------------------------------------------------------


def test_users_are_found_by_how_their_names_begin(world: World, root: Account) -> None:
    mark = secrets.token_hex(6)
    names = [f"{mark}Straße", f"{mark}strasse%2", f"{mark}_x", f"{mark}ax"]
    made = [world.account(username=name) for name in names]
    for prefix, found in (
        (mark, names),
        (mark.upper() + "STRASSE", names[:2]),
        (mark + "strasse%", names[1:2]),
        (mark + "_", names[2:3]),
        (mark + "%", []),
    ):
        reply = ok(root.get("/admin/users", params={"username": prefix}))
        envelope(reply, data=True)
        assert [user["username"] for user in reply.data["users"]] == found
        assert reply.data["next_cursor"] is None
    for user, account in zip(find(root, mark), made, strict=True):
        assert set(user) == USER
        assert user == ok(root.get(f"/admin/users/{account.user_id}")).data
        assert TIME.fullmatch(user["created_at"])


def find(root: Account, prefix: str, **params: str) -> list[Any]:
    users = ok(root.get("/admin/users", params={"username": prefix, **params})).data["users"]
    assert isinstance(users, list)
    return users


def test_pages_follow_each_other(world: World, root: Account) -> None:
    mark = secrets.token_hex(6)
    made = [world.account(username=f"{mark}{n}").user_id for n in range(5)]
    found, params = [], {"username": mark, "limit": "2"}
    for size in (2, 2, 1):
        page = ok(root.get("/admin/users", params=params)).data
        assert len(page["users"]) == size
        found += [user["user_id"] for user in page["users"]]
        params["cursor"] = page["next_cursor"]
    assert found == made
    assert params["cursor"] is None


def test_twenty_are_shown_where_nobody_says_how_many(world: World, root: Account) -> None:
    mark = secrets.token_hex(6)
    for n in range(21):
        world.account(username=f"{mark}{n}")
    assert len(find(root, mark)) == 20
    assert len(find(root, mark, limit="100")) == 21


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "two"},
        {"cursor": "0"},
        {"cursor": "-1"},
        {"cursor": "1e3"},
        {"cursor": "1" * 19},
        {"cursor": ""},
        {"username": ""},
        {"username": "a b"},
        {"username": "a\0"},
        {"username": "a" * 65},
        {"role": "admin"},
    ],
)
def test_a_question_of_another_form_is_a_400(root: Account, params: dict[str, str]) -> None:
    refused(root.get("/admin/users", params=params), 400, "invalid_request")


def test_state_role_and_factor_are_shown_as_they_are(
    root: Account, user: Account, member: Account
) -> None:
    def shown(account: Account) -> tuple[str, bool, bool]:
        data = ok(root.get(f"/admin/users/{account.user_id}")).data
        return data["role"], data["active"], data["mfa_enabled"]

    assert shown(root) == ("admin", True, True)
    assert shown(user) == ("user", True, False)
    assert shown(member) == ("user", True, True)
    ok(act(root, "deactivate", member))
    assert shown(member) == ("user", False, True)
    ok(act(root, "reset-mfa", member))
    assert shown(member) == ("user", False, False)


@pytest.mark.parametrize("what", ["deactivate", "reactivate", "sessions", "reset-mfa"])
def test_an_unknown_account_is_a_404_and_no_id_a_400(root: Account, what: str) -> None:
    refused(act(root, what, NOBODY), 404, "not_found")
    refused(root.get(f"/admin/users/{NOBODY}"), 404, "not_found")
    refused(act(root, what, NOBODY.upper()), 400, "invalid_request")
    refused(root.get(f"/admin/users/{NOBODY.upper()}"), 400, "invalid_request")


# -- what is done ----------------------------------------------------------------------------


def test_a_deactivated_user_is_out_and_a_reactivated_one_signs_in_anew(
    root: Account, member: Account
) -> None:
    challenge = member.begin()["challenge_id"]
    step_up = ok(member.post("/auth/challenge")).data["challenge_id"]
    envelope(ok(act(root, "deactivate", member)), data=False)
    dead(member)
    wrong = refused(login(member.api, member.username, "wrong"), 401, "invalid_credentials")
    right = refused(login(member.api, member.username, member.password), 401, "invalid_credentials")
    assert wrong.json["message"] == right.json["message"]
    refused(member.finish(challenge, member.code()), 401, "invalid_challenge")
    refused(member.finish(step_up, member.code(), member.token), 401, "invalid_challenge")
    envelope(ok(act(root, "reactivate", member)), data=False)
    dead(member)
    refused(member.finish(challenge, member.code()), 401, "invalid_challenge")
    ok(member.sign_in().get("/auth/session"))


def test_sessions_end_on_every_device(root: Account, member: Account) -> None:
    other = member.another_device().sign_in()
    envelope(ok(act(root, "sessions", member)), data=False)
    dead(member)
    dead(other)
    ok(member.sign_in().get("/auth/session"))


def test_ones_own_sessions_may_be_ended(root: Account) -> None:
    ok(act(root, "sessions", root))
    dead(root)
    ok(root.sign_in().get("/admin/users"))


def test_after_a_reset_the_password_alone_signs_in(root: Account, member: Account) -> None:
    challenge, code = member.begin()["challenge_id"], member.backup_codes[0]
    envelope(ok(act(root, "reset-mfa", member)), data=False)
    dead(member)
    refused(member.finish(challenge, code), 401, "invalid_challenge")
    assert "access_token" in member.begin()
    assert member.sign_in().status()["backup_codes_total"] == 0
    ok(member.enrol().sign_in().get("/auth/session"))


@pytest.mark.parametrize("what", ["deactivate", "reset-mfa"])
def test_ones_own_account_is_a_409(root: Account, what: str) -> None:
    refused(act(root, what, root), 409, "own_account")
    assert refresh(root).status()["enabled"]
    ok(root.get("/admin/users"))


def test_an_administrator_needs_no_recent_second_factor(world: World, root: Account) -> None:
    world.clock.advance(minutes=30)
    ok(refresh(root).get("/admin/users"))


# -- what is left behind ---------------------------------------------------------------------


def trail(who: Account, **params: str) -> list[Any]:
    events = ok(who.get("/admin/audit", params=params)).data["events"]
    assert isinstance(events, list)
    return events


@pytest.mark.parametrize(
    ("what", "event"),
    [
        ("deactivate", "user.deactivated"),
        ("reactivate", "user.reactivated"),
        ("sessions", "sessions.ended"),
        ("reset-mfa", "mfa.reset"),
    ],
)
def test_an_act_is_on_record_with_whoever_did_it(
    root: Account, member: Account, what: str, event: str
) -> None:
    reply = ok(act(root, what, member))
    (found,) = trail(root, user_id=member.user_id, event=event)
    assert (found["result"], found["reason"]) == ("success", None)
    assert (found["user_id"], found["actor_id"]) == (member.user_id, root.user_id)
    assert found["request_id"] == reply.headers["X-Request-ID"]
    assert found["session_id"] == ok(root.get("/auth/session")).data["session_id"]


def test_everybodys_events_are_shown_the_newest_first_and_page_by_page(
    root: Account, user: Account, member: Account
) -> None:
    for _ in range(3):
        ok(user.get("/auth/session"))
        user.sign_in()
    numbers, params = [], {"limit": "2"}
    for _ in range(3):
        page = ok(root.get("/admin/audit", params=params)).data
        numbers += [event["number"] for event in page["events"]]
        params["cursor"] = page["next_cursor"]
    assert numbers == list(range(numbers[0], numbers[0] - 6, -1))
    assert {event["user_id"] for event in trail(root, user_id=user.user_id)} == {user.user_id}
    assert {event["event"] for event in trail(root, event="mfa.enabled")} == {"mfa.enabled"}
    assert trail(root, user_id=NOBODY) == []
    assert trail(root, event="no.such.event") == []


@pytest.mark.parametrize(
    "params",
    [{"limit": "0"}, {"cursor": "x"}, {"user_id": "x"}, {"event": "X"}, {"result": "success"}],
)
def test_a_question_about_the_trail_of_another_form_is_a_400(
    root: Account, params: dict[str, str]
) -> None:
    refused(root.get("/admin/audit", params=params), 400, "invalid_request")
