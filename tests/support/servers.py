"""Real servers for the end-to-end tests: ``countersign serve`` in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.report.recorder import RECORDER
from tests.support.api import Api, over_http
from tests.support.ledger import LEDGER

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 60
PLANTED = "PLANTED_BUG"
"""The setting of a program with a bug; what it sends says nothing about the contract."""


@dataclass
class ServerProcess:
    """A running server: its process, its address and the file with its log."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    clients: list[httpx.Client] = field(default_factory=list)

    def api(self) -> Api:
        """A client with a connection pool of its own, closed when the server is."""
        self.clients.append(httpx.Client(base_url=self.url, timeout=30))
        return over_http(self.clients[-1])

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 30) -> int:
        """Send a signal and wait; returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The environment of a server that keeps everything it writes under ``folder``."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("COUNTERSIGN_")}
    defaults = {
        "COUNTERSIGN_DATABASE_URL": f"sqlite:///{folder}/countersign.db",
        "COUNTERSIGN_KEY_DIR": str(folder / "keys"),
        "COUNTERSIGN_SPEC": str(ROOT / "spec" / "openapi.yaml"),
    }
    return clean | defaults | settings


def command(*arguments: str) -> list[str]:
    """The console script of the environment that runs the tests."""
    return [str(Path(sys.executable).parent / "countersign"), *arguments]


@contextmanager
def serving(
    folder: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    program: Sequence[str] | None = None,
    verb: str = "serve",
) -> Iterator[ServerProcess]:
    """A server on a free port, ready when the block begins and killed when it ends.

    ``program`` stands in for the console script; ``verb`` is its command, or ``mock``.
    """
    port = free_port()
    log = folder / f"server-{port}.log"
    LEDGER.files.append(log)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*(program or command()), verb, "--port", str(port), *arguments],
            env=dict(env or environment(folder)),
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = ServerProcess(process, f"http://127.0.0.1:{port}", log)
    try:
        _wait_until_ready(server)
        if verb == "serve" and PLANTED not in (env or {}):
            _told_of(server, Path((env or environment(folder))["COUNTERSIGN_SPEC"]).parent)
        yield server
    finally:
        for client in server.clients:
            client.close()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the workers too
        process.wait()


def _wait_until_ready(server: ServerProcess) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if server.process.poll() is not None:
            break
        try:
            if httpx.get(f"{server.url}/health/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the server did not start:\n{server.log.read_text()}")


def _told_of(server: ServerProcess, spec: Path) -> None:
    """What its clients hear counts, if it serves the shipped spec."""
    published = httpx.get(f"{server.url}/openapi.json", timeout=5)
    if published.status_code == 200:  # a stand-in need not have one
        RECORDER.serves(server.url, published.json(), spec)
