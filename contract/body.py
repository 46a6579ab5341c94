"""Reads a request body, as little of it as is needed to refuse it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeAlias

from contract.asgi import Receive
from contract.replies import Refused
from contract.request import Exchange, Headers
from contract.violations import Violation

LIMIT = 64 * 1024  # bytes
PATIENCE = 10.0  # seconds for the whole body
_DIGITS = 18
_Read: TypeAlias = tuple[bytes, bool]

_SLOW = Violation("body", "", "timeout", f"did not arrive within {PATIENCE:.0f} seconds")


class Disconnected(Exception):
    """The peer has gone; nobody waits for a reply."""


async def read_body(exchange: Exchange, headers: Headers, receive: Receive) -> None:
    """Sets `exchange.body`. Raises Refused (413, 400) or Disconnected.

    Where the operation declares no body, reading stops at the first byte of one.
    """
    wanted = exchange.operation is not None and exchange.operation.body is not None
    limit = LIMIT if wanted else 0
    if wanted and _announced(headers) > LIMIT:
        exchange.unread = True
        raise Refused(413, "payload_too_large")
    try:
        body, exchange.unread = await _in_time(_collect(receive, limit), headers)
    except TimeoutError:
        exchange.unread = True
        raise Refused(400, "invalid_request", violations=[_SLOW]) from None
    if wanted and len(body) > LIMIT:
        raise Refused(413, "payload_too_large")
    exchange.body = body or None


async def _in_time(reading: Coroutine[Any, Any, _Read], headers: Headers) -> _Read:
    """Raises TimeoutError."""
    if not announces_body(headers):
        return await reading
    async with asyncio.timeout(PATIENCE):
        return await reading


def announces_body(headers: Headers) -> bool:
    """Whether bytes of a body follow the head (RFC 9112 section 6.3)."""
    return "transfer-encoding" in headers or headers.first("content-length") not in (None, "0")


def _announced(headers: Headers) -> int:
    """The length that was announced, 0 if none was. One of very many digits is not converted."""
    length = headers.first("content-length") or "0"
    if not (length.isascii() and length.isdigit()):
        return 0
    return int(length) if len(length) < _DIGITS else LIMIT + 1


async def _collect(receive: Receive, limit: int) -> _Read:
    """The body up to the chunk that exceeds the limit, and whether more was to come."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk = message.get("body", b"")
        more = message.get("more_body", False)
        chunks.append(chunk)
        size += len(chunk)
        if size > limit or not more:
            return b"".join(chunks), more
