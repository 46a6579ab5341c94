"""A client that keeps the books: whatever it sends and receives goes into the ledger."""

from __future__ import annotations

import asyncio
import json
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.report.recorder import RECORDER
from tests.support.ledger import LEDGER, Ledger

STATIC = ("/openapi.json", "/openapi.yaml", "/docs")
"""Replies that never change and hold the spec's examples; they are not worth keeping."""

Send = Callable[[httpx.Request], httpx.Response]


@dataclass(frozen=True)
class Reply:
    """A reply with its body read. ``json`` is None where there is no JSON."""

    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def data(self) -> Any:
        return self.json["data"]

    @property
    def code(self) -> str:
        """The error code of a refusal."""
        return str(self.json["error"]["code"])


class Api:
    """Requests against one server, whichever way they get there."""

    def __init__(self, send: Send, base_url: str, ledger: Ledger = LEDGER) -> None:
        self._send = send
        self._base_url = base_url
        self._ledger = ledger

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request. ``json`` goes as JSON; ``content`` goes as it is."""
        fields = httpx.Headers(headers)
        if token is not None:
            fields["Authorization"] = f"Bearer {token}"
        request = httpx.Request(
            method,
            self._base_url + path,
            json=json,
            content=content,
            headers=fields,
            params=params,
        )
        self._ledger.sent(json, token)
        response = self._send(request)
        RECORDER.heard(request, response)
        reply = Reply(response.status_code, response.headers, response.content)
        if not path.startswith(STATIC):
            head = "\n".join(f"{k}: {v}" for k, v in response.headers.items())
            self._ledger.received(f"{method} {path}", f"{reply.status}\n{head}", reply.content)
        return reply

    def get(self, path: str, **options: Any) -> Reply:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Reply:
        return self.request("POST", path, **options)

    def delete(self, path: str, **options: Any) -> Reply:
        return self.request("DELETE", path, **options)


def over_http(client: httpx.Client) -> Api:
    """An Api of a real server."""
    return Api(lambda request: client.send(request), str(client.base_url).rstrip("/"))


def in_process(app: Any, address: str = "192.0.2.1", ledger: Ledger = LEDGER) -> Api:
    """An Api of an ASGI application in this process; ``address`` is where requests come from."""
    runner = asyncio.Runner()
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=(address, 4711))
    client = httpx.AsyncClient(transport=transport)
    api = Api(lambda request: runner.run(client.send(request)), "http://countersign.test", ledger)
    weakref.finalize(api, _close, runner)
    return api


_LEFT: list[asyncio.Runner] = []


def _close(runner: asyncio.Runner) -> None:
    """Garbage is collected at any moment, also while another loop runs, which lets none be closed."""
    _LEFT.append(runner)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        while _LEFT:
            _LEFT.pop().close()
