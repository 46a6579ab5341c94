"""The few shapes of ASGI that the layers pass to each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from contract.replies import Reply
from contract.request import Exchange

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

EXCHANGE = "contract.exchange"


def exchange_of(scope: Scope) -> Exchange:
    """The exchange that the guard opened for this request."""
    exchange: Exchange = scope[EXCHANGE]
    return exchange


async def send_reply(send: Send, reply: Reply) -> None:
    """A whole reply in two messages."""
    headers = [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


class Recorder:
    """A `send` that keeps the reply instead of sending it."""

    def __init__(self) -> None:
        self._status: int | None = None
        self._headers: list[tuple[str, str]] = []
        self._chunks: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in message.get("headers", ())
            ]
        elif message["type"] == "http.response.body":
            self._chunks.append(message.get("body", b""))

    @property
    def reply(self) -> Reply | None:
        """What was sent; None if nothing was."""
        if self._status is None:
            return None
        return Reply(self._status, self._headers, b"".join(self._chunks))
