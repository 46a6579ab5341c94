"""The flood limits by themselves and in an application of this process, in memory and in Redis."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from ipaddress import ip_network
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.bridge import QUICK_THREADS, THREADS, WAITING
from contract.operation import Operation
from contract.request import Headers, Request
from contract.view import Gate
from domain import meta
from domain.errors import TooManyAttempts, TooManyRequests, Unavailable
from domain.policy import FloodPolicy, RateLimits
from domain.results import Readiness
from domain.services import Services
from server import flood
from server.app import _address
from server.extensions import RATE_LIMIT
from server.flood import SILENT, Flood, Limit, account_gate, gate
from server.settings import Settings
from server.spec import read
from tests.contract.lab.stage import Answer, exchange, scope
from tests.support.accounts import Account
from tests.support.api import Api, Reply, over_http
from tests.support.fields import Item, NotStructured, parse_list
from tests.support.redis import Redis, redis_server
from tests.support.servers import ROOT
from tests.support.specs import with_limits
from tests.support.threads import listening
from tests.support.world import SHIPPED, World, reading_of, world_in

SMALL = FloodPolicy(rate=20, per=timedelta(seconds=1), burst=10)
SLOW = FloodPolicy(rate=1, per=timedelta(seconds=2), burst=3)
MOST_MICROSECONDS = 60
"""Three times what a request may cost, because other processes share the machine's cores."""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@asynccontextmanager
async def using(url: str | None = None) -> AsyncIterator[Flood]:
    store = Flood(url)
    try:
        yield store
    finally:
        await store.close()


async def counted(ask: Callable[[], Awaitable[None]], requests: int) -> int:
    """How many of the requests pass."""
    passed = 0
    for _ in range(requests):
        try:
            await ask()
        except TooManyRequests:
            continue
        passed += 1
    return passed


async def admitted(limit: Limit, requests: int, whose: str = "192.0.2.1") -> int:
    return await counted(lambda: limit.take(whose), requests)


async def let_in(ask: Gate, request: Request, requests: int) -> int:
    return await counted(lambda: ask(request), requests)


def limited(**limits: RateLimits) -> dict[str, Operation]:
    """The shipped operations of these names, with other limits."""
    operations = reading_of(SHIPPED).contract.operations
    return {
        name: replace(operations[name], extensions={RATE_LIMIT.name: each})
        for name, each in limits.items()
    }


def asked(operation: Operation) -> Request:
    return Request(operation.method, operation.path, Headers([]), "192.0.2.1", "", operation)


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> str | None:
    """The URL of an empty store."""
    if request.param == "memory":
        return None
    server: Redis = request.getfixturevalue("redis")
    server.ask("FLUSHALL")
    return server.url


Story = Callable[[Flood], Awaitable[None]]


def tell(url: str | None, story: Story) -> None:
    async def whole() -> None:
        async with using(url) as store:
            await story(store)

    asyncio.run(whole())


def test_a_burst_passes_and_then_what_is_refilled(store: str | None) -> None:
    async def story(store: Flood) -> None:
        limit = store.limit("address", SMALL)
        begun = time.monotonic()
        passed = await admitted(limit, 200)
        took = time.monotonic() - begun
        assert 10 <= passed <= 10 + took * 20 + 1
        await asyncio.sleep(0.3)
        assert 5 <= await admitted(limit, 12) <= 9

    tell(store, story)


def test_addresses_do_not_share_and_operations_do(store: str | None) -> None:
    async def story(store: Flood) -> None:
        assert await admitted(store.limit("address", SMALL), 30) < 30
        assert await admitted(store.limit("address", SMALL), 5) < 5
        assert await admitted(store.limit("address", SMALL), 5, "192.0.2.2") == 5
        wider = FloodPolicy(rate=20, per=timedelta(seconds=1), burst=11)
        assert await admitted(store.limit("address", wider), 5) == 5

    tell(store, story)


def test_a_64_of_ipv6_is_one_address(store: str | None) -> None:
    async def story(store: Flood) -> None:
        operations = limited(getSession=RateLimits(address=SMALL))

        async def passed(requests: int, address: str) -> int:
            ask = gate(store, operations, lambda _request: address)
            return await let_in(ask, asked(operations["getSession"]), requests)

        for host in range(30):
            await passed(1, f"2001:db8:0:1::{host:x}")
        assert await passed(1, "2001:db8:0:1:ffff::1") == 0
        assert await passed(5, "2001:db8:0:2::1") == 5
        assert await passed(5, "::ffff:192.0.2.7") == 5
        assert await passed(10, "192.0.2.7") < 10

    tell(store, story)


