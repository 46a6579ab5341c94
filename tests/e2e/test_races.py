"""What may happen once happens once: twenty requests at the same moment, at two processes.

The connections are open and each request is there but for its last byte before the first of them
is let go. The assertion is over all rounds, so that one double success in twenty rounds fails.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Cluster, twin_of
from tests.e2e.planted import GUARDS, STALE
from tests.e2e.wire import Line, lines_to_all, race
from tests.support.accounts import Account, ok
from tests.support.ledger import LEDGER
from tests.support.servers import environment, serving
from tests.support.world import World

pytestmark = pytest.mark.slow

ROUNDS = 20
CONNECTIONS = 20

Requests = list[httpx.Request]
Contest = Callable[[str, Account], Requests]


def post(url: str, path: str, body: object, token: str | None = None) -> httpx.Request:
    LEDGER.sent(body, token)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.Request("POST", url + path, json=body, headers=headers)


def finish(url: str, challenge: str, code: str) -> httpx.Request:
    return post(url, "/auth/login", {"challenge_id": challenge, "mfa_code": code})


def over_all(requests: Requests) -> Requests:
    """As many requests as there are connections, each of the given ones equally often."""
    return [requests[index // 2 % len(requests)] for index in range(CONNECTIONS)]


# -- the contests: what twenty clients send at once, of which one may succeed ------------------


def one_step_at_one_challenge(url: str, ann: Account) -> Requests:
    return over_all([finish(url, ann.begin()["challenge_id"], ann.code())])


def one_step_at_five_challenges(url: str, ann: Account) -> Requests:
    code = ann.code()
    return over_all([finish(url, ann.begin()["challenge_id"], code) for _ in range(5)])


def one_backup_code_at_two_doors(url: str, ann: Account) -> Requests:
    """At login, with five challenges, and at the check of backup codes, with a session."""
    code = ann.backup_codes[0]
    check = post(url, "/mfa/backup-codes/verify", {"code": code}, ann.token)
    logins = [finish(url, ann.begin()["challenge_id"], code) for _ in range(5)]
    return over_all([*logins, *[check] * 5])


def one_challenge_and_ten_codes(url: str, ann: Account) -> Requests:
    challenge = ann.begin()["challenge_id"]
    return over_all([finish(url, challenge, code) for code in ann.backup_codes])


def one_refresh_token(url: str, ann: Account) -> Requests:
    return over_all([post(url, "/auth/refresh", {"refresh_token": ann.refresh_token})])


# -- what is left of the account afterwards ------------------------------------------------------


def sessions_of(ann: Account) -> int:
    return len(ok(ann.get("/auth/sessions")).data["sessions"])


def one_more_session(ann: Account) -> bool:
    return sessions_of(ann) == 2 and ann.status()["backup_codes_remaining"] == 10


def one_code_less(ann: Account) -> bool:
    return sessions_of(ann) <= 2 and ann.status()["backup_codes_remaining"] == 9


def no_session(ann: Account) -> bool:
    """Of a refresh token that comes twice one bearer is a thief: the session ends for both."""
    return ann.get("/auth/session").code == "invalid_token"


CONTESTS: dict[Contest, Callable[[Account], bool]] = {
    one_step_at_one_challenge: one_more_session,
    one_step_at_five_challenges: one_more_session,
    one_backup_code_at_two_doors: one_code_less,
    one_challenge_and_ten_codes: one_code_less,
    one_refresh_token: no_session,
}
DECLARED = {200, 401, 429}


def held(contest: Contest, twin: World, lines: list[Line], rounds: int) -> None:
    """Assert, over all rounds, that one request succeeded and that the account shows as much."""
    url, counted, accounts = lines[0].server.url, [], []
    for _ in range(rounds):
        ann = twin.account().sign_in().enrol()
        replies = race(lines, contest(url, ann))
        counted.append(Counter(reply.status_code for reply in replies))
        accounts.append(ann)
    assert {status for statuses in counted for status in statuses} <= DECLARED, counted
    assert [statuses[200] for statuses in counted] == [1] * rounds
    assert all(CONTESTS[contest](ann) for ann in accounts)


def name(value: object) -> str:
    return getattr(value, "__name__", str(value)).replace("_", " ")


@pytest.fixture(scope="module")
def lines(cluster: Cluster) -> Iterator[list[Line]]:
    with lines_to_all(cluster.server, CONNECTIONS) as connections:
        assert sorted(Counter(line.worker() for line in connections).values()) == [10, 10]
        yield connections


@pytest.mark.parametrize("contest", CONTESTS, ids=name)
def test_of_twenty_requests_one_succeeds(twin: World, lines: list[Line], contest: Contest) -> None:
    held(contest, twin, lines, ROUNDS)


# -- the same assertion against servers that lack a guard ----------------------------------------


@dataclass(frozen=True)
class Planted:
    """A server of two workers with a bug; ``plant`` says which, the empty text for none."""

    bug: Path
    twin: World
    lines: list[Line]

    def plant(self, bug: str) -> None:
        self.bug.write_text(bug, encoding="utf-8")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    folder = tmp_path_factory.mktemp("planted")
    bug, url = folder / "bug", f"sqlite:///{folder}/countersign.db"
    bug.touch()
    env = environment(folder, PLANTED_BUG=str(bug))
    program = (sys.executable, "-m", "tests.e2e.planted")
    with (
        serving(folder, "--workers", "2", env=env, program=program) as server,
        lines_to_all(server, CONNECTIONS) as lines,
        twin_of(folder, url) as twin,
    ):
        yield Planted(bug, twin, lines)


CATCHERS = {
    "a step is never spent": one_step_at_five_challenges,
    STALE: one_step_at_five_challenges,
    "a backup code is never spent": one_backup_code_at_two_doors,
    "a challenge is never spent": one_challenge_and_ten_codes,
    "a refresh token is never spent": one_refresh_token,
}


OVERLAPPING = (STALE, "a challenge is never spent")
"""Bugs that only requests at the same moment can meet, which not every round brings about."""


def test_every_guard_has_a_race_that_misses_it() -> None:
    assert set(CATCHERS) == {*GUARDS, STALE}


@pytest.mark.parametrize("bug", CATCHERS, ids=name)
def test_a_missing_guard_is_noticed(planted: Planted, bug: str) -> None:
    planted.plant(bug)
    with pytest.raises(AssertionError, match=re.escape("== [1")):
        held(CATCHERS[bug], planted.twin, planted.lines, ROUNDS if bug in OVERLAPPING else 2)


def test_the_planted_server_is_sound_where_nothing_is_planted(planted: Planted) -> None:
    planted.plant("")
    for contest in CONTESTS:
        held(contest, planted.twin, planted.lines, 1)
