"""The trail of two worker processes: one chain, one line for each row, and a command that checks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from domain.records import AuditEvent
from server import keys
from tests.e2e.conftest import Cluster
from tests.e2e.test_cli import a_password, call, succeeded, with_password
from tests.e2e.wire import lines_to_all, race
from tests.support.accounts import Account, RealClock, ok
from tests.support.ledger import LEDGER
from tests.support.servers import environment
from tests.support.world import World, settings_in

pytestmark = pytest.mark.slow

WRONG, RIGHT = 4, 4
"""Fewer than the free guesses together, for each is charged before it is looked at."""


def login(account: Account, password: str) -> httpx.Request:
    LEDGER.sent({"password": password}, None)
    body = {"username": account.username, "password": password}
    return httpx.Request("POST", f"{account.api._base_url}/auth/login", json=body)


def rows_of(world: World, user_id: str) -> list[AuditEvent]:
    with world.services.store.read() as tx:
        return list(tx.audit.latest(1000, user_id=user_id))


def lines_of(cluster: Cluster, user_id: str) -> list[dict[str, Any]]:
    lines = cluster.server.log.read_text(encoding="utf-8").splitlines()
    parsed = [json.loads(line) for line in lines if line.startswith("{")]
    return [line for line in parsed if line.get("audit") and line["user_id"] == user_id]


def test_parallel_sign_ins_at_two_workers_leave_one_chain_and_a_line_each(
    cluster: Cluster, twin: World
) -> None:
    ann = cluster.account()
    passwords = ["not the password"] * WRONG + [ann.password] * RIGHT
    with lines_to_all(cluster.server, len(passwords)) as lines:
        replies = race(lines, [login(ann, password) for password in passwords])
    count = Counter(reply.status_code for reply in replies)
    # A machine that is short of time refuses some of them, and of those there is no row.
    assert count[200]
    assert count[401]
    assert set(count) <= {200, 401, 503}
    rows = rows_of(twin, ann.user_id)
    results = [row.result for row in rows if row.event == "session.opened"]
    assert (results.count("success"), results.count("failure")) == (count[200], count[401])
    told = {line["number"]: line for line in lines_of(cluster, ann.user_id)}
    assert set(told) == {row.number for row in rows}
    assert all(told[row.number]["hash"] == row.hash for row in rows)
    assert all(told[row.number]["request_id"] == row.request_id for row in rows)
    LEDGER.lines += [("trail", repr(row)) for row in rows]
    assert "no defects" in succeeded(call(cluster.env, "audit", "verify"))


def tell(world: World, number: int, result: str) -> None:
    """Have a row tell that it ended so."""
    statement = text("UPDATE audit_events SET result = :result WHERE number = :number")
    with world.services.store.write() as tx:
        tx._connection.execute(statement, {"result": result, "number": number})
        tx.commit()


@contextmanager
def edited(world: World, event: AuditEvent) -> Iterator[None]:
    """The row tells another story for as long as the block lasts."""
    tell(world, event.number, "failure")
    try:
        yield
    finally:
        tell(world, event.number, event.result)


def test_the_command_names_an_edited_row_beside_servers_that_run(
    cluster: Cluster, twin: World
) -> None:
    ann = cluster.account().sign_in()
    newest, *_ = rows_of(twin, ann.user_id)
    with edited(twin, newest):
        done = call(cluster.env, "audit", "verify")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[0] == f"event {newest.number}: edited"
    assert done.stdout.endswith(" events, 1 defects\n")
    assert "no defects" in succeeded(call(cluster.env, "audit", "verify"))


# -- commands, without a server ----------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit")


@pytest.fixture(scope="module")
def env(folder: Path) -> dict[str, str]:
    return environment(folder)


@pytest.fixture(scope="module")
def alone(folder: Path) -> World:
    """An application in this process, over what the commands work upon."""
    keys.ensure(folder / "keys")
    return World(settings_in(folder), RealClock())  # type: ignore[arg-type]


def test_the_command_line_s_own_acts_are_in_the_trail(alone: World, env: dict[str, str]) -> None:
    ann = alone.account()
    secret = a_password()
    for act in ("deactivate", "reactivate", "reset-mfa", "promote", "demote"):
        succeeded(call(env, "user", act, ann.username))
    succeeded(with_password(env, "set-password", ann.username, secret, call))
    rows = rows_of(alone, ann.user_id)
    assert [row.event for row in reversed(rows)] == [
        "user.registered",
        "user.deactivated",
        "user.reactivated",
        "mfa.reset",
        *["user.role_changed"] * 2,
        "password.changed",
    ]
    assert {row.actor_id for row in rows[:-1]} == {"cli"}
    ann.password = secret
    ann.sign_in()
    newest, *_ = ok(ann.get("/auth/events")).data["events"][1:]
    assert (newest["event"], newest["by_administrator"]) == ("password.changed", True)


def test_events_are_listed_the_newest_first(alone: World, env: dict[str, str]) -> None:
    ann = alone.account().sign_in()
    user = ("--user", ann.username)
    lines = succeeded(call(env, "audit", "list", *user)).splitlines()
    assert [line.split()[3] for line in lines] == ["session.opened", "user.registered"]
    assert all(f"user_id={ann.user_id}" in line for line in lines)
    assert "factor=password" in lines[0]
    few = succeeded(call(env, "audit", "list", *user, "--limit", "1"))
    assert few.splitlines() == lines[:1]
    named = succeeded(call(env, "audit", "list", *user, "--event", "user.registered"))
    assert named.splitlines() == lines[1:]
    nobody = call(env, "audit", "list", "--user", "nobody.at.all")
    assert (nobody.returncode, nobody.stdout) == (1, "")
