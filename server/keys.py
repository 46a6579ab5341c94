"""The key directory: signing, encryption and audit keys and peppers, one file a key, mode 0600.

A file is ``<kind>-<id>.pem`` (an EC P-256 private key) or ``<kind>-<id>.key`` (32 bytes, base64).
An id begins with the time at which the key was made, so ids sort by age. The newest of a kind is
the current one, the older ones still verify, decrypt and digest what was made with them. Of the
signing keys the newest is only published at first (``domain.keyring.Rota``).
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

KINDS = ("signing", "encryption", "pepper", "audit")
SYMMETRIC_BYTES = 32
_UNFINISHED = ".new-"
_TIME = "%Y%m%dT%H%M%S%f"


class KeyDirectoryError(Exception):
    """A key that is missing, short, an example, or readable by others."""


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys by kind and id; the greatest id of a kind is the newest."""

    signing: Mapping[str, ec.EllipticCurvePrivateKey]
    encryption: Mapping[str, bytes]
    pepper: Mapping[str, bytes]
    audit: Mapping[str, bytes]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that of two processes one makes the keys (made mode 0700)."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ensure(folder: Path) -> None:
    """Make what kinds of key are missing (development's first start)."""
    with locked(folder):
        for kind in KINDS:
            if not _files(folder, kind):
                make(folder, kind)


def make(folder: Path, kind: str, now: datetime | None = None) -> str:
    """Make a new key of a kind, younger than the others; its id. The caller holds the lock.

    The file appears under its name when it is whole, for a server may look at any moment.
    """
    key_id = _next_id(ids(folder, kind), now or datetime.now(UTC))
    suffix, content = ("pem", _new_pem()) if kind == "signing" else ("key", _new_secret())
    for left in folder.glob(f"{_UNFINISHED}*"):  # by whoever held the lock and was killed
        left.unlink()
    unfinished = folder / f"{_UNFINISHED}{key_id}"
    _write(unfinished, content)
    unfinished.rename(folder / f"{kind}-{key_id}.{suffix}")
    _sync(folder)
    return key_id


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Make the names last: a key that was used and is gone after a power cut is a loss."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load(folder: Path) -> Keys:
    """Read every key. Raises KeyDirectoryError naming file and rule, never the content."""
    if folder.exists() and folder.stat().st_mode & 0o022:
        raise KeyDirectoryError(f"{folder}: others can write to it; its mode must be 0700")
    signing = {_key_id(path): _read_signing(path) for path in _files(folder, "signing")}
    found = Keys(signing, *(_secrets(folder, kind) for kind in KINDS[1:]))
    for kind in KINDS:
        if not getattr(found, kind):
            raise KeyDirectoryError(
                f"{folder}: no {kind} key; make one with 'countersign keys rotate {kind}'"
            )
    return found


def _secrets(folder: Path, kind: str) -> dict[str, bytes]:
    return {_key_id(path): _read_secret(path) for path in _files(folder, kind)}


def made_at(key_id: str) -> datetime:
    """When a key was made. Raises KeyDirectoryError for an id that does not begin with a time."""
    try:
        return datetime.strptime(key_id.partition("-")[0], _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise KeyDirectoryError(f"{key_id}: does not say when the key was made") from None


def listing(folder: Path) -> list[tuple[str, str, bool]]:
    """(kind, id, newest) of every key, by kind and age."""
    rows = []
    for kind in KINDS:
        found = ids(folder, kind)
        rows += [(kind, key_id, key_id == found[-1]) for key_id in found]
    return rows


def ids(folder: Path, kind: str) -> list[str]:
    """The ids of a kind, the oldest first."""
    return [_key_id(path) for path in _files(folder, kind)]


def _files(folder: Path, kind: str) -> list[Path]:
    return sorted(path for path in folder.glob(f"{kind}-*.*") if path.suffix in (".pem", ".key"))


def _key_id(path: Path) -> str:
    return path.stem.split("-", 1)[1]


def _next_id(others: list[str], now: datetime) -> str:
    """Time to the microsecond and chance. It sorts after the others even if a clock was ahead."""
    if others:
        now = max(now, made_at(others[-1]) + timedelta(microseconds=1))
    return f"{now:{_TIME}}-{secrets.token_hex(4)}"


def _new_pem() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _new_secret() -> bytes:
    return base64.b64encode(secrets.token_bytes(SYMMETRIC_BYTES)) + b"\n"


def _read(path: Path) -> bytes:
    made_at(_key_id(path))
    if path.stat().st_mode & 0o077:
        raise KeyDirectoryError(f"{path}: readable by others; its mode must be 0600")
    return path.read_bytes()


def _read_signing(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(_read(path), password=None)
    except TypeError:
        raise KeyDirectoryError(f"{path}: encrypted; a server has no password for it") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyDirectoryError(f"{path}: not a PEM private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise KeyDirectoryError(f"{path}: not an EC P-256 key (ES256, RFC 7518 section 3.4)")
    return key


def _read_secret(path: Path) -> bytes:
    try:
        secret = base64.b64decode(_read(path).strip(), validate=True)
    except binascii.Error:
        raise KeyDirectoryError(f"{path}: not base64") from None
    if len(secret) != SYMMETRIC_BYTES:
        raise KeyDirectoryError(f"{path}: {len(secret)} bytes; {SYMMETRIC_BYTES} are needed")
    if len(set(secret)) < SYMMETRIC_BYTES // 4:
        # 32 random bytes have 30 distinct values on average; eight or fewer were typed by hand.
        raise KeyDirectoryError(f"{path}: an example key, not a random one")
    return secret
