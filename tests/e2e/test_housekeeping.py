"""Tables that stay bounded whatever is sent, and one purge a minute however many workers there are."""

from __future__ import annotations

import itertools
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from ipaddress import ip_address, ip_network
from pathlib import Path
from threading import Semaphore

import httpx
import pytest
from sqlalchemy import func, select

from domain import first_factor
from server import housekeeping
from server.housekeeping import Rounds
from storage import migrate
from storage.models import metadata
from storage.repositories.addresses import Addresses
from storage.repositories.sessions import Sessions
from tests.e2e.turns import LOOK, TURN
from tests.security.site import SiteClock
from tests.storage import databases
from tests.support.accounts import register
from tests.support.api import Api, Reply
from tests.support.ledger import Ledger
from tests.support.servers import ServerProcess, environment, serving
from tests.support.threads import listening
from tests.support.world import World, world_in

PATIENCE = 60
AT_ONCE = 8
MOST_SESSIONS = 100
"""What the shipped spec says."""
MOST_CHALLENGES = 5
RECORD = "audit_events"
"""The only table that may grow, and by what was looked at alone."""
ROUNDS = 16
HOURS = 3
"""From round to round: half of them make up the day after which password failures are forgotten."""


@contextmanager
def database_of(engine: str, folder: Path) -> Iterator[str]:
    if engine == "sqlite":
        yield f"sqlite:///{folder}/countersign.db"
        return
    with databases.postgres_database() as url:
        migrate.upgrade(url)
        yield url


@dataclass(frozen=True)
class Load:
    """Logins of one round: by who knows a password, who guesses, and who stops half-way."""

    right: int
    wrong: int
    unknown: int
    abandoned: int


class Attack:
    """A server in this process behind a proxy, so that each login comes from where it likes."""

    def __init__(self, world: World, client: httpx.Client) -> None:
        self.world, self.looked_at = world, 0
        # Books of its own, which nobody audits: thousands of replies like those of other suites.
        self.api = Api(client.send, str(client.base_url).rstrip("/"), Ledger())
        self.ann, self.bob, self.eve = (register(self.api, world.clock) for _ in range(3))
        self.eve.sign_in().enrol()
        self._addresses = itertools.count(int(ip_address("11.0.0.0")))
        self._names = (f"nobody-{number}" for number in itertools.count())

    def log_in(self, username: str, password: str) -> Reply:
        """One login from an address that was never seen before."""
        return self.api.post(
            "/auth/login",
            json={"username": username, "password": password},
            headers={"X-Forwarded-For": str(ip_address(next(self._addresses)))},
        )

    def round(self, load: Load) -> None:
        """All logins of a round, some at the same time, and an enrolment that nobody finishes."""
        guess = "not the password"
        names = itertools.islice(self._names, load.unknown)
        logins = [
            *[(self.ann.username, self.ann.password)] * load.right,
            *[(self.bob.username, guess)] * load.wrong,
            *[(name, guess) for name in names],
            *[(self.eve.username, self.eve.password)] * load.abandoned,
        ]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            replies = list(pool.map(self.log_in, *zip(*logins, strict=True)))
        seen = Counter(reply.status for reply in replies)
        assert seen[200] == load.right + load.abandoned, seen
        assert load.unknown <= seen[401] == load.wrong + load.unknown - seen[429], seen
        token = replies[load.right - 1].data["access_token"]
        assert self.api.post("/mfa/setup", token=token).status == 200
        self.looked_at += seen[200] + seen[401] + 1

    def rows(self) -> Counter[str]:
        """How many rows each table has."""
        with self.world.services.store.read() as tx:
            counts = {
                name: tx._connection.scalar(select(func.count()).select_from(table))
                for name, table in metadata.tables.items()
            }
        return Counter(counts)


@contextmanager
def attacked(
    folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Attack, Callable[..., None]]]:
    """An attack, and a function that moves the clock and waits for the look that this brings on."""
    looks = Semaphore(0)
    look = Rounds.look

    @wraps(look)
    def look_and_tell(rounds: Rounds) -> None:
        look(rounds)
        looks.release()

    monkeypatch.setattr(Rounds, "look", look_and_tell)
    monkeypatch.setattr(housekeeping, "LOOK_SECONDS", 0.01)
    world = world_in(folder, database_url=url, trusted_proxies=(ip_network("127.0.0.1/32"),))
    with listening(world) as base, httpx.Client(base_url=base, timeout=PATIENCE) as client:
        assert looks.acquire(timeout=PATIENCE)

        def advance(**duration: float) -> None:
            world.clock.advance(**duration)
            assert looks.acquire(timeout=PATIENCE)

        yield Attack(world, client), advance


