"""The HTTP/1.1 protocol: uvicorn's, with limits, fewer liberties, and the one envelope.

A request that cannot be parsed belongs to no operation and never reaches the application. It is
answered here, as ``components.responses.BadRequest`` of the root has it, and the connection is closed.
Where the RFCs let a server choose, the choice is the one that a proxy in front cannot read in
another way: two readings of one message are what request smuggling is made of.
"""

from __future__ import annotations

import asyncio
import re
import resource
from collections.abc import Callable, Sized
from functools import cache
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from contract.replies import ConnectionReplies

HEADER_BYTES = 16 * 1024
"""Longest request line and headers together (security catalogue, section 6)."""
HEADER_SECONDS = 10.0
"""Longest time from connecting, or from the first byte after a reply, to the end of headers."""
STALL_SECONDS = 10.0
"""Longest time that a peer may leave a reply unread."""
LINGER_SECONDS = 2.0
"""How long a peer that is still sending may go on, so that it gets to read the reply."""
CONNECTIONS = 2000
"""Most connections of a process that are served; fewer where it may not open so many files."""
SPARE_FILES = 200
"""Files that are kept for the database, Redis, logs and those who are being turned away."""
TURNED_AWAY = 100
"""Most connections that wait to have read that they are too many; the next ones are cut."""
PIPELINED = 100
"""Most requests of a connection that wait for the reply to an earlier one."""

_SEPARATORS = 4  # bytes on the wire besides the name and the value of a field
_VERSIONS = frozenset({"1.0", "1.1"})
_FIRST_WORD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} ")
# What OpenAPI can declare, and CONNECT, whose target has a form of its own.
_METHODS = frozenset(b"GET HEAD POST PUT DELETE OPTIONS PATCH TRACE CONNECT".split())
# The parser refuses methods that it does not know; it is shown one that no spec can declare.
_STAND_IN = b"PURGE"


# What another application than ours would be served with.
_WITHOUT_CONTRACT = ConnectionReplies({})


@cache
def most_connections() -> int:
    """Connections that this process serves at once."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return CONNECTIONS
    return max(1, min(CONNECTIONS, files - SPARE_FILES - TURNED_AWAY))


class Malformed(Exception):
    """Raised inside the parser's callbacks, which turns it into a parse error."""


