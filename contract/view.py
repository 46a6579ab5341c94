"""What happens to a request whose operation is known: admit it, call the handler, answer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import flask
from structlog.contextvars import bind_contextvars

from contract import faults
from contract.asgi import EXCHANGE
from contract.completeness import BODY, SESSION, Handler
from contract.flasks import Unabridged
from contract.media import JSON_TYPE, essence
from contract.operation import BodyRule, Operation
from contract.parameters import read_parameters
from contract.parse import Malformed, parse
from contract.replies import (
    BARE,
    CHALLENGE,
    INVALID,
    MISSING_TOKEN,
    Refused,
    Reply,
    encode,
    envelope,
    failure,
    invalid,
    refusal,
    success,
)
from contract.request import Exchange, Request
from contract.violations import Invalid, Violation

# RFC 6750 section 2.1, with the scheme in any case (RFC 9110 section 11.1).
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)

Gate = Callable[[Request], Awaitable[None]]


@dataclass(frozen=True)
class Hooks:
    """What the application lends to the contract.

    `authenticate` turns `request.token` into a session or raises one of `refusals`. `context`
    makes further arguments of handlers. `refusals` have `status`, `code`, `wording`, `headers`.
    `gate` is asked on the event loop before a body is read or a thread taken, and may raise one.
    `aside` names operations whose crowd must not take the threads of the others.
    """

    authenticate: Callable[[Request, Operation], Any]
    context: Mapping[str, Callable[[Request], Any]]
    refusals: tuple[type[Exception], ...]
    gate: Gate | None = None
    aside: Collection[str] = ()


class View:
    """The Flask view of one operation. Everything that can be known before a request is."""

    provide_automatic_options = False

    def __init__(
        self, operation: Operation, handler: Handler, names: tuple[str, ...], hooks: Hooks
    ) -> None:
        self._operation = operation
        self._handler = handler
        self._hooks = hooks
        self._asked = names
        self._context = tuple((n, hooks.context[n]) for n in names if n in hooks.context)
        self._envelope = envelope(operation.message) if operation.envelope else None

    def __call__(self, **_segments: Any) -> flask.Response:
        exchange: Exchange = flask.request.environ[EXCHANGE]
        bind_contextvars(request_id=exchange.request_id)
        try:
            answer = self._answer(exchange)
        except Refused as own:
            answer = own.reply(exchange)
        except Invalid as exc:
            answer = invalid(exc, exchange)
        except self._hooks.refusals as refused:
            answer = self._refusal(refused, exchange)
        except BaseException as exc:  # a handler that raises SystemExit must not end the server
            faults.report(exc, self._operation.id, exchange.request_id)
            answer = failure(exchange, 500, "internal_error")
        if isinstance(answer, flask.Response):
            return answer
        return Unabridged(answer.body, answer.status, answer.headers)

    def _answer(self, exchange: Exchange) -> Reply | flask.Response:
        assert exchange.request is not None  # noqa: S101 - routing has run
        session = self._session(exchange.request)
        given = self._admitted(exchange)
        given[SESSION] = session
        for name, make in self._context:
            given[name] = make(exchange.request)
        result = self._handler(**{name: given[name] for name in self._asked})
        ready = isinstance(result, flask.Response | Reply)
        return result if ready else self._success(result)

    def _session(self, request: Request) -> Any:
        """The caller's session, or None where there need not be one. Raises Refused, a refusal."""
        security = self._operation.security
        if not security.bearer:
            return None
        request.token = _token(request)
        if request.token is None:
            if security.mandatory:
                challenge = {CHALLENGE: _missing(request)}
                raise Refused(401, "invalid_token", challenge, wording=MISSING_TOKEN)
            return None
        try:
            return self._hooks.authenticate(request, self._operation)
        except self._hooks.refusals as refused:
            # A stale header must not stand in the way of a login with a password.
            if security.mandatory or getattr(refused, "status", None) != 401:
                raise
            return None

    def _admitted(self, exchange: Exchange) -> dict[str, Any]:
        """Parameters and body by argument name. Raises Refused (415) or Invalid."""
        values, violations = read_parameters(self._operation, exchange)
        rule = self._operation.body
        if rule is not None:
            values[BODY], wrong = _body(rule, exchange)
            violations += wrong
        elif exchange.body:
            violations.append(Violation("body", "", "undeclared", "is not taken here"))
        if violations:
            raise Invalid(*violations)
        return values

    def _success(self, data: Any) -> Reply:
        status = self._operation.success
        if self._envelope is not None:
            body = success(self._envelope, data)
        elif data is None:
            return Reply(status, [])
        else:
            body = encode(data)
        return Reply(status, [("Content-Type", JSON_TYPE)], body)

    def _refusal(self, refused: Any, exchange: Exchange) -> Reply:
        return refusal(refused, exchange, mandatory=self._operation.security.mandatory)


def _missing(request: Request) -> str:
    """The challenge where there is no token: bare where none was sent (RFC 6750 section 3.1)."""
    sent = (
        value.strip().lower().startswith("bearer ")
        for value in request.headers.all("authorization")
    )
    return INVALID if any(sent) else BARE


def _token(request: Request) -> str | None:
    """The one bearer token of a request; two fields are none, for two readers could differ."""
    fields = request.headers.all("authorization")
    match = _BEARER.fullmatch(fields[0].strip()) if len(fields) == 1 else None
    return match[1] if match else None


def _body(rule: BodyRule, exchange: Exchange) -> tuple[Any, tuple[Violation, ...]]:
    """The parsed body and what is wrong with it. Raises Refused (415)."""
    assert exchange.request is not None  # noqa: S101 - routing has run
    headers = exchange.request.headers
    types = headers.all("content-type")
    if "content-encoding" in headers or (types and not _is_json(types)):
        raise Refused(415, "unsupported_media_type")
    if exchange.body is None:
        missing = Violation("body", "", "required", "is missing")
        return None, (missing,) if rule.required else ()
    if not types:
        raise Refused(415, "unsupported_media_type")
    try:
        value = parse(exchange.body)
    except Malformed as exc:
        return None, (Violation("body", "", exc.keyword, str(exc)),)
    return value, rule.rules.violations(value, "body")


def _is_json(types: tuple[str, ...]) -> bool:
    return len(types) == 1 and essence(types[0]) == JSON_TYPE
