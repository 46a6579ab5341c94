"""Cross-origin requests of browsers (the Fetch standard, section 3.2), for the origins listed.

It stands outside the guard, because it is about who may read a reply and not about what a reply
holds. A reply to any other origin is what it is to a client without one. Tokens travel in a header
that a page sets itself, so no credentials of the browser are let in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from contract.asgi import App, Message, Receive, Scope, Send
from contract.operation import Operation

PREFLIGHT_SECONDS = 600
"""How long a browser may remember a preflight; none remembers longer than two hours."""
_ALWAYS = ("Authorization", "Content-Type")
# The first two a page is told anyhow (the Fetch standard, CORS-safelisted response-header name);
# the last is for the browser itself.
_UNTOLD = {"cache-control", "content-type", "x-content-type-options"}
Fields = list[tuple[bytes, bytes]]


class Cors:
    """Adds to the replies of an application what a browser asks for."""

    def __init__(self, app: App, *, origins: Collection[str], headers: str, exposed: str) -> None:
        self._app = app
        self._origins = frozenset(origin.encode("ascii") for origin in origins)
        self._headers = headers.encode("ascii")
        self._exposed = exposed.encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        origin = self._listed(scope)
        preflight = scope["method"] == "OPTIONS" and bool(_values(scope, _WANTED))

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                # A cache must not hand the reply to one origin to another.
                message["headers"] = [*message["headers"], (b"vary", b"Origin")]
                if origin is not None:
                    message["headers"] += self._granted(origin, message, preflight)
            await send(message)

        await self._app(scope, receive, answer)

    def _listed(self, scope: Scope) -> bytes | None:
        """The origin of the request where it is one that is listed."""
        origins = _values(scope, b"origin")
        return origins[0] if len(origins) == 1 and origins[0] in self._origins else None

    def _granted(self, origin: bytes, message: Message, preflight: bool) -> Fields:
        granted = [(b"access-control-allow-origin", origin)]
        if not preflight:
            return [*granted, (b"access-control-expose-headers", self._exposed)]
        if message["status"] != 204:  # there is no such path
            return granted
        return [
            *granted,
            (b"access-control-allow-methods", dict(message["headers"])[b"allow"]),
            (b"access-control-allow-headers", self._headers),
            (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode("ascii")),
        ]


_WANTED = b"access-control-request-method"


def sent_headers(operations: Iterable[Operation]) -> str:
    """The request headers that the operations take, as a preflight is told."""
    declared = {p.name for op in operations for p in op.parameters if p.where == "header"}
    return ", ".join([*_ALWAYS, *sorted(declared)])


def told_headers(operations: Iterable[Operation]) -> str:
    """The headers of replies that a page may read."""
    declared = {
        header.name
        for operation in operations
        for rule in operation.responses.values()
        for header in rule.headers.values()
    }
    return ", ".join(sorted(name for name in declared if name.lower() not in _UNTOLD))


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key.lower() == name]
