"""``countersign serve``: one uvicorn process, or a parent and its workers.

SIGTERM always ends with exit status 0: what is in flight is finished within ``GRACE`` seconds and
what is not by then is cancelled.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator

import uvicorn
from uvicorn.supervisors.multiprocess import Multiprocess

from server.http import BoundedProtocol

GRACE = 15
KEEP_ALIVE = 15
BACKLOG = 2048


class Server(uvicorn.Server):
    """Ends quietly on a signal; uvicorn itself would raise the signal once more when done."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def config(host: str, port: int, workers: int) -> uvicorn.Config:
    """uvicorn's settings. Both timeouts are in seconds; logs pass through ``server.logs``."""
    return uvicorn.Config(
        "server.app:from_environment",
        factory=True,
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
    )


def run(host: str, port: int, workers: int) -> None:
    """Serve until SIGTERM or SIGINT, then return. Raises SystemExit(3) where start-up failed."""
    settings = config(host, port, workers)
    if workers == 1:
        server = Server(settings)
        server.run()
        if not server.started:
            sys.exit(3)
        return
    sock = settings.bind_socket()
    try:
        Multiprocess(settings, sockets=[sock]).run()
    finally:
        sock.close()


def end_quietly_on_sigterm() -> None:
    """Before the server takes the signals over, SIGTERM ends with status 0 all the same."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
