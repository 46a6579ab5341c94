"""The database goes away, hangs or is held by another: refused in time, and right again after."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from storage import migrate
from tests.e2e.conftest import Cluster, twin_of
from tests.e2e.proxy import Cut, Proxy, proxy_to
from tests.storage.databases import postgres_database, postgres_server
from tests.support.accounts import Account, RealClock, ok, register
from tests.support.api import Api, Reply, over_http
from tests.support.servers import ServerProcess, environment, serving
from tests.support.world import World

PROMISED = 5.0
"""Seconds within which whoever asks is told that the database does not answer."""


def timed(act: Callable[[], Reply]) -> tuple[Reply, float]:
    before = time.monotonic()
    reply = act()
    return reply, time.monotonic() - before


def unavailable(act: Callable[[], Reply]) -> None:
    """503 in time, in the one envelope, and no token."""
    reply, seconds = timed(act)
    assert (reply.status, reply.code) == (503, "unavailable"), reply.content
    assert seconds < PROMISED
    assert b"token" not in reply.content


# -- PostgreSQL behind a proxy -------------------------------------------------------------------


@dataclass(frozen=True)
class Behind:
    """A server whose database is behind a proxy, and a client of it."""

    server: ServerProcess
    proxy: Proxy
    api: Api


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder = tmp_path_factory.mktemp("behind")
    where = postgres_server()
    with ExitStack() as stack:
        url = stack.enter_context(postgres_database())
        migrate.upgrade(url)
        target = (where.host or "127.0.0.1", where.port or 5432)
        proxy = stack.enter_context(proxy_to(target))
        through = url.replace(f"{target[0]}:{target[1]}", f"127.0.0.1:{proxy.port}")
        assert through != url
        env = environment(folder, COUNTERSIGN_DATABASE_URL=through)
        server = stack.enter_context(serving(folder, "--workers", "2", env=env))
        client = stack.enter_context(httpx.Client(base_url=server.url, timeout=60))
        yield Behind(server, proxy, over_http(client))


def statuses(api: Api) -> tuple[int, int]:
    return api.get("/health/live").status, api.get("/health/ready").status


@pytest.mark.parametrize("how", ["refuse", "hang"])
def test_without_its_database_a_server_says_so_and_recovers_alone(behind: Behind, how: Cut) -> None:
    ann = register(behind.api, RealClock()).sign_in().enrol()
    challenge, code = ann.begin()["challenge_id"], ann.code()
    body = {"username": ann.username, "password": ann.password}
    behind.proxy.cut(how)
    try:
        for _ in range(2):  # connections that were open, then new ones
            unavailable(lambda: behind.api.post("/auth/login", json=body))
            unavailable(lambda: ann.finish(challenge, code))
            unavailable(lambda: ann.get("/mfa/status"))
            assert statuses(behind.api) == (200, 503)
    finally:
        behind.proxy.mend()
    assert back_within(behind.api, PROMISED)
    assert behind.server.process.poll() is None
    tokens = ok(ann.finish(challenge, code)).data
    assert ann.take(tokens).status()["enabled"] is True
    assert ann.finish(challenge, code).status == 401


def back_within(api: Api, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if statuses(api) == (200, 200):
            return True
        time.sleep(0.05)
    return False


# -- SQLite held by another process --------------------------------------------------------------


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("held")
    with (
        serving(folder, "--workers", "2") as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        url = environment(folder)["COUNTERSIGN_DATABASE_URL"]
        yield Cluster(folder, url, server, over_http(client))


@pytest.fixture(scope="module")
def beside(one_file: Cluster) -> Iterator[World]:
    with twin_of(one_file.folder, one_file.url) as world:
        yield world


@contextmanager
def held(folder: Path) -> Iterator[sqlite3.Connection]:
    """The write lock of the database, taken by someone who is not a server."""
    file = folder / "countersign.db"
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    with closing(connection):
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def account(cluster: Cluster, beside: World) -> Account:
    """An enrolled account, prepared cheaply, that talks to the server."""
    ann = beside.account().sign_in().enrol()
    ann.api = cluster.api
    return ann


Finish = Callable[[Account, str], Callable[[], Reply]]


def with_the_phone(ann: Account, challenge: str) -> Callable[[], Reply]:
    code = ann.code()
    return lambda: ann.finish(challenge, code)


def with_a_backup_code(ann: Account, challenge: str) -> Callable[[], Reply]:
    code = ann.backup_codes[0]
    return lambda: ann.finish(challenge, code)


@pytest.mark.parametrize("way", [with_the_phone, with_a_backup_code])
def test_a_login_waits_three_seconds_for_another_writer(
    one_file: Cluster, beside: World, way: Finish
) -> None:
    ann = account(one_file, beside)
    login = way(ann, beside_begin(ann, beside))
    with held(one_file.folder) as connection:
        release = threading.Timer(3, connection.rollback)
        release.start()
        reply, seconds = timed(login)
        release.join()
    assert "access_token" in ok(reply).data
    assert seconds >= 2.5
    assert login().status == 401


@pytest.mark.parametrize("way", [with_the_phone, with_a_backup_code])
def test_a_login_that_cannot_be_written_down_is_refused_in_time(
    one_file: Cluster, beside: World, way: Finish
) -> None:
    ann = account(one_file, beside)
    login = way(ann, beside_begin(ann, beside))
    with held(one_file.folder):
        unavailable(login)
        assert one_file.api.get("/health/live").status == 200
        assert ann.get("/auth/session").status == 200  # reading goes on
    before = ann.status()["backup_codes_remaining"]
    ann.take(ok(login()).data)
    spent = 1 if way is with_a_backup_code else 0
    assert (before, ann.status()["backup_codes_remaining"]) == (10, 10 - spent)


def test_many_who_wait_for_one_writer_are_all_answered_in_time(
    one_file: Cluster, beside: World
) -> None:
    ann = account(one_file, beside)
    body = {"username": ann.username, "password": ann.password}
    found: list[tuple[Reply, float]] = []

    def log_in() -> None:
        with httpx.Client(base_url=one_file.server.url, timeout=60) as client:
            api = over_http(client)
            found.append(timed(lambda: api.post("/auth/login", json=body)))

    with held(one_file.folder):
        threads = [threading.Thread(target=log_in) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [reply.status for reply, _ in found] == [503] * 8
    assert max(seconds for _, seconds in found) < PROMISED
    assert one_file.api.get("/health/ready").status == 200


def beside_begin(ann: Account, beside: World) -> str:
    """The challenge of a password login at the twin, where a password costs little."""
    server, ann.api = ann.api, beside.api
    challenge = ann.begin()["challenge_id"]
    ann.api = server
    return str(challenge)
