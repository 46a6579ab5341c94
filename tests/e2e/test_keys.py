"""Keys that are rotated, lost and confused under a server with two workers."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import httpx
import pytest

from domain.keyring import LOOK
from server import keys
from storage import migrate
from tests.e2e.planted_keys import BLIND, HASTY, SELDOM
from tests.e2e.rotation import Person, held, under_one_act, under_rotation
from tests.e2e.test_cli import call, run, succeeded
from tests.storage import databases
from tests.storage.rows import a_factor, a_set, a_user, digests
from tests.support.accounts import RealClock, register
from tests.support.servers import ServerProcess, environment, serving

pytestmark = pytest.mark.slow

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
        Person.enrol_again,
        *(5, 6),
        PLANTED,
        PLANTED_KEYS=BLIND,
    )
    assert any("/mfa/verify: 503" in line for line in wrong), wrong


def test_a_worker_that_is_behind_looks_when_it_meets_an_unknown_key(tmp_path: Path) -> None:
    wrong = under_one_act(
        tmp_path,
        sqlite_in(tmp_path),
        "encryption",
        Person.enrol_again,
        *(5, 4),
        PLANTED,
        PLANTED_KEYS=SELDOM,
    )
    assert wrong == []


def test_keys_that_sign_in_their_turn_are_known_to_whoever_verifies(tmp_path: Path) -> None:
    url = sqlite_in(tmp_path)
    assert under_one_act(tmp_path, url, "signing", Person.refresh, *(2, 5)) == []


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
        # One worker has said so; the other one's last look may be that long ago.
        time.sleep(LOOK.total_seconds())
        ann.sign_in_with_backup_code()
        lines = [json.loads(line) for line in server.log.read_text().splitlines()]
        told = {(line["kind"], line["key"], line["fault"]) for line in lines if "fault" in line}
        assert told == {(kind, path.stem.removeprefix(f"{kind}-"), "missing")}
        assert material not in server.log.read_text()
        assert new in keys.ids(folder, kind)


# -- the command line ------------------------------------------------------------------------


def aged(folder: Path, minutes: int) -> dict[str, list[str]]:
    """Two keys of each kind, the newest as many minutes old, and the ids of each."""
    now = datetime.now(UTC) - timedelta(minutes=minutes)
    with keys.locked(folder):
        for kind, hours in product(keys.KINDS, (2, 0)):
            keys.make(folder, kind, now - timedelta(hours=hours))
    return {kind: keys.ids(folder, kind) for kind in keys.KINDS}


def test_old_keys_that_no_row_needs_are_named(tmp_path: Path) -> None:
    made = aged(tmp_path / "keys", minutes=2)
    lines = succeeded(call(environment(tmp_path), "keys", "reencrypt")).splitlines()
    assert lines[0] == "0 secrets re-encrypted, 0 left under another key"
    assert [line.split()[:2] for line in lines[1:]] == [
        [kind, made[kind][0]] for kind in ("encryption", "pepper", "audit")
    ]
    assert all(line.endswith("no row needs it; its file can be deleted") for line in lines[1:])


def test_nothing_is_named_while_a_request_may_still_be_under_way(tmp_path: Path) -> None:
    made = aged(tmp_path / "keys", minutes=0)
    lines = succeeded(call(environment(tmp_path), "keys", "reencrypt")).splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        [kind, made[kind][1]] for kind in ("encryption", "pepper", "audit")
    ]
    assert all("too new to tell" in line for line in lines[1:])


def test_a_secret_that_is_left_is_counted_and_told_by_the_exit_status(tmp_path: Path) -> None:
    made = aged(tmp_path / "keys", minutes=2)
    env = environment(tmp_path)
    with databases.store_at(env["COUNTERSIGN_DATABASE_URL"]) as store, store.write() as tx:
        user = a_user()
        tx.users.add(user)
        factor = a_factor(user, sealed_secret=f"{made['encryption'][0]}.AAAA")
        tx.factors.put_pending(factor, a_set(factor, pepper_id=made["pepper"][0]), digests(1))
        tx.commit()
    done = run(env, "keys", "reencrypt")
    assert done.returncode == 1
    assert "0 secrets re-encrypted, 1 left under another key" in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["audit"]
    assert f"does not open with encryption key {made['encryption'][0]}" in done.stderr
