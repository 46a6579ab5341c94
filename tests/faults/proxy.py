"""A TCP proxy in front of a database, which can be cut and mended, also at a COMMIT."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

Address = tuple[str, int]
Cut = Literal["refuse", "hang"]
How = Literal["before", "after", "hold"]

# The simple query (message Q of the protocol, version 3), as psycopg sends it; without TLS.
COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"


class Trap:
    """Waits for the ``number``-th COMMIT (1 is the next) of whichever connection.

    ``before``: the COMMIT is lost with its connection. ``after``: the server has committed, its
    answer is lost with the connection. ``hold``: the answer is kept back, the connection stays.
    ``seen`` counts the COMMITs so far; ``sprung`` is set when the moment has come.
    """

    def __init__(self, number: int = 0, how: How = "after") -> None:
        self.number, self.how, self.seen = number, how, 0
        self.sprung = threading.Event()
        self._lock = threading.Lock()

    def at(self, data: bytes) -> bool:
        """Whether the data holds the COMMIT that is waited for."""
        if COMMIT not in data:
            return False
        with self._lock:
            self.seen += 1
            return self.seen == self.number


class Pair:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, client: socket.socket, target: Address) -> None:
        self.client, self.server = client, socket.create_connection(target)
        self.how: How | None = None  # the trap has sprung here

    def shut(self) -> None:
        for end in (self.client, self.server):
            _shut(end)


class Proxy:
    """Passes bytes on between whoever connects to ``port`` and ``target``.

    ``cut("refuse")`` closes every connection and takes no new one; ``cut("hang")`` leaves them
    open and passes nothing on, as a stopped machine does. ``mend`` serves again. ``trap`` is the
    one that is set.
    """

    def __init__(self, target: Address) -> None:
        self._target = target
        self._flowing = threading.Event()
        self._flowing.set()
        self._pairs: list[Pair] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.trap = Trap()
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

    def set(self, number: int, how: How) -> Trap:
        self.trap = Trap(number, how)
        return self.trap

    def _accept_from(self, listener: socket.socket) -> None:
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                try:
                    pair = Pair(client, self._target)
                except OSError:  # nobody listens there, at present
                    _shut(client)
                    continue
                self._pairs.append(pair)
                for work in (self._ask, self._answer):
                    threading.Thread(target=work, args=(pair,), daemon=True).start()

    def _ask(self, pair: Pair) -> None:
        with suppress(OSError):
            while data := pair.client.recv(65536):
                self._flowing.wait()
                trap = self.trap
                if trap.at(data):
                    pair.how = trap.how
                    if trap.how == "before":
                        trap.sprung.set()
                        break
                pair.server.sendall(data)
        if pair.how != "hold":
            pair.shut()

    def _answer(self, pair: Pair) -> None:
        with suppress(OSError):
            while data := pair.server.recv(65536):
                self._flowing.wait()
                if pair.how is not None:  # it is the answer to the COMMIT
                    self.trap.sprung.set()
                    break
                pair.client.sendall(data)
        if pair.how != "hold":
            pair.shut()

    def _drop(self) -> None:
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            pair.shut()


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
