"""HTTP/1.1 by hand, byte by byte, so that nothing is made well-formed on its way to the server."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.api import Reply

SECONDS = 30.0
"""How long a test waits for a reply before it fails."""

Fields = Mapping[str, str | bytes] | list[tuple[str, str | bytes]]


@dataclass(frozen=True)
class Answer(Reply):
    """A reply with what only the wire shows: whether the server closed the connection after it."""

    closing: bool = False


def message(
    method: str,
    target: str | bytes,
    fields: Fields | None = None,
    body: bytes | None = None,
    *,
    host: str | None = "localhost",
) -> bytes:
    """One request. ``Content-Length`` is added where there is a body and no framing was given."""
    given = list(fields.items()) if isinstance(fields, Mapping) else list(fields or [])
    names = {name.lower() for name, _ in given}
    if host is not None and "host" not in names:
        given.insert(0, ("Host", host))
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        given.append(("Content-Length", str(len(body))))
    lines = [method.encode() + b" " + _bytes(target) + b" HTTP/1.1"]
    lines += [name.encode("latin-1") + b": " + _bytes(value) for name, value in given]
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def chunked(*chunks: bytes, trailer: bytes = b"") -> bytes:
    """A whole chunked body."""
    return b"".join(chunk(piece) for piece in chunks) + b"0\r\n" + trailer + b"\r\n"


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def json_fields(**more: str) -> dict[str, str]:
    return {"Content-Type": "application/json"} | more


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def encode(value: Any) -> bytes:
    return json.dumps(value).encode()


class Connection:
    """One TCP connection to the server."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""
        self._ended = False

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def try_to_send(self, data: bytes, seconds: float = SECONDS) -> bool:
        """Whether the server still took it within the time."""
        self._socket.settimeout(seconds)
        try:
            self._socket.sendall(data)
        except OSError:
            return False
        finally:
            self._socket.settimeout(SECONDS)
        return True

    def shrink(self) -> None:
        """Keep little of what the server sends until it is read."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def drain(self) -> None:
        """Read and forget until the server closes."""
        while self._more():
            self._read = b""

    def finish_sending(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def answer(self, method: str = "GET") -> Answer | None:
        """The next final reply; None where the connection ends without one."""
        while (found := self._one(method)) is not None and found.status < 200:
            pass
        return found

    def interim(self) -> Answer | None:
        """The next reply, be it an interim one."""
        return self._one("GET")

    def seconds_until_closed(self) -> float:
        """How long the server keeps the connection open from now, whatever it sends."""
        start = time.monotonic()
        self.drain()
        return time.monotonic() - start

    def is_closed_after(self, data: bytes) -> bool:
        """Whether the server ends the connection when it gets this."""
        return not self.try_to_send(data) or self.is_closed(0.02)

    def is_closed(self, seconds: float = 0.2) -> bool:
        """Whether the server ends the connection within the time."""
        self._socket.settimeout(seconds)
        try:
            while self._more():
                pass
        except TimeoutError:
            return False
        finally:
            self._socket.settimeout(SECONDS)
        return True

    def _one(self, method: str) -> Answer | None:
        while b"\r\n\r\n" not in self._read:
            if not self._more():
                assert not self._read, "the server closed within the head of a reply"
                return None
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        status, fields = _parse(head)
        headers = httpx.Headers(fields)
        body = b"" if _bodiless(method, status) else self._body(headers)
        closing = headers.get("connection", "").lower() == "close"
        return Answer(status, headers, body, closing)

    def _body(self, headers: httpx.Headers) -> bytes:
        length = int(headers["content-length"])
        while len(self._read) < length:
            assert self._more(), "the server closed within the body of a reply"
        body, self._read = self._read[:length], self._read[length:]
        return body

    def _more(self) -> bool:
        if self._ended:
            return False
        try:
            data = self._socket.recv(65536)
        except ConnectionError:
            data = b""
        self._ended = not data
        self._read += data
        return bool(data)


def _bodiless(method: str, status: int) -> bool:
    return method == "HEAD" or status < 200 or status in (204, 304)


def _parse(head: bytes) -> tuple[int, list[tuple[str, str]]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, _ = first.split(" ", 2)
    assert version == "HTTP/1.1", first
    pairs = (line.split(": ", 1) for line in lines)
    return int(status), [(name, value) for name, value in pairs]


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
