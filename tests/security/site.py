"""One server of one worker or of two, over one database, with a clock that the test moves.

Two workers are two processes on two ports with the same database and key directory: what balances
between them is the client, which alternates.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from storage import migrate
from tests.e2e.wire import Line, race
from tests.security.phones import Phone
from tests.storage import databases
from tests.support.accounts import Account, register
from tests.support.api import Api, Reply
from tests.support.ledger import LEDGER, Ledger
from tests.support.servers import ROOT, ServerProcess, environment, serving

PROGRAM = (sys.executable, "-m", "tests.security.clocked")
CONFIGURATIONS = ("sqlite-1", "sqlite-2", "postgresql-1", "postgresql-2")
PHASE = 7
"""Seconds into a time step at which a site's clock begins."""
PERIOD = 30


class SiteClock:
    """Stands still until it is moved, and moves forward only; the servers read it from a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        start = int(datetime.now(UTC).timestamp()) // PERIOD * PERIOD + 2 * PERIOD + PHASE
        self._set(datetime.fromtimestamp(start, UTC))  # later than the keys' own time of birth

    def now(self) -> datetime:
        return self._now

    def advance(self, **duration: float) -> None:
        step = timedelta(**duration)
        assert step >= timedelta(0), "others use this clock too: it moves forward only"
        self._set(self._now + step)

    def to(self, moment: datetime) -> None:
        """Move forward to a moment."""
        self.advance(seconds=(moment - self._now).total_seconds())

    def to_phase(self, seconds: float, period: int = PERIOD) -> None:
        """Move forward to the next moment that is ``seconds`` into a time step."""
        self.advance(seconds=(seconds - self._now.timestamp()) % period)

    def step(self, period: int = PERIOD) -> int:
        """The present time step."""
        return int(self._now.timestamp()) // period

    def _set(self, moment: datetime) -> None:
        self._now = moment
        fresh = self.path.with_suffix(".new")
        fresh.write_text(moment.isoformat(), encoding="ascii")
        fresh.replace(self.path)  # a reader sees the one time or the other


class House:
    """The processes of one configuration: started once, looked after between tests."""

    def __init__(self, name: str, folder: Path, url: str, **settings: str) -> None:
        self.name, self.folder, self.database_url = name, folder, url
        self.engine, _, workers = name.partition("-")
        self.workers = int(workers)
        self.clock = SiteClock(folder / "time")
        self.env = environment(
            folder,
            COUNTERSIGN_DATABASE_URL=url,
            CLOCKED_TIME=str(self.clock.path),
            CLOCKED_HASHES="cheap",
            **settings,
        )
        self.logs: list[Path] = []
        self._stacks = [ExitStack() for _ in range(self.workers)]
        self.servers = [self._start(worker) for worker in range(self.workers)]

    def _start(self, worker: int) -> ServerProcess:
        serve = serving(self.folder, env=self.env, program=PROGRAM)
        server = self._stacks[worker].enter_context(serve)
        self.logs.append(server.log)
        return server

    def restart(self, worker: int) -> None:
        """Begin a worker anew, on a new port, whether it still runs or not."""
        self._stacks[worker].close()
        self.servers[worker] = self._start(worker)

    def heal(self) -> None:
        """What a test has paused goes on, what it has ended begins anew."""
        for worker, server in enumerate(self.servers):
            if server.process.poll() is not None:
                self.restart(worker)
            server.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        for stack in self._stacks:
            stack.close()


@contextmanager
def house_of(name: str, folder: Path, **settings: str) -> Iterator[House]:
    """The servers of a configuration; ``settings`` are environment variables."""
    with ExitStack() as stack:
        url = f"sqlite:///{folder}/countersign.db"
        if name.startswith("postgresql"):
            url = stack.enter_context(databases.postgres_database())
            migrate.upgrade(url)
        house = House(name, folder, url, **settings)
        stack.callback(house.close)
        yield house


_hosts = itertools.count(2)


def fresh_address() -> str:
    """A loopback address that nobody has used: limits by address are each test's own."""
    number = next(_hosts)
    return f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@dataclass
