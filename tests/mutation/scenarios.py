"""What makes the server answer each reply that the spec declares, whatever spec it has read.

A scenario prepares what has to have happened in a world under the shipped spec, and sends one
request to another application over the same database. So an edited spec is seen by one request,
and not by those that lead up to it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.api import calls
from tests.api.calls import SPEC, ready
from tests.api.causes import CAUSES, GUESSED_AT
from tests.mutation.bases import ENDED, MISERLY, PLAIN
from tests.support.api import Reply
from tests.support.world import World

RAISING, LYING, CLOSED = "raising", "lying", "closed"
"""Further kinds of application than bases.py has: each handler raises, or says more than is
declared; no registration."""

_addresses = itertools.count()


@dataclass(frozen=True)
class Scenario:
    """One reply of an operation. `send` prepares in the world and asks the other application."""

    operation: str
    status: str
    kind: str
    send: Callable[[World, World], Reply]

    def __str__(self) -> str:
        return f"{self.operation} {self.status}"


def scenarios(operation: str, status: str) -> Iterator[Scenario]:
    """Every way to make an operation answer with a status, the simplest first."""
    if operation == "-":
        yield from (Scenario("-", status, PLAIN, send) for send in _ORPHANS.get(status, ()))
        return
    found = list(_further(operation, status))
    if status == "500":
        found = [(RAISING, _asking(operation)), (LYING, _asking(operation))]
    elif status == "410":
        found = [(ENDED, _asking(operation))]
    elif (operation, status) == ("registerUser", "403"):
        found = [(CLOSED, _asking(operation))]
    elif status == "429" and operation not in GUESSED_AT:
        found = [(MISERLY, _flooding(operation))]
    elif status in CAUSES:
        found.insert(0, (PLAIN, _causing(operation, status)))
    for kind, send in found:
        yield Scenario(operation, status, kind, send)


def _asking(operation: str) -> Callable[[World, World], Reply]:
    return lambda world, other: ready(world, operation).send(other.api)


def _causing(operation: str, status: str) -> Callable[[World, World], Reply]:
    return lambda world, other: CAUSES[status](world, operation, other.api)


def _flooding(operation: str) -> Callable[[World, World], Reply]:
    """The second request of an address that may send one."""

    def send(world: World, other: World) -> Reply:
        number = next(_addresses)
        api = other.api_from(f"198.51.{number // 250}.{number % 250 + 1}")
        call = ready(world, operation)
        call.send(api)
        return call.send(api)

    return send


# -- further ways ----------------------------------------------------------------------------


def _challenged(world: World, other: World) -> Reply:
    """A sign-in with a password where MFA is on."""
    account = world.account().sign_in().enrol()
    body = {"username": account.username, "password": account.password}
    return other.api.post("/auth/login", json=body)


def _finished(world: World, other: World) -> Reply:
    account = world.account().sign_in().enrol()
    body = {"challenge_id": account.begin()["challenge_id"], "mfa_code": account.code()}
    return other.api.post("/auth/login", json=body)


def _strong_session(world: World, other: World) -> Reply:
    return other.api.get("/auth/session", token=world.account().sign_in().enrol().token)


def _eventful(world: World, other: World) -> Reply:
    """The trail of an account that signed in with each factor, failed, and reads one page."""
    account = world.account().sign_in().enrol()
    account.sign_in().sign_in_with_backup_code()
    account.finish(account.begin()["challenge_id"], account.wrong_code())
    body = {"username": account.username, "password": "not the one"}
    world.api.post("/auth/login", json=body)
    calls.refresh(account)
    return other.api.get("/auth/events", token=account.token, params={"limit": "9"})


def _whole_trail(world: World, other: World) -> Reply:
    _eventful(world, world)
    call = ready(world, "listAuditEvents")
    return call.send(other.api, params={"limit": "60"})


def _users(world: World, other: World) -> Reply:
    call = ready(world, "listUsers")
    world.account()
    return call.send(other.api, params={"limit": "1"})


def _without_factor(world: World, other: World) -> Reply:
    account = world.account().sign_in()
    return other.api.get("/mfa/status", token=account.token)


def _too_weak(world: World, other: World) -> Reply:
    token = world.account().sign_in().token
    return other.api.post("/mfa/backup-codes/regenerate", token=token)


def _wrong_code(world: World, other: World) -> Reply:
    account = world.account().sign_in().enrol()
    body = {"challenge_id": account.begin()["challenge_id"], "mfa_code": account.wrong_code()}
    return other.api.post("/auth/login", json=body)


def _locked(world: World, other: World) -> Reply:
    """All delays of an authenticator waited for, until it is locked."""
    account = world.account().sign_in().enrol()
    while True:
        reply = account.finish(account.begin()["challenge_id"], account.wrong_code())
        if reply.status == 429:
            world.clock.advance(seconds=int(reply.headers["Retry-After"]))
        elif reply.code == "factor_locked":
            break
    body = {"challenge_id": account.begin()["challenge_id"], "mfa_code": account.wrong_code()}
    return other.api.post("/auth/login", json=body)


def _dead_token(_world: World, other: World) -> Reply:
    return other.api.get("/auth/session", token="dead")


def _no_such_challenge(world: World, other: World) -> Reply:
    body = {"challenge_id": "A" * 43, "mfa_code": "000000"}
    return other.api.post("/auth/login", json=body)


def _password_refused(world: World, other: World) -> Reply:
    body = {"username": "somebody.new", "password": "password123"}
    return other.api.post("/auth/register", json=body)


def _wrong_member(world: World, other: World) -> Reply:
    return other.api.post("/auth/refresh", json={"refresh_token": "short"})


def _wrong_segment(world: World, other: World) -> Reply:
    token = world.account().sign_in().token
    return other.api.delete("/auth/sessions/not-an-identifier", token=token)


_MORE: dict[tuple[str, str], tuple[Callable[[World, World], Reply], ...]] = {
    ("login", "200"): (_challenged, _finished),
    ("login", "401"): (_wrong_code, _no_such_challenge, _locked),
    ("getSession", "200"): (_strong_session,),
    ("getSession", "401"): (_dead_token,),
    ("listEvents", "200"): (_eventful,),
    ("listAuditEvents", "200"): (_whole_trail,),
    ("listUsers", "200"): (_users,),
    ("getMFAStatus", "200"): (_without_factor,),
    ("regenerateBackupCodes", "401"): (_too_weak,),
    ("registerUser", "409"): (_password_refused,),
    ("refreshTokens", "400"): (_wrong_member,),
    ("endSession", "400"): (_wrong_segment,),
}


def _further(operation: str, status: str) -> Iterator[tuple[str, Callable[[World, World], Reply]]]:
    yield from ((PLAIN, send) for send in _MORE.get((operation, status), ()))


def _unknown(_world: World, other: World) -> Reply:
    return other.api.get("/no/such/path")


def _without_method(_world: World, other: World) -> Reply:
    return other.api.request("PATCH", "/health/live")


def _options(_world: World, other: World) -> Reply:
    return other.api.request("OPTIONS", "/health/live")


_ORPHANS = {"404": (_unknown,), "405": (_without_method,), "204": (_options,)}
"""The others are for what is no request, and no request leads to them."""


# -- requests --------------------------------------------------------------------------------


def forms(world: World, operation: str) -> list[calls.Call]:
    """Requests of an operation that will be taken, one for each form that its body has."""
    found = [ready(world, operation)]
    if operation == "login":
        account = world.account().sign_in().enrol()
        body = {"challenge_id": account.begin()["challenge_id"], "mfa_code": account.code()}
        found.append(calls.Call(SPEC.contract.operations[operation], account, body))
    return found
