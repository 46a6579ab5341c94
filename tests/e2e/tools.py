"""Tools of other people: what they say of a QR code or a time step owes nothing to our code."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.accounts import Account, ok
from tests.support.authenticator import Authenticator

LATE = 22
"""Seconds into a time step after which a test that wants three codes waits for the next."""


def needs(tool: str, package: str) -> None:
    """Skip where a tool is missing, except in CI, where its absence is a failure."""
    if shutil.which(tool) is None:
        reason = f"{tool} is not installed (Debian: apt-get install {package})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


class Phone(Authenticator):
    """An authenticator whose codes oathtool computes."""

    def code_of(self, step: int) -> str:
        needs("oathtool", "oathtool")
        command = [
            *("oathtool", f"--totp={self.algorithm.lower()}", "--base32"),
            *(f"--digits={self.digits}", f"--time-step-size={self.period}s"),
            *(f"--now=@{step * self.period}", "-"),
        ]
        return subprocess.run(
            command, input=self.secret, capture_output=True, text=True, check=True
        ).stdout.strip()


def read_qr_code(data_uri: str, folder: Path) -> str:
    """What zbarimg reads in the picture of a ``data:`` URI."""
    needs("zbarimg", "zbar-tools")
    kind, _, picture = data_uri.partition(",")
    assert kind == "data:image/png;base64"
    file = folder / "qr.png"
    file.write_bytes(base64.b64decode(picture, validate=True))
    command = ["zbarimg", "--quiet", "--raw", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip("\n")


def phone_of(otpauth_uri: str) -> Phone:
    """The phone that has scanned this URI and knows nothing else."""
    parts = urlsplit(otpauth_uri)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    fields = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return Phone(
        fields["secret"], int(fields["digits"]), int(fields["period"]), fields["algorithm"]
    )


def begin_early() -> None:
    """Wait, where the present time step is nearly over, for the next one."""
    if time.time() % 30 > LATE:
        time.sleep(30 - time.time() % 30)


def enrol(account: Account, setup: Any = None) -> Account:
    """Turn MFA on with the code of the step before the present one.

    Each time step is accepted once, and the window is one step each way: whoever begins with the
    step before has two more codes at once.
    """
    setup = setup or account.set_up()
    begin_early()
    phone = phone_of(setup["otpauth_uri"])
    step = int(time.time()) // phone.period - 1
    ok(account.post("/mfa/verify", json={"code": phone.code_of(step)}))
    phone.last_step = step
    account.phone, account.backup_codes = phone, list(setup["backup_codes"])
    return account
