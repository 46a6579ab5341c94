"""A user with a phone and a sheet of backup codes, against any server."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from tests.support.api import Api, Reply
from tests.support.authenticator import Authenticator

_numbers = itertools.count(1)


class Clock(Protocol):
    def now(self) -> datetime: ...

    def advance(self, **duration: float) -> None: ...


class RealClock:
    """The machine's clock, for servers in a process of their own. It cannot be moved."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def advance(self, **duration: float) -> None:
        raise AssertionError("the real clock cannot be moved")


@dataclass
class Account:
    """What one user knows. Every method asserts that it went well."""

    api: Api
    clock: Clock
    username: str
    password: str
    user_id: str = ""
    token: str = ""
    refresh_token: str = ""
    phone: Authenticator | None = None
    backup_codes: list[str] = field(default_factory=list)
    authenticator: type[Authenticator] = Authenticator

    def begin(self) -> Any:
        """Send the password; the data of the reply: tokens, or a challenge."""
        reply = self.api.post(
            "/auth/login", json={"username": self.username, "password": self.password}
        )
        assert reply.status == 200, reply.content
        return reply.data

    def sign_in(self) -> Account:
        """Sign in all the way, with the phone where MFA is on."""
        data = self.begin()
        if "challenge_id" in data:
            data = ok(self.finish(data["challenge_id"], self.code())).data
        return self.take(data)

    def sign_in_with_backup_code(self) -> Account:
        challenge = self.begin()["challenge_id"]
        return self.take(ok(self.finish(challenge, self.backup_codes.pop())).data)

    def finish(self, challenge_id: str, code: str, token: str | None = None) -> Reply:
        """Finish a challenge at login, whatever the outcome."""
        return self.api.post(
            "/auth/login", json={"challenge_id": challenge_id, "mfa_code": code}, token=token
        )

    def step_up(self, code: str | None = None) -> Account:
        """Give a second factor once more in the present session."""
        challenge = ok(self.post("/auth/challenge")).data["challenge_id"]
        return self.take(ok(self.finish(challenge, code or self.code(), self.token)).data)

    def take(self, tokens: Any) -> Account:
        self.token, self.refresh_token = tokens["access_token"], tokens["refresh_token"]
        return self

    def set_up(self) -> Any:
        """Start an enrolment; the data of the reply."""
        return ok(self.post("/mfa/setup")).data

    def enrol(self) -> Account:
        """Turn MFA on, or rotate to a new phone."""
        setup = self.set_up()
        shown = setup["secret"], setup["digits"], setup["period"], setup["algorithm"]
        phone = self.authenticator(*shown)
        step = int(self.clock.now().timestamp()) // phone.period
        ok(self.post("/mfa/verify", json={"code": phone.code_of(step)}))
        phone.last_step = step
        self.phone, self.backup_codes = phone, list(setup["backup_codes"])
        return self

    def code(self) -> str:
        """A code that was not used before; moves the clock where none is left in the window."""
        assert self.phone is not None
        step = int(self.clock.now().timestamp()) // self.phone.period
        if step <= self.phone.last_step:
            step = self.phone.last_step + 1
            if step > int(self.clock.now().timestamp()) // self.phone.period + 1:
                self.clock.advance(seconds=self.phone.period)
        self.phone.last_step = step
        return self.phone.code_of(step)

    def wrong_code(self) -> str:
        assert self.phone is not None
        return self.phone.wrong(self.clock.now())

    def get(self, path: str, **options: Any) -> Reply:
        return self.api.get(path, token=self.token, **options)

    def post(self, path: str, **options: Any) -> Reply:
        return self.api.post(path, token=self.token, **options)

    def delete(self, path: str, **options: Any) -> Reply:
        return self.api.delete(path, token=self.token, **options)

    def status(self) -> Any:
        return ok(self.get("/mfa/status")).data

    def another_device(self) -> Account:
        """The same user, elsewhere, not signed in."""
        return Account(
            self.api,
            self.clock,
            self.username,
            self.password,
            self.user_id,
            phone=self.phone,
            backup_codes=self.backup_codes,
            authenticator=self.authenticator,
        )


def ok(reply: Reply) -> Reply:
    """The reply, which must be a success."""
    assert reply.status in (200, 201), (reply.status, reply.content)
    return reply


def register(api: Api, clock: Clock, **fields: Any) -> Account:
    """A new user with a name and a password of its own, not signed in."""
    username = fields.pop("username", f"user{next(_numbers)}.{secrets.token_hex(4)}")
    password = fields.pop("password", f"pw {secrets.token_urlsafe(12)} é")
    reply = ok(api.post("/auth/register", json={"username": username, "password": password}))
    return Account(api, clock, username, password, reply.data["user_id"], **fields)
