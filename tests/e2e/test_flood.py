"""Floods against real servers: who is refused, who is not, and what a refusal costs."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.wire import Line, api_over, lines_to_all
from tests.support.accounts import RealClock, register
from tests.support.redis import Redis, redis_server
from tests.support.servers import START_SECONDS, ServerProcess, environment, serving
from tests.support.specs import with_flood, with_limits

pytestmark = pytest.mark.slow

BURST = 20
STRANGER, NEIGHBOUR = "127.0.0.1", "127.0.0.2"
FREE = ("/health/live", "/.well-known/jwks.json", "/docs/", "/openapi.json")


@contextmanager
def guarded(folder: Path, workers: int = 1, **settings: str) -> Iterator[ServerProcess]:
    """A server that lets an address send 20 requests and then one a minute."""
    spec = str(with_flood(folder, rate=1, per="PT1M", burst=BURST))
    env = environment(folder, COUNTERSIGN_SPEC=spec, **settings)
    with serving(folder, "--workers", str(workers), env=env) as server:
        yield server


@contextmanager
def client_at(server: ServerProcess, address: str, **options: Any) -> Iterator[httpx.Client]:
    transport = httpx.HTTPTransport(local_address=address)
    with httpx.Client(base_url=server.url, transport=transport, timeout=30, **options) as client:
        yield client


def wrong_login(client: httpx.Client, number: int) -> httpx.Response:
    body = {"username": f"nobody-{number}", "password": "not the right one"}
    return client.post("/auth/login", json=body)


def test_a_flood_of_wrong_logins_is_refused_without_a_hash(tmp_path: Path) -> None:
    with guarded(tmp_path) as server, client_at(server, STRANGER) as client:
        begun = time.monotonic()
        looked_at = [wrong_login(client, number) for number in range(BURST)]
        hashed = time.monotonic() - begun
        assert {reply.status_code for reply in looked_at} == {401}
        begun = time.monotonic()
        refused = [wrong_login(client, number) for number in range(300)]
        answered = time.monotonic() - begun
        assert {reply.status_code for reply in refused} == {429}
        assert {reply.json()["error"]["code"] for reply in refused} == {"too_many_requests"}
        assert answered / 300 < hashed / BURST / 4
        for path in FREE:
            assert {client.get(path).status_code for _ in range(2 * BURST)} == {200}
        with client_at(server, NEIGHBOUR) as other:
            assert wrong_login(other, 0).status_code == 401


def test_only_a_trusted_proxy_can_name_another_address(tmp_path: Path) -> None:
    forged = {"X-Forwarded-For": "198.51.100.7", "Forwarded": "for=198.51.100.8"}
    for trusted, expected in (("10.0.0.0/8", 429), (f"{STRANGER}/32", 401)):
        folder = tmp_path / trusted.partition("/")[0]
        folder.mkdir()
        with (
            guarded(folder, COUNTERSIGN_TRUSTED_PROXIES=trusted) as server,
            client_at(server, STRANGER) as client,
        ):
            statuses = Counter(client.get("/auth/session").status_code for _ in range(2 * BURST))
            assert statuses == {401: BURST, 429: BURST}
            assert client.get("/auth/session", headers=forged).status_code == expected


def spend_at_both(server: ServerProcess) -> Counter[int]:
    """The statuses of 20 requests of one address to each of two workers."""
    with lines_to_all(server, 2) as lines:
        apis = [api_over(line) for line in lines]
        return Counter(api.get("/auth/session").status for _ in range(BURST) for api in apis)


def test_two_workers_share_one_budget_in_redis(tmp_path: Path) -> None:
    with (
        redis_server(tmp_path) as redis,
        guarded(tmp_path, 2, COUNTERSIGN_REDIS_URL=redis.url) as server,
    ):
        assert spend_at_both(server) == {401: BURST, 429: BURST}
        with client_at(server, NEIGHBOUR) as other:
            assert other.get("/auth/session").status_code == 401


def test_two_workers_share_the_budget_of_an_account_in_redis(tmp_path: Path) -> None:
    spec = with_limits(tmp_path, costly=f"{{rate: 1, per: PT1M, burst: {BURST}}}")
    with redis_server(tmp_path) as redis:
        env = environment(tmp_path, COUNTERSIGN_SPEC=str(spec), COUNTERSIGN_REDIS_URL=redis.url)
        with (
            serving(tmp_path, "--workers", "2", env=env) as server,
            lines_to_all(server, 2) as lines,
        ):
            ann = register(server.api(), RealClock()).sign_in()
            apis = [api_over(line) for line in lines]
            statuses = Counter(
                api.post("/auth/challenge", token=ann.token).status
                for _ in range(BURST)
                for api in apis
            )
    assert statuses == {409: BURST, 429: BURST}


def test_without_redis_each_worker_counts_for_itself(tmp_path: Path) -> None:
    with guarded(tmp_path, 2) as server:
        assert spend_at_both(server) == {401: 2 * BURST}
        assert set(spend_at_both(server)) == {429}


def test_a_spent_burst_comes_back_at_the_rate_of_the_spec(tmp_path: Path) -> None:
    """The shipped numbers: 500 at once, 50 a second."""
    with serving(tmp_path) as server, Line(server) as line:
        api, passed, begun = api_over(line), 0, time.monotonic()
        while (reply := api.get("/auth/session")).status == 401:
            passed += 1
        took = time.monotonic() - begun
        assert 500 <= passed <= 501 + 50 * took
        assert reply.headers["RateLimit-Policy"] == '"address";q=500;w=10'
        time.sleep(int(reply.headers["Retry-After"]))
        begun, passed = time.monotonic(), 0
        while api.get("/auth/session").status == 401:
            passed += 1
        assert 50 <= passed <= 60 + 50 * (time.monotonic() - begun)


@pytest.mark.parametrize("manner", ["paused", "gone"])
def test_without_its_redis_a_server_says_so_and_recovers_alone(tmp_path: Path, manner: str) -> None:
    with (
        redis_server(tmp_path) as redis,
        guarded(tmp_path, 2, COUNTERSIGN_REDIS_URL=redis.url) as server,
        client_at(server, STRANGER) as client,
    ):
        assert wrong_login(client, 0).status_code == 401
        redis.pause() if manner == "paused" else redis.stop()
        _is_said_to_be_silent(client)
        redis.go_on() if manner == "paused" else redis.start()
        time.sleep(0.5)
        assert client.get("/health/ready").status_code == 200
        assert wrong_login(client, 1).status_code == 401


def _is_said_to_be_silent(client: httpx.Client) -> None:
    for _ in range(4):  # at either worker
        begun = time.monotonic()
        refused = wrong_login(client, 0)
        assert time.monotonic() - begun < 3
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "unavailable"
        assert refused.headers["Retry-After"] == "1"
        assert client.get("/health/ready").status_code == 503
        for path in FREE:
            assert client.get(path).status_code == 200


def test_a_redis_that_is_not_there_yet_does_not_keep_a_server_from_starting(tmp_path: Path) -> None:
    with redis_server(tmp_path) as redis:
        redis.stop()
        late = threading.Thread(target=_start_once_missed, args=(redis, tmp_path))
        late.start()
        # Waits until the server is ready, which it is not before Redis is.
        with guarded(tmp_path, COUNTERSIGN_REDIS_URL=redis.url) as server:
            late.join()
            assert httpx.get(f"{server.url}/auth/session").status_code == 401
            said = server.log.read_text(encoding="utf-8")
    assert said.index("flood_store_silent") < said.index("flood_store_answers")


def _start_once_missed(redis: Redis, folder: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if any(b"flood_store_silent" in log.read_bytes() for log in folder.glob("server-*.log")):
            break
        time.sleep(0.1)
    redis.start()
