"""A real HTTP server in a thread of this process, around a world whose clock the test owns."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from server.serve import config
from tests.support.servers import free_port
from tests.support.world import World


@contextmanager
def listening(world: World) -> Iterator[str]:
    """The URL of a server that serves the world's application, as ``countersign serve`` would."""
    port = free_port()
    server = uvicorn.Server(config(world.application, "127.0.0.1", port, 1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)
