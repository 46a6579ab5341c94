"""The key directory: made once, readable by its owner only, never weak."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from server import keys


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keys.ensure(tmp_path / "keys")
    return tmp_path / "keys"


def secret_file(folder: Path) -> Path:
    return next(folder.glob("encryption-*.key"))


def test_a_first_start_makes_one_key_of_each_kind(folder: Path) -> None:
    ring = keys.load(folder)
    assert [len(getattr(ring, kind)) for kind in keys.KINDS] == [1, 1, 1, 1]
    secrets = [*ring.encryption.values(), *ring.pepper.values(), *ring.audit.values()]
    assert {len(key) for key in secrets} == {32}
    assert len(set(secrets)) == 3


def test_a_second_start_makes_none(folder: Path) -> None:
    before = keys.listing(folder)
    keys.ensure(folder)
    assert keys.listing(folder) == before


def test_keys_are_for_their_owner_only(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.glob("*-*")} == {0o600}


def test_starting_together_makes_one_set(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: keys.ensure(tmp_path / "keys"), range(8)))
    assert len(keys.listing(tmp_path / "keys")) == len(keys.KINDS)


@pytest.mark.parametrize("kind", keys.KINDS)
def test_a_new_key_is_the_current_one_and_the_old_one_stays(folder: Path, kind: str) -> None:
    new = keys.make(folder, kind)
    rows = [(key_id, current) for of, key_id, current in keys.listing(folder) if of == kind]
    assert len(rows) == 2
    assert rows[-1] == (new, True)
    assert not rows[0][1]


def test_a_missing_kind_is_refused(folder: Path) -> None:
    secret_file(folder).unlink()
    with pytest.raises(keys.KeyDirectoryError, match="no encryption key"):
        keys.load(folder)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (base64.b64encode(b"short"), "5 bytes; 32 are needed"),
        (base64.b64encode(b"\0" * 32), "example key"),
        (base64.b64encode(b"0123" * 8), "example key"),
        (b"not base64 at all!", "not base64"),
    ],
)
def test_a_weak_key_is_refused_without_being_shown(folder: Path, content: bytes, rule: str) -> None:
    secret_file(folder).write_bytes(content)
    with pytest.raises(keys.KeyDirectoryError, match=rule) as raised:
        keys.load(folder)
    assert content.decode() not in str(raised.value)


def test_a_key_that_others_can_read_is_refused(folder: Path) -> None:
    secret_file(folder).chmod(0o644)
    with pytest.raises(keys.KeyDirectoryError, match="0600"):
        keys.load(folder)


def test_a_folder_that_others_can_write_to_is_refused(folder: Path) -> None:
    folder.chmod(0o770)
    with pytest.raises(keys.KeyDirectoryError, match="0700"):
        keys.load(folder)


@pytest.mark.parametrize(
    ("curve", "encryption", "rule"),
    [
        (ec.SECP384R1(), serialization.NoEncryption(), "P-256"),
        (ec.SECP256R1(), serialization.BestAvailableEncryption(b"a"), "encrypted"),
        (ec.SECP256R1(), serialization.NoEncryption(), None),
    ],
)
def test_a_signing_key_is_one_of_its_curve_that_can_be_read(
    folder: Path,
    curve: ec.EllipticCurve,
    encryption: serialization.KeySerializationEncryption,
    rule: str | None,
) -> None:
    key = ec.generate_private_key(curve)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    next(folder.glob("signing-*.pem")).write_bytes(key.private_bytes(encoding, form, encryption))
    if rule is None:
        keys.load(folder)
    else:
        with pytest.raises(keys.KeyDirectoryError, match=rule):
            keys.load(folder)


@pytest.mark.parametrize("kind", keys.KINDS)
def test_a_key_has_no_name_before_it_is_whole(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads the directory at any moment reads whole keys, and a kill leaves no half one."""
    before, looks = keys.listing(folder), []
    write = keys._write

    def slowly(path: Path, content: bytes) -> None:
        write(path, content[:9])
        looks.append(keys.load(folder))
        raise KeyboardInterrupt

    monkeypatch.setattr(keys, "_write", slowly)
    with pytest.raises(KeyboardInterrupt):
        keys.make(folder, kind)
    assert len(looks) == 1
    assert keys.listing(folder) == before
    monkeypatch.setattr(keys, "_write", write)
    new = keys.make(folder, kind)
    assert keys.ids(folder, kind)[-1] == new
    keys.load(folder)
    assert not list(folder.glob(".new-*"))


def test_an_id_says_when_its_key_was_made(folder: Path) -> None:
    made = datetime.now(UTC) + timedelta(days=1)
    assert keys.made_at(keys.make(folder, "signing", made)) == made


def test_a_new_key_is_the_newest_though_a_clock_was_ahead(folder: Path) -> None:
    ahead = keys.make(folder, "pepper", datetime.now(UTC) + timedelta(days=1))
    new = keys.make(folder, "pepper")
    assert keys.ids(folder, "pepper")[-2:] == [ahead, new]
    assert keys.made_at(new) == keys.made_at(ahead) + timedelta(microseconds=1)


@pytest.mark.parametrize("kind", keys.KINDS)
def test_a_key_whose_name_does_not_say_when_it_was_made_is_refused(folder: Path, kind: str) -> None:
    (path,) = folder.glob(f"{kind}-*")
    path.rename(path.with_stem(f"{kind}-2027"))
    with pytest.raises(keys.KeyDirectoryError, match="does not say when"):
        keys.load(folder)
