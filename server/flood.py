"""The flood limits: how many requests an address, an account, or all callers together may send.

The first and the last are asked before a body is read, a thread is taken or a password is hashed;
that of an account as soon as it is known whose token it is. The buckets are in this process, or in
Redis, where all workers and hosts share them. A Redis that does not answer is a 503 in bounded time
and never an open door.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Literal, get_args

import structlog
from throttled import RateLimiterType
from throttled.asyncio import BaseStore, MemoryStore, RedisStore, Throttled, rate_limiter
from throttled.exceptions import StoreUnavailableError

from contract.operation import Operation
from contract.request import Request
from contract.view import Gate
from domain.addresses import origin
from domain.errors import TooManyRequests, Unavailable
from domain.policy import FloodPolicy
from server.extensions import RATE_LIMIT

log = structlog.get_logger("server")

READINESS = "getReadiness"
"""The operation that has to say whether the store of the buckets answers."""
Kind = Literal["address", "user", "operation"]
"""What a limit counts the requests of: the members of ``x-rate-limit``."""
MOST = 65_536
"""Most buckets of a kind that a process remembers, 20 MB of them; the one unseen for longest goes first.

Each kind has room of its own, so that nobody makes the limit of an account forgotten by many addresses.
"""
REDIS_SECONDS = 0.5
"""Longest time that a request waits for Redis, the making of a connection included."""
REDIS_CONNECTIONS = 16
LOOP_SECONDS = 2.0
"""Longest time that a thread waits for the event loop to ask for it."""
KEYS = "countersign:flood"
"""Begins the name of every key in Redis.

A key holds an address, the id of an account or an operationId, for as long as a bucket fills.
"""

SILENT = "silent_flood_store"
"""The wording of a 503 for want of the store."""

_origin = lru_cache(4096)(origin)
_loop: ContextVar[asyncio.AbstractEventLoop] = ContextVar("loop")
"""The loop that a request came in on. The gate notes it, and the thread that serves the request has it."""


class Flood:
    """Where the buckets are: in this process, or in Redis."""

    def __init__(self, redis_url: str | None = None) -> None:
        self._redis = RedisStore(redis_url, _redis_options()) if redis_url is not None else None
        self._stores: dict[Kind, BaseStore] = {
            kind: self._redis or MemoryStore(options={"MAX_SIZE": MOST}) for kind in get_args(Kind)
        }
        self._answering = True

    def limit(self, kind: Kind, policy: FloodPolicy) -> Limit:
        """The buckets of one kind and one set of values, shared by whoever names the same."""
        return Limit(self, kind, policy, self._stores[kind])

    async def ping(self) -> None:
        """Raises Unavailable where the store of the buckets does not answer.

        It writes, as each count does: a Redis that is full or a replica answers who only reads.
        """
        await self.ask(self._stores["address"].set(f"{KEYS}:ping", 1, 1))

    async def close(self) -> None:
        """Give the connections back."""
        if self._redis is not None:
            client: Any = self._redis._backend.get_client()
            await client.aclose(close_connection_pool=True)

    async def ask(self, question: Awaitable[Any]) -> Any:
        """The store's answer. Raises Unavailable, in bounded time, where there is none."""
        if self._redis is None:
            return await question
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                answer = await question
        except (StoreUnavailableError, OSError) as error:  # TimeoutError is an OSError
            told = error.__cause__ if isinstance(error, StoreUnavailableError) else error
            self._note(answering=False, reason=type(told).__name__)
            raise Unavailable(SILENT) from error
        self._note(answering=True)
        return answer

    def _note(self, *, answering: bool, reason: str | None = None) -> None:
        """Say it once, when it changes: a line for each request would be another flood."""
        if answering is self._answering:
            return
        self._answering = answering
        if answering:
            log.warning("flood_store_answers")
        else:
            log.error("flood_store_silent", reason=reason)


class Limit:
    """One bucket for each address, account or operation."""

    def __init__(self, flood: Flood, kind: Kind, policy: FloodPolicy, store: BaseStore) -> None:
        quota = rate_limiter.per_duration(policy.per, policy.rate, policy.burst)
        # GCRA is a token bucket that is kept as one time, to the microsecond.
        using = RateLimiterType.GCRA.value
        self._flood, self._kind = flood, kind
        self._quota, self._window = policy.burst, policy.window
        self._throttled = Throttled(using=using, quota=quota, store=store, key_prefix=KEYS)
        values = f"{policy.rate}/{policy.per.total_seconds():.0f}/{policy.burst}"
        self._prefix = f"{kind}:{values}:"

    async def take(self, whose: str) -> None:
        """Count one request. Raises TooManyRequests, or Unavailable where the store is silent."""
        result = await self._flood.ask(self._throttled.limit(self._prefix + whose))
        if result.limited:
            wait = max(1, math.ceil(result.state.retry_after))
            raise TooManyRequests(self._kind, wait, self._quota, self._window)


def gate(
    flood: Flood, operations: Mapping[str, Operation], address: Callable[[Request], str | None]
) -> Gate:
    """What the contract asks about each request; operations without a limit pass.

    The address comes first and what it is refused is not counted for the operation: a single
    address could otherwise take an operation from everybody by being refused. The other way round
    nothing is lost, for an address has sent what it has sent.
    """
    addresses = _limits(flood, "address", operations)
    shared = _limits(flood, "operation", operations)

    async def admit(request: Request) -> None:
        _loop.set(asyncio.get_running_loop())
        name = request.operation.id
        if name in addresses:
            await addresses[name].take(_origin(address(request)))
        if name in shared:
            await shared[name].take(name)
        if name == READINESS:
            await flood.ping()

    return admit


def account_gate(
    flood: Flood, operations: Mapping[str, Operation]
) -> Callable[[Operation, str], None]:
    """What is asked about an account, by its id, on the thread of a request that :func:`gate` let in.

    Raises TooManyRequests, or Unavailable where the store is silent.
    """
    accounts = _limits(flood, "user", operations)

    def admit(operation: Operation, user_id: str) -> None:
        if operation.id in accounts:
            _on_the_loop(accounts[operation.id].take(user_id))

    return admit


def _limits(flood: Flood, kind: Kind, operations: Mapping[str, Operation]) -> dict[str, Limit]:
    """The limits of one kind by operationId."""
    policies = {
        name: getattr(operation.extensions.get(RATE_LIMIT.name), kind, None)
        for name, operation in operations.items()
    }
    return {name: flood.limit(kind, policy) for name, policy in policies.items() if policy}


def _on_the_loop(question: Coroutine[Any, Any, None]) -> None:
    """Wait on a thread for what only the loop may ask: the stores are bound to it."""
    answer = asyncio.run_coroutine_threadsafe(question, _loop.get())
    try:
        answer.result(LOOP_SECONDS)
    except TimeoutError:
        answer.cancel()
        raise Unavailable(SILENT) from None


def _redis_options() -> dict[str, Any]:
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return {
        "CONNECTION_POOL_CLASS": "redis.asyncio.BlockingConnectionPool",
        "CONNECTION_POOL_KWARGS": {
            "max_connections": REDIS_CONNECTIONS,
            "timeout": REDIS_SECONDS,
            "socket_timeout": REDIS_SECONDS,
            "socket_connect_timeout": REDIS_SECONDS,
            # A connection that Redis closed while it was idle is found out by its first use.
            "retry": Retry(NoBackoff(), 1),
        },
    }