class Site:
    """A house as one test sees it: from an address of its own."""

    house: House
    address: str = field(default_factory=fresh_address)
    ledger: Ledger = field(default_factory=lambda: LEDGER)
    _clients: dict[tuple[str, str], httpx.Client] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.house.name

    @property
    def engine(self) -> str:
        return self.house.engine

    @property
    def workers(self) -> int:
        return self.house.workers

    @property
    def clock(self) -> SiteClock:
        return self.house.clock

    @property
    def key_dir(self) -> Path:
        return self.house.folder / "keys"

    def needs(self, why: str, *, engine: str | None = None, workers: int | None = None) -> None:
        """Leave out configurations that a row says nothing about; the page gives the reason."""
        if (engine or self.engine, workers or self.workers) != (self.engine, self.workers):
            pytest.skip(why)

    # Talking to it

    def api(
        self,
        worker: int | None = None,
        address: str | None = None,
        ledger: Ledger | None = None,
    ) -> Api:
        """A client; without ``worker`` each request goes to the next one in turn."""
        source = address or self.address
        turns = itertools.cycle(range(self.workers) if worker is None else [worker])

        def send(request: httpx.Request) -> httpx.Response:
            server = self.house.servers[next(turns)]
            request.url = request.url.copy_with(port=httpx.URL(server.url).port)
            request.headers["Host"] = request.url.netloc.decode()
            return self._client(server.url, source).send(request)

        return Api(send, "http://127.0.0.1:1", ledger or self.ledger)

    def _client(self, url: str, source: str) -> httpx.Client:
        if (url, source) not in self._clients:
            transport = httpx.HTTPTransport(local_address=source, verify=False)
            self._clients[url, source] = httpx.Client(transport=transport, timeout=60)
        return self._clients[url, source]

    def server(self, worker: int = 0) -> ServerProcess:
        return self.house.servers[worker]

    def request(self, path: str, body: Any = None, token: str | None = None) -> httpx.Request:
        """A POST that is not sent yet, for a race."""
        self.ledger.sent(body, token)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.Request("POST", self.server().url + path, json=body, headers=headers)

    @contextmanager
    def lines(self, number: int, address: str | None = None) -> Iterator[list[Line]]:
        """Open connections, as many to each worker, alternating."""
        with ExitStack() as stack:
            yield [
                stack.enter_context(Line(self.server(n % self.workers), address or self.address))
                for n in range(number)
            ]

    def race(self, requests: Sequence[httpx.Request]) -> list[Reply]:
        """Each request on a connection of its own, all last bytes at once; replies in order."""
        with self.lines(len(requests)) as lines:
            return [
                Reply(reply.status_code, reply.headers, reply.content)
                for reply in race(lines, requests)
            ]

    # Its people

    def account(self, api: Api | None = None, **fields: Any) -> Account:
        """A registered user, not signed in."""
        return register(api or self.api(), self.clock, authenticator=Phone, **fields)

    def user(self, **fields: Any) -> Account:
        """Signed in with a password; MFA is off."""
        return self.account(**fields).sign_in()

    def member(self, **fields: Any) -> Account:
        """Signed in; MFA is on, and the next code is good at once."""
        member = self.user(**fields).enrol()
        self.clock.advance(seconds=PERIOD)
        return member

    def administrator(self) -> Account:
        """Signed in with two factors, and with the role."""
        root = self.account()
        self.command("user", "promote", root.username)
        root.sign_in().enrol()
        self.clock.advance(seconds=PERIOD)
        return root

    # What it has written

    def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """What a query finds, seen by another process; values are written ``:name``."""
        return self._sqlite(sql, values) if self.engine == "sqlite" else self._postgres(sql, values)

    def _sqlite(self, sql: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        path = self.house.database_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA foreign_keys = ON")
            found = [dict(row) for row in connection.execute(sql, values)]
            connection.commit()
        return found

    def _postgres(self, sql: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        if values:
            sql = re.sub(r"(?<!:):(\w+)", r"%(\1)s", sql.replace("%", "%%"))
        url, row_factory = self.house.database_url, psycopg.rows.dict_row
        with (
            psycopg.connect(url, row_factory=row_factory) as database,
            database.execute(sql, values or None) as cursor,
        ):
            return cursor.fetchall() if cursor.description else []

    def dump(self) -> str:
        """Every value of every table, as text."""
        tables = "sqlite_master WHERE type = 'table'"
        if self.engine == "postgresql":
            tables = "(SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public') t"
        names = [row["name"] for row in self.rows(f"SELECT name FROM {tables}")]
        return "\n".join(
            f"{name} {row}" for name in names for row in self.rows(f'SELECT * FROM "{name}"')
        )

    def logs(self) -> str:
        """Everything that every worker has written, at debug level."""
        return "".join(
            path.read_text(encoding="utf-8", errors="replace") for path in self.house.logs
        )

    def command(self, *arguments: str, typed: str = "") -> str:
        """What ``countersign`` prints, run with the environment and the clock of the servers."""
        done = subprocess.run(
            [*PROGRAM, *arguments],
            env=self.house.env,
            cwd=ROOT,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # Its processes

    def pause(self, worker: int) -> None:
        self.server(worker).process.send_signal(signal.SIGSTOP)

    def resume(self, worker: int) -> None:
        self.server(worker).process.send_signal(signal.SIGCONT)

    def kill(self, worker: int) -> None:
        """kill -9, children and all; ``restart`` begins it anew."""
        os.killpg(self.server(worker).process.pid, signal.SIGKILL)
        self.server(worker).process.wait()

    def stop(self, worker: int, seconds: float = 30) -> int:
        """SIGTERM; the exit status."""
        return self.server(worker).stop(seconds=seconds)

    def restart(self, worker: int) -> None:
        self.house.restart(worker)

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
