"""One request of each operation that succeeds, with whatever has to have happened before it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from contract.operation import Operation
from server.spec import read
from tests.support.accounts import Account, ok
from tests.support.api import Api, Reply
from tests.support.authenticator import Authenticator
from tests.support.servers import ROOT
from tests.support.world import World

SPEC = read(ROOT / "spec" / "openapi.yaml")
SPEC_OPERATIONS = SPEC.contract.operations


@dataclass(frozen=True)
class Call:
    """A request, ready to be sent, by the account that makes it."""

    operation: Operation
    account: Account
    body: Any = None
    token: str | None = None
    segment: str = ""

    def send(self, api: Api | None = None, **options: Any) -> Reply:
        """Send it; ``options`` replace what it consists of."""
        path = self.operation.path.replace("{session_id}", self.segment)
        sent = {"json": self.body, "token": self.token} | options
        return (api or self.account.api).request(self.operation.method, path, **sent)


def ready(world: World, operation_id: str, account: Account | None = None) -> Call:
    """A call of the operation that will be answered with its success."""
    operation = world.application.contract.operations[operation_id]
    who = account or world.account().sign_in()
    call = _BODIES.get(operation_id, _plain)(Call(operation, who))
    return replace(call, token=who.token if operation.security.mandatory else None)


def fresh_password() -> str:
    return f"fresh {secrets.token_urlsafe(12)}"


def refresh(account: Account) -> Account:
    """Renew the account's tokens."""
    body = {"refresh_token": account.refresh_token}
    return account.take(ok(account.api.post("/auth/refresh", json=body)).data)


def _enrolled(call: Call) -> Account:
    return call.account if call.account.phone else call.account.enrol()


def _plain(call: Call) -> Call:
    return call


def _register(call: Call) -> Call:
    username = f"new.{secrets.token_hex(6)}"
    return replace(call, body={"username": username, "password": fresh_password()})


def _login(call: Call) -> Call:
    account = call.account
    return replace(call, body={"username": account.username, "password": account.password})


def _refresh(call: Call) -> Call:
    return replace(call, body={"refresh_token": call.account.refresh_token})


def _challenge(call: Call) -> Call:
    _enrolled(call)
    return call


def _end_session(call: Call) -> Call:
    other = call.account.another_device().sign_in()
    return replace(call, segment=other.get("/auth/session").data["session_id"])


def _password(call: Call) -> Call:
    new = fresh_password()
    body = {"current_password": call.account.password, "new_password": new}
    return replace(call, body=body)


def _verify(call: Call) -> Call:
    phone = Authenticator(call.account.set_up()["secret"])
    return replace(call, body={"code": phone.code(call.account.clock.now())})


def _disable(call: Call) -> Call:
    code = _enrolled(call).code()
    return replace(call, body={"password": call.account.password, "code": code})


def _backup_code(call: Call) -> Call:
    return replace(call, body={"code": _enrolled(call).backup_codes.pop()})


_BODIES: dict[str, Callable[[Call], Call]] = {
    "registerUser": _register,
    "login": _login,
    "refreshTokens": _refresh,
    "createChallenge": _challenge,
    "endSession": _end_session,
    "changePassword": _password,
    "verifyMFA": _verify,
    "disableMFA": _disable,
    "regenerateBackupCodes": _challenge,
    "verifyBackupCode": _backup_code,
}
