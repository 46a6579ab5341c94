"""TOTP secrets at rest: AES-256-GCM, the key's id in the envelope."""

from __future__ import annotations

import binascii
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.errors import Unavailable

# NIST SP 800-38D section 8.2: 96 random bits; a key would have to seal 2^32 secrets before a
# repeated nonce becomes a worry.
NONCE_BYTES = 12


class Sealer:
    """Encrypts with the ``current`` key, decrypts with whichever key the envelope names.

    ``keys`` maps ids to keys of 32 bytes. An envelope is ``<key id>.<base64url of nonce and
    ciphertext>``; the factor's id is associated data, so that a row copied onto another account
    does not open.
    """

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        if any(len(key) != 32 for key in keys.values()) or current not in keys:
            raise ValueError("sealing keys are 32 bytes each, the current one among them")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._current = current

    def seal(self, secret: bytes, factor_id: str) -> str:
        """The envelope of a secret for the factor with this id."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._ciphers[self._current].encrypt(nonce, secret, factor_id.encode())
        return f"{self._current}.{urlsafe_b64encode(nonce + sealed).decode('ascii')}"

    def open(self, sealed: str, factor_id: str) -> bytes:
        """The secret; :class:`Unavailable` where the key is missing or does not fit."""
        key_id, _, body = sealed.rpartition(".")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise Unavailable
        try:
            raw = urlsafe_b64decode(body)
            return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], factor_id.encode())
        except (InvalidTag, ValueError, binascii.Error):
            raise Unavailable from None

    def stale(self, sealed: str) -> bool:
        """Whether the envelope was made with another key than the current one."""
        return sealed.rpartition(".")[0] != self._current
