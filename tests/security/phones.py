"""A phone whose codes oathtool computes, many at a time, for a process a code is slow."""

from __future__ import annotations

import subprocess
from functools import lru_cache

from tests.e2e import tools

BLOCK = 16
"""Time steps that one call of oathtool computes."""


class Phone(tools.Phone):
    """An authenticator that owes nothing to pyotp, nor to our own writing of RFC 6238."""

    def code_of(self, step: int) -> str:
        tools.needs("oathtool", "oathtool")
        block = _codes(self.secret, self.digits, self.period, self.algorithm, step // BLOCK)
        return block[step % BLOCK]


@lru_cache(16384)
def _codes(secret: str, digits: int, period: int, algorithm: str, block: int) -> tuple[str, ...]:
    command = [
        *("oathtool", f"--totp={algorithm.lower()}", "--base32", f"--window={BLOCK - 1}"),
        *(f"--digits={digits}", f"--time-step-size={period}s"),
        *(f"--now=@{block * BLOCK * period}", "-"),
    ]
    done = subprocess.run(command, input=secret, capture_output=True, text=True, check=True)
    return tuple(done.stdout.split())
