"""Countersign as it was at another revision: its code and its spec, in this environment."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.servers import ROOT

_FLOOD = re.compile(r"^flood: .*$", re.MULTILINE)
_ROOM = "flood: {rate: 1000000, per: PT1S, burst: 1000000}"


@contextmanager
def exported(revision: str) -> Iterator[Path]:
    """The files of a revision, in a folder that is gone after the block."""
    packed = subprocess.run(
        ["git", "archive", "--format=tar", revision], cwd=ROOT, capture_output=True, check=True
    ).stdout
    with TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(packed)) as files:
        files.extractall(folder, filter="data")
        yield Path(folder)


def command(folder: Path) -> list[str]:
    """The command line of a server made of the files in ``folder``; it goes on as the shipped one."""
    return [sys.executable, "-m", "tests.bench.earlier", str(folder)]


def main(folder: Path, *arguments: str) -> None:
    with TemporaryDirectory() as copy:
        spec = Path(shutil.copytree(folder / "spec", Path(copy) / "spec"))
        policies = spec / "components" / "policies.yaml"
        # What is measured comes from one address and sends more than any may, here as there.
        text, edits = _FLOOD.subn(_ROOM, policies.read_text("utf-8"))
        assert edits == 1
        policies.write_text(text, "utf-8")
        env = os.environ | {"COUNTERSIGN_SPEC": str(spec / "openapi.yaml")}
        # The folder of a process that runs a module comes first on its path.
        line = [sys.executable, "-m", "server.entry", *arguments]
        subprocess.run(line, cwd=folder, env=env, check=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