def flooded(
    folder: Path, url: str, monkeypatch: pytest.MonkeyPatch, *loads: Load
) -> list[Counter[str]]:
    """The rows of each table a minute after each round of a flood; the loads take turns."""
    counts = []
    logging.disable(logging.DEBUG)  # the pool writes more than it serves
    try:
        with attacked(folder, url, monkeypatch) as (attack, advance):
            before = attack.rows()[RECORD] - attack.looked_at
            for load in itertools.islice(itertools.cycle(loads), ROUNDS):
                attack.round(load)
                advance(minutes=1)
                counts.append(attack.rows())
                assert counts[-1][RECORD] - before == attack.looked_at
                advance(hours=HOURS)
    finally:
        logging.disable(logging.NOTSET)
    return counts


def growing(counts: list[Counter[str]]) -> set[str]:
    """The tables that had more rows in the second half of the time than ever in the first."""
    first, second = counts[: ROUNDS // 2], counts[ROUNDS // 2 :]
    return {
        name
        for name in counts[0]
        if max(count[name] for count in second) > max(count[name] for count in first)
    }


@pytest.mark.slow
@pytest.mark.parametrize("engine", databases.ENGINES)
def test_tables_stay_bounded_under_a_flood_of_logins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    with database_of(engine, tmp_path) as url:
        many, few = Load(120, 15, 15, 8), Load(20, 15, 15, 8)
        counts = flooded(tmp_path, url, monkeypatch, few, few, few, many)
    for number, count in enumerate(counts):
        print(number, {name: rows for name, rows in count.items() if rows})
    assert growing(counts) == {RECORD}
    last = counts[-1]
    assert last["sessions"] == last["refresh_tokens"] == MOST_SESSIONS
    assert last["addresses"] == first_factor.MOST_ADDRESSES + 1  # Eve's
    assert last["challenges"] == MOST_CHALLENGES


def test_without_the_purge_and_the_bounds_they_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rounds, "look", lambda _: None)
    for repository in (Sessions, Addresses):
        monkeypatch.setattr(repository, "evict", lambda *_: None)
    url = f"sqlite:///{tmp_path}/countersign.db"
    counts = flooded(tmp_path, url, monkeypatch, Load(2, 1, 2, 1))
    bounded = {"sessions", "refresh_tokens", "challenges", "budgets", "addresses"}
    assert growing(counts) == {RECORD, *bounded}


# -- whose turn ----------------------------------------------------------------------------------


def words(path: Path) -> list[str]:
    """What was written down, a word a line, without the process that wrote it."""
    return [line.split()[0] for line in path.read_text(encoding="ascii").splitlines()]


def wait_for_looks(server: ServerProcess, path: Path, looks: int) -> Counter[str]:
    """What was written down when so many looks were over."""
    end = time.monotonic() + PATIENCE
    while (seen := Counter(words(path)))[LOOK] < looks:
        assert time.monotonic() < end, f"{seen}\n{server.log.read_text()}"
        time.sleep(0.02)
    return seen


@pytest.mark.slow
def test_of_two_workers_one_purges_in_a_minute_and_without_the_guard_both(tmp_path: Path) -> None:
    """tests/storage/test_chores.py shows on each engine that the row has one taker."""
    turns, bug = tmp_path / "turns", tmp_path / "bug"
    for file in (turns, bug):
        file.touch()
    clock = SiteClock(tmp_path / "time")
    with database_of("postgresql", tmp_path) as url:
        env = environment(
            tmp_path,
            COUNTERSIGN_DATABASE_URL=url,
            CLOCKED_TIME=str(clock.path),
            TURNS=str(turns),
            PLANTED_BUG=str(bug),
        )
        program = (sys.executable, "-m", "tests.e2e.turns")
        with serving(tmp_path, "--workers", "2", env=env, program=program) as server:
            for minute in range(1, 6):
                assert wait_for_looks(server, turns, 2 * minute) == {LOOK: 2 * minute, TURN: minute}
                clock.advance(minutes=1)
            wait_for_looks(server, turns, 12)
            bug.write_text("the guard says yes to everybody", encoding="ascii")
            clock.advance(minutes=1)
            assert wait_for_looks(server, turns, 14) == {LOOK: 14, TURN: 8}
            assert len({line.split()[1] for line in turns.read_text().splitlines()}) == 2
            assert server.stop() == 0
