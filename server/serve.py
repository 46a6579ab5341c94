"""``countersign serve``: one uvicorn process, or a parent and its workers.

SIGTERM always ends with exit status 0: what is in flight is finished within ``GRACE`` seconds and
what is not by then is cancelled.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from collections.abc import Iterator

import uvicorn
from uvicorn.supervisors.multiprocess import Multiprocess

from contract.app import ContractApp
from server import app
from server.http import CONNECTIONS, SPARE_FILES, TURNED_AWAY, BoundedProtocol
from server.live import Live
from server.settings import Settings
from server.spec import Reading

GRACE = 15
KEEP_ALIVE = 15
BACKLOG = 2048
WORKER_SECONDS = 60
"""A worker that says nothing for so long is replaced; a busy machine takes its time to start one."""


class Server(uvicorn.Server):
    """Ends quietly on a signal; uvicorn itself would raise the signal once more when done."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def config(served: Live | ContractApp | str, host: str, port: int, workers: int) -> uvicorn.Config:
    """uvicorn's settings. Both timeouts are in seconds; logs pass through ``server.logs``."""
    return uvicorn.Config(
        served,
        factory=isinstance(served, str),
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


def run(current: Settings, reading: Reading, host: str, port: int, workers: int) -> None:
    """Serve until SIGTERM or SIGINT, then return. Raises SystemExit(3) where start-up failed.

    The application is built here first, so that what is wrong with the spec, the settings or the
    keys is said once and by the parent; workers build their own.
    """
    _allow_files()
    application = app.create(current, reading, workers=workers)
    if workers == 1:
        _serve_alone(config(application, host, port, 1))
    else:
        os.environ[app.WORKERS] = str(workers)
        _serve_together(config("server.app:from_environment", host, port, workers))


def alone(application: ContractApp, host: str, port: int) -> None:
    """Serve an application in this process until SIGTERM or SIGINT, as ``run`` does."""
    _allow_files()
    _serve_alone(config(application, host, port, 1))


def _allow_files() -> None:
    """Open files for all connections, as far as the system lets; workers inherit it.

    The usual 1,024 are for programs that cannot tell more apart (select(2)).
    """
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + TURNED_AWAY + SPARE_FILES
    if allowed != resource.RLIM_INFINITY:
        enough = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(allowed, enough), most))


def _serve_alone(settings: uvicorn.Config) -> None:
    server = Server(settings)
    server.run()
    if not server.started:
        sys.exit(3)


def _serve_together(settings: uvicorn.Config) -> None:
    sock = settings.bind_socket()
    try:
        Multiprocess(settings, sockets=[sock]).run()
    finally:
        sock.close()
