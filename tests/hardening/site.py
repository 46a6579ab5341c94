"""One real server for the whole suite, and a client whose every reply is judged."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.hardening import wire
from tests.hardening.judge import MALFORMED, Judge
from tests.hardening.wire import Answer, Connection, Fields
from tests.report.recorder import RECORDER
from tests.support.accounts import Account, RealClock, register
from tests.support.api import STATIC, Api
from tests.support.ledger import LEDGER
from tests.support.servers import ServerProcess

REFRESH = "/auth/refresh"


@dataclass
class Site:
    """A server and what was promised about it."""

    server: ServerProcess
    api: Api
    judge: Judge = field(init=False)
    _marks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.judge = Judge(self.api.get("/openapi.json").json)

    @property
    def port(self) -> int:
        return int(self.server.url.rsplit(":", 1)[1])

    def connect(self) -> Connection:
        return Connection(self.port)

    def ask(
        self,
        method: str,
        target: str,
        fields: Fields | None = None,
        body: bytes | None = None,
        *,
        json: Any = None,
        token: str | None = None,
    ) -> Answer:
        """One request on a connection of its own; the reply is held against the bundle."""
        LEDGER.sent(json, token)
        given = list(fields.items()) if isinstance(fields, dict) else list(fields or [])
        if token is not None:
            given += wire.bearer(token).items()
        if json is not None:
            given += wire.json_fields().items()
            body = wire.encode(json)
        return self.say(wire.message(method, target, given, body), method, target)

    def say(self, data: bytes, method: str = "GET", target: str = MALFORMED) -> Answer:
        """Bytes on a connection of their own; there must be a reply, held against the bundle."""
        with self.connect() as connection:
            connection.try_to_send(data)
            return self.hear(connection, method, target)

    def hear(self, connection: Connection, method: str, target: str) -> Answer:
        """The next reply on a connection, held against the bundle."""
        answer = connection.answer(method)
        assert answer is not None, "the server closed the connection without a reply"
        self._keep(method, target, answer)
        assert self.judge.faults(method, target, answer) == []
        return answer

    def mark(self) -> str:
        """A text that must not come back, neither in a reply nor in the log."""
        self._marks.append("Mark" + secrets.token_hex(8))
        return self._marks[-1]

    def resident_megabytes(self) -> float:
        status = Path(f"/proc/{self.server.process.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def log(self) -> str:
        return self.server.log.read_text(encoding="utf-8", errors="replace")

    def repeated_marks(self, text: str) -> list[str]:
        return [mark for mark in self._marks if mark in text]

    def is_alive(self) -> bool:
        return self.server.process.poll() is None and self.ask("GET", "/health/ready").status == 200

    def account(self) -> Account:
        """A registered user who is signed in."""
        return register(self.api, RealClock()).sign_in()

    def _keep(self, method: str, target: str, answer: Answer) -> None:
        head = "\n".join(f"{name}: {value}" for name, value in answer.headers.multi_items())
        if not target.startswith(STATIC):
            LEDGER.received(f"{method} {target}", f"{answer.status}\n{head}", answer.content)
        if target == MALFORMED or method == "HEAD" or not RECORDER.counts(self.server.url):
            return  # no request that the spec could know, or a reply whose body stays unsaid
        media_type = answer.headers.get("content-type") if answer.content else None
        operation = self.judge.cell(method, target)
        RECORDER.count(operation, answer.status, media_type, answer.content)


class Renewal:
    """A refresh token, good for one renewal: what a refused request must leave as it is."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.doubtful = False  # taken out, and not yet shown to be still good
        self._token = site.account().refresh_token

    @property
    def token(self) -> str:
        self.doubtful = True
        return self._token

    def body(self) -> bytes:
        return wire.encode({"refresh_token": self.token})

    def send(self, fields: Fields | None = None, body: bytes | None = None) -> Answer:
        """A renewal in any dress, whatever the outcome."""
        dress = wire.json_fields() if fields is None else fields
        return self.site.ask("POST", REFRESH, dress, self.body() if body is None else body)

    def accepted(self, answer: Answer | None = None) -> None:
        """The reply, or that to a plain renewal where none is given, is a success."""
        found = self.send() if answer is None else answer
        assert found.status == 200, found.content
        self._token = found.data["refresh_token"]
        self.doubtful = False
