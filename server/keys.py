"""The key directory: signing keys, encryption keys and peppers, one file a key, mode 0600.

A file is ``<kind>-<id>.pem`` (an EC P-256 private key) or ``<kind>-<id>.key`` (32 bytes, base64).
Ids sort by the time they were made; the newest of a kind is the current one, the older ones still
verify, decrypt and digest what was made with them.
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
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

KINDS = ("signing", "encryption", "pepper")
SYMMETRIC_BYTES = 32


class KeyDirectoryError(Exception):
    """A key that is missing, short, an example, or readable by others."""


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys by kind and id; the current id of a kind is its greatest."""

    signing: Mapping[str, ec.EllipticCurvePrivateKey]
    encryption: Mapping[str, bytes]
    pepper: Mapping[str, bytes]


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


def make(folder: Path, kind: str) -> str:
    """Make a new current key of a kind; returns its id. The caller holds the lock."""
    key_id = _next_id()
    suffix, content = ("pem", _new_pem()) if kind == "signing" else ("key", _new_secret())
    path = folder / f"{kind}-{key_id}.{suffix}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return key_id


def load(folder: Path) -> Keys:
    """Read every key. Raises KeyDirectoryError naming file and rule, never the content."""
    if folder.exists() and folder.stat().st_mode & 0o022:
        raise KeyDirectoryError(f"{folder}: others can write to it; its mode must be 0700")
    signing = {_key_id(path): _read_signing(path) for path in _files(folder, "signing")}
    encryption = {_key_id(path): _read_secret(path) for path in _files(folder, "encryption")}
    pepper = {_key_id(path): _read_secret(path) for path in _files(folder, "pepper")}
    for kind, found in (("signing", signing), ("encryption", encryption), ("pepper", pepper)):
        if not found:
            raise KeyDirectoryError(
                f"{folder}: no {kind} key; make one with 'countersign keys rotate {kind}'"
            )
    return Keys(signing, encryption, pepper)


def listing(folder: Path) -> list[tuple[str, str, bool]]:
    """(kind, id, current) of every key, by kind and age."""
    rows = []
    for kind in KINDS:
        ids = [_key_id(path) for path in _files(folder, kind)]
        rows += [(kind, key_id, key_id == ids[-1]) for key_id in ids]
    return rows


def _files(folder: Path, kind: str) -> list[Path]:
    return sorted(path for path in folder.glob(f"{kind}-*.*") if path.suffix in (".pem", ".key"))


def _key_id(path: Path) -> str:
    return path.stem.split("-", 1)[1]


def _next_id() -> str:
    """Time to the microsecond and chance, so that ids sort by age."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"


def _new_pem() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _new_secret() -> bytes:
    return base64.b64encode(secrets.token_bytes(SYMMETRIC_BYTES)) + b"\n"


def _read(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise KeyDirectoryError(f"{path}: readable by others; its mode must be 0600")
    return path.read_bytes()


def _read_signing(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(_read(path), password=None)
    except ValueError:
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
