"""What the values of extensions decide, seen on the wire, and one other value of each.

An entry is a few lines: the other value, an observer, and what it sees before and after. Those of
operations are made for every operation that carries the extension.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from contract.replies import ConnectionReplies
from server import keys
from tests.api.calls import SPEC_OPERATIONS, administrator, path_of, ready
from tests.api.causes import NOBODY
from tests.mutation.values import Value
from tests.support.accounts import Account, ok
from tests.support.api import Reply
from tests.support.authenticator import Authenticator
from tests.support.world import World

Observe = Callable[[World], Any]
REMOVED = object()
"""In place of a new value: the value is taken away."""


@dataclass(frozen=True)
class Behaviour:
    """Another value of one place, an observer, and what it sees under the shipped and the new one.

    `companions` are further values by place, where the lint lets the new one not stand alone;
    `limited` says that the flood limit of the shipped spec is in force, which is lifted otherwise;
    `settings` are those of the server.
    """

    new: Any
    observe: Observe
    before: Any
    after: Any
    companions: Mapping[str, Any] = field(default_factory=dict)
    limited: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


_addresses = itertools.count()

# -- what is seen on the wire ----------------------------------------------------------------


def user(world: World) -> Account:
    return world.account().sign_in()


def member(world: World) -> Account:
    return user(world).enrol()


def after(world: World, seconds: int, act: Callable[[], Reply]) -> Any:
    """Status, and error code of a refusal, that many seconds later."""
    world.clock.advance(seconds=seconds)
    reply = act()
    return reply.status if reply.status < 300 else (reply.status, reply.code)


def regenerated(world: World) -> Any:
    account = member(world)
    codes = ok(account.post("/mfa/backup-codes/regenerate")).data["codes"]
    return len(codes), account.status()["backup_codes_total"]


def enrolled_codes(world: World) -> Any:
    account = member(world)
    return len(account.backup_codes), account.status()["backup_codes_total"]


def shape_of_backup_codes(world: World) -> Any:
    account = member(world)
    (code,) = {"-".join(str(len(p)) for p in c.split("-")) for c in account.backup_codes}
    account.sign_in_with_backup_code()
    ok(account.post("/mfa/backup-codes/verify", json={"code": account.backup_codes[0].lower()}))
    return code


def digits(world: World) -> Any:
    account = user(world)
    setup = account.set_up()
    account.enrol().sign_in()
    return setup["digits"], len(account.code()), f"digits={setup['digits']}" in setup["otpauth_uri"]


def access_token(world: World) -> Any:
    account = user(world)
    expires_in = account.begin()["expires_in"]
    return expires_in, after(world, 131, lambda: account.get("/auth/session"))


def refresh_token(world: World) -> Any:
    account = user(world)
    return after(world, 1801, lambda: renew(account))


def renew(account: Account) -> Reply:
    reply = account.api.post("/auth/refresh", json={"refresh_token": account.refresh_token})
    if reply.status == 200:
        account.take(reply.data)
    return reply


def session(world: World) -> Any:
    account = user(world)
    after(world, 3000, lambda: renew(account))
    return after(world, 3000, lambda: renew(account))


def challenge(world: World) -> Any:
    account = member(world)
    data = account.begin()
    finish = after(world, 61, lambda: account.finish(data["challenge_id"], account.code()))
    return data["expires_in"], finish


def enrolment(world: World) -> Any:
    account = user(world)
    setup = account.set_up()
    world.clock.advance(seconds=61)
    code = Authenticator(setup["secret"]).code(world.clock.now())
    verify = after(world, 0, lambda: account.post("/mfa/verify", json={"code": code}))
    return setup["expires_in"], verify


def guesses(account: Account, code: Callable[[], str]) -> Iterator[Reply]:
    while True:
        yield account.finish(account.begin()["challenge_id"], code())


def free(replies: Iterator[Reply]) -> Any:
    """How many guesses are looked at before the first delay."""
    return next(n for n, reply in enumerate(replies) if reply.status == 429)


def delays(world: World, replies: Iterator[Reply], number: int = 3) -> list[int]:
    """The first delays, each waited for."""
    found: list[int] = []
    for reply in replies:
        if reply.status == 429:
            found.append(int(reply.headers["Retry-After"]))
            world.clock.advance(seconds=found[-1])
        if len(found) == number:
            return found
    raise AssertionError("the guesses came to an end")


def totp_guesses(world: World) -> Iterator[Reply]:
    account = member(world)
    return guesses(account, account.wrong_code)


def backup_code_guesses(world: World) -> Iterator[Reply]:
    # Not a code by any chance worth naming: 8 times one letter out of 32 to the sixteenth.
    return guesses(member(world), lambda: "ZZZZ-ZZZZ-ZZZZ-ZZZZ")


def password_guesses(world: World, address: str = "198.51.100.7") -> Iterator[Reply]:
    stranger = world.api_from(address)
    body = {"username": world.account().username, "password": "not the one"}
    while True:
        yield stranger.post("/auth/login", json=body)


def totp_free(world: World) -> Any:
    return free(totp_guesses(world))


def totp_delays(world: World) -> Any:
    return delays(world, totp_guesses(world))


def totp_lock(world: World) -> Any:
    """The code of the answer to the ninth guess, all delays waited for."""
    account = member(world)
    for _ in range(8):
        reply = account.finish(account.begin()["challenge_id"], account.wrong_code())
        if reply.status == 429:
            world.clock.advance(seconds=int(reply.headers["Retry-After"]))
            account.finish(account.begin()["challenge_id"], account.wrong_code())
    world.clock.advance(hours=1)
    return account.finish(account.begin()["challenge_id"], account.wrong_code()).code


def backup_code_free(world: World) -> Any:
    return free(backup_code_guesses(world))


def backup_code_delays(world: World) -> Any:
    return delays(world, backup_code_guesses(world))


def password_free(world: World) -> Any:
    return free(password_guesses(world))


def password_delays(world: World) -> Any:
    return delays(world, password_guesses(world), 6)


def account_free(world: World) -> Any:
    """Whether an address is refused after four guesses from another one."""
    account = world.account()
    body = {"username": account.username, "password": "not the one"}
    for _ in range(4):
        world.api_from("198.51.100.8").post("/auth/login", json=body)
    return world.api_from("198.51.100.9").post("/auth/login", json=body).code


def known_address(world: World) -> Any:
    account = user(world)
    body = {"username": account.username, "password": "not the one"}
    return delays(world, (world.api.post("/auth/login", json=body) for _ in range(99)))


def wrong_enrolment_codes(world: World) -> Any:
    account = user(world)
    phone = Authenticator(account.set_up()["secret"])
    codes = (phone.wrong(world.clock.now()) for _ in range(9))
    replies = (account.post("/mfa/verify", json={"code": code}) for code in codes)
    return next(n for n, reply in enumerate(replies) if reply.code == "no_pending_enrollment")


def wrong_codes_of_a_challenge(world: World) -> Any:
    """How many the challenge takes; both kinds are used, for five of one kind close its budget."""
    account = member(world)
    challenge_id = account.begin()["challenge_id"]
    codes = [account.wrong_code() if n % 2 else "ZZZZ-ZZZZ-ZZZZ-ZZZZ" for n in range(9)]
    replies = (account.finish(challenge_id, code) for code in codes)
    return next(n for n, reply in enumerate(replies) if reply.code == "invalid_challenge")


def open_challenges(world: World) -> Any:
    """The state of the first challenge after two more were opened."""
    account = member(world)
    first, *_later = (account.begin()["challenge_id"] for _ in range(3))
    return after(world, 0, lambda: account.finish(first, account.code()))


def flood_limit(world: World) -> str:
    """The limit as it tells of itself to an address of its own that has met it."""
    api = world.api_from("198.51.100.77")
    replies = (api.get("/auth/session") for _ in range(2_000))
    refused = next(reply for reply in replies if reply.status == 429)
    assert refused.code == "too_many_requests"
    return refused.headers["RateLimit-Policy"]


def account_limit(world: World) -> str:
    """The limit as it tells of itself to an account that has met it; no step-up needs MFA."""
    account = user(world)
    replies = (account.post("/auth/challenge") for _ in range(1_000))
    return next(r for r in replies if r.status == 429).headers["RateLimit-Policy"]


def registration_limit(world: World) -> str:
    """The same of all who register, at more addresses than one."""
    replies = (
        world.api_from(f"198.18.{number}.1").post("/auth/register", json={})
        for number in itertools.islice(_addresses, 3)
        for _ in range(490)
    )
    return next(r for r in replies if r.status == 429).headers["RateLimit-Policy"]


def weak_passwords(world: World) -> Any:
    """What becomes of a common password, the username and a word of the service."""
    account = user(world)
    return [change(account, new) for new in ("iloveyou", account.username.upper(), "CounterSign")]


def change(account: Account, new: str) -> Any:
    """The password is another one from now on, unless it is refused."""
    body = {"current_password": account.password, "new_password": new}
    reply = account.post("/auth/password", json=body)
    if reply.status != 200:
        return reply.code
    account.password = new
    account.sign_in()
    return 200


def low_from(world: World) -> Any:
    """How many codes are left when they are first told to be low, in both replies."""
    account, told = member(world), []
    for left in range(9, -1, -1):
        code = {"code": account.backup_codes.pop()}
        low = ok(account.post("/mfa/backup-codes/verify", json=code)).data["backup_codes_low"]
        assert account.status()["backup_codes_low"] is low
        told += [left] if low else []
    return max(told)


def window(world: World) -> Any:
    """What becomes of the code of the next time step."""
    account = member(world)
    challenge_id = account.begin()["challenge_id"]
    return account.finish(challenge_id, account.code()).status


def secret_length(world: World) -> Any:
    return len(user(world).set_up()["secret"])


def shown(name: str) -> Observe:
    """What an enrolment shows under a name; the phone goes by it, and its codes are taken."""

    def observe(world: World) -> Any:
        account = user(world)
        told = account.set_up()[name]
        account.enrol().sign_in()
        return told

    return observe


def live_sessions(world: World) -> Any:
    """What the first session is told after a second sign-in."""
    account = user(world)
    first = account.token
    account.sign_in()
    return world.api.get("/auth/session", token=first).status


def page(operation: str, name: str) -> Observe:
    """Whether a page without a limit has more than one row, of which there are several."""

    def observe(world: World) -> Any:
        call = ready(world, operation)
        return len(ok(call.send()).data[name]) > 1

    return observe


def turned_away(world: World) -> Any:
    """What a connection that is one too many is told."""
    replies = ConnectionReplies(world.application.contract.errors)
    return json.loads(replies.turned_away().partition(b"\r\n\r\n")[2])["message"]


def silent_store(world: World) -> Any:
    return world.api.get("/auth/session").json["message"]


def lost_key(world: World) -> Any:
    """What readiness says while the key is away that a sealed secret needs."""
    member(world)
    key = max(world.settings.key_dir.glob("encryption-*"))
    lost = key.rename(key.parent / ".lost")
    other = keys.make(key.parent, "encryption")
    try:
        return world.api.get("/health/ready").json["message"]
    finally:
        key.with_name(f"encryption-{other}.key").unlink()
        lost.rename(key)


# -- what operations carry -------------------------------------------------------------------


def event(operation: str) -> Observe:
    """The name of the event that the operation leaves."""

    def observe(world: World) -> Any:
        reader = administrator(world)
        ok(ready(world, operation).send())
        return ok(reader.get("/admin/audit", params={"limit": "1"})).data["events"][0]["event"]

    return observe


def is_forbidden(operation: str) -> Observe:
    """Whether it is the role that somebody without role and second factor is told to lack.

    With a second factor nothing would be seen: the acts that change something look once more.
    """

    def observe(world: World) -> Any:
        token = user(world).token
        reply = replace(ready(world, operation), token=token).send()
        return reply.status == 403 and reply.code == "forbidden"

    return observe


def without_factor(operation: str) -> Observe:
    """Whether somebody of the right role who gave a password only is told to give more."""

    def observe(world: World) -> Any:
        account = user(world)
        call = ready(world, operation)
        with world.services.store.write() as tx:
            tx.users.set_role(account.user_id, "admin")
            tx.commit()
        body = call.body and call.body | {
            name: account.password for name in call.body if name == "current_password"
        }
        reply = replace(call, token=account.token, body=body).send()
        return reply.status >= 400 and reply.code == REFUSED[1]

    return observe


def told_to_step_up(world: World) -> Any:
    """Whether somebody without a second factor is told how recent it has to be.

    The act cannot do without a factor and says so by itself, but knows no age.
    """
    reply = user(world).post("/mfa/backup-codes/regenerate")
    return (reply.status, reply.code) == REFUSED, "max_age" in reply.headers["WWW-Authenticate"]


def stale(operation: str) -> Observe:
    def observe(world: World) -> Any:
        call = ready(world, operation)
        return after(world, 121, call.send)

    return observe


def twice(operation: str) -> Observe:
    """Whether the second of two requests meets a limit."""

    def observe(world: World) -> Any:
        number = next(_addresses)
        api = world.api_from(f"203.0.{number // 250}.{number % 250 + 1}")
        call = ready(world, operation)
        call.send(api)
        reply = call.send(api)
        return reply.status == 429 and reply.code == "too_many_requests"

    return observe


def wrong_at(operation: str, name: str, value: str) -> Observe:
    """How many wrong guesses in a member of a body are looked at before the first delay."""

    def observe(world: World) -> Any:
        call = ready(world, operation)
        return free(call.send(json=call.body | {name: value}) for _ in range(99))

    return observe


def told(operation: str, *headers: str) -> Observe:
    """Status of an operation, and what it says in headers."""

    def observe(world: World) -> Any:
        reply = ready(world, operation).send()
        return reply.status, *(reply.headers.get(name) for name in headers)

    return observe


def served(operation: str) -> Observe:
    """Whether there is such an operation."""

    def observe(world: World) -> Any:
        rule = SPEC_OPERATIONS[operation]
        reply = world.api.request(rule.method, path_of(rule, NOBODY))
        return reply.status not in (404, 405)

    return observe


# -- other values ----------------------------------------------------------------------------

PATTERN_OF_FIVES = "^[A-HJKMNP-TV-Z]{5}(?:-[A-HJKMNP-TV-Z]{5}){3}$"
CODE = "schemas/mfa.yaml#/MFAVerifyRequest/properties/code"
ENDED = (401, "invalid_token")
REFUSED = (401, "insufficient_user_authentication")
REFUSED_PASSWORD = "password_refused"
NO_CODE = "ZZZZ-ZZZZ-ZZZZ-ZZZZ"
FEATURES = {"administration": "registration", "registration": "administration"}
GUESSES = {"free": 1, "delay": "PT30S", "factor": 2, "max-delay": "PT1H"}
FLOOD = '"address";q=500;w=10'
COSTLY, REGISTRATIONS = '"user";q=100;w=20', '"operation";q=1000;w=10'

_POLICIES = {
    "totp/free": Behaviour(2, totp_free, 5, 2),
    "totp/delay": Behaviour("PT45S", totp_delays, [30, 60, 120], [45, 90, 180]),
    "totp/factor": Behaviour(3, totp_delays, [30, 60, 120], [30, 90, 270]),
    "totp/max-delay": Behaviour("PT40S", totp_delays, [30, 60, 120], [30, 40, 40]),
    "totp/lock-after": Behaviour(6, totp_lock, "invalid_code", "factor_locked"),
    "backup-code/free": Behaviour(3, backup_code_free, 5, 3),
    "backup-code/delay": Behaviour("PT10S", backup_code_delays, [30, 60, 120], [10, 20, 40]),
    "backup-code/factor": Behaviour(3, backup_code_delays, [30, 60, 120], [30, 90, 270]),
    "backup-code/max-delay": Behaviour("PT40S", backup_code_delays, [30, 60, 120], [30, 40, 40]),
    "password/free": Behaviour(3, password_free, 10, 3),
    "password/delay": Behaviour(
        "PT45S", password_delays, [30, 60, 120, 240, 480, 900], [45, 90, 180, 360, 720, 900]
    ),
    "password/factor": Behaviour(
        3, password_delays, [30, 60, 120, 240, 480, 900], [30, 90, 270, 810, 900, 900]
    ),
    "password/max-delay": Behaviour(
        "PT2M", password_delays, [30, 60, 120, 240, 480, 900], [30, 60, 120, 120, 120, 120]
    ),
    "password/account-free": Behaviour(4, account_free, "invalid_credentials", "too_many_attempts"),
    "password/known-address-max-delay": Behaviour("PT5S", known_address, [30, 30, 30], [5, 5, 5]),
    "enrolment/max-wrong": Behaviour(2, wrong_enrolment_codes, 5, 2),
    "challenge/max-wrong": Behaviour(2, wrong_codes_of_a_challenge, 5, 2),
    "challenge/max-open": Behaviour(2, open_challenges, 200, (401, "invalid_challenge")),
    "flood/rate": Behaviour(25, flood_limit, FLOOD, '"address";q=500;w=20', limited=True),
    "flood/per": Behaviour("PT2S", flood_limit, FLOOD, '"address";q=500;w=20', limited=True),
    "flood/burst": Behaviour(100, flood_limit, FLOOD, '"address";q=100;w=2', limited=True),
    "costly/rate": Behaviour(10, account_limit, COSTLY, '"user";q=100;w=10', limited=True),
    "costly/per": Behaviour("PT2S", account_limit, COSTLY, '"user";q=100;w=40', limited=True),
    "costly/burst": Behaviour(10, account_limit, COSTLY, '"user";q=10;w=2', limited=True),
    "registrations/rate": Behaviour(
        50, registration_limit, REGISTRATIONS, '"operation";q=1000;w=20', limited=True
    ),
    "registrations/per": Behaviour(
        "PT2S", registration_limit, REGISTRATIONS, '"operation";q=1000;w=20', limited=True
    ),
    "registrations/burst": Behaviour(
        100, registration_limit, REGISTRATIONS, '"operation";q=100;w=1', limited=True
    ),
}
_REGENERATE = Behaviour("aal1", told_to_step_up, (True, True), (True, False))
_PASSWORDS = 3 * [REFUSED_PASSWORD]
_SCHEMAS = {
    "auth.yaml#/AccessToken/x-ttl": Behaviour("PT2M", access_token, (600, 200), (120, ENDED)),
    "auth.yaml#/RefreshToken/x-ttl": Behaviour("PT30M", refresh_token, 200, ENDED),
    "auth.yaml#/Session/x-ttl": Behaviour("PT1H", session, 200, ENDED),
    "auth.yaml#/LoginChallenge/x-ttl": Behaviour(
        "PT1M", challenge, (300, 200), (60, (401, "invalid_challenge"))
    ),
    "auth.yaml#/NewPassword/x-password-policy/refuse/0": Behaviour(
        REMOVED, weak_passwords, _PASSWORDS, [200, *_PASSWORDS[1:]]
    ),
    "auth.yaml#/NewPassword/x-password-policy/refuse/1": Behaviour(
        REMOVED, weak_passwords, _PASSWORDS, [REFUSED_PASSWORD, 200, REFUSED_PASSWORD]
    ),
    "auth.yaml#/NewPassword/x-password-policy/words/0": Behaviour(
        "another", weak_passwords, _PASSWORDS, [*_PASSWORDS[1:], 200]
    ),
    "auth.yaml#/SessionList/properties/sessions/maxItems": Behaviour(1, live_sessions, 200, 401),
    "mfa.yaml#/BackupCode/pattern": Behaviour(
        PATTERN_OF_FIVES, shape_of_backup_codes, "4-4-4-4", "5-5-5-5"
    ),
    "mfa.yaml#/BackupCodesLow/x-low-threshold": Behaviour(5, low_from, 3, 5),
    "mfa.yaml#/BackupCodeList/properties/codes/minItems": Behaviour(
        9, regenerated, (10, 10), (9, 9)
    ),
    "mfa.yaml#/MFASetupResponse/properties/backup_codes/minItems": Behaviour(
        9, enrolled_codes, (10, 10), (9, 9)
    ),
    "mfa.yaml#/MFASetupResponse/x-ttl": Behaviour(
        "PT1M", enrolment, (600, 200), (60, (409, "no_pending_enrollment"))
    ),
    "mfa.yaml#/MFASetupResponse/x-totp/algorithm": Behaviour(
        "SHA256", shown("algorithm"), "SHA1", "SHA256"
    ),
    "mfa.yaml#/MFASetupResponse/x-totp/digits": Behaviour(
        *(8, digits, (6, 6, True), (8, 8, True)),
        companions={
            f"{CODE}/minLength": 8,
            f"{CODE}/maxLength": 8,
            f"{CODE}/pattern": "^[0-9]{8}$",
        },
    ),
    "mfa.yaml#/MFASetupResponse/x-totp/period": Behaviour(60, shown("period"), 30, 60),
    "mfa.yaml#/MFASetupResponse/x-totp/window": Behaviour(0, window, 200, 401),
    "mfa.yaml#/MFASetupResponse/x-totp/secret-bytes": Behaviour(32, secret_length, 32, 52),
}
_OTHER = "Other words"
_WORDINGS = {
    "overloaded": Behaviour(
        _OTHER, turned_away, "Too many requests are waiting; try again", _OTHER
    ),
    "silent_flood_store": Behaviour(
        *(_OTHER, silent_store, "The store of the flood limit does not answer", _OTHER),
        settings={"redis_url": "redis://127.0.0.1:1/0"},
    ),
    "unfit_key": Behaviour(
        *(_OTHER, lost_key),
        *("A key is missing or wrong; the log of the server names it", _OTHER),
    ),
}
_SAID = "components/responses.yaml#/Unavailable/content/application~1json/examples"
OF_PLACES: Mapping[str, Behaviour] = MappingProxyType(
    {f"{_SAID}/{name}/value/message": found for name, found in _WORDINGS.items()}
    | {f"components/policies.yaml#/{place}": found for place, found in _POLICIES.items()}
    | {f"schemas/{place}": found for place, found in _SCHEMAS.items()}
    | {"paths/mfa.yaml#/regenerateBackupCodes/post/x-assurance/level": _REGENERATE}
)
"""Of single places."""


def _of_defaults(operation: str, _value: Value) -> Behaviour:
    name = "users" if operation == "listUsers" else "events"
    return Behaviour(1, page(operation, name), True, False)


def _of_audit(operation: str, value: Value) -> Behaviour:
    return Behaviour("another.event", event(operation), value.value, "another.event")


def _of_role(operation: str, _value: Value) -> Behaviour:
    return Behaviour(REMOVED, is_forbidden(operation), True, False)


def _of_level(operation: str, value: Value) -> Behaviour:
    new, refused = {"aal2": ("aal1", True), "highest": ("aal2", False)}[value.value]
    return Behaviour(new, without_factor(operation), refused, not refused)


def _of_age(operation: str, _value: Value) -> Behaviour:
    return Behaviour("PT2M", stale(operation), 200, REFUSED)


def _of_rate_limit(operation: str, _value: Value) -> Behaviour:
    return Behaviour({"rate": 1, "per": "PT1H", "burst": 1}, twice(operation), False, True)


def _of_attempts(operation: str, value: Value) -> Behaviour:
    new, observe, before, after = _GUESSED[operation, value.path[-1]]
    return Behaviour(new, observe, before, after)


_GUESSED: Mapping[tuple[str, str], tuple[Any, Observe, int, int]] = MappingProxyType(
    {
        ("login", "password"): (GUESSES, password_free, 10, 1),
        ("login", "totp"): (GUESSES | {"lock-after": 50}, totp_free, 5, 1),
        ("login", "backup-code"): (GUESSES, backup_code_free, 5, 1),
        ("login", "challenge"): (
            {"max-wrong": 1, "max-open": 5},
            *(wrong_codes_of_a_challenge, 5, 1),
        ),
        ("changePassword", "password"): (
            GUESSES,
            *(wrong_at("changePassword", "current_password", "not the one"), 10, 1),
        ),
        ("disableMFA", "password"): (
            GUESSES,
            *(wrong_at("disableMFA", "password", "not the one"), 10, 1),
        ),
        ("disableMFA", "totp"): (
            GUESSES | {"lock-after": 50},
            *(wrong_at("disableMFA", "code", "000000"), 5, 1),
        ),
        ("disableMFA", "backup-code"): (GUESSES, wrong_at("disableMFA", "code", NO_CODE), 5, 1),
        ("verifyBackupCode", "backup-code"): (
            GUESSES,
            *(wrong_at("verifyBackupCode", "code", NO_CODE), 5, 1),
        ),
        ("verifyMFA", "enrolment"): ({"max-wrong": 1}, wrong_enrolment_codes, 5, 1),
    }
)


def _of_feature(operation: str, value: Value) -> Behaviour:
    """Another feature's setting switches it off."""
    other = FEATURES[value.value]
    return Behaviour(other, served(operation), True, False, settings={"features_off": (other,)})


