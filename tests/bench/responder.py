"""The least that an HTTP server can do: a fixed reply to each request, without looking at it.

What the load generator reaches here is the most that it could see of any server.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import uvloop

_BODY = b'{"success":true,"message":"Alive","data":{"status":"ok"}}'
_REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(_BODY),
    _BODY,
)


class Responder(asyncio.Protocol):
    """Takes every read for one request without a body; the load generator never pipelines."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(_REPLY)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Responder, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[-1])))
