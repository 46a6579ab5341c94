"""Keys that are rotated, lost and confused under a server with two workers."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from server import keys
from storage import migrate
from tests.e2e.planted_keys import BLIND, HASTY
from tests.e2e.rotation import Person, held, under_one_act, under_rotation
from tests.storage import databases
from tests.support.accounts import RealClock, register
from tests.support.servers import ServerProcess, serving

SHORT = 20
"""Seconds: a turn takes 13, and the new key is to sign for a while."""
PLANTED = (sys.executable, "-m", "tests.e2e.planted_keys")


@pytest.fixture(params=databases.ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database on each engine in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/countersign.db"
        return
    with databases.postgres_database() as made:
        migrate.upgrade(made)
        yield made


def sqlite_in(folder: Path) -> str:
    return f"sqlite:///{folder}/countersign.db"


def test_every_kind_of_key_is_rotated_under_load_and_nobody_notices(
    tmp_path: Path, url: str
) -> None:
    held(under_rotation(tmp_path, url, SHORT), signers=2)


def test_a_key_that_signs_too_soon_is_noticed(tmp_path: Path) -> None:
    wrong = under_one_act(
        tmp_path,
        sqlite_in(tmp_path),
        "signing",
        Person.refresh,
        *(2, 5),
        PLANTED,
        PLANTED_KEYS=HASTY,
    )
    assert any("signs and is not in a set that may still be kept" in line for line in wrong)


def test_a_worker_that_does_not_look_for_an_unknown_key_is_noticed(tmp_path: Path) -> None:
    wrong = under_one_act(
        tmp_path,
        sqlite_in(tmp_path),
        "encryption",
        Person.enrol,
        *(1.5, 12),
        PLANTED,
        PLANTED_KEYS=BLIND,
    )
    assert any("/mfa/verify: 503" in line for line in wrong), wrong


def test_nothing_is_noticed_where_nothing_is_planted(tmp_path: Path) -> None:
    for kind, act in (("encryption", Person.enrol), ("signing", Person.refresh)):
        folder = tmp_path / kind
        folder.mkdir()
        wrong = under_one_act(
            folder, sqlite_in(folder), kind, act, *(1.5, 5), PLANTED, PLANTED_KEYS=""
        )
        assert wrong == []


# -- keys that are not there -----------------------------------------------------------------


def ready(server: ServerProcess, status: int) -> httpx.Response:
    """The reply of both workers, once it is the expected one: they look once a second."""
    end = time.monotonic() + 30
    while True:
        replies = [httpx.get(f"{server.url}/health/ready", timeout=30) for _ in range(8)]
        if {reply.status_code for reply in replies} == {status}:
            return replies[0]
        assert time.monotonic() < end, [reply.text for reply in replies]


@pytest.mark.parametrize("kind", ["encryption", "pepper", "audit"])
def test_a_key_that_is_lost_is_named_in_the_log_and_found_again(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "keys"
    with serving(tmp_path, "--workers", "2") as server:
        ann = register(server.api(), RealClock()).sign_in().enrol()
        (path,) = folder.glob(f"{kind}-*")
        with keys.locked(folder):
            new = keys.make(folder, kind)
        material = path.read_text().strip()
        path.rename(folder / ".lost")
        assert "missing or wrong" in ready(server, 503).json()["message"]
        if kind != "audit":
            code = ann.code() if kind == "encryption" else ann.backup_codes[0]
            reply = ann.finish(ann.begin()["challenge_id"], code)
            assert (reply.status, reply.code) == (503, "unavailable")
        (folder / ".lost").rename(path)
        ready(server, 200)
        ann.sign_in_with_backup_code()
        lines = [json.loads(line) for line in server.log.read_text().splitlines()]
        told = {(line["kind"], line["key"], line["fault"]) for line in lines if "fault" in line}
        assert told == {(kind, path.stem.removeprefix(f"{kind}-"), "missing")}
        assert material not in server.log.read_text()
        assert new in keys.ids(folder, kind)
