"""What an administrator does holds at once on every connection to every worker."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.conftest import Cluster
from tests.e2e.test_cli import run, succeeded
from tests.support.accounts import Account, ok
from tests.support.api import Api

pytestmark = pytest.mark.slow

CONNECTIONS = 8
"""So many that both workers have some of them, but for one run in a hundred."""


@pytest.fixture(scope="module")
def root(cluster: Cluster) -> Account:
    account = cluster.account()
    succeeded(run(cluster.env, "user", "promote", account.username))
    return account.sign_in().enrol()


@pytest.fixture
def lines(cluster: Cluster) -> list[Api]:
    """Connections that are open before anything is done."""
    apis = [cluster.server.api() for _ in range(CONNECTIONS)]
    for api in apis:
        ok(api.get("/health/live"))
    return apis


def on_all(lines: list[Api], ask: Callable[[Api], str]) -> set[str]:
    return {ask(api) for api in lines}


def code_of(account: Account, path: str) -> Callable[[Api], str]:
    def ask(api: Api) -> str:
        reply = api.get(path, token=account.token)
        return "ok" if reply.status == 200 else reply.code

    return ask


def test_a_deactivated_user_is_out_everywhere_and_a_reactivated_one_in_again(
    cluster: Cluster, root: Account, lines: list[Api]
) -> None:
    ann = cluster.account().sign_in().enrol()
    challenge = ann.begin()["challenge_id"]
    step_up = ok(ann.post("/auth/challenge")).data["challenge_id"]
    ask, code = code_of(ann, "/auth/session"), ann.backup_codes[0]
    assert on_all(lines, ask) == {"ok"}
    ok(root.post(f"/admin/users/{ann.user_id}/deactivate"))
    assert on_all(lines, ask) == {"invalid_token"}
    attempts: list[Callable[[Api], str]] = [
        lambda api: api.post("/auth/refresh", json={"refresh_token": ann.refresh_token}).code,
        lambda api: (
            api.post("/auth/login", json={"username": ann.username, "password": ann.password}).code
        ),
        lambda api: (
            api.post("/auth/login", json={"challenge_id": challenge, "mfa_code": code}).code
        ),
        lambda api: (
            api.post(
                "/auth/login", json={"challenge_id": step_up, "mfa_code": code}, token=ann.token
            ).code
        ),
    ]
    expected = ["invalid_token", "invalid_credentials", "invalid_challenge", "invalid_challenge"]
    for attempt, answer in zip(attempts, expected, strict=True):
        assert on_all(lines, attempt) == {answer}
    ok(root.post(f"/admin/users/{ann.user_id}/reactivate"))
    assert on_all(lines, ask) == {"invalid_token"}
    assert on_all(lines, code_of(ann.sign_in(), "/auth/session")) == {"ok"}


def test_sessions_and_second_factors_end_everywhere(
    cluster: Cluster, root: Account, lines: list[Api]
) -> None:
    ann = cluster.account().sign_in().enrol()
    for path, send in (("sessions", root.delete), ("reset-mfa", root.post)):
        ask = code_of(ann, "/auth/session")
        assert on_all(lines, ask) == {"ok"}
        ok(send(f"/admin/users/{ann.user_id}/{path}"))
        assert on_all(lines, ask) == {"invalid_token"}
        ann.sign_in()
    assert ann.status()["enabled"] is False


def test_a_role_that_is_taken_away_opens_nothing_anywhere(
    cluster: Cluster, lines: list[Api]
) -> None:
    other = cluster.account().sign_in().enrol()
    assert on_all(lines, code_of(other, "/admin/users")) == {"forbidden"}
    succeeded(run(cluster.env, "user", "promote", other.username))
    other.sign_in()
    assert on_all(lines, code_of(other, "/admin/users")) == {"ok"}
    succeeded(run(cluster.env, "user", "demote", other.username))
    assert on_all(lines, code_of(other, "/admin/users")) == {"invalid_token"}
    assert on_all(lines, code_of(other.sign_in_with_backup_code(), "/admin/users")) == {"forbidden"}
