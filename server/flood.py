"""The flood limit: how many requests one client address may send, over all operations.

It is asked before a body is read, a thread is taken or a password is hashed. The buckets are in
this process, or in Redis, where all workers and hosts share them. A Redis that does not answer is
a 503 in bounded time and never an open door.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any

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
ADDRESSES = 65_536
"""Most addresses that a process remembers, 20 MB of them; the one unseen for longest goes first."""
REDIS_SECONDS = 0.5
"""Longest time that a request waits for Redis, the making of a connection included."""
REDIS_CONNECTIONS = 16
KEYS = "countersign:flood"
"""Begins the name of every key in Redis. A key holds an address, for as long as a bucket fills."""

SILENT = "silent_flood_store"
"""The wording of a 503 for want of the store."""

_origin = lru_cache(4096)(origin)


class Flood:
    """Where the buckets are: in this process, or in Redis."""

    def __init__(self, redis_url: str | None = None) -> None:
        self._remote = redis_url is not None
        self._store = (
            RedisStore(redis_url, _redis_options())
            if self._remote
            else MemoryStore(options={"MAX_SIZE": ADDRESSES})
        )
        self._answering = True

    def limit(self, policy: FloodPolicy) -> Limit:
        """The buckets of one set of values, shared by whoever names the same."""
        return Limit(self, policy, self._store)

    async def ping(self) -> None:
        """Raises Unavailable where the store of the buckets does not answer.

        It writes, as each count does: a Redis that is full or a replica answers who only reads.
        """
        await self.ask(self._store.set(f"{KEYS}:ping", 1, 1))

    async def close(self) -> None:
        """Give the connections back."""
        if self._remote:
            client: Any = self._store._backend.get_client()
            await client.aclose(close_connection_pool=True)

    async def ask(self, question: Awaitable[Any]) -> Any:
        """The store's answer. Raises Unavailable, in bounded time, where there is none."""
        if not self._remote:
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
    """One bucket for each address."""

    def __init__(self, flood: Flood, policy: FloodPolicy, store: BaseStore) -> None:
        quota = rate_limiter.per_duration(policy.per, policy.rate, policy.burst)
        # GCRA is a token bucket that is kept as one time, to the microsecond.
        using = RateLimiterType.GCRA.value
        self._flood = flood
        self._quota, self._window = policy.burst, policy.window
        self._throttled = Throttled(using=using, quota=quota, store=store, key_prefix=KEYS)
        self._prefix = f"{policy.rate}/{policy.per.total_seconds():.0f}/{policy.burst}:"

    async def take(self, address: str | None) -> None:
        """Count one request. Raises TooManyRequests, or Unavailable where the store is silent."""
        key = self._prefix + _origin(address)
        result = await self._flood.ask(self._throttled.limit(key))
        if result.limited:
            wait = max(1, math.ceil(result.state.retry_after))
            raise TooManyRequests(wait, self._quota, self._window)


def gate(
    flood: Flood, operations: Mapping[str, Operation], address: Callable[[Request], str | None]
) -> Gate:
    """What the contract asks about each request; operations without a limit pass."""
    limits = {
        name: flood.limit(operation.extensions[RATE_LIMIT.name])
        for name, operation in operations.items()
        if RATE_LIMIT.name in operation.extensions
    }

    async def admit(request: Request) -> None:
        limit = limits.get(request.operation.id)
        if limit is not None:
            await limit.take(address(request))
        elif request.operation.id == READINESS:
            await flood.ping()

    return admit


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
