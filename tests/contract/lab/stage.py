"""An application over the lab's spec whose handlers say what a test tells them to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import flask

from contract.app import ContractApp, create_app
from contract.bundle import load
from contract.compile import Contract, compile_contract
from contract.extensions import Registry
from contract.replies import Reply
from contract.request import Exchange
from tests.contract.lab import access, things

ROOT = Path(__file__).parent / "spec" / "openapi.yaml"
HANDLERS = {"things": things, "access": access}
THING = {"id": "a-1", "name": "bolt", "parts": []}


def reply(
    value: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json",
) -> flask.Response:
    """A reply made by hand, as a handler that goes its own way would make it."""
    body = value if isinstance(value, str | bytes) else json.dumps(value)
    return flask.Response(body, status, dict(headers or {}), content_type=content_type)


HONEST: Mapping[str, Any] = {
    "listThings": {"things": [THING]},
    "createThing": THING,
    "latestThing": THING,
    "getThing": THING,
    "removeThing": None,
    "getPlain": lambda **_: reply({"state": "fine"}, headers={"X-Total": "3"}),
    "logIn": {"token": "abc"},
    "openSecret": None,
}


class Refusal(Exception):
    """A refusal as the application's rules would raise it."""

    def __init__(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.code, self.headers = status, code, headers or {}
        self.wording: str | None = None
        super().__init__(code)


@dataclass
class Stage:
    """The services of the lab. An answer is returned, raised if it is an exception, or called."""

    answers: dict[str, Any] = field(default_factory=lambda: dict(HONEST))
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def reset(self) -> None:
        self.answers = dict(HONEST)
        self.calls.clear()

    def play(self, name: str, **given: Any) -> Any:
        self.calls.append((name, given))
        answer = self.answers[name]
        if isinstance(answer, BaseException):
            raise answer
        is_script = callable(answer) and not isinstance(answer, flask.Response)
        return answer(**given) if is_script else answer


@dataclass(frozen=True)
class Answer:
    """What came back over ASGI."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name.lower()]
        assert len(values) < 2, f"{name} came twice"
        return values[0] if values else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])

    @property
    def details(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.json["error"]["details"]
        return found


def contract(root: Path = ROOT) -> Contract:
    return compile_contract(load(root, Registry()), Registry())


def authenticate(request: Any, operation: Any) -> str:
    """`good` is a token, `down` finds the database gone, anything else is no token."""
    if request.token == "down":
        raise Refusal(503, "internal_error")
    if request.token != "good":
        raise Refusal(401, "invalid_token", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
    return f"session for {operation.id}"


class Lab:
    """The application with its stage and a client. Connexion takes its time to make one."""

    def __init__(self, spec: Contract | Path, **options: Any) -> None:
        self.stage = Stage()
        self.seen: list[tuple[Exchange, Reply, float]] = []
        self.app: ContractApp = create_app(
            spec,
            registry=Registry(),
            handlers=HANDLERS,
            services=self.stage,
            context={"caller": lambda request: request.client},
            authenticate=authenticate,
            refusals=(Refusal,),
            observe=lambda *observed: self.seen.append(observed),
            **options,
        )

    def fresh(self) -> Lab:
        """The same application with an honest stage, for the next test."""
        self.stage.reset()
        self.seen.clear()
        return self

    def call(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        content: bytes | None = None,
        chunks: Iterable[bytes] | None = None,
        token: str | None = None,
    ) -> Answer:
        """One request. `body` goes as JSON, `content` as it is, `chunks` without a length."""
        fields = list(headers)
        if body is not None:
            content = json.dumps(body).encode()
            fields.append(("Content-Type", "application/json"))
        if token is not None:
            fields.append(("Authorization", f"Bearer {token}"))
        if content is not None:
            fields.append(("Content-Length", str(len(content))))
        elif chunks is not None:
            fields.append(("Transfer-Encoding", "chunked"))
        parts = list(chunks) if chunks is not None else [content or b""]
        return asyncio.run(exchange(self.app, scope(method, target, fields), parts))

    def post(self, target: str, content: bytes, content_type: str = "application/json") -> Answer:
        return self.call("POST", target, content=content, headers=[("Content-Type", content_type)])


def scope(method: str, target: str, headers: Iterable[tuple[str, str]]) -> dict[str, Any]:
    raw, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw),
        "raw_path": raw.encode("latin-1"),
        "root_path": "",
        "query_string": query.encode("latin-1"),
        "headers": [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in headers],
        "client": ("192.0.2.7", 4711),
        "server": ("127.0.0.1", 80),
    }


async def exchange(app: Any, scope: dict[str, Any], parts: list[bytes]) -> Answer:
    """Runs one request to its end. After its parts the peer goes away."""
    incoming = _messages(parts)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return next(incoming)

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = sent[0]
    headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in start["headers"]]
    return Answer(start["status"], headers, b"".join(m.get("body", b"") for m in sent[1:]))


def _messages(parts: list[bytes]) -> Iterator[dict[str, Any]]:
    for index, part in enumerate(parts):
        more = index < len(parts) - 1
        yield {"type": "http.request", "body": part, "more_body": more}
    while True:
        yield {"type": "http.disconnect"}
