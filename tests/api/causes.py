"""What makes an operation answer with each of its statuses.

A cause prepares what has to have happened in a world and sends one request, to that world or to
`api`, which serves the same database under a spec of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from tests.api import faults
from tests.api.calls import (
    FOR_ADMINISTRATORS,
    SPEC,
    SPEC_OPERATIONS,
    fresh_password,
    ready,
)
from tests.support.api import Api, Reply
from tests.support.specs import body_limits
from tests.support.world import World

JSON = {"Content-Type": "application/json"}
NOBODY = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
WITH_TOKEN = [name for name, operation in SPEC_OPERATIONS.items() if operation.security.mandatory]
GUESSED_AT = [
    name
    for name, policy in SPEC.policies.operations.items()
    if policy.attempts.password or policy.attempts.totp or policy.attempts.backup_code
]

Cause = Callable[[World, str, Api | None], Reply]


def success(world: World, operation: str, api: Api | None = None) -> Reply:
    return ready(world, operation).send(api)


def bad_request(world: World, operation: str, api: Api | None = None) -> Reply:
    return ready(world, operation).send(api, params={"undeclared": "1"})


def unauthorized(world: World, operation: str, api: Api | None = None) -> Reply:
    if operation in WITH_TOKEN:
        return ready(world, operation).send(api, token=None)
    call = ready(world, operation)
    body = {
        name: "A" * 43 if name == "refresh_token" else value for name, value in call.body.items()
    }
    wrong = {"password": fresh_password()} if "password" in body else {}
    return call.send(api, json=body | wrong)


def forbidden(world: World, operation: str, api: Api | None = None) -> Reply:
    """With a second factor, so that nothing but the role is missing."""
    member = world.account().sign_in().enrol()
    return replace(ready(world, operation), token=member.token).send(api)


def not_found(world: World, operation: str, api: Api | None = None) -> Reply:
    if operation in FOR_ADMINISTRATORS:
        return replace(ready(world, operation), segment=NOBODY).send(api)
    stranger = world.account().sign_in()
    other = ready(world, operation, stranger).segment
    return replace(ready(world, operation), segment=other).send(api)


def conflict(world: World, operation: str, api: Api | None = None) -> Reply:
    call = ready(world, operation, world.account().sign_in())
    if operation in FOR_ADMINISTRATORS:
        return replace(call, segment=call.account.user_id).send(api)
    if operation == "registerUser":
        return call.send(api, json=call.body | {"username": call.account.username})
    if operation == "changePassword":
        return call.send(api, json=call.body | {"new_password": "password123"})
    bodies = {
        "verifyMFA": {"code": "000001"},
        "verifyBackupCode": {"code": "AAAA-BBBB-CCCC-DDDD"},
        "disableMFA": {"password": call.account.password, "code": "000001"},
    }
    plain = world.account().sign_in()
    return call.send(api, json=bodies.get(operation), token=plain.token)


def too_large(world: World, operation: str, api: Api | None = None) -> Reply:
    content = b" " * (body_limits()[operation] + 1)
    return ready(world, operation).send(api, json=None, content=content, headers=JSON)


def unsupported(world: World, operation: str, api: Api | None = None) -> Reply:
    content, headers = b"code=1", {"Content-Type": "application/x-www-form-urlencoded"}
    return ready(world, operation).send(api, json=None, content=content, headers=headers)


def too_many(world: World, operation: str, api: Api | None = None) -> Reply:
    """The budget is closed in the world; the guess that meets it goes to `api`."""
    call = ready(world, operation)
    for _ in range(20):
        reply = call.send(json=_wrong(call.body))
        if reply.status != 401:
            break
    return call.send(api, json=_wrong(call.body)) if api else reply


def _wrong(body: dict[str, str]) -> dict[str, str]:
    """The same request with a secret that is not right."""
    name = next(n for n in ("password", "current_password", "code") if n in body)
    return body | {name: "0000-0000-0000-0000" if name == "code" else fresh_password()}


def unavailable(world: World, operation: str, api: Api | None = None) -> Reply:
    call = ready(world, operation)
    with faults.vanished(world):
        return call.send(api)


CAUSES: Mapping[str, Cause] = MappingProxyType(
    {
        "200": success,
        "201": success,
        "400": bad_request,
        "401": unauthorized,
        "403": forbidden,
        "404": not_found,
        "409": conflict,
        "413": too_large,
        "415": unsupported,
        "429": too_many,
        "503": unavailable,
    }
)
"""By status; a 500 needs a fault of the program."""