def test_what_a_refusal_says_comes_true(store: str | None) -> None:
    async def story(store: Flood) -> None:
        limit = store.limit("address", SLOW)
        assert await admitted(limit, 3) == 3
        with pytest.raises(TooManyRequests) as refused:
            await limit.take("192.0.2.1")
        wait = int(refused.value.headers["Retry-After"])
        assert wait == 2
        assert refused.value.headers["RateLimit"] == '"address";r=0;t=2'
        assert refused.value.headers["RateLimit-Policy"] == '"address";q=3;w=6'
        await asyncio.sleep(wait)
        assert await admitted(limit, 1) == 1

    tell(store, story)


def test_two_processes_share_what_is_in_redis_and_nothing_else(redis: Redis) -> None:
    redis.ask("FLUSHALL")

    async def whole() -> None:
        async with using(redis.url) as one, using(redis.url) as two:
            assert await admitted(one.limit("address", SMALL), 30) < 30
            assert await admitted(two.limit("address", SMALL), 3) < 3
        async with using() as one, using() as two:
            assert await admitted(one.limit("address", SMALL), 30) < 30
            assert await admitted(two.limit("address", SMALL), 3) == 3

    asyncio.run(whole())


def test_a_key_in_redis_does_not_outlive_its_bucket(redis: Redis) -> None:
    redis.ask("FLUSHALL")

    async def story(store: Flood) -> None:
        await admitted(store.limit("address", SMALL), 30)

    tell(redis.url, story)
    name = "countersign:flood:v1:gcra:address:20/1/10:192.0.2.1"
    assert name.encode() in redis.ask("KEYS *")
    assert redis.ask(f"TTL {name}") == b":1\r\n"


def test_memory_is_bounded_however_many_addresses_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flood, "MOST", 100)

    async def story(store: Flood) -> None:
        limit = store.limit("address", SMALL)
        for number in range(1000):
            await limit.take(f"10.0.{number >> 8}.{number & 255}")
            await limit.take("192.0.2.1") if number < 9 else None
        backend: Any = store._stores["address"]._backend
        assert len(backend.get_client()) == 100

    tell(None, story)


def test_many_addresses_make_no_account_s_limit_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flood, "MOST", 100)

    async def story(store: Flood) -> None:
        account = store.limit("user", SLOW)
        assert await admitted(account, 5, "ann") == 3
        addresses = store.limit("address", SMALL)
        for number in range(200):
            await addresses.take(f"10.0.0.{number}")
        assert await admitted(account, 1, "ann") == 0

    tell(None, story)


# -- by operation and by account ---------------------------------------------------------------


def test_an_operation_has_one_bucket_for_all_and_another_operation_its_own(
    store: str | None,
) -> None:
    async def story(store: Flood) -> None:
        three = RateLimits(operation=SLOW)
        operations = limited(registerUser=three, login=three)
        callers = cycle(f"192.0.2.{number}" for number in range(9))
        ask = gate(store, operations, lambda _request: next(callers))
        assert await let_in(ask, asked(operations["registerUser"]), 9) == 3
        assert await let_in(ask, asked(operations["login"]), 9) == 3
        with pytest.raises(TooManyRequests) as refused:
            await ask(asked(operations["login"]))
        assert refused.value.headers["RateLimit-Policy"] == '"operation";q=3;w=6'

    tell(store, story)


def test_what_an_address_is_refused_is_not_taken_from_the_operation(store: str | None) -> None:
    async def story(store: Flood) -> None:
        limits = RateLimits(address=SLOW, operation=replace(SLOW, burst=5))
        operations = limited(registerUser=limits)
        request = asked(operations["registerUser"])
        first = gate(store, operations, lambda _request: "192.0.2.1")
        assert await let_in(first, request, 20) == 3
        second = gate(store, operations, lambda _request: "192.0.2.2")
        assert await let_in(second, request, 20) == 2

    tell(store, story)


AskOfAccount = Callable[[str, str], Awaitable[None]]


@asynccontextmanager
async def served(store: Flood, operations: dict[str, Operation]) -> AsyncIterator[AskOfAccount]:
    """Asks about accounts as the threads of requests do that the gate has let in."""
    await gate(store, operations, lambda _request: None)(asked(next(iter(operations.values()))))
    ask = account_gate(store, operations)
    yield lambda name, user_id: asyncio.to_thread(ask, operations[name], user_id)


