"""The stock command line of Schemathesis against a server as anybody would start it.

``python -m tests.contract.stock`` (``make fuzz``) runs it twice, each time with the token of a
fresh user: once over everything, once without logout, so that the token lives on. No settings, no
configuration file, no exceptions; about five minutes.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.accounts import RealClock, register
from tests.support.servers import serving

UNREACHABLE = {
    "POST /auth/login",
    "POST /auth/password",
    "POST /auth/refresh",
    "POST /mfa/backup-codes/regenerate",
    "POST /mfa/verify",
}
"""What random data cannot pass: a password, a token, a code, a second factor."""
_SECTION = re.compile(r"^401 Unauthorized \(.*?\):\n\n?((?:  - .*\n)+)", re.MULTILINE)


def run(folder: Path, *options: str) -> tuple[int, str]:
    """Exit status and output of one run against a server of its own."""
    with serving(folder) as server:
        token = register(server.api(), RealClock()).sign_in().token
        command = [
            str(Path(sys.executable).parent / "schemathesis"),
            *("run", f"{server.url}/openapi.json", "-c", "all"),
            *("-H", f"Authorization: Bearer {token}", *options),
        ]
        # Not in the repository's folder, where a configuration file might be found.
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def shut_out(output: str) -> set[str]:
    """The operations that are reported as answering nothing but 401."""
    section = _SECTION.search(output)
    return set(re.findall(r"^  - (.*)$", section[1], re.MULTILINE)) if section else set()


def main() -> int:
    failed = False
    for options in ((), ("--exclude-operation-id", "logout")):
        with tempfile.TemporaryDirectory() as folder:
            status, output = run(Path(folder), *options)
        unexpected = shut_out(output) - UNREACHABLE if options else set()
        print(output[-3000:] if status or unexpected else output[output.rfind("= SUMMARY") :])
        print(f"schemathesis run {' '.join(options)}: exit {status}")
        for operation in sorted(unexpected):
            print(f"answered nothing but 401: {operation}")
        failed = failed or bool(status) or bool(unexpected)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
