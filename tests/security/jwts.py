"""Access tokens read and made by hand, with the keys that the servers sign with."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.security.site import Site


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def head(token: str) -> dict[str, Any]:
    """The header, not verified."""
    return dict(json.loads(unb64(token.split(".")[0])))


def claims(token: str) -> dict[str, Any]:
    """The claims, not verified."""
    return dict(json.loads(unb64(token.split(".")[1])))


def unsigned(header: dict[str, Any], body: dict[str, Any]) -> str:
    """Header and claims, ready to be signed."""
    return ".".join(b64(json.dumps(part).encode()) for part in (header, body))


def signing_key(site: Site, key_id: str) -> ec.EllipticCurvePrivateKey:
    """The private key of this ID, as any process with the key directory could read it."""
    return _read(site.key_dir / f"signing-{key_id}.pem")


def _read(path: Path) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def forged(site: Site, token: str, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """The token with other claims or header members (None: without), well signed by our own key."""
    top = {k: v for k, v in (head(token) | (header or {})).items() if v is not None}
    body = {k: v for k, v in (claims(token) | changes).items() if v is not None}
    key = signing_key(site, head(token)["kid"])
    # PyJWT checks some claims that it writes; a forger does not.
    signature = jwt.get_algorithm_by_name("ES256").sign(unsigned(top, body).encode(), key)
    return f"{unsigned(top, body)}.{b64(signature)}"
