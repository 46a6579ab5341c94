"""``python -m tests.security``: run the catalogue and the faults, write the page, say how long.

``--full`` runs the long forms too. Its page goes to build/, as does that of a run without
PostgreSQL: docs/security.md tells of the whole matrix in the run that everybody makes.
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


def pytest(*arguments: str, **environment: str) -> int:
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=False).returncode


def run(full: bool, page: Path) -> int:
    """The exit status. The faults come after the catalogue: they measure time."""
    forms = [] if full else ["-m", "not full"]
    page.parent.mkdir(exist_ok=True)
    statuses = [pytest(*DISTRIBUTED, *forms, "tests/security", **{PAGE: str(page)})]
    if (ROOT / "tests" / "faults").exists():
        statuses.append(pytest(*forms, "tests/faults"))
    return max(statuses)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.security")
    parser.add_argument("--full", action="store_true", help="the long forms too")
    options = parser.parse_args()
    silence = postgres_silence()
    if silence is not None and os.environ.get("CI") == "true":
        print(f"the catalogue cannot be carried out: {silence}", file=sys.stderr)
        return 1
    usual = silence is None and not options.full
    page = ROOT / ("docs/security.md" if usual else "build/security.md")
    before = time.monotonic()
    status = run(options.full, page)
    print(
        f"security catalogue: {time.monotonic() - before:.0f} s in all, see {page.relative_to(ROOT)}"
    )
    return status


if __name__ == "__main__":
    sys.exit(main())
