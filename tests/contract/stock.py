"""The stock command line of Schemathesis against a server as anybody would start it.

``python -m tests.contract.stock`` (``make fuzz``) runs it as an administrator and as a user, each
over everything but what ends the session that it lives on; that is tried by itself at the end.
All checks, no exceptions, and requests no faster than the flood limit lets them in. The
configuration file holds nothing but the identities that ``object_level_authorization`` compares:
the command line has no option for them. Last comes the mock, on which all checks are run as well,
with the token that the spec shows and as fast as it answers. About six minutes.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from server import mock
from server.spec import read
from tests.support.accounts import Account, RealClock, register
from tests.support.servers import ROOT, ServerProcess, command, environment, serving

SPEC = ROOT / "spec" / "openapi.yaml"
RATE = "50/s"
"""What the flood limit refills; without it a request that ought to be a 401 could be a 429."""
BLIND = {
    "POST /auth/login",
    "POST /auth/password",
    "POST /auth/refresh",
    "POST /mfa/backup-codes/verify",
    "POST /mfa/disable",
    "POST /mfa/verify",
}
"""What random data cannot pass: a password, a token, a code."""
_ADMINISTRATOR, _USER = "administrator", "user"


@dataclass(frozen=True)
class Run:
    """One run: who sends, which operations, and which of them answer nothing but 401 or 403."""

    sender: str
    options: tuple[str, ...]
    only_401: frozenset[str] = frozenset(BLIND)
    only_403: frozenset[str] = frozenset()

    def faults(self, output: str) -> list[str]:
        """What the report says and ought not to, or does not say and ought to."""
        stuck, refused = answered_only(401, output), answered_only(403, output)
        return [
            *(f"answered nothing but 401: {name}" for name in sorted(stuck - self.only_401)),
            *(f"answered nothing but 403: {name}" for name in sorted(refused - self.only_403)),
            *(f"was not refused to a user: {name}" for name in sorted(self.only_403 - refused)),
        ]


def runs() -> list[Run]:
    """The administrator's own sessions end with ``endUserSessions`` as well as with ``logout``."""
    over = ("logout", "endUserSessions")
    # Nothing is linked to these, and a phase without a test is an error.
    alone = ("--phases", "examples,coverage,fuzzing")
    return [
        Run(_ADMINISTRATOR, tuple(options("exclude", over))),
        Run(
            _USER,
            tuple(options("exclude", over[:1])),
            frozenset({*BLIND, "POST /mfa/backup-codes/regenerate"}),
            frozenset(for_administrators()),
        ),
        Run(_ADMINISTRATOR, (*options("include", over[1:]), *alone), frozenset()),
        Run(_USER, (*options("include", over[:1]), *alone), frozenset({"POST /auth/logout"})),
    ]


def options(what: str, operations: Iterable[str]) -> Iterable[str]:
    for name in operations:
        yield from (f"--{what}-operation-id", name)


def for_administrators() -> set[str]:
    """The operations that ask for the role, as Schemathesis writes them."""
    reading = read(SPEC)
    return {
        f"{operation.method} {operation.path}"
        for name, operation in reading.contract.operations.items()
        if reading.policies.operations[name].role is not None
    }


def administrator(server: ServerProcess, env: dict[str, str]) -> Account:
    """Made on the command line, as the first one is, with a second factor."""
    name, password = f"root.{secrets.token_hex(4)}", secrets.token_urlsafe(16)
    words = command("user", "create", name, "--admin", "--password-stdin")
    line = f"{password}\n".encode()
    done = subprocess.run(words, env=env, cwd=ROOT, input=line, capture_output=True, check=True)
    account = Account(server.api(), RealClock(), name, password, done.stdout.decode().split()[0])
    return account.sign_in().enrol()


def identities(folder: Path, tokens: dict[str, str]) -> Path:
    """A configuration file in which each identity is a peer: none may read what another owns."""
    fields = {name: f"Bearer {token}" for name, token in tokens.items()}
    entries = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": field}]}
        for name, field in fields.items()
    ]
    document, config = folder / "identities.json", folder / "peers.toml"
    document.write_text(json.dumps({"auth": entries}), encoding="utf-8")
    lines = ("[auth.wfc]", f'path = "{document}"', f"peers = {json.dumps(list(tokens))}", "")
    config.write_text("\n".join(lines), encoding="utf-8")
    return config


def carry_out(each: Run, folder: Path, *more: str, spec: Path = SPEC) -> tuple[int, str]:
    """Exit status and output of one run against a server of its own."""
    env = environment(folder, COUNTERSIGN_SPEC=str(spec))
    with serving(folder, env=env) as server:
        tokens = {
            _ADMINISTRATOR: administrator(server, env).token,
            _USER: register(server.api(), RealClock()).sign_in().token,
        }
        config = ("--config-file", str(identities(folder, tokens)))
        identity = ("--rate-limit", RATE, "--auth-wfc-user", each.sender)
        return _schemathesis(server, folder, *each.options, *identity, *more, before=config)


def carry_out_mocked(folder: Path, *more: str) -> tuple[int, str]:
    """Exit status and output of a run against a mock of its own.

    One identity is all there is, so that nothing is another's; no other check is moot.
    """
    with serving(folder, str(SPEC), verb="mock") as server:
        (token,) = mock.create(SPEC)[1].good
        return _schemathesis(server, folder, "-H", f"Authorization: Bearer {token}", *more)


def _schemathesis(
    server: ServerProcess, folder: Path, *options: str, before: Iterable[str] = ()
) -> tuple[int, str]:
    program = str(Path(sys.executable).parent / "schemathesis")
    words = [program, *before, "run", f"{server.url}/openapi.json", "-c", "all", *options]
    # Not in the repository's folder, where a configuration file might be found.
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def answered_only(status: int, output: str) -> set[str]:
    """The operations that are reported as answering nothing but this status."""
    heading = rf"^{status} [A-Za-z]+ \(.*?\):\n\n?((?:  - .*\n)+)"
    section = re.search(heading, output, re.MULTILINE)
    return set(re.findall(r"^  - (.*)$", section[1], re.MULTILINE)) if section else set()


def main() -> int:
    life = read(SPEC).policies.lifetimes.access_token.total_seconds()
    failed = False
    for each in runs():
        carry = partial(carry_out, each)
        name = f"{each.sender} {' '.join(each.options)}"
        failed |= not _passes(name, carry, each.faults, life)
    return int(failed | (not _passes("the mock", carry_out_mocked, mock_faults, life)))


def mock_faults(output: str) -> list[str]:
    """Everything that asks for a token has it, and each request that fits is accepted."""
    stuck = answered_only(401, output) | answered_only(403, output)
    return [f"was refused by the mock: {name}" for name in sorted(stuck)]


def _passes(
    name: str,
    carry: Callable[..., tuple[int, str]],
    judge: Callable[[str], list[str]],
    life: float,
) -> bool:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        status, output = carry(Path(folder), *sys.argv[1:])
    faults, seconds = judge(output), time.monotonic() - began
    if seconds > life:
        # Codes are good once, so that no run could sign an administrator in again.
        faults.append(f"took longer than the {life:.0f} s of a token: the last answers were 401")
    print(output[-3000:] if status or faults else output[output.rfind("= SUMMARY") :])
    print(f"{name}: exit {status}, {seconds:.0f} s")
    print("\n".join(faults))
    return not (status or faults)


if __name__ == "__main__":
    sys.exit(main())
