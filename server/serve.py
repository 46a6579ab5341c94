"""``countersign serve``: one uvicorn process, or a parent and its workers.

SIGTERM always ends with exit status 0: what is in flight is finished within ``GRACE`` seconds and
what is not by then is cancelled.

SIGHUP has the spec read again. Only the process that hears it reads the files, and it tells what is
wrong with them. Workers are given the texts that it found right: all of them come to the same
contract, whatever becomes of the files next, and so does a worker that starts later.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
import sys
import zlib
from collections.abc import Iterator
from functools import partial
from typing import cast

import uvicorn
from uvicorn.supervisors import multiprocess

from contract.app import ContractApp
from server import app, logs, settings
from server.entry import HANGUP
from server.foundation import Promised
from server.http import CONNECTIONS, SPARE_FILES, TURNED_AWAY, BoundedProtocol
from server.live import Live, Texts
from server.settings import Settings
from server.spec import Reading
from server.watch import watching

GRACE = 15
KEEP_ALIVE = 15
BACKLOG = 2048
PING = b"ping"
"""What uvicorn's parent asks its workers."""
WORKER_SECONDS = 60
"""A worker that says nothing for so long is replaced; a busy machine takes its time to start one."""


class Server(uvicorn.Server):
    """Ends quietly on a signal; uvicorn itself would raise the signal once more when done."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            self._captured_signals.clear()


class Alone(Server):
    """The one server of a process that reads the spec itself."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        loop, live = asyncio.get_running_loop(), self.config.loaded_app
        loop.add_signal_handler(signal.SIGHUP, live.renew_soon)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANGUP)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, HANGUP)
        await super().shutdown(sockets)


class Worker(multiprocess.Process):
    """A worker process that can be given the texts of another contract while it runs."""

    def __init__(self, given: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(given, sockets)
        self._holds = cast("partial[Live]", given.app).args[0]

    def start(self) -> None:
        super().start()
        self.child_conn.close()  # held open here it would hide that the worker has died

    def give(self, packed: bytes) -> None:
        """In the parent: hand texts over, unless it has them or is not up to take them yet."""
        if self._holds != packed and self.is_ready(WORKER_SECONDS):
            with contextlib.suppress(OSError):  # it has just died, and is replaced
                self.parent_conn.send(packed)
                self._holds = packed

    def pong(self) -> None:
        """In the worker, on a thread: answer the parent, or take what it gives."""
        told = self.child_conn.recv()
        if told == PING:
            self.child_conn.send(self.server.started)
        else:
            self.config.loaded_app.renew_soon(_unpacked(told))


class Supervisor(multiprocess.Multiprocess):
    """The parent of the workers. ``live`` serves nothing here: it knows the contract in force."""

    def __init__(self, given: uvicorn.Config, sockets: list[socket.socket], live: Live) -> None:
        super().__init__(given, sockets)
        self._live = live

    def handle_signals(self) -> None:
        super().handle_signals()
        if signal.sigtimedwait(HANGUP, 0):
            self._live.renew()
            self.config.app = _served_by_a_worker(self._live, self.config.workers)

    def keep_subprocess_alive(self) -> None:
        super().keep_subprocess_alive()
        packed = cast("partial[Live]", self.config.app).args[0]
        for worker in cast(list[Worker], self.processes):
            worker.give(packed)


def _served_by_a_worker(live: Live, workers: int) -> partial[Live]:
    """What a worker that starts now makes its application with."""
    return partial(_in_worker, _packed(live.texts), workers, live.promised)


def _in_worker(packed: bytes, workers: int, promised: Promised) -> Live:
    """The application of a worker; ``app.prepare`` has run in its parent, which read the texts."""
    logs.configure()
    current = settings.load()
    reading = app.read(current, _unpacked(packed))
    return app.create(current, reading, workers=workers, promised=promised)


def _packed(texts: Texts) -> bytes:
    """A fifth of their size: what fits into the buffer of a pipe holds up no parent.

    It would wait for ever for a worker that dies before it has read the rest.
    """
    return zlib.compress(json.dumps(dict(texts)).encode())


def _unpacked(packed: bytes) -> Texts:
    texts: Texts = json.loads(zlib.decompress(packed))
    return texts


def config(
    served: Live | ContractApp | partial[Live], host: str, port: int, workers: int
) -> uvicorn.Config:
    """uvicorn's settings. Both timeouts are in seconds; logs pass through ``server.logs``."""
    return uvicorn.Config(
        served,
        factory=isinstance(served, partial),
        host=host,
        port=port,
        workers=workers,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        backlog=BACKLOG,
        timeout_worker_healthcheck=WORKER_SECONDS,
    )


def run(
    current: Settings, reading: Reading, host: str, port: int, workers: int, *, watch: bool
) -> None:
    """Serve until SIGTERM or SIGINT, then return. Raises SystemExit(3) where start-up failed.

    The application is built here first, so that what is wrong with the spec, the settings or the
    keys is said once and by the parent; workers build their own. With ``watch`` a change of the
    spec's files has the effect of SIGHUP.
    """
    _allow_files()
    live = app.create(current, reading, workers=workers)
    with _watched(current) if watch else contextlib.nullcontext():
        if workers == 1:
            _serve_alone(Alone(config(live, host, port, 1)))
        else:
            _serve_together(config(_served_by_a_worker(live, workers), host, port, workers), live)


def _watched(current: Settings) -> contextlib.AbstractContextManager[None]:
    hang_up = partial(os.kill, os.getpid(), signal.SIGHUP)
    return watching(current.spec, hang_up)


def alone(application: ContractApp, host: str, port: int) -> None:
    """Serve an application in this process until SIGTERM or SIGINT, as ``run`` does."""
    _allow_files()
    _serve_alone(Server(config(application, host, port, 1)))


def _allow_files() -> None:
    """Open files for all connections, as far as the system lets; workers inherit it.

    The usual 1,024 are for programs that cannot tell more apart (select(2)).
    """
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + TURNED_AWAY + SPARE_FILES
    if allowed != resource.RLIM_INFINITY:
        enough = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(allowed, enough), most))


def _serve_alone(server: Server) -> None:
    server.run()
    if not server.started:
        sys.exit(3)


def _serve_together(given: uvicorn.Config, live: Live) -> None:
    multiprocess.Process = Worker  # type: ignore[misc, assignment] # uvicorn offers no other way in
    sock = given.bind_socket()
    try:
        Supervisor(given, [sock], live).run()
    finally:
        sock.close()
