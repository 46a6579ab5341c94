"""RFC 6238 and RFC 4226 written once more, so that no bug is on both sides of a test."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import datetime


@dataclass
class Authenticator:
    """What a phone knows after it has scanned the QR code, and the newest step that was used."""

    secret: str
    digits: int = 6
    period: int = 30
    algorithm: str = "SHA1"
    last_step: int = -1

    def code(self, at: datetime, steps: int = 0) -> str:
        """The code of the time step ``steps`` after the one that ``at`` falls in."""
        return self.code_of(int(at.timestamp()) // self.period + steps)

    def code_of(self, step: int) -> str:
        key = base64.b32decode(self.secret + "=" * (-len(self.secret) % 8))
        digest = hmac.new(key, struct.pack(">Q", step), getattr(hashlib, self.algorithm.lower()))
        value = digest.digest()
        start = value[-1] & 15
        number = struct.unpack(">I", value[start : start + 4])[0] & 0x7FFFFFFF
        return str(number % 10**self.digits).zfill(self.digits)

    def wrong(self, at: datetime) -> str:
        """A code of the right shape that no step near ``at`` has."""
        near = {self.code(at, steps) for steps in range(-3, 4)}
        return next(c for c in (str(n).zfill(self.digits) for n in range(10)) if c not in near)
