"""The outermost layer: nothing leaves that the spec does not declare.

The reply is held back until it is complete and has been checked as the bytes and headers that
would be sent, whoever made them.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, Literal

import structlog
from connexion.middleware.abstract import SpecMiddleware

from contract import faults
from contract.asgi import EXCHANGE, App, Receive, Recorder, Scope, Send, send_reply
from contract.body import Disconnected
from contract.check import Breach, breaches
from contract.compile import Contract
from contract.operation import rule_for
from contract.replies import Reply, complete, failure, last_resort
from contract.request import Exchange

log = structlog.get_logger("contract")

Mode = Literal["enforce", "report"]
Observer = Callable[[Exchange, Reply, float], None]
"""Told of an exchange, the reply that leaves (whole, for HEAD too) and how long it took, in seconds."""

_MOST = 5  # breaches logged of one reply


class Guard(SpecMiddleware):  # type: ignore[misc] # Connexion carries no types
    """Checks every reply, and answers for what went wrong further in.

    In `report` mode a breach is logged and the reply passes. `observe` is told of every reply that
    leaves, after the check.
    """

    def __init__(
        self, app: App, *, contract: Contract, mode: Mode, observe: Observer | None = None
    ) -> None:
        self._app = app
        self._contract = contract
        self._enforce = mode == "enforce"
        self._observe = observe

    def add_api(self, specification: Any, **_options: Any) -> None:
        """The contract is compiled already."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        exchange = Exchange(self._contract.errors)
        scope[EXCHANGE] = exchange
        try:
            reply = await self._answer(exchange, scope, receive)
        except Disconnected:
            return
        if self._observe is not None:
            self._observe(exchange, reply, perf_counter() - began)
        await send_reply(send, _framed(reply, exchange, scope["method"]))

    async def _answer(self, exchange: Exchange, scope: Scope, receive: Receive) -> Reply:
        """What may be sent. Raises Disconnected where nobody waits for it."""
        recorder = Recorder()
        try:
            await self._app(scope, receive, recorder)
            reply = exchange.reply or recorder.reply
            if reply is None:
                raise RuntimeError("no layer answered")
            return self._settled(exchange, reply)
        except Disconnected:
            raise
        except Exception as exc:
            operation = exchange.operation.id if exchange.operation else None
            faults.report(exc, operation, exchange.request_id)
            return self._failed(exchange, "internal_error")

    def _settled(self, exchange: Exchange, reply: Reply) -> Reply:
        """The reply with what every reply carries, or the failure that replaces it."""
        _complete(exchange, reply)
        if exchange.exempt:
            return reply
        found = breaches(reply, exchange.rules)
        if not found:
            return reply
        _log(exchange, reply, found, withheld=self._enforce)
        return self._failed(exchange, "contract_violation") if self._enforce else reply

    def _failed(self, exchange: Exchange, code: str) -> Reply:
        """A 500 as the operation declares it; the last resort where it declares another one."""
        reply = failure(exchange, 500, code)
        _complete(exchange, reply)
        if breaches(reply, exchange.rules):
            return last_resort(Exchange(self._contract.errors, exchange.request_id), code)
        return reply


def _complete(exchange: Exchange, reply: Reply) -> None:
    rule = rule_for(exchange.rules, reply.status)
    constants = rule.constants if rule and not exchange.exempt else ()
    fixed = (("X-Content-Type-Options", "nosniff"),) if exchange.exempt else constants
    reply.headers = complete(reply, fixed, exchange.request_id)


def _framed(reply: Reply, exchange: Exchange, method: str) -> Reply:
    """The reply as it is sent: its length said, its body left out for HEAD."""
    headers = reply.headers
    if not reply.body:
        headers = [(n, v) for n, v in headers if n.lower() != "content-type"]
    if reply.status >= 200 and reply.status not in (204, 304):
        headers = [*headers, ("Content-Length", str(len(reply.body)))]
    if exchange.unread:
        headers = [*headers, ("Connection", "close")]
    return Reply(reply.status, headers, b"" if method == "HEAD" else reply.body)


def _log(exchange: Exchange, reply: Reply, found: tuple[Breach, ...], *, withheld: bool) -> None:
    for breach in found[:_MOST]:
        log.error(
            "contract_violation",
            operation=exchange.operation.id if exchange.operation else None,
            request_id=exchange.request_id,
            status=reply.status,
            location=breach.location,
            pointer=breach.pointer,
            keyword=breach.keyword,
            withheld=withheld,
        )