def test_an_account_has_one_bucket_for_the_operations_of_the_same_values(
    store: str | None,
) -> None:
    async def story(store: Flood) -> None:
        three, five = RateLimits(user=SLOW), RateLimits(user=replace(SLOW, burst=5))
        operations = limited(setupMFA=three, createChallenge=three, logout=five)
        async with served(store, operations) as ask:
            assert await counted(lambda: ask("setupMFA", "ann"), 2) == 2
            assert await counted(lambda: ask("createChallenge", "ann"), 9) == 1
            assert await counted(lambda: ask("logout", "ann"), 9) == 5
            assert await counted(lambda: ask("setupMFA", "bob"), 9) == 3
            with pytest.raises(TooManyRequests) as refused:
                await ask("setupMFA", "ann")
        assert refused.value.headers["RateLimit"].startswith('"user";r=0;t=')

    tell(store, story)


def test_an_account_waits_for_a_silent_redis_as_long_as_an_address(redis: Redis) -> None:
    async def story(store: Flood) -> None:
        async with served(store, limited(setupMFA=RateLimits(user=SMALL))) as ask:
            await ask("setupMFA", "ann")
            redis.pause()
            try:
                begun = time.monotonic()
                with pytest.raises(Unavailable, match=SILENT):
                    await ask("setupMFA", "ann")
                assert time.monotonic() - begun < 2
            finally:
                redis.go_on()

    tell(redis.url, story)


def test_a_thread_does_not_wait_for_ever_for_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flood, "LOOP_SECONDS", 0.05)

    async def story(store: Flood) -> None:
        async with served(store, limited(setupMFA=RateLimits(user=SMALL))) as ask:
            waiting = asyncio.ensure_future(ask("setupMFA", "ann"))
            await asyncio.sleep(0)
            time.sleep(0.5)  # the loop is busy
            with pytest.raises(Unavailable):
                await waiting

    tell(None, story)


def test_the_store_in_memory_costs_next_to_nothing() -> None:
    limits = read(ROOT / "spec" / "openapi.yaml").contract.operations

    async def whole() -> float:
        async with using() as store:
            ask = gate(store, limits, partial(_address, Settings()))
            long = [(b"x-forwarded-for", b"1," * 4000), (b"user-agent", b"a" * 8000)]
            request = Request("GET", "/", Headers(long), "192.0.2.1", "", limits["getSession"])
            begun = time.perf_counter()
            for _ in range(400):
                await ask(request)
            return (time.perf_counter() - begun) / 400

    best = min(asyncio.run(whole()) for _ in range(10)) * 1e6
    print(f"the flood limit in memory: {best:.1f} µs a request")
    assert best < MOST_MICROSECONDS


# -- a Redis that does not answer --------------------------------------------------------------


async def refused_within(store: Flood, seconds: float) -> Unavailable:
    begun = time.monotonic()
    with pytest.raises(Unavailable) as refused:
        await store.limit("address", SMALL).take("192.0.2.1")
    assert time.monotonic() - begun < seconds
    return refused.value


@pytest.mark.parametrize("manner", ["paused", "gone"])
def test_a_silent_redis_is_a_503_in_bounded_time_and_heals(redis: Redis, manner: str) -> None:
    async def story(store: Flood) -> None:
        await store.limit("address", SMALL).take("192.0.2.1")
        redis.pause() if manner == "paused" else redis.stop()
        try:
            refused = await refused_within(store, 2)
            assert refused.headers["Retry-After"] == "1"
            crowd = [refused_within(store, 3) for _ in range(100)]
            await asyncio.gather(*crowd)
            with pytest.raises(Unavailable, match=SILENT):
                await store.ping()
        finally:
            redis.go_on() if manner == "paused" else redis.start()
        await asyncio.sleep(0.1)
        await store.ping()
        await store.limit("address", SMALL).take("192.0.2.3")

    tell(redis.url, story)


@pytest.mark.parametrize(
    ("break_it", "mend_it"),
    [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ],
)
def test_a_redis_that_takes_no_writes_is_as_good_as_silent(
    redis: Redis, break_it: str, mend_it: str
) -> None:
    async def story(store: Flood) -> None:
        redis.ask(break_it)
        try:
            await refused_within(store, 2)
            with pytest.raises(Unavailable):
                await store.ping()
        finally:
            redis.ask(mend_it)
        await store.ping()
        await store.limit("address", SMALL).take("192.0.2.4")

    tell(redis.url, story)


