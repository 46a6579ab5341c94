"""PostgreSQL hangs, takes no writes, or cannot be reached: refused in time, and right again after.

That it is stopped and restarted are rows of the catalogue (tests/security/test_reliability.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.acts import Fault, outage
from tests.faults.postgres import Cluster
from tests.faults.proxy import Cut
from tests.faults.scene import Scene


def suspended(cluster: Cluster, seconds: float) -> Fault:
    """SIGSTOP to every process of the server, for at least so long."""

    @contextmanager
    def fault() -> Iterator[None]:
        end = time.monotonic() + seconds
        cluster.suspend()
        try:
            yield
            time.sleep(max(0.0, end - time.monotonic()))
        finally:
            cluster.resume()

    return fault


def test_a_server_that_is_suspended(postgres: Scene, cluster: Cluster) -> None:
    outage("PostgreSQL, SIGSTOP", postgres, suspended(cluster, 0))


@pytest.mark.full
def test_a_server_that_is_suspended_for_half_a_minute(postgres: Scene, cluster: Cluster) -> None:
    outage("PostgreSQL, SIGSTOP for 30 s", postgres, suspended(cluster, 30))


def test_a_server_that_is_read_only(postgres: Scene, cluster: Cluster) -> None:
    @contextmanager
    def fault() -> Iterator[None]:
        cluster.read_only(True)
        time.sleep(0.2)  # the sessions hear of it with their next signal
        try:
            yield
        finally:
            cluster.read_only(False)

    outage("PostgreSQL, read-only", postgres, fault, reads=True)


@pytest.mark.parametrize("how", ["refuse", "hang"])
def test_a_server_that_cannot_be_reached(postgres: Scene, how: Cut) -> None:
    @contextmanager
    def fault() -> Iterator[None]:
        postgres.trap.cut(how)
        try:
            yield
        finally:
            postgres.trap.mend()

    outage(f"PostgreSQL, connections {how}", postgres, fault)
