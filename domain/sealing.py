"""TOTP secrets at rest: AES-256-GCM, the key's id in the envelope."""

from __future__ import annotations

import binascii
import logging
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.errors import Unavailable
from domain.keyring import KeyRing

# NIST SP 800-38D section 8.2: 96 random bits; a key would have to seal 2^32 secrets before a
# repeated nonce becomes a worry.
NONCE_BYTES = 12

_log = logging.getLogger(__name__)


class Sealer:
    """Encrypts with the ring's current key, decrypts with whichever key the envelope names.

    The ring's keys are 32 bytes each. An envelope is ``<key id>.<base64url of nonce and
    ciphertext>``; the factor's id is associated data, so that a row copied onto another account
    does not open.
    """

    def __init__(self, keys: KeyRing[bytes]) -> None:
        if any(len(key) != 32 for key in keys.all().values()):
            raise ValueError("sealing keys are 32 bytes each")
        self._keys = keys

    @property
    def current(self) -> str:
        """The id of the key that secrets are sealed with now."""
        return self._keys.current()[0]

    def seal(self, secret: bytes, factor_id: str) -> str:
        """The envelope of a secret for the factor with this id."""
        key_id, key = self._keys.current()
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = AESGCM(key).encrypt(nonce, secret, factor_id.encode())
        return f"{key_id}.{urlsafe_b64encode(nonce + sealed).decode('ascii')}"

    def open(self, sealed: str, factor_id: str) -> bytes:
        """The secret; :class:`Unavailable` where the key is missing or does not fit."""
        key_id, _, body = sealed.rpartition(".")
        key = self._keys.get(key_id)
        if key is None:
            raise Unavailable
        try:
            raw = urlsafe_b64decode(body)
            return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], factor_id.encode())
        except (InvalidTag, ValueError, binascii.Error):
            # The id is our own: it was read from the database, or there would be no such key.
            _log.error("a sealed secret does not open with encryption key %s", key_id)
            raise Unavailable from None

    def stale(self, sealed: str) -> bool:
        """Whether the envelope was made with another key than the current one."""
        return sealed.rpartition(".")[0] != self.current
