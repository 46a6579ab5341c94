"""The trail as clients and administrators meet it: a row, a line in the log, a page of events."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from structlog.testing import capture_logs

from domain import audit
from domain.records import AuditEvent
from domain.verification import verify
from tests.api import faults
from tests.api.calls import (
    FOR_ADMINISTRATORS,
    SPEC,
    SPEC_OPERATIONS,
    administrator,
    fresh_password,
    ready,
    refresh,
)
from tests.support.accounts import Account, ok
from tests.support.api import Reply
from tests.support.ledger import LEDGER
from tests.support.world import World

NAMED = {name: policy.audit for name, policy in SPEC.policies.operations.items() if policy.audit}
READ = [name for name in SPEC_OPERATIONS if name not in NAMED]
MEMBERS = {
    *("event", "at", "result", "reason", "factor", "session_id", "address", "request_id"),
    "by_administrator",
}


@pytest.fixture(autouse=True)
def booked(world: World) -> Iterator[None]:
    """Every row that a test leaves is looked through for secrets at the end of the run."""
    before = newest(world)
    yield
    LEDGER.lines += [("trail", repr(asdict(event))) for event in since(world, before)]


def newest(world: World) -> int:
    with world.services.store.read() as tx:
        return tx.audit.head().number


def since(world: World, number: int) -> list[AuditEvent]:
    with world.services.store.read() as tx:
        return list(tx.audit.after(number, 10_000))


def events(account: Account, **asked: str) -> Any:
    return ok(account.get("/auth/events", params=asked)).data


def refused(reply: Reply, code: str) -> Reply:
    assert reply.code == code, reply.content
    return reply


# -- rows --------------------------------------------------------------------------------------


def test_every_operation_that_changes_something_names_its_event() -> None:
    changing = {name for name, each in SPEC_OPERATIONS.items() if each.method != "GET"}
    assert set(NAMED) == changing


@pytest.mark.parametrize("operation_id", NAMED)
def test_every_event_that_the_spec_names_is_left_behind(world: World, operation_id: str) -> None:
    call = ready(world, operation_id)
    before = newest(world)
    reply = ok(call.send())
    (event,) = since(world, before)
    assert (event.event, event.result, event.reason) == (NAMED[operation_id], "success", None)
    assert (event.request_id, event.address) == (reply.headers["X-Request-ID"], "192.0.2.1")
    assert event.at == world.clock.now()
    above = operation_id in FOR_ADMINISTRATORS
    about = call.segment if above else call.account.user_id
    if operation_id == "registerUser":
        about = reply.data["user_id"]
    assert (event.user_id, event.actor_id) == (about, call.account.user_id if above else None)


@pytest.mark.parametrize("operation_id", READ)
def test_what_only_reads_leaves_nothing_behind(world: World, operation_id: str) -> None:
    call = ready(world, operation_id)
    before = newest(world)
    ok(call.send())
    assert since(world, before) == []


@pytest.mark.parametrize(
    "operation_id", [n for n in NAMED if SPEC_OPERATIONS[n].security.mandatory]
)
def test_who_is_not_signed_in_leaves_nothing_behind(world: World, operation_id: str) -> None:
    call = ready(world, operation_id)
    before = newest(world)
    for token in (None, "no.such.token"):
        assert call.send(token=token).status == 401
    assert since(world, before) == []


def test_a_body_that_the_spec_does_not_admit_leaves_nothing_behind(
    world: World, user: Account
) -> None:
    before = newest(world)
    assert user.api.post("/auth/login", json={"username": user.username}).status == 400
    assert user.post("/mfa/verify", json={"code": "12345"}).status == 400
    assert since(world, before) == []


def test_a_forged_address_does_not_get_into_the_trail(world: World, user: Account) -> None:
    forged = {"X-Forwarded-For": "203.0.113.99", "Forwarded": "for=203.0.113.99"}
    body = {"username": user.username, "password": "not the password"}
    before = newest(world)
    assert user.api.post("/auth/login", json=body, headers=forged).status == 401
    assert [event.address for event in since(world, before)] == ["192.0.2.1"]


def test_everything_that_was_left_behind_is_one_chain(world: World, member: Account) -> None:
    refused(member.post("/mfa/backup-codes/verify", json={"code": "0" * 16}), "invalid_code")
    count = verify(world.services.store, world.services.chain.keys, pytest.fail)
    assert count == newest(world) > 3


def test_without_the_row_of_a_refusal_the_answer_is_503(
    world: World, user: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"username": user.username, "password": "not the password"}
    before = newest(world)
    with monkeypatch.context() as patch:
        patch.setattr("storage.repositories.audit.Audit.append", lambda *_: False)
        reply = user.api.post("/auth/login", json=body)
        assert (reply.status, reply.code) == (503, "unavailable")
        body["password"] = user.password
        reply = user.api.post("/auth/login", json=body)
        assert (reply.status, reply.code) == (503, "unavailable")
    assert since(world, before) == []
    ok(user.api.post("/auth/login", json=body))


# -- lines -------------------------------------------------------------------------------------


def lines(captured: list[Any]) -> list[dict[str, Any]]:
    return [line for line in captured if line.get("audit")]


def test_each_row_has_its_line(world: World, member: Account) -> None:
    before = newest(world)
    with capture_logs() as captured:
        refresh(member)
        challenge = member.begin()["challenge_id"]
        refused(member.finish(challenge, member.wrong_code()), "invalid_code")
        ok(member.finish(challenge, member.code()))
    told, rows = lines(captured), since(world, before)
    assert [line["event"] for line in told] == [
        "session.refreshed",
        *["session.opened"] * 3,
    ]
    for line, row in zip(told, rows, strict=True):
        members = {name: getattr(row, name) for name in row.__slots__} | {"at": line["at"]}
        del members["key_id"]
        assert members.items() <= line.items()
        assert line["at"] == row.at.isoformat(timespec="microseconds")
        assert (line["stored"], line["log_level"]) == (True, "info")
        assert re.fullmatch(r"[0-9a-f]{64}", line["hash"])
    LEDGER.lines += [("audit line", json.dumps(line)) for line in told]


def test_what_a_closed_budget_refuses_is_told_and_not_kept(world: World, user: Account) -> None:
    stranger = world.api_from("198.51.100.77")
    body = {"username": user.username, "password": "not the password"}
    for _ in range(10):
        refused(stranger.post("/auth/login", json=body), "invalid_credentials")
    before = newest(world)
    with capture_logs() as captured:
        refused(stranger.post("/auth/login", json=body), "too_many_attempts")
    (line,) = lines(captured)
    assert (line["reason"], line["stored"], line["user_id"]) == (
        "too_many_attempts",
        False,
        user.user_id,
    )
    assert since(world, before) == []


def test_what_was_rolled_back_is_not_told(
    world: World, user: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture_logs() as captured, faults.locked(world, monkeypatch):
        assert user.post("/auth/logout").status == 503
    assert lines(captured) == []
    with capture_logs() as captured:
        ok(user.post("/auth/logout"))
    assert [line["result"] for line in lines(captured)] == ["success"]


# -- pages -------------------------------------------------------------------------------------


def test_users_see_what_was_done_to_their_account(user: Account) -> None:
    body = {"current_password": "not the password", "new_password": fresh_password()}
    reply = refused(user.post("/auth/password", json=body), "invalid_credentials")
    page = events(user)
    failed, signed_in, registered = page["events"]
    assert page["next_cursor"] is None
    assert all(set(event) == MEMBERS for event in page["events"])
    assert failed == {
        "event": "password.changed",
        "at": failed["at"],
        "result": "failure",
        "reason": "invalid_credentials",
        "factor": "password",
        "session_id": user.get("/auth/session").data["session_id"],
        "address": "192.0.2.1",
        "request_id": reply.headers["X-Request-ID"],
        "by_administrator": False,
    }
    assert (signed_in["event"], registered["event"]) == ("session.opened", "user.registered")
    assert signed_in["session_id"] == failed["session_id"]


def test_nobody_sees_what_was_done_to_others(world: World, user: Account) -> None:
    other = world.account().sign_in()
    seen = {event["request_id"] for event in events(user)["events"]}
    others = {event["request_id"] for event in events(other)["events"]}
    assert len(seen) == len(others) == 2
    assert not seen & others
    number = newest(world)
    assert events(user, cursor=str(number))["events"] == events(user)["events"]


def test_events_come_in_pages(user: Account) -> None:
    for _ in range(5):
        refresh(user)
    whole = events(user, limit="100")["events"]
    assert len(whole) == 7
    found, cursor = [], {}
    for size in (3, 3, 1):
        page = events(user, limit="3", **cursor)
        assert len(page["events"]) == size
        found += page["events"]
        cursor = {"cursor": page["next_cursor"]}
    assert cursor == {"cursor": None}
    assert found == whole


def test_a_page_has_twenty_events_where_nobody_asks(user: Account) -> None:
    for _ in range(20):
        refresh(user)
    page = events(user)
    assert len(page["events"]) == 20
    assert len(events(user, cursor=page["next_cursor"])["events"]) == 2


@pytest.mark.parametrize(
    "asked",
    [
        {"cursor": "0"},
        {"cursor": "-1"},
        {"cursor": ""},
        {"cursor": "x"},
        {"cursor": "1" * 19},
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "x"},
        {"user_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7"},
    ],
)
def test_a_page_that_cannot_be_is_refused(user: Account, asked: dict[str, str]) -> None:
    assert user.get("/auth/events", params=asked).status == 400
    ok(user.get("/auth/events", params={"cursor": "1" * 18, "limit": "100"}))


def test_what_an_administrator_did_is_told_without_where_from(world: World, user: Account) -> None:
    root = administrator(world)
    ok(root.delete(f"/admin/users/{user.user_id}/sessions"))
    user.sign_in()
    _, ended, *_ = events(user)["events"]
    assert (ended["event"], ended["by_administrator"]) == ("sessions.ended", True)
    assert (ended["session_id"], ended["address"], ended["request_id"]) == (None, None, None)
    kept = audit.list_all(world.services, limit=5, user_id=user.user_id, event="sessions.ended")
    assert [event.actor_id for event in kept.events] == [root.user_id]
    assert [event["event"] for event in events(root)["events"]].count("sessions.ended") == 0


def test_which_part_of_a_refused_removal_was_wrong_is_not_told(member: Account) -> None:
    wrong = member.wrong_code()
    for password, code in (("not the password", member.code()), (member.password, wrong)):
        body = {"password": password, "code": code}
        refused(member.post("/mfa/disable", json=body), "invalid_credentials")
    first, second, *_ = (
        {name: event[name] for name in ("event", "result", "reason", "factor", "session_id")}
        for event in events(member)["events"]
    )
    assert first == second
    assert first["factor"] is None
