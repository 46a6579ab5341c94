"""A TCP proxy in front of a database, which can be cut and mended."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

Address = tuple[str, int]
Cut = Literal["refuse", "hang"]


class Proxy:
    """Passes bytes on between whoever connects to ``port`` and ``target``.

    ``cut("refuse")`` closes every connection and takes no new one; ``cut("hang")`` leaves them
    open and passes nothing on, as a stopped machine does. ``mend`` serves again.
    """

    def __init__(self, target: Address) -> None:
        self._target = target
        self._flowing = threading.Event()
        self._flowing.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._accept_from(self._listener)

    def cut(self, how: Cut) -> None:
        self._flowing.clear()
        if how == "refuse":
            _shut(self._listener)
            self._drop()

    def mend(self) -> None:
        """What hung is dropped: a machine that comes back knows nothing of old connections."""
        self._drop()
        if self._listener.fileno() < 0:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._accept_from(self._listener)
        self._flowing.set()

    def close(self) -> None:
        _shut(self._listener)
        self._drop()
        self._flowing.set()

    def _accept_from(self, listener: socket.socket) -> None:
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(self._target)
                self._pairs.append((client, server))
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                sink.sendall(data)
        _shut(source)
        _shut(sink)

    def _drop(self) -> None:
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                _shut(end)


def _shut(end: socket.socket) -> None:
    """Close for the other threads as well, which may be reading from it."""
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def proxy_to(target: Address) -> Iterator[Proxy]:
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