class _Timer:
    """Calls back once, unless it is stopped before. Starting it again changes nothing."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> None:
        if self._handle is None:
            self._handle = self._loop.call_later(seconds, self._callback)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class _Flow(FlowControl):
    """Reads on only when no request is waiting, and never after the end.

    uvicorn reads on after every reply; a peer that sends faster than it is answered would fill
    the memory with waiting requests.
    """

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not self._waiting and not self._transport.is_closing():
            super().resume_reading()


class _Transport:
    """The connection as uvicorn sees it: its end is the protocol's business."""

    def __init__(self, transport: asyncio.Transport, protocol: BoundedProtocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self.write = transport.write

    def close(self) -> None:
        self._protocol.part()

    def is_closing(self) -> bool:
        return self._protocol.parting or self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol with bounds on what a peer can send, hold and leave unread."""

    parting = False  # the last reply is written; what still comes in is thrown away

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deadline = _Timer(self.loop, self._give_up)
        self._stalled = _Timer(self.loop, self._give_up)
        self._deaf = False  # nothing further is parsed
        self._between = True  # the next byte begins a request
        self._in_head = False
        self._offered = False  # the request offers another protocol
        self._foreign = b""  # the method that the stand-in stands for
        self._head_bytes = 0
        self._unclaimed = 0  # bytes since the parser last had something to say
        self._running: RequestResponseCycle | None = None  # the request that is being answered

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._wire = transport
        super().connection_made(_Transport(transport, self))  # type: ignore[arg-type]
        self.flow = _Flow(transport, self.pipeline)
        self._deadline.start(HEADER_SECONDS)
        too_many = len(self.connections) - most_connections()
        if too_many > TURNED_AWAY:
            self._wire.abort()
        elif too_many > 0:
            self._deaf = True
            self._wire.write(self._replies.turned_away())
            self.part()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._running is not None:
            # uvicorn tells only the last request that nobody waits for its reply.
            self._running.disconnected = True
            self._running.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)
        self._deadline.stop()
        self._stalled.stop()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        self._unclaimed += len(data)
        try:
            self._parse(self._with_known_method(data) if self._between else data)
            # A field, a chunk extension or empty lines without an end.
            too_long = self._unclaimed > HEADER_BYTES
        except httptools.HttpParserError:
            too_long = True
        if too_long:
            self._refuse()
        elif self.cycle is None or self.cycle.response_complete:
            # An empty line ends the keep-alive period without beginning a request.
            self._deadline.start(HEADER_SECONDS)

    def eof_received(self) -> bool:  # type: ignore[override]
        """A peer that has only finished sending still gets its reply."""
        self._deaf = True
        owed = self._owes_a_reply()
        if owed:
            self.cycle.keep_alive = False
        return owed

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled.start(STALL_SECONDS)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stalled.stop()

    def part(self) -> None:
        """Close; where the peer is still sending, not before it has had time to read the reply.

        To close with bytes unread resets the connection, and the peer may lose the reply
        (RFC 9112 section 9.6).
        """
        if self.parting or self._wire.is_closing():
            return
        if not self._deaf and (self.cycle is None or not self.cycle.more_body):
            self._wire.close()
            return
        self.parting = self._deaf = True
        self._wire.write_eof()
        self.flow.resume_reading()
        self._deadline.stop()
        self._deadline.start(LINGER_SECONDS)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    @property
    def _replies(self) -> ConnectionReplies:
        """Of the contract that is in force now, which may be another than when it was connected."""
        replies: ConnectionReplies = getattr(self.app, "connection_replies", _WITHOUT_CONTRACT)
        return replies

    def _give_up(self) -> None:
        self._wire.abort()

    # Parsing

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._between = False
        self._in_head = True
        self._head_bytes = 0
        self._deadline.start(HEADER_SECONDS)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + _SEPARATORS)
        if self._in_head:
            # A field of the trailer must not pass for one of the head (RFC 9110 section 6.5.1).
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._deadline.stop()
        self._in_head = False
        self._unclaimed = 0
        self._check_head()
        connecting = self.parser.get_method() == b"CONNECT"
        self._offered = self.parser.should_upgrade() and not connecting
        if self._offered:
            return
        if self.url.startswith(b"//"):
            # In origin form a path may begin with two slashes (RFC 9112 section 3.2.1); the URL
            # parser would take what follows for a host.
            self.url = b"http://localhost" + self.url
        super().on_headers_complete()
        if self._foreign:
            self.scope["method"] = self._foreign.decode("ascii")
            self._foreign = b""
        if connecting:
            self.cycle.keep_alive = False  # there is no tunnel, and what follows is no request

    def on_body(self, body: bytes) -> None:
        self._unclaimed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unclaimed = 0
        self._between = True
        if not self._offered:
            super().on_message_complete()

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                if not self._offered:
                    self._deaf = True  # the tunnel of a CONNECT
                    return
                data = self._head_without_offer() + data[upgrade.args[0] :]

    def _head_without_offer(self) -> bytes:
        """The head once more, without `Upgrade`.

        The parser takes an upgrade for made as soon as it is offered and reads no further, but a
        server may go on as if nothing had been offered (RFC 9110 section 7.8); clients that would
        like HTTP/2 count on it.
        """
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/1.1"]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _with_known_method(self, data: bytes) -> bytes:
        match = _FIRST_WORD.match(data)
        if match is None or match[0][:-1] in _METHODS:
            return data
        self._foreign = match[0][:-1]
        return _STAND_IN + data[len(self._foreign) :]

    def _check_head(self) -> None:
        version = self.parser.get_http_version()
        fields = [name for name, _ in self.headers]
        hosts = fields.count(b"host")
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if (
            version not in _VERSIONS
            or hosts > 1
            or (hosts == 0 and version == "1.1")  # RFC 9112 section 3.2
            or (codings and codings != [b"chunked"])  # no other coding is undone here
            or b"#" in self.url
            or len(self.pipeline) >= PIPELINED
        ):
            raise Malformed

    def _count(self, size: int) -> None:
        self._unclaimed = 0
        self._head_bytes += size
        if self._head_bytes > HEADER_BYTES:
            raise Malformed

    # What cannot be parsed

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the text is ours
        self._refuse()

    def _refuse(self) -> None:
        """The envelope and the end, or only the end where an earlier request is being answered.

        A reply sent now would be taken for that request's.
        """
        self._deaf = True
        self._deadline.stop()
        if self.pipeline and self.cycle.more_body:
            # It waits in the queue, and the rest of it will never come.
            self.pipeline.popleft()
            self.cycle = self.pipeline[0][0] if self.pipeline else self._running  # type: ignore[assignment]
        if self._owes_a_reply():
            self.cycle.keep_alive = False
        elif not self.transport.is_closing():
            self._wire.write(self._replies.malformed())
            self.part()

    def _owes_a_reply(self) -> bool:
        """Whether the last request has come in whole and has not been answered."""
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete and not cycle.more_body