def test_silence_is_logged_once_and_so_is_its_end(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(store: Flood) -> None:
        redis.pause()
        try:
            for _ in range(3):
                await refused_within(store, 2)
        finally:
            redis.go_on()
        await asyncio.sleep(0.1)
        for _ in range(3):
            await store.ping()

    tell(redis.url, story)
    assert caplog.text.count("flood_store_silent") == 1
    assert "TimeoutError" in caplog.text
    assert caplog.text.count("flood_store_answers") == 1


@contextmanager
def trickling() -> Iterator[str]:
    """The URL of a server whose first reply comes byte by byte and never ends."""
    over = threading.Event()

    def serve(listener: socket.socket) -> None:
        line, _ = listener.accept()
        with line, suppress(OSError):
            line.sendall(b"+")
            while not over.wait(0.1):
                line.sendall(b"a")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        thread.join()


def test_a_reply_that_never_ends_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flood, "REDIS_SECONDS", 1.0)

    async def story(store: Flood) -> None:
        await refused_within(store, 1.9)  # the client by itself tries twice

    with trickling() as url:
        tell(url, story)


# -- in an application -------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path) -> World:
    """With the limit that is shipped."""
    return world_in(tmp_path, spec=SHIPPED)


def step_ups(account: Account, most: int = 400) -> tuple[int, Reply]:
    """How many step-ups an account may begin, and the reply to the next; none needs MFA."""
    for number in range(most):
        reply = account.post("/auth/challenge")
        if reply.status == 429:
            return number, reply
    raise AssertionError("no limit")


def test_the_shipped_limit_of_an_account_holds_at_every_address_and_for_nobody_else(
    world: World,
) -> None:
    ann, bob = world.account().sign_in(), world.account().sign_in()
    elsewhere = ann.another_device()
    elsewhere.api = world.api_from("198.51.100.7")
    elsewhere.sign_in()
    begun = time.monotonic()
    passed, refused = step_ups(ann)
    assert 100 <= passed <= 101 + 5 * (time.monotonic() - begun)
    assert refused.code == "too_many_requests"
    assert refused.headers["RateLimit-Policy"] == '"user";q=100;w=20'
    assert parse_list(refused.headers["RateLimit"]) == [Item("user", {"r": 0, "t": 1})]
    # Before the body is looked at, and after the account is known.
    spent = [elsewhere.post("/mfa/setup", content=b"{") for _ in range(3)]
    assert 429 in {reply.status for reply in spent}
    assert world.api.post("/mfa/setup", token="none").status == 401
    assert ann.get("/mfa/status").status == 200
    assert bob.post("/mfa/setup").status == 200


def test_a_refusal_for_want_of_assurance_is_not_counted(tmp_path: Path) -> None:
    spec = with_limits(tmp_path, costly="{rate: 1, per: PT1H, burst: 1}")
    ann = world_in(tmp_path, spec=spec).account().sign_in()
    refused = {ann.post("/mfa/backup-codes/regenerate").code for _ in range(5)}
    assert refused == {"insufficient_user_authentication"}
    assert [ann.post("/mfa/setup").status for _ in range(2)] == [200, 429]


def test_registrations_are_counted_over_all_addresses(tmp_path: Path) -> None:
    spec = with_limits(tmp_path, registrations="{rate: 1, per: PT1H, burst: 3}")
    world = world_in(tmp_path, spec=spec)
    ann = world.account()
    replies = [
        world.api_from(f"198.51.100.{number}").post("/auth/register", json={})
        for number in range(4)
    ]
    assert [reply.status for reply in replies] == [400, 400, 429, 429]
    assert replies[-1].headers["RateLimit-Policy"] == '"operation";q=3;w=10800'
    assert ann.sign_in().get("/auth/session").status == 200


def spend(world: World, path: str = "/auth/session", most: int = 2000) -> int:
    """Send until a 429 comes; returns how many passed."""
    for number in range(most):
        if world.api.get(path).status == 429:
            return number
    raise AssertionError("no limit")


def test_the_shipped_limit_is_shared_by_the_operations_of_an_address(world: World) -> None:
    begun = time.monotonic()
    passed = spend(world)
    assert 500 <= passed <= 501 + 50 * (time.monotonic() - begun)
    for path in ("/auth/login", "/mfa/setup"):
        # Fifty a second come back while the test runs.
        replies = (world.api.post(path, json={}) for _ in range(100))
        reply = next(reply for reply in replies if reply.status == 429)
        assert reply.code == "too_many_requests"
        assert parse_list(reply.headers["RateLimit"]) == [Item("address", {"r": 0, "t": 1})]
        assert parse_list(reply.headers["RateLimit-Policy"]) == [
            Item("address", {"q": 500, "w": 10})
        ]
        assert reply.headers["Retry-After"] == "1"
    assert world.api_from("192.0.2.9").get("/auth/session").status == 401


