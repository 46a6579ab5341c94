"""Finds the operation of a request from the compiled contract.

Paths are split before they are decoded, so that `%2F` is a character of a segment and never a
separator. Nothing is redirected: a path is served as it is written in the spec, or not at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from connexion.middleware.abstract import SpecMiddleware

from contract.asgi import App, Receive, Scope, Send, exchange_of
from contract.body import announces_body
from contract.compile import Contract
from contract.operation import Operation
from contract.replies import Refused, Reply
from contract.request import Exchange, Headers, Request

_READ_ONLY = ("GET", "HEAD", "OPTIONS")


@dataclass(slots=True)
class Route:
    """A path of the spec. `names` holds the parameter of each segment, None for a literal."""

    segments: tuple[bytes, ...]
    names: tuple[str | None, ...]
    operations: dict[str, Operation] = field(default_factory=dict)

    @property
    def allow(self) -> str:
        """The complete value of `Allow` (RFC 9110 section 10.2.1)."""
        implied = {"OPTIONS"} | ({"HEAD"} if "GET" in self.operations else set())
        return ", ".join(sorted(implied.union(self.operations)))

    def operation(self, method: str) -> Operation | None:
        """The operation of a method; HEAD is answered by GET where it is not declared."""
        found = self.operations.get(method)
        return self.operations.get("GET") if found is None and method == "HEAD" else found

    def read(self, segments: tuple[bytes, ...]) -> dict[str, str | None] | None:
        """The parameters in a path of the same length, or None where it is another path.

        A parameter that is not UTF-8 is None, an empty one does not match.
        """
        found: dict[str, str | None] = {}
        for given, literal, name in zip(segments, self.segments, self.names, strict=True):
            if name is None:
                if given != literal:
                    return None
            elif not given:
                return None
            else:
                found[name] = _text(given)
        return found


class Router:
    """All paths of a contract: literal ones by look-up, then templates, literal segments first."""

    def __init__(self, base_path: str, operations: Iterable[Operation]) -> None:
        routes: dict[str, Route] = {}
        for operation in operations:
            path = base_path + operation.path
            route = routes.setdefault(path, _route(path))
            route.operations[operation.method] = operation
        self._written = {path: r for path, r in routes.items() if not any(r.names)}
        self._literal = {r.segments: r for r in self._written.values()}
        self._templates: dict[int, list[Route]] = defaultdict(list)
        for route in routes.values():
            if any(route.names):
                self._templates[len(route.segments)].append(route)
        for templates in self._templates.values():
            templates.sort(key=lambda r: [name is not None for name in r.names])

    def match(self, raw_path: bytes) -> tuple[Route, Mapping[str, str | None]] | None:
        """The route of a path as it came over the wire, with its parameters."""
        text = raw_path.partition(b"?")[0].decode("latin-1")
        if (route := self._written.get(text)) is not None:
            return route, {}
        segments = tuple(map(unquote_to_bytes, text.split("/")))
        if (route := self._literal.get(segments)) is not None:
            return route, {}
        for candidate in self._templates.get(len(segments), ()):
            if (found := candidate.read(segments)) is not None:
                return candidate, found
        return None


class Routing(SpecMiddleware):  # type: ignore[misc] # Connexion carries no types
    """Gives each request its operation, or answers for those that have none.

    `pages` are served as they are, by exact path, to GET and HEAD.
    """

    def __init__(self, app: App, *, contract: Contract, pages: Mapping[str, App]) -> None:
        self._app = app
        self._contract = contract
        self._pages = pages
        self._router = Router(contract.base_path, contract.operations.values())

    def add_api(self, specification: Any, **_options: Any) -> None:
        """Refuses to start where Connexion read other operations than this layer did."""
        theirs = {
            (method.upper(), path, operation["operationId"])
            for path, item in specification["paths"].items()
            for method, operation in item.items()
            if isinstance(operation, dict) and "operationId" in operation
        }
        ours = {(op.method, op.path, op.id) for op in self._contract.operations.values()}
        if theirs != ours or specification.base_path != self._contract.base_path:
            raise RuntimeError("Connexion and the contract layer disagree about the operations")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        page = self._pages.get(scope["path"])
        try:
            if page is None:
                self._enter(exchange, scope)
            else:
                _only(scope["method"], ", ".join(_READ_ONLY), _READ_ONLY[:2])
                exchange.exempt = True
        except Refused as refused:
            exchange.unread = announces_body(Headers(scope["headers"]))
            exchange.reply = _answer(refused, exchange)
            return
        await (page or self._app)(scope, receive, send)

    def _enter(self, exchange: Exchange, scope: Scope) -> None:
        """Raises Refused with 404, 405, or 204 for OPTIONS."""
        raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
        matched = self._router.match(raw)
        if matched is None:
            raise Refused(404, "not_found")
        route, segments = matched
        operation = route.operation(scope["method"])
        if operation is None:
            _only(scope["method"], route.allow, ())
            return
        exchange.operation = operation
        exchange.rules = operation.responses
        exchange.segments = segments
        exchange.query = scope.get("query_string", b"")
        exchange.request = _request(scope, exchange.request_id, operation)


def _only(method: str, allow: str, served: Iterable[str]) -> None:
    if method not in served:
        answer = (204, "") if method == "OPTIONS" else (405, "method_not_allowed")
        raise Refused(*answer, headers={"Allow": allow})


def _answer(refused: Refused, exchange: Exchange) -> Reply:
    if refused.status == 204:
        return Reply(204, list(refused.headers.items()))
    return refused.reply(exchange)


def _request(scope: Scope, request_id: str, operation: Operation) -> Request:
    client = scope.get("client")
    return Request(
        method=scope["method"],
        path=scope["path"],
        headers=Headers(scope["headers"]),
        client=client[0] if client else "",
        request_id=request_id,
        operation=operation,
    )


def _route(path: str) -> Route:
    parts = path.split("/")
    names = tuple(p[1:-1] if p.startswith("{") and p.endswith("}") else None for p in parts)
    return Route(tuple(part.encode("utf-8") for part in parts), names)


def _text(segment: bytes) -> str | None:
    try:
        return segment.decode("utf-8")
    except UnicodeDecodeError:
        return None
