"""Time-based one-time passwords (RFC 6238 over RFC 4226): the pure mechanism.

Nothing here knows which steps are spent; see :mod:`domain.second_factor`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import datetime
from hmac import compare_digest
from typing import Any
from urllib.parse import quote, urlencode

import pyotp
import segno

from domain.policy import TotpParameters
from domain.timestamps import numeric_date

ALGORITHMS: dict[str, Callable[..., Any]] = {
    "SHA1": hashlib.sha1,
    "SHA256": hashlib.sha256,
    "SHA512": hashlib.sha512,
}


def matching_step(
    secret: bytes,
    code: str,
    *,
    algorithm: str,
    digits: int,
    period: int,
    window: int,
    now: datetime,
) -> int | None:
    """The newest time step within ``window`` steps of ``now`` whose code this is, else None.

    Every step of the window is compared in constant time, so that the answer's time does not tell
    how near a guess was. The ASCII check comes first because pyotp takes full-width digits.
    """
    if not is_code(code, digits):
        return None
    generator = pyotp.TOTP(
        base32(secret), digits=digits, digest=ALGORITHMS[algorithm], interval=period
    )
    present = numeric_date(now) // period
    found = None
    for step in range(max(0, present - window), present + window + 1):
        if compare_digest(generator.generate_otp(step), code):
            found = step
    return found


def is_code(text: str, digits: int) -> bool:
    """Whether the text is exactly ``digits`` ASCII digits."""
    return len(text) == digits and text.isascii() and text.isdecimal()


def base32(secret: bytes) -> str:
    """The secret as authenticators take it: RFC 4648 base32 without padding."""
    return base64.b32encode(secret).decode("ascii").rstrip("=")


def provisioning_uri(secret: bytes, account: str, issuer: str, parameters: TotpParameters) -> str:
    """The enrolment in the Key URI format that authenticators read (label ``issuer:account``)."""
    query = {
        "secret": base32(secret),
        "issuer": issuer,
        "algorithm": parameters.algorithm,
        "digits": parameters.digits,
        "period": parameters.period,
    }
    label = f"{quote(issuer, safe='')}:{quote(account, safe='')}"
    # Authenticators do not read "+" as a space, so the query is percent-encoded too.
    return f"otpauth://totp/{label}?{urlencode(query, quote_via=quote, safe='')}"


def qr_code(uri: str) -> str:
    """The URI as a QR code: a PNG image in a data URI."""
    return segno.make(uri, error="m", micro=False).png_data_uri(scale=4, border=4)
