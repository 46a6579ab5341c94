"""Reads a request body, as little of it as is needed to refuse it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeAlias

from contract.asgi import Receive
from contract.replies import Refused
from contract.request import Exchange, Headers
from contract.violations import Violation

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
    rule = exchange.operation.body if exchange.operation is not None else None
    if rule is not None and _announced(headers) > rule.limit:
        exchange.unread = True
        raise _too_large(rule.limit)
    try:
        collecting = _collect(receive, rule.limit if rule is not None else 0)
        body, exchange.unread = await _in_time(collecting, headers)
    except TimeoutError:
        exchange.unread = True
        raise Refused(400, "invalid_request", violations=[_SLOW]) from None
    if rule is not None and len(body) > rule.limit:
        raise _too_large(rule.limit)
    exchange.body = body or None


def _too_large(limit: int) -> Refused:
    return Refused(413, "payload_too_large", violations=[oversize(limit)])


def oversize(limit: int) -> Violation:
    """What is wrong with a body of more bytes than that."""
    return Violation("body", "", "size", f"is larger than {limit} bytes")


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
    """The length that was announced, 0 if none was; of one of very many digits only their number."""
    length = headers.first("content-length") or "0"
    if not (length.isascii() and length.isdigit()):
        return 0
    return int(length) if len(length) < _DIGITS else 10**_DIGITS


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
