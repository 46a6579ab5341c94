"""The HTTP/1.1 protocol: uvicorn's, with limits and the one envelope where the parser gives up.

A request that cannot be parsed belongs to no operation and never reaches the application. It is
answered here, in the shape of ``components.responses.BadRequest``, and the connection is closed.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contract.replies import bad_request_bytes

HEADER_BYTES = 16 * 1024
"""Longest request line and headers together (security catalogue, section 6)."""
HEADER_SECONDS = 10.0
"""Longest time from the first byte of a request, or from connecting, to the end of its headers."""


class HeadersTooLarge(Exception):
    """Raised inside the parser's callbacks, which turns it into a parse error."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol with bounded headers in size and time."""

    _deadline: asyncio.TimerHandle | None = None
    _header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0
        self._arm()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._disarm()
        if self.url.startswith(b"//"):
            # In origin form a path may begin with two slashes (RFC 9112 section 3.2.1); the URL
            # parser would take what follows for a host.
            self.url = b"http://localhost" + self.url
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the text is ours
        self._disarm()
        if not self.transport.is_closing():
            self.transport.write(bad_request_bytes())
            self.transport.close()

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > HEADER_BYTES:
            raise HeadersTooLarge

    def _arm(self) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Nobody upgrades here; the request is answered as what it is, and nothing is logged."""

    def _get_upgrade(self) -> Any:
        return None
