"""A run in which a secret turns up where it has no business fails, however it is distributed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import ROOT

TEST = """
import logging
from tests.support.ledger import LEDGER

def test_passes():
    LEDGER.sent({"password": "open sesame, please"}, None)
    logging.getLogger("server").info("SAID")
"""


def run(folder: Path, said: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_run.py").write_text(TEST.replace("SAID", said), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", *options]
    return subprocess.run(
        [*command, "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("options", [("-n", "0"), ("-n", "2")])
def test_a_leak_fails_a_run_whose_tests_pass(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = run(tmp_path, "signing in with open sesame, please", *options)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert "LEAK log (server)" in done.stdout
    assert done.returncode == pytest.ExitCode.TESTS_FAILED


def test_a_run_without_a_leak_passes(tmp_path: Path) -> None:
    done = run(tmp_path, "signing in")
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    assert "ledger: 1 secrets" in done.stdout