@pytest.mark.parametrize(
    "path", ["/health/live", "/health/ready", "/.well-known/jwks.json", "/docs/", "/openapi.json"]
)
def test_health_keys_and_docs_have_no_limit(world: World, path: str) -> None:
    spend(world)
    assert {world.api.get(path).status for _ in range(60)} == {200}


def test_a_crowd_that_asks_for_readiness_keeps_nobody_else_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, leave = world_in(tmp_path).application, threading.Event()

    def slow(_services: Services) -> Readiness:
        assert leave.wait(30)
        return Readiness("ok", "0123456789ab")

    monkeypatch.setattr(meta, "get_readiness", slow)

    async def get(path: str) -> Answer:
        return await exchange(app, scope("GET", path, []), [b""])

    async def crowd() -> tuple[int, list[Answer]]:
        asking = [asyncio.create_task(get("/health/ready")) for _ in range(THREADS + WAITING)]
        await asyncio.sleep(0.1)
        elsewhere = await get("/auth/session")
        leave.set()
        return elsewhere.status, await asyncio.gather(*asking)

    elsewhere, answers = asyncio.run(asyncio.wait_for(crowd(), 60))
    assert elsewhere == 401
    served = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 503]
    assert (len(served), len(refused)) == (QUICK_THREADS + WAITING, THREADS - QUICK_THREADS)
    assert {answer.header("retry-after") for answer in refused} == {"1"}


@pytest.mark.parametrize("trusted", [False, True])
def test_only_a_trusted_proxy_speaks_for_others(tmp_path: Path, trusted: bool) -> None:
    proxies = ip_network("192.0.2.1/32" if trusted else "10.0.0.0/8")
    spec = with_limits(tmp_path, flood="{rate: 1, per: PT1M, burst: 20}")
    world = world_in(tmp_path, spec=spec, trusted_proxies=(proxies,))
    spend(world)
    claimed = world.api.get("/auth/session", headers={"X-Forwarded-For": "198.51.100.7"})
    assert claimed.status == (401 if trusted else 429)


def test_redis_says_so_in_readiness_and_in_nothing_that_needs_no_limit(
    redis: Redis, tmp_path: Path
) -> None:
    world = world_in(tmp_path, redis_url=redis.url)
    with listening(world) as url, httpx.Client(base_url=url) as client:
        _tell_of_silence(over_http(client), redis)


def _tell_of_silence(api: Api, redis: Redis) -> None:
    assert api.get("/health/ready").status == 200
    redis.pause()
    try:
        ready = api.get("/health/ready")
        assert (ready.status, ready.code) == (503, "unavailable")
        assert ready.json["message"] == "The store of the flood limit does not answer"
        refused = api.post("/auth/login", json={})
        assert (refused.status, refused.code) == (503, "unavailable")
        assert refused.headers["Retry-After"] == "1"
        for path in ("/health/live", "/.well-known/jwks.json", "/docs/"):
            assert api.get(path).status == 200
    finally:
        redis.go_on()
    assert api.get("/health/ready").status == 200
    assert api.post("/auth/login", json={}).status == 400


# -- the fields --------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", [1, 30, 900])
@pytest.mark.parametrize("budget", ["password", "totp", "backup-code"])
def test_the_fields_of_a_closed_budget_are_structured(budget: str, wait: int) -> None:
    headers = TooManyAttempts(budget, wait, 5).headers
    assert parse_list(headers["RateLimit"]) == [Item(budget, {"r": 0, "t": wait})]
    assert parse_list(headers["RateLimit-Policy"]) == [Item(budget, {"q": 5})]
    assert headers["Retry-After"] == str(wait)


@pytest.mark.parametrize(
    "text",
    ["address;r=0", '"address";r=', '"address" r=0', '"address";R=0', '"address', '"a",', '"é"'],
)
def test_what_is_not_structured_is_found(text: str) -> None:
    with pytest.raises(NotStructured):
        parse_list(text)


def test_structured_lists_are_read() -> None:
    assert parse_list('"a\\"b"; q=1;w=-2 , "c"') == [Item('a"b', {"q": 1, "w": -2}), Item("c")]