def _of_since(operation: str, _value: Value) -> Behaviour:
    before, after = "@1767225600", "@1769904000"
    observe = told(operation, "Deprecation")
    return Behaviour("2026-02-01T00:00:00Z", observe, (410, before), (410, after))


def _of_until(operation: str, _value: Value) -> Behaviour:
    before, after = "Sun, 01 Nov 2026 00:00:00 GMT", "Fri, 01 Nov 2030 00:00:00 GMT"
    return Behaviour("2030-11-01T00:00:00Z", told(operation, "Sunset"), (410, before), (200, after))


def _of_successor(operation: str, _value: Value) -> Behaviour:
    before, after = ('</auth/session>; rel="successor-version"', '</next>; rel="successor-version"')
    return Behaviour("/next", told(operation, "Link"), (410, before), (410, after))


OF_OPERATIONS: Mapping[str, Callable[[str, Value], Behaviour]] = MappingProxyType(
    {
        "default": _of_defaults,
        "x-audit": _of_audit,
        "x-role": _of_role,
        "x-assurance/level": _of_level,
        "x-assurance/max-age": _of_age,
        **{f"x-rate-limit/{name}": _of_rate_limit for name in ("address", "user", "operation")},
        **{
            f"x-attempts/{name}": _of_attempts
            for name in ("password", "totp", "backup-code", "enrolment", "challenge")
        },
        "x-feature": _of_feature,
        "x-sunset/since": _of_since,
        "x-sunset/until": _of_until,
        "x-sunset/successor": _of_successor,
    }
)
"""Of what any operation can carry, by the end of the place."""


def behaviour(value: Value) -> Behaviour | None:
    """What a value of an extension decides; None where nobody has said."""
    if value.place in OF_PLACES:
        return OF_PLACES[value.place]
    for length in (1, 2):
        make = OF_OPERATIONS.get("/".join(value.path[-length:]))
        if make is not None and len(value.uses) == 1:
            return make(value.uses[0].operation, value)
    return None
