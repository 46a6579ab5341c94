"""Connections whose other end is known, and requests that arrive at the same moment."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tests.support.api import Api
from tests.support.ledger import LEDGER
from tests.support.servers import ServerProcess

SECONDS = 30


class Line:
    """One kept-alive connection to a server."""

    def __init__(self, server: ServerProcess, source: str = "127.0.0.1") -> None:
        url = httpx.URL(server.url)
        self.server, self.port = server, url.port
        self.socket = socket.create_connection((url.host, url.port), SECONDS, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._method, self._rest = "", b""

    def hold(self, request: httpx.Request) -> None:
        """Send a request but for its last byte."""
        raw = raw_request(request)
        self._method, self._rest = request.method, raw[-1:]
        self.socket.sendall(raw[:-1])

    def release(self) -> None:
        """Send the last byte."""
        self.socket.sendall(self._rest)

    def reply(self) -> httpx.Response:
        """Read the whole reply."""
        with http.client.HTTPResponse(self.socket, method=self._method) as response:
            response.begin()
            body = response.read()
        return httpx.Response(response.status, headers=response.getheaders(), content=body)

    def send(self, request: httpx.Request) -> httpx.Response:
        self.hold(request)
        self.release()
        return self.reply()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def worker(self) -> int:
        """The process that has accepted this connection."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            inode = _inode(self.port, self.socket.getsockname()[1])
            if inode:  # 0 while it waits in the backlog
                (pid,) = _holders(inode, _family(self.server.process.pid))
                return pid
            time.sleep(0.005)
        raise AssertionError("nobody accepts the connection")


def raw_request(request: httpx.Request) -> bytes:
    head = b"%s %s HTTP/1.1\r\n" % (request.method.encode(), request.url.raw_path)
    fields = b"".join(b"%s: %s\r\n" % field for field in request.headers.raw)
    return head + fields + b"\r\n" + request.read()


def api_over(line: Line) -> Api:
    """A client all of whose requests go to the worker at the other end of the line."""
    return Api(line.send, line.server.url)


def workers(server: ServerProcess) -> tuple[int, ...]:
    """The processes of a server that has several: those that hold its listening socket too."""
    _parent, *children = _family(server.process.pid)
    return _holders(_inode(httpx.URL(server.url).port, 0), children)


def line_to(server: ServerProcess, worker: int) -> Line:
    """A connection that this worker has accepted; the others are stopped meanwhile."""
    others = [pid for pid in workers(server) if pid != worker]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    line = Line(server)
    try:
        assert line.worker() == worker
    except BaseException:
        line.close()
        raise
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)
    return line


@contextmanager
def lines_to_all(server: ServerProcess, number: int) -> Iterator[list[Line]]:
    """``number`` connections, as many to each worker, alternating."""
    pids = workers(server)
    lines: list[Line] = []
    try:
        for index in range(number):
            lines.append(line_to(server, pids[index % len(pids)]))
        yield lines
    finally:
        for line in lines:
            line.close()


def race(lines: Sequence[Line], requests: Sequence[httpx.Request]) -> list[httpx.Response]:
    """Let the last bytes of all requests go at once; the replies, in the order of the lines."""
    for line, request in zip(lines, requests, strict=True):
        line.hold(request)
    time.sleep(0.02)  # everything but the last bytes has been read by then
    for line in lines:
        line.release()
    replies = [line.reply() for line in lines]
    for request, reply in zip(requests, replies, strict=True):
        head = "\n".join(f"{name}: {value}" for name, value in reply.headers.items())
        label = f"{request.method} {request.url.path}"
        LEDGER.received(label, f"{reply.status_code}\n{head}", reply.content)
    return replies


def _inode(local: int, remote: int) -> int:
    """The inode of the socket of 127.0.0.1 with these ports (proc(5), /proc/net/tcp)."""
    ends = f"0100007F:{local:04X}", f"{'0100007F' if remote else '00000000'}:{remote:04X}"
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = row.split()
        if (fields[1], fields[2]) == ends:
            return int(fields[9])
    return 0


def _family(parent: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [parent, *map(int, children)]


def _holders(inode: int, candidates: list[int]) -> tuple[int, ...]:
    """Those of the processes with this socket among their open files."""
    wanted = f"socket:[{inode}]"
    return tuple(pid for pid in candidates if wanted in _open_files(pid))


def _open_files(pid: int) -> set[str]:
    found = set()
    with suppress(FileNotFoundError):  # ended meanwhile
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                found.add(os.readlink(link))
    return found
