"""A Redis server of the tests' own, on a free port, that can be stopped and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.servers import free_port

SECONDS = 20


class Redis:
    """``url`` stays the same over a restart; nothing is kept on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["redis-server", "--port", str(self.port), *options],
                cwd=self._folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        end = time.monotonic() + SECONDS
        while self.ask("PING") != b"+PONG\r\n":
            assert time.monotonic() < end, "redis-server does not answer"
            time.sleep(0.02)

    def ask(self, command: str) -> bytes:
        """The raw reply to an inline command, empty where nobody answers."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as line:
                line.sendall(command.encode() + b"\r\n")
                return line.recv(65536)
        except OSError:
            return b""

    def pause(self) -> None:
        """It keeps its connections and says nothing more."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGCONT)
        self._process.kill()
        self._process.wait(SECONDS)


@contextmanager
def redis_server(folder: Path) -> Iterator[Redis]:
    """Skips, saying why, where there is no ``redis-server``; under ``CI=true`` that is a failure."""
    if shutil.which("redis-server") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("redis-server is not installed, and CI has to run this")
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    server = Redis(folder)
    try:
        yield server
    finally:
        server.stop()
