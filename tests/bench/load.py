"""The load generator, in a process of its own: a job on standard input, its outcome on output.

Each connection sends a request, waits for the whole reply, and sends the next one. Replies that
come in before ``warm_up`` has passed are not counted.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import httptools
import uvloop

from tests.support.servers import ROOT

PATIENCE = 60
"""Seconds over the job's own length after which a server counts as hanging."""


@dataclass(frozen=True)
class Job:
    """What to send to which port of this machine, and for how long (seconds).

    There are as many keep-alive connections as ``requests``; each repeats its own.
    """

    port: int
    requests: tuple[str, ...]
    warm_up: float
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """How often each status was answered, and in how many seconds."""

    statuses: Mapping[int, int]
    seconds: float

    @property
    def rate(self) -> float:
        """Replies a second."""
        return sum(self.statuses.values()) / self.seconds


def measure(job: Job) -> Outcome:
    """Carry a job out in another process. Raises CalledProcessError where the server gives up."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.load"],
        input=json.dumps(asdict(job)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=job.warm_up + job.seconds + PATIENCE,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    result = json.loads(done.stdout)
    statuses = {int(status): count for status, count in result["statuses"].items()}
    return Outcome(statuses, result["seconds"])


class Client(asyncio.Protocol):
    """One connection. It counts replies by status and ends only with the process."""

    def __init__(
        self, request: bytes, statuses: Counter[int], broken: asyncio.Future[None]
    ) -> None:
        self._request = request
        self._statuses = statuses
        self._broken = broken

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._statuses[self._parser.get_status_code()] += 1
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._broken.done():
            self._broken.set_exception(exc or ConnectionError("the server closed a connection"))

    def _next(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(self._request)


async def run(job: Job) -> Outcome:
    """Carry a job out here."""
    loop = asyncio.get_running_loop()
    statuses: Counter[int] = Counter()
    broken = loop.create_future()
    for request in job.requests:
        client = Client(request.encode("latin-1"), statuses, broken)
        await loop.create_connection(lambda client=client: client, "127.0.0.1", job.port)
    await asyncio.wait([broken], timeout=job.warm_up)
    statuses.clear()
    begun = perf_counter()
    await asyncio.wait([broken], timeout=job.seconds)
    outcome = Outcome(dict(statuses), perf_counter() - begun)
    if broken.done():
        broken.result()
    broken.cancel()
    return outcome


def main() -> None:
    job = json.load(sys.stdin)
    outcome = uvloop.run(run(Job(**job | {"requests": tuple(job["requests"])})))
    json.dump(asdict(outcome), sys.stdout)


if __name__ == "__main__":
    main()
