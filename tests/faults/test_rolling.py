"""A rolling upgrade: old servers serve on while the database is migrated and new ones start."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from storage.migrate import head
from tests.faults import planted
from tests.faults.acts import Stream
from tests.faults.postgres import Cluster
from tests.faults.releases import LATER, Release
from tests.faults.scene import PROMISED, Guest, Scene, on_postgres
from tests.faults.state import told
from tests.support.accounts import Account, ok
from tests.support.servers import ServerProcess

DRAIN = 0.5
"""Seconds between the last request that a balancer sends to an old server and its SIGTERM."""


@contextmanager
def watched(server: ServerProcess) -> Iterator[list[int]]:
    """Every answer of a server to the question whether it is ready, ten times a second."""
    found: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            found.append(httpx.get(f"{server.url}/health/ready", timeout=30).status_code)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


@contextmanager
def staying(people: list[Account]) -> Iterator[list[tuple[str, int]]]:
    """What those hear who are signed in and stay so, now and then with a fresh token."""
    heard: list[tuple[str, int]] = []
    over = threading.Event()

    def stay(ann: Account) -> None:
        while not over.wait(0.3):
            heard.append(("session", ann.get("/auth/session").status))
            reply = ann.api.post("/auth/refresh", json={"refresh_token": ann.refresh_token})
            heard.append(("refresh", reply.status))
            if reply.status == 200:
                ann.take(reply.data)

    threads = [threading.Thread(target=stay, args=(ann,)) for ann in people]
    for thread in threads:
        thread.start()
    try:
        yield heard
    finally:
        over.set()
        for thread in threads:
            thread.join()


def migrate_beside(release: Release, old: list[ServerProcess]) -> None:
    """Migrate while the old servers serve; they stay ready."""
    assert not release.fits()
    with ExitStack() as stack:
        answers = [stack.enter_context(watched(server)) for server in old]
        release.migrate()
        time.sleep(0.5)
    assert release.fits()
    assert all(found and set(found) == {200} for found in answers), "an old server is not ready"


def replace(scene: Scene, release: Release, stack: ExitStack) -> None:
    """One server after the other: a new one starts, the balancer turns to it, the old one ends."""
    for number, old in enumerate(list(scene.house.servers)):
        scene.house.servers[number] = stack.enter_context(release.serving())
        time.sleep(DRAIN)
        assert old.stop() == 0


def test_nobody_is_logged_out_or_refused_for_long(cluster: Cluster, tmp_path: Path) -> None:
    with on_postgres(cluster, tmp_path, workers=2) as scene, ExitStack() as stack:
        release = Release(tmp_path, scene.house)
        stream, people = Stream(scene, people=10), [scene.site.member() for _ in range(3)]
        acts = [
            lambda: migrate_beside(release, list(scene.house.servers)),
            lambda: replace(scene, release, stack),
        ]
        title = f"PostgreSQL, a rolling upgrade from {head()} to {LATER} under load"
        with told(title, scene.site) as tale, staying(people) as heard:
            stream.run(acts, pause=1)
            tale.note(f"replies: {dict(stream.statuses)}; the longest took {stream.longest:.2f} s")
            tale.note(f"{len(heard)} replies to those who stay; {stream.outages()}")
        stream.books.sound()
        assert set(stream.statuses) <= {200, 503}
        assert stream.longest < PROMISED
        assert stream.worst_outage() < PROMISED
        assert len(stream.let_in) > 25
        assert {status for _, status in heard} <= {200, 503}
        assert all(ann.get("/auth/session").status == 200 for ann in people)
        (row,) = scene.site.rows("SELECT count(*) AS number FROM users WHERE nickname IS NULL")
        assert row["number"] == len(stream.accounts) + len(people)
        scene.site.clock.advance(seconds=60)
        ok(Guest.of(scene.site, stream.accounts[0]).finish())


def test_a_server_that_serves_its_own_revision_alone_is_noticed(
    cluster: Cluster, tmp_path: Path
) -> None:
    with (
        on_postgres(cluster, tmp_path, bug=planted.EXACT) as scene,
        pytest.raises(AssertionError, match="an old server is not ready"),
    ):
        migrate_beside(Release(tmp_path, scene.house), scene.house.servers)
