"""Takes an admitted request over to Flask: one hop to a thread, one WSGI call, one hop back."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import flask
from connexion.apps.flask import FlaskApi, FlaskASGIApp

from contract.asgi import EXCHANGE, Receive, Scope, Send, exchange_of
from contract.body import announces_body, read_body
from contract.compile import Contract
from contract.flasks import Application
from contract.operation import rule_for
from contract.replies import OVERLOADED, Refused, Reply, refusal, retry_hint
from contract.request import Exchange, Headers
from contract.view import Hooks

THREADS = 100
"""Requests at work at once."""
WAITING = 100
"""Requests that may wait for a thread; what comes then is refused at once, with 503."""
QUICK_THREADS = 4
"""Threads for operations that declare no 503, which is to say that they depend on nothing.

As many serve those that stand aside.
"""

MakeView = Callable[[Any], Callable[..., flask.Response]]


class Lane:
    """Threads that requests are served on, and the room to wait for one (None: without end).

    anyio's way to a thread takes two more turns of the event loop, and each turn waits for the
    interpreter's lock among the threads at work.
    """

    def __init__(self, threads: int, waiting: int | None = None) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="contract")
        self._room = None if waiting is None else threads + waiting
        self._taken = 0  # counted by the loop's thread alone

    @property
    def full(self) -> bool:
        return self._room is not None and self._taken >= self._room

    async def run(self, work: Callable[..., Reply], *given: Any) -> Reply:
        """Do the work on a thread, in a copy of the present context."""
        loop = asyncio.get_running_loop()
        self._taken += 1
        try:
            return await loop.run_in_executor(self._threads, copy_context().run, work, *given)
        finally:
            self._taken -= 1


class Lanes:
    """The threads of one process. Applications that follow one another in it share them."""

    def __init__(self) -> None:
        self.main = Lane(THREADS, WAITING)
        # Whether the process lives must not wait behind a flood of password hashes.
        self.quick = Lane(QUICK_THREADS)
        self.side = Lane(QUICK_THREADS, WAITING)


class ContractApi(FlaskApi):  # type: ignore[misc] # Connexion carries no types
    """Registers prebuilt views.

    The path template itself is the rule, without converters: the operation is found already, and
    Flask's own routing cannot come to another conclusion.
    """

    def __init__(self, *args: Any, make_view: MakeView, **options: Any) -> None:
        self._make_view = make_view
        super().__init__(*args, **options)

    def make_operation(self, operation: Any) -> Callable[..., flask.Response]:
        return self._make_view(operation)

    @staticmethod
    def _framework_path_and_name(operation: Any, path: str) -> tuple[str, str]:
        return path, operation.operation_id


class ContractFlask(FlaskASGIApp):  # type: ignore[misc] # Connexion carries no types
    """Connexion's Flask application with our bridge in place of its WSGI adapter."""

    def __init__(
        self,
        import_name: str,
        *,
        contract: Contract,
        make_view: MakeView,
        hooks: Hooks,
        lanes: Lanes,
    ) -> None:
        # Connexion's own constructor would make a plain Flask and a WSGI adapter with a thread pool.
        self.app = Application(import_name)
        self._make_view = make_view
        self._base_path = contract.base_path
        self._gate = hooks.gate
        self._refusals = hooks.refusals
        self._aside = hooks.aside
        self._lanes = lanes

    def add_api(self, specification: Any, *, name: str | None = None, **options: Any) -> Any:
        api = ContractApi(specification, make_view=self._make_view, **options)
        self.app.register_blueprint(api.blueprint, name=name or "contract")
        return api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _without_http(scope, receive, send)
            return
        exchange = exchange_of(scope)
        exchange.reply = await self._turned_away(exchange)
        if exchange.reply is not None:
            return
        try:
            assert exchange.request is not None  # noqa: S101 - routing has run
            await read_body(exchange, exchange.request.headers, receive)
            lane = self._lane_for(exchange)
        except Refused as refused:
            exchange.reply = refused.reply(exchange)
            return
        exchange.reply = await lane.run(self._serve, exchange, scope)

    async def _turned_away(self, exchange: Exchange) -> Reply | None:
        """The reply to a request that the gate refuses, whose body nobody will read."""
        if self._gate is None:
            return None
        operation, request = exchange.operation, exchange.request
        assert operation is not None and request is not None  # noqa: S101, PT018
        try:
            await self._gate(request)
        except self._refusals as refused:
            exchange.unread = announces_body(request.headers)
            return refusal(refused, exchange, mandatory=operation.security.mandatory)
        return None

    def _lane_for(self, exchange: Exchange) -> Lane:
        """The threads that serve a request. Raises Refused (503) where too many wait for one."""
        rule, operation = rule_for(exchange.rules, 503), exchange.operation
        if rule is None:
            return self._lanes.quick
        aside = operation is not None and operation.id in self._aside
        lane = self._lanes.side if aside else self._lanes.main
        if lane.full:
            raise Refused(503, "unavailable", retry_hint(rule), wording=OVERLOADED)
        return lane

    def _serve(self, exchange: Exchange, scope: Scope) -> Reply:
        started: list[Any] = []
        chunks: list[bytes] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            started[:] = [int(status[:3]), headers]
            return chunks.append

        result = self.app.wsgi_app(self._environ(exchange, scope), start_response)
        try:
            chunks.extend(result)
        finally:
            if hasattr(result, "close"):
                result.close()
        return Reply(started[0], started[1], b"".join(chunks))

    def _environ(self, exchange: Exchange, scope: Scope) -> dict[str, Any]:
        """PEP 3333. `Host` is left out: it is the client's, and Flask would route by it."""
        operation, request, body = exchange.operation, exchange.request, exchange.body or b""
        assert operation is not None and request is not None  # noqa: S101, PT018
        return {
            **_fields(request.headers),
            "REQUEST_METHOD": operation.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": self._base_path + operation.path,
            "QUERY_STRING": exchange.query.decode("latin-1"),
            "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": request.headers.first("content-type") or "",
            "REMOTE_ADDR": request.client,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": scope.get("scheme", "http"),
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            EXCHANGE: exchange,
        }


_NOT_HTTP_FIELDS = frozenset({"host", "content-type", "content-length"})


def _fields(headers: Headers) -> dict[str, str]:
    """Header fields as PEP 3333 names them, but those with `_`, which would pass for a hyphen."""
    return {
        "HTTP_" + name.upper().replace("-", "_"): ",".join(values)
        for name, values in headers.items()
        if name not in _NOT_HTTP_FIELDS and "_" not in name
    }


async def _without_http(scope: Scope, receive: Receive, send: Send) -> None:
    """Nothing but HTTP is served; a life span without tasks of its own simply passes."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
