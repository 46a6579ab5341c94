"""One request of each operation that succeeds, with whatever has to have happened before it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from contract.operation import Operation
from server.spec import read
from tests.support.accounts import Account, ok, register
from tests.support.api import Api, Reply
from tests.support.authenticator import Authenticator
from tests.support.servers import ROOT
from tests.support.world import World

SPEC = read(ROOT / "spec" / "openapi.yaml")
SPEC_OPERATIONS = SPEC.contract.operations
FOR_ADMINISTRATORS = [
    name for name, policy in SPEC.policies.operations.items() if policy.role == "admin"
]


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
        path = path_of(self.operation, self.segment)
        sent = {"json": self.body, "token": self.token} | options
        return (api or self.account.api).request(self.operation.method, path, **sent)


def path_of(operation: Operation, segment: str) -> str:
    """The operation's path with its parameter, where it has one, filled in."""
    return re.sub(r"\{[a-z_]+\}", segment, operation.path)


def administrator(world: World, account: Account | None = None) -> Account:
    """The account, or a new one, as an administrator who has given a second factor."""
    who = account or world.account().sign_in()
    with world.services.store.write() as tx:
        assert tx.users.set_role(who.user_id, "admin")
        tx.commit()
    return who if who.phone else who.enrol()


def ready(world: World, operation_id: str, account: Account | None = None) -> Call:
    """A call of the operation that will be answered with its success."""
    operation = world.application.contract.operations[operation_id]
    who = account or world.account().sign_in()
    if operation_id in FOR_ADMINISTRATORS:
        who = administrator(world, who)
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


def _of_another(call: Call) -> Call:
    return replace(call, segment=register(call.account.api, call.account.clock).user_id)


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
    "getUser": _of_another,
    "deactivateUser": _of_another,
    "reactivateUser": _of_another,
    "endUserSessions": _of_another,
    "resetUserMFA": _of_another,
}
