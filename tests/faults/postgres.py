"""A PostgreSQL of the tests' own, which may be stopped, suspended, restarted and made read-only."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests.support.servers import free_port

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "on",
    # What is not waited for stays in memory for long, so that a crash shows it (Planted, below).
    "wal_writer_delay": "10s",
    "wal_writer_flush_after": "1GB",
    "max_connections": "60",
}


class Cluster:
    """One server with its data in a folder of its own; ``port`` stays the same over restarts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._data, self._bin = folder / "data", PROGRAMS[-1].parent
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
        self._run("initdb", "-A", "trust", "-U", "postgres", "--no-sync")
        settings = {**SETTINGS, "port": str(self.port), "unix_socket_directories": str(folder)}
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def start(self) -> None:
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "start")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def restart(self, mode: str) -> None:
        """``fast`` takes leave of everybody; ``immediate`` is a crash, with a recovery after it."""
        self._run("pg_ctl", "-w", "-m", mode, "-l", str(self.folder / "log"), "restart")

    def suspend(self) -> None:
        """Stop every process, as a machine that hangs: the kernel still answers for them."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._processes():
            with suppress(ProcessLookupError):  # a backend that ends meanwhile
                os.kill(pid, number)

    def read_only(self, on: bool) -> None:
        """From now on, for new transactions of all sessions."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {on}")
            connection.execute("SELECT pg_reload_conf()")

    def url(self, database: str, port: int | None = None) -> str:
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{database}"

    def new_database(self) -> str:
        """The name of a new, empty database."""
        name = f"faults_{uuid.uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return name

    def _processes(self) -> list[int]:
        """The postmaster first, so that it starts no other while the rest are stopped."""
        pid = int((self._data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def _run(self, program: str, *arguments: str) -> None:
        command: Sequence[str] = [str(self._bin / program), "-D", str(self._data), *arguments]
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            command = ["runuser", "-u", "postgres", "--", *command]
        # The server outlives pg_ctl and would hold a pipe open.
        output = self.folder / "output"
        with output.open("ab") as file:
            done = subprocess.run(command, stdout=file, stderr=file, cwd="/", check=False)
        assert done.returncode == 0, output.read_text(errors="replace")


@contextmanager
def a_cluster() -> Iterator[Cluster]:
    """A running server, gone at the end. Where PostgreSQL is not installed the test says so."""
    if not PROGRAMS:
        reason = "no /usr/lib/postgresql/*/bin/initdb (Debian: apt-get install postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    # Not under pytest's folders, which the user postgres may not enter.
    folder = Path(tempfile.mkdtemp(prefix="countersign-faults-"))
    try:
        cluster = Cluster(folder)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.resume()
            cluster.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
