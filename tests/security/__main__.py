"""``python -m tests.security``: run the catalogue and the faults, write the page, say how long.

``--full`` runs the long forms too; ``--quick`` leaves out the faults and two of the four
configurations, so that what is left has each engine and each number of workers once. Their pages go
to build/, as does that of a run without PostgreSQL: docs/security.md tells of the whole matrix in
the run that everybody makes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.security.conftest import PAGE
from tests.storage.databases import postgres_silence
from tests.support.servers import ROOT

DISTRIBUTED = ("-n", "2", "--dist", "loadscope")
QUICK = ("-k", "not sqlite-2 and not postgresql-1")


def pytest(*arguments: str, **environment: str) -> int:
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=False).returncode


def run(full: bool, quick: bool, page: Path) -> int:
    """The exit status. The faults come after the catalogue: they measure time."""
    forms = [] if full else ["-m", "not full"]
    if quick:
        forms += QUICK
    page.parent.mkdir(exist_ok=True)
    statuses = [pytest(*DISTRIBUTED, *forms, "tests/security", **{PAGE: str(page)})]
    if not quick:
        statuses.append(pytest(*forms, "tests/faults"))
    return max(statuses)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.security")
    parser.add_argument("--full", action="store_true", help="the long forms too")
    parser.add_argument("--quick", action="store_true", help="two configurations, no faults")
    options = parser.parse_args()
    silence = postgres_silence()
    if silence is not None and os.environ.get("CI") == "true":
        print(f"the catalogue cannot be carried out: {silence}", file=sys.stderr)
        return 1
    usual = silence is None and not options.full and not options.quick
    page = ROOT / ("docs/security.md" if usual else "build/security.md")
    before = time.monotonic()
    status = run(options.full, options.quick, page)
    print(
        f"security catalogue: {time.monotonic() - before:.0f} s in all, see {page.relative_to(ROOT)}"
    )
    return status


if __name__ == "__main__":
    sys.exit(main())
