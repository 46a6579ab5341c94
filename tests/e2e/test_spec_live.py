"""The guide's edits and broken ones, made while a server follows the spec and is busy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.broken import BROKEN
from tests.contract.broken import make as make_broken
from tests.contract.notes import copy
from tests.e2e.steady import Load
from tests.support.accounts import RealClock, register
from tests.support.servers import ROOT, ServerProcess, environment, serving
from tests.support.tasks import GUIDE, SEEN, Change, Stage, make, tasks, undone

pytestmark = pytest.mark.slow

TASKS = tasks(GUIDE.read_text("utf-8"))
IN_FORCE_SECONDS = 2.0
RATE = 50


@dataclass
class Author:
    """Edits the spec of a running server."""

    spec: Path
    server: ServerProcess

    def __post_init__(self) -> None:
        self.stage = Stage(self.server.api(), RealClock())

    def revision(self) -> str:
        """That of the contract in force, wherever readiness stands under it; "" where it moved."""
        replies = (self.stage.api.get(f"{base}/health/ready") for base in ("", "/v1"))
        return next((str(r.data["revision"]) for r in replies if r.status == 200), "")

    def edit(self, changes: list[Change]) -> float:
        """Make the changes; how many seconds it takes until they are in force."""
        before = self.revision()
        make(self.spec, changes)
        began = time.monotonic()
        while self.revision() in (before, ""):
            assert time.monotonic() - began < 30, "the edit never took effect"
            time.sleep(0.02)
        return time.monotonic() - began

    def read(self, since: int = 0) -> str:
        """What the server has written from a place on."""
        return self.server.log.read_text("utf-8")[since:]

    def wait(self, words: str, since: int) -> str:
        """What was written from a place on, once the words are in it."""
        end = time.monotonic() + 30
        while words not in (text := self.read(since)):
            assert time.monotonic() < end, (words, text)
            time.sleep(0.02)
        return text


@pytest.fixture
def author(tmp_path: Path) -> Iterator[Author]:
    spec = copy(tmp_path, ROOT / "spec")
    env = environment(tmp_path, COUNTERSIGN_SPEC=str(spec / "openapi.yaml"))
    with serving(tmp_path, "--watch", env=env) as server:
        yield Author(spec, server)


def test_ten_edits_take_effect_within_two_seconds_and_lose_no_request(author: Author) -> None:
    account = register(author.stage.api, author.stage.clock).sign_in().enrol()
    status = ("/mfa/status", {"Authorization": f"Bearer {account.token}"})
    load = Load(author.server.url, (("/health/live", {}), status), RATE)
    first, slow = author.revision(), {}
    with load.sent():
        for title, changes in TASKS.items():
            done = author.edit(changes)
            assert SEEN[title].look(author.stage) == SEEN[title].after, title
            back = author.edit(undone(changes))
            assert SEEN[title].look(author.stage) == SEEN[title].before, title
            print(f"{title}: {done:.2f} s, taken back: {back:.2f} s")
            slow |= {title: (done, back)} if max(done, back) > IN_FORCE_SECONDS else {}
    sent = load.outcomes.total()
    print(f"{sent} requests in {load.seconds:.0f} s: {dict(load.outcomes)}")
    assert author.revision() == first
    # Nothing is at the old address while everything is under another base path.
    assert set(load.outcomes) == {200, 404}
    assert load.outcomes[404] < sent / 4
    assert sent >= 0.9 * RATE * load.seconds
    assert not slow


def test_broken_edits_are_told_where_they_stand_and_change_nothing(author: Author) -> None:
    revision = author.revision()
    for name, edit in BROKEN.items():
        path = author.spec / edit.file
        sound, since = path.read_bytes(), len(author.read())
        (place,) = make_broken(author.spec, edit)
        told = author.wait("contract_refused", since)
        assert f"{place.removeprefix('spec/')}: error: " in told, (name, told)
        assert edit.says in told
        assert author.revision() == revision
        assert author.stage.user().status()["enabled"] is False
        since = len(author.read())
        path.write_bytes(sound)
        author.wait("contract_unchanged", since)
    assert author.revision() == revision
