"""What the servers find: keys, users and a session, the same for each and each with its own copy."""

from __future__ import annotations

import json
import secrets
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from domain import accounts, mfa, sessions
from domain.audit import Trail
from domain.records import Client, Session
from domain.services import Services
from server import app, settings, spec
from tests.support.authenticator import Authenticator
from tests.support.servers import environment
from tests.support.specs import without_flood

CONNECTIONS = 16
LOGINS = 4
"""Connections that sign in, each as a user of its own: Argon2id keeps every core busy anyway."""
LOGIN_LENGTH = 3
"""How many times as long sign-ins are measured, since there are so few in a second."""


@dataclass(frozen=True)
class Operation:
    """One row of the tables. ``expected`` is the status that each server answers with.

    ``requests`` makes what each connection sends. ``length`` stretches a measurement of few
    replies.
    """

    title: str
    requests: Callable[[], tuple[str, ...]]
    expected: dict[str, int]
    length: float = 1


class Scene:
    """Users without a second factor who sign in, and one with a second factor who has."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "original"
        self._folder.mkdir()
        self._services = _services(self._folder)
        self._password = secrets.token_urlsafe(16)
        self._names = [f"user{number}" for number in range(LOGINS)]
        for name in self._names:
            accounts.create_user(self._services, Trail("bench"), name, self._password)
        self._session = _enrolled(self._services, self._password)

    def copy(self, folder: Path) -> dict[str, str]:
        """Put keys and rows into a new folder; returns the environment of a server on it."""
        folder.mkdir()
        shutil.copytree(self._folder / "keys", folder / "keys")
        with (
            closing(sqlite3.connect(self._folder / "countersign.db")) as original,
            closing(sqlite3.connect(folder / "countersign.db")) as copy,
        ):
            original.backup(copy)
        # A measurement comes from one address and sends more than any may; it is still counted.
        return environment(folder, COUNTERSIGN_SPEC=str(without_flood(folder)))

    def operations(self) -> list[Operation]:
        return [
            Operation("GET /health/live", self._liveness, _all(200)),
            Operation("GET /mfa/status", self._status, _all(200)),
            Operation("POST /mfa/verify", self._malformed_code, {**_all(400), "bare": 409}),
            Operation("POST /auth/login", self._logins, _all(200), length=LOGIN_LENGTH),
        ]

    def _liveness(self) -> tuple[str, ...]:
        return CONNECTIONS * (_request("GET", "/health/live"),)

    def _status(self) -> tuple[str, ...]:
        return CONNECTIONS * (_request("GET", "/mfa/status", token=self._token()),)

    def _malformed_code(self) -> tuple[str, ...]:
        request = _request("POST", "/mfa/verify", {"code": "12345"}, self._token())
        return CONNECTIONS * (request,)

    def _logins(self) -> tuple[str, ...]:
        bodies = [{"username": name, "password": self._password} for name in self._names]
        return tuple(_request("POST", "/auth/login", body) for body in bodies)

    def _token(self) -> str:
        """A fresh access token: the life of one is shorter than a long run."""
        return self._services.tokens.issue(self._session, self._services.clock.now())


def _all(status: int) -> dict[str, int]:
    return dict.fromkeys(("countersign", "stock", "bare", "earlier"), status)


def _services(folder: Path) -> Services:
    current = settings.load(environment(folder))
    app.prepare(current)
    return app.compose(current, spec.read(current.spec))


def _enrolled(services: Services, password: str) -> Session:
    """A live session of a new user with a second factor."""
    user = accounts.create_user(services, Trail("bench"), "enrolled", password)
    now = services.clock.now()
    with services.store.write() as tx:
        row = tx.users.get(user.user_id)
        assert row is not None
        sessions.open_session(services, tx, row, (), Client("127.0.0.1", None), now)
        (session,) = tx.sessions.live_of(user.user_id, now)
        tx.commit()
    secret = mfa.setup_mfa(services, Trail("bench"), session).secret
    code = Authenticator(secret).code(services.clock.now())
    mfa.verify_mfa(
        services, Trail("bench"), session, code, services.policies.operations["verifyMFA"]
    )
    return session


def _request(method: str, path: str, body: object = None, token: str | None = None) -> str:
    """An HTTP/1.1 request as it goes over the wire."""
    content = "" if body is None else json.dumps(body)
    fields = {"Host": "127.0.0.1", "User-Agent": "bench"}
    if token is not None:
        fields["Authorization"] = f"Bearer {token}"
    if content:
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n{content}"
