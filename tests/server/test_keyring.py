"""A key directory that changes under a server, and keys that are not those of the database."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from contract.compile import Contract
from domain import accounts
from domain.chain import Chain
from domain.errors import KeysUnfit, Unavailable
from domain.keyring import LEEWAY, LOOK, VOUCHED, key_print
from domain.sealing import Sealer
from server import keys, spec
from server.keyring import Custodian, KeyDirectory, SigningRing, cached_for, rota_of, turns_of
from storage.engine import create_engine
from storage.store import SqlStore
from tests.domain.world import SettableClock, a_trail, services_on
from tests.e2e.test_cli import broken_spec
from tests.storage import databases
from tests.storage.rows import a_factor, a_set, a_user, digests
from tests.support.servers import ROOT

AGES_AGO = 1_000_000_000 * 10**9
"""A time in nanoseconds at which nothing that a test does happened."""


class Seconds:
    """A clock of seconds that a test moves, and how often the files were read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.loads = 0
        self.scans = 0
        load, scandir = keys.load, os.scandir
        monkeypatch.setattr(keys, "load", lambda folder: self._counted("loads") or load(folder))
        monkeypatch.setattr(os, "scandir", lambda path: self._counted("scans") or scandir(path))

    def _counted(self, name: str) -> None:
        setattr(self, name, getattr(self, name) + 1)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keys.ensure(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    return Seconds(monkeypatch)


@pytest.fixture
def directory(folder: Path, seconds: Seconds) -> KeyDirectory:
    made = KeyDirectory(folder, seconds)
    seconds.loads = seconds.scans = 0
    return made


def rotate(folder: Path, kind: str) -> str:
    with keys.locked(folder):
        return keys.make(folder, kind)


def file_of(folder: Path, kind: str) -> Path:
    return max(folder.glob(f"{kind}-*"))


def replace(folder: Path, kind: str) -> None:
    """Another key under the newest key's name, as from the backup of another installation."""
    old = file_of(folder, kind)
    rotate(folder, kind)
    file_of(folder, kind).rename(old)


# -- looking ---------------------------------------------------------------------------------


def test_a_new_key_is_seen_within_a_second_and_not_before_anybody_looks(
    folder: Path, directory: KeyDirectory, seconds: Seconds
) -> None:
    before = directory.keys()
    new = rotate(folder, "pepper")
    seconds.now += 0.99
    assert directory.keys() is before
    seconds.now += 0.01
    assert max(directory.keys().pepper) == new
    assert directory.keys().audit == before.audit


def test_files_that_do_not_change_are_read_once(directory: KeyDirectory, seconds: Seconds) -> None:
    before = directory.keys()
    for _ in range(50):
        seconds.now += 1
        assert directory.keys() is before
    assert (seconds.loads, seconds.scans) == (0, 50)


def test_between_two_looks_nothing_is_looked_at(directory: KeyDirectory, seconds: Seconds) -> None:
    for _ in range(50):
        directory.keys()
    assert (seconds.loads, seconds.scans) == (0, 0)


def test_an_unknown_id_makes_it_look_at_once(
    folder: Path, directory: KeyDirectory, seconds: Seconds
) -> None:
    ring = SigningRing(directory)
    assert ring.get("nobody's") is None
    new = rotate(folder, "signing")
    assert new not in ring.all()
    assert ring.get(new) is not None
    assert new in ring.all()
    assert seconds.loads == 1


def test_who_sends_unknown_ids_costs_a_stat_and_no_more(
    folder: Path, directory: KeyDirectory, seconds: Seconds
) -> None:
    os.utime(folder, ns=(AGES_AGO, AGES_AGO))
    directory.look()
    seconds.scans = 0
    ring = SigningRing(directory)
    for number in range(1000):
        assert ring.get(f"forged {number}") is None
    assert (seconds.loads, seconds.scans) == (0, 0)


def test_even_where_the_directory_cannot_be_used(
    folder: Path, directory: KeyDirectory, seconds: Seconds
) -> None:
    file_of(folder, "pepper").chmod(0o644)
    os.utime(folder, ns=(AGES_AGO, AGES_AGO))
    directory.look()
    seconds.loads = seconds.scans = 0
    for _ in range(100):
        directory.seek()
    assert (seconds.loads, seconds.scans) == (0, 0)


def test_a_second_change_within_a_tick_of_the_file_system_is_seen(
    folder: Path, directory: KeyDirectory
) -> None:
    """The directory's time may be the same as at the last look, if that was a moment ago."""
    first = rotate(folder, "signing")
    now = time.time_ns()
    os.utime(folder, ns=(now, now))
    ring = SigningRing(directory)
    assert ring.get(first) is not None
    second = rotate(folder, "signing")
    os.utime(folder, ns=(now, now))
    assert ring.get(second) is not None


@pytest.mark.parametrize(
    ("spoil", "mend", "problem"),
    [
        (lambda p: p.chmod(0o644), lambda p: p.chmod(0o600), "readable by others"),
        (lambda p: p.write_bytes(p.read_bytes()[:20]), None, "32 are needed"),
        (lambda p: p.parent.chmod(0o777), lambda p: p.parent.chmod(0o700), "others can write"),
        (lambda p: p.rename(p.parent / "gone"), lambda p: (p.parent / "gone").rename(p), "no pepp"),
        (lambda p: p.rename(p.with_name("pepper-x.key")), None, "does not say when"),
    ],
)
def test_what_cannot_be_read_leaves_the_last_good_keys_and_is_said_once(
    folder: Path, directory: KeyDirectory, seconds: Seconds, spoil, mend, problem: str
) -> None:
    before, path = directory.keys(), file_of(folder, "pepper")
    whole = path.read_bytes()
    with capture_logs() as logged:
        spoil(path)
        for _ in range(5):
            seconds.now += 1
            assert directory.keys() is before
    assert directory.trouble is not None
    assert problem in directory.trouble
    assert [(line["log_level"], line["problem"]) for line in logged] == [
        ("error", directory.trouble)
    ]
    assert whole.decode().strip() not in str(logged)
    for odd in folder.glob("pepper-x.key"):
        odd.unlink()
    if mend is None:
        path.write_bytes(whole)
        path.chmod(0o600)
    else:
        mend(path)
    seconds.now += 1
    assert directory.keys().pepper == before.pepper
    assert directory.trouble is None


def test_a_directory_that_is_gone_is_trouble_until_it_is_back(
    folder: Path, directory: KeyDirectory, seconds: Seconds
) -> None:
    before = directory.keys()
    folder.rename(folder.parent / "elsewhere")
    seconds.now += 1
    assert directory.keys() is before
    assert directory.trouble is not None
    assert directory.seek() is before
    (folder.parent / "elsewhere").rename(folder)
    seconds.now += 1
    assert directory.keys().pepper == before.pepper
    assert directory.trouble is None


def test_the_ids_of_new_and_vanished_keys_are_logged_and_nothing_of_the_keys(
    folder: Path, directory: KeyDirectory
) -> None:
    old, secret = file_of(folder, "audit"), file_of(folder, "audit").read_text().strip()
    new = rotate(folder, "audit")
    old.unlink()
    with capture_logs() as logged:
        directory.look()
    (line,) = logged
    assert (line["kind"], line["new"]) == ("audit", [new])
    assert line["gone"] == [old.stem.removeprefix("audit-")]
    assert secret not in str(logged)


def test_an_empty_directory_serves_nobody(tmp_path: Path) -> None:
    with pytest.raises(keys.KeyDirectoryError, match="no signing key"):
        KeyDirectory(tmp_path / "nothing")


# -- whose turn it is ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def contract() -> Contract:
    return spec.read(ROOT / "spec" / "openapi.yaml").contract


def test_the_age_of_the_key_set_is_that_of_the_spec(contract: Contract, tmp_path: Path) -> None:
    assert cached_for(contract) == timedelta(minutes=5)
    root = broken_spec(
        tmp_path, "components/headers.yaml", '"public, max-age=300"', '"max-age=7, s-maxage=42"'
    )
    text = (root.parent / "components/headers.yaml").read_text()
    (root.parent / "components/headers.yaml").write_text(
        text.replace("example: public, max-age=300", "example: max-age=7, s-maxage=42")
    )
    reading = spec.read(root)
    assert reading.policies.key_set_age == cached_for(reading.contract) == timedelta(seconds=42)
    rota = rota_of(reading.policies)
    assert rota.notice == timedelta(seconds=42) + LOOK + LEEWAY
    assert rota.overlap == timedelta(minutes=10) + LEEWAY


def test_a_key_set_that_may_not_be_kept_has_no_age(tmp_path: Path) -> None:
    root = broken_spec(tmp_path, "components/headers.yaml", '"public, max-age=300"', '"no-store"')
    text = (root.parent / "components/headers.yaml").read_text()
    (root.parent / "components/headers.yaml").write_text(
        text.replace("example: public, max-age=300", "example: no-store")
    )
    assert spec.read(root).policies.key_set_age == timedelta(0)


def test_each_signing_key_is_told_what_it_is_used_for(folder: Path) -> None:
    policies = spec.read(ROOT / "spec" / "openapi.yaml").policies
    made = datetime.now(UTC) + timedelta(hours=1)
    with keys.locked(folder):
        for hours in range(3):
            keys.make(folder, "signing", made + timedelta(hours=hours))
    ids = keys.ids(folder, "signing")
    now = made + timedelta(hours=1) + rota_of(policies).notice
    uses = turns_of(ids, policies, now)
    assert [uses[key_id] for key_id in ids] == ["retired", "verifying", "signing", "published"]


# -- the keys of the database ----------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    with databases.store_at(databases.sqlite_url(tmp_path)) as store:
        yield store


@pytest.fixture
def custodian(directory: KeyDirectory, store: SqlStore) -> Custodian:
    made = Custodian(directory, store)
    made.meet()
    return made


def prints(store: SqlStore) -> set[tuple[str, str]]:
    with store.read() as tx:
        return {(each.kind, each.id) for each in tx.keys.prints()}


def enrol(store: SqlStore, sealed: str, pepper_id: str) -> None:
    """A factor whose secret and codes were made with these keys."""
    user = a_user()
    factor = a_factor(user, sealed_secret=sealed)
    with store.write() as tx:
        tx.users.add(user)
        tx.factors.put_pending(factor, a_set(factor, pepper_id=pepper_id), digests(2))
        tx.commit()


def test_a_first_start_registers_the_keys_that_will_be_used(
    custodian: Custodian, store: SqlStore, folder: Path
) -> None:
    assert prints(store) == {(kind, max(keys.ids(folder, kind))) for kind in VOUCHED}
    custodian.check()


@pytest.mark.parametrize("kind", VOUCHED)
def test_a_new_key_is_registered_when_it_is_first_asked_for(
    custodian: Custodian, store: SqlStore, folder: Path, kind: str, seconds: Seconds
) -> None:
    new = rotate(folder, kind)
    seconds.now += 1
    if kind == "audit":  # within a transaction nothing can be registered
        assert custodian.audit.current()[0] != new
        custodian.vouch()
    assert custodian.rings[kind].current()[0] == new
    assert (kind, new) in prints(store)
    custodian.check()


@pytest.mark.parametrize("kind", VOUCHED)
def test_a_missing_key_is_named_in_the_log_and_refused_until_it_is_back(
    custodian: Custodian, folder: Path, kind: str, seconds: Seconds
) -> None:
    old, path = custodian.rings[kind].current()[0], file_of(folder, kind)
    rotate(folder, kind)
    path.rename(folder / ".away")
    seconds.now += 1
    with capture_logs() as logged:
        for _ in range(3):
            with pytest.raises(KeysUnfit, match="unfit_key"):
                custodian.check()
        assert custodian.rings[kind].get(old) is None
    told = [line for line in logged if line["log_level"] == "error"]
    assert [(line["kind"], line["key"], line["fault"]) for line in told] == [
        (kind, old, "missing")
    ] * 2  # once for the state of things, once for the use
    (folder / ".away").rename(path)
    seconds.now += 1
    custodian.check()
    assert custodian.rings[kind].get(old) is not None


@pytest.mark.parametrize("kind", VOUCHED)
def test_a_wrong_key_is_named_in_the_log_and_neither_opens_nor_makes_anything(
    custodian: Custodian, folder: Path, kind: str, seconds: Seconds
) -> None:
    key_id = custodian.rings[kind].current()[0]
    replace(folder, kind)
    seconds.now += 1
    with capture_logs() as logged:
        if kind == "audit":
            with pytest.raises(KeysUnfit):
                custodian.check()
        assert custodian.rings[kind].get(key_id) is None
        with pytest.raises(Unavailable):
            custodian.rings[kind].current()
        with pytest.raises(KeysUnfit):
            custodian.check()
    assert (kind, key_id, "wrong") in {
        (line.get("kind"), line.get("key"), line.get("fault")) for line in logged
    }


@pytest.mark.parametrize("kind", VOUCHED)
def test_the_directory_of_another_installation_is_not_taken_for_new_keys(
    custodian: Custodian, store: SqlStore, folder: Path, tmp_path: Path, kind: str
) -> None:
    """Registered, its keys would be missed by the servers that have the right ones."""
    before = prints(store)
    keys.ensure(tmp_path / "others")
    stranger = Custodian(KeyDirectory(tmp_path / "others"), store)
    stranger.meet()
    with pytest.raises(Unavailable):
        stranger.rings[kind].current()
    with pytest.raises(KeysUnfit):
        stranger.check()
    assert prints(store) == before
    custodian.check()


def test_of_two_directories_that_start_together_one_is_the_wrong_one(
    directory: KeyDirectory, store: SqlStore, folder: Path, tmp_path: Path
) -> None:
    keys.ensure(tmp_path / "others")
    first = Custodian(directory, store)
    second = Custodian(KeyDirectory(tmp_path / "others"), store)
    register = second._register
    second._register = lambda verdict: first.meet() or register(verdict)  # type: ignore
    second.meet()
    assert prints(store) == {(kind, max(keys.ids(folder, kind))) for kind in VOUCHED}
    first.check()
    for kind in VOUCHED:
        with pytest.raises(Unavailable):
            second.rings[kind].current()


def create_user(custodian: Custodian, store: SqlStore, username: str) -> None:
    """An act that asks for no key but that of the trail."""
    chain = Chain(custodian.audit)
    services = services_on(store, SettableClock(), keys=custodian, chain=chain)
    accounts.create_user(services, a_trail(), username, "kestrel over the weir")


def sealed_with(store: SqlStore) -> list[str]:
    with store.read() as tx:
        return [event.key_id for event in tx.audit.after(0, 100)]


def test_no_event_is_sealed_with_a_key_that_the_database_does_not_know(
    custodian: Custodian, folder: Path, store: SqlStore, seconds: Seconds
) -> None:
    create_user(custodian, store, "first")
    new = rotate(folder, "audit")
    seconds.now += 1
    create_user(custodian, store, "second")
    assert sealed_with(store)[-1] == new
    assert ("audit", new) in prints(store)


@pytest.mark.parametrize("met", [True, False])
def test_the_directory_of_another_installation_seals_no_event(
    custodian: Custodian, folder: Path, store: SqlStore, seconds: Seconds, met: bool
) -> None:
    """Put in its place under a running server, or one whose database was late."""
    create_user(custodian, store, "first")
    mine, theirs = folder.rename(folder.with_name("mine")), folder
    keys.ensure(theirs)
    if met:
        seconds.now += 1
    else:
        custodian = Custodian(KeyDirectory(theirs), store)
    with pytest.raises(Unavailable):
        create_user(custodian, store, "second")
    assert sealed_with(store) == keys.ids(mine, "audit")


def test_a_lost_old_key_does_not_keep_the_others_from_their_work(
    custodian: Custodian, folder: Path, store: SqlStore, seconds: Seconds
) -> None:
    lost = file_of(folder, "encryption")
    middle = rotate(folder, "encryption")
    seconds.now += 1
    custodian.check()
    lost.unlink()
    newest = rotate(folder, "encryption")
    seconds.now += 1
    assert custodian.rings["encryption"].current()[0] == newest
    assert custodian.rings["encryption"].get(middle) is not None
    with pytest.raises(KeysUnfit):
        custodian.check()


def test_a_database_older_than_the_fingerprints_learns_the_keys_that_its_rows_need(
    folder: Path, store: SqlStore, directory: KeyDirectory, seconds: Seconds
) -> None:
    needed = {kind: max(keys.ids(folder, kind)) for kind in VOUCHED}
    enrol(store, f"{needed['encryption']}.AAAA", needed["pepper"])
    idle = {kind: rotate(folder, kind) for kind in VOUCHED}
    newest = {kind: rotate(folder, kind) for kind in VOUCHED}
    seconds.now += 1
    Custodian(directory, store).meet()
    found = prints(store)
    assert {("encryption", needed["encryption"]), ("pepper", needed["pepper"])} <= found
    assert {(kind, newest[kind]) for kind in VOUCHED} <= found
    assert not {(kind, idle[kind]) for kind in VOUCHED} & found
    assert ("audit", needed["audit"]) not in found


def test_readiness_asks_one_small_question(custodian: Custodian, store: SqlStore) -> None:
    asked = []
    writer, reader = store.write, store.read
    store.write = lambda: asked.append("write") or writer()  # type: ignore[method-assign]
    store.read = lambda: asked.append("read") or reader()  # type: ignore[method-assign]
    custodian.check()
    assert asked == ["read"]
    asked.clear()
    for kind in VOUCHED:
        custodian.rings[kind].get(custodian.rings[kind].current()[0])
    assert asked == []


def test_a_database_that_does_not_answer_at_the_start_is_asked_at_the_first_use(
    directory: KeyDirectory, tmp_path: Path
) -> None:
    url = databases.sqlite_url(tmp_path)
    late = SqlStore(create_engine(url))
    custodian = Custodian(directory, late)
    with capture_logs() as logged:
        custodian.meet()
    assert [line["log_level"] for line in logged] == ["warning"]
    with pytest.raises(Unavailable):
        custodian.rings["pepper"].current()
    with databases.store_at(url):
        custodian.rings["pepper"].current()
        custodian.check()
    late.close()


def test_trouble_with_the_directory_is_a_reason_not_to_be_ready(
    custodian: Custodian, folder: Path
) -> None:
    path = file_of(folder, "signing")
    path.chmod(0o640)
    with pytest.raises(KeysUnfit):
        custodian.check()
    path.chmod(0o600)
    custodian.check()


def test_an_envelope_of_a_key_not_read_yet_makes_a_sealer_look_at_once(
    custodian: Custodian, folder: Path, store: SqlStore
) -> None:
    here = Sealer(custodian.rings["encryption"])
    rotate(folder, "encryption")
    elsewhere = Custodian(KeyDirectory(folder), store)
    sealed = Sealer(elsewhere.rings["encryption"]).seal(b"secret", "factor")
    assert here.stale(sealed)
    assert here.open(sealed, "factor") == b"secret"
    assert not here.stale(sealed)


def test_a_fingerprint_that_another_key_has_taken_wins(
    custodian: Custodian, folder: Path, store: SqlStore, seconds: Seconds
) -> None:
    """Two machines with two keys of one name: who comes second is told."""
    new = rotate(folder, "pepper")
    with store.write() as tx:
        assert tx.keys.register(key_print("pepper", new, b"x" * 32))
        tx.commit()
    seconds.now += 1
    with pytest.raises(Unavailable):
        custodian.rings["pepper"].current()
