"""An edit of one value in the YAML is an edit of the behaviour; a slip is told where it was made."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.app import create_app
from contract.diagnostics import SpecError
from server import spec
from tests.contract.notes import copy, plant
from tests.support.accounts import Account, ok
from tests.support.api import Reply
from tests.support.authenticator import Authenticator
from tests.support.servers import ROOT
from tests.support.world import World, world_in

SHIPPED = ROOT / "spec"
AUTH, MFA = "schemas/auth.yaml", "schemas/mfa.yaml"
POLICIES = "components/policies.yaml"

Observe = Callable[[World], Any]


@dataclass(frozen=True)
class Edit:
    """One place in one file of the spec, as text."""

    file: str
    old: str
    new: str


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The control: the spec as it is."""
    return world_in(tmp_path_factory.mktemp("shipped"), spec=SHIPPED / "openapi.yaml")


def edited(folder: Path, *edits: Edit) -> World:
    """An application started on a copy of the spec with the edits made."""
    files = copy(folder, SHIPPED)
    for edit in edits:
        plant(files, edit.file, edit.old, edit.new)
    return world_in(folder, spec=files / "openapi.yaml")


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


def set_up_after_two_minutes(world: World) -> Any:
    account = user(world)
    return after(world, 121, lambda: account.post("/mfa/setup"))


def regenerate_after_two_minutes(world: World) -> Any:
    account = member(world)
    return after(world, 121, lambda: account.post("/mfa/backup-codes/regenerate"))


def change_after_two_minutes(world: World) -> Any:
    account = user(world)
    body = {"current_password": account.password, "new_password": f"{account.password} too"}
    return after(world, 121, lambda: account.post("/auth/password", json=body))


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


# -- the edits -------------------------------------------------------------------------------

SET = "      type: array\n      minItems: {0}\n      maxItems: {0}\n"
PATTERN = "^[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){3}$"
OTHER_PATTERN = "^[A-HJKMNP-TV-Z]{5}(?:-[A-HJKMNP-TV-Z]{5}){3}$"
REFUSED = (401, "insufficient_user_authentication")
ENDED = (401, "invalid_token")
REFUSED_PASSWORD = "password_refused"


def assurance(operation: str, level: str, age: str) -> str:
    security = "    security:\n      - bearerAuth: []\n"
    value = f"    x-assurance: {{level: {level}, max-age: {age}}}\n"
    return f"    operationId: {operation}\n{security}{value}"


def ttl(file: str, before: str, old: str, new: str) -> Edit:
    return Edit(file, f"{before}  x-ttl: {old}", f"{before}  x-ttl: {new}")


def policy(name: str, old: str, new: str) -> Edit:
    """A member of one line of the policies."""
    lines = (SHIPPED / POLICIES).read_text("utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    assert old in line
    return Edit(POLICIES, line, line.replace(old, new))


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
        for number in range(3)
        for _ in range(490)
    )
    return next(r for r in replies if r.status == 429).headers["RateLimit-Policy"]


def newest_event(world: World) -> str:
    events = ok(user(world).get("/auth/events")).data["events"]
    return str(events[0]["event"])


def list_of_users(world: World) -> int:
    """What a user with two factors, and no role, is told."""
    return member(world).get("/admin/users").status


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


LISTED = """    operationId: listUsers
    security:
      - bearerAuth: []
{}    x-assurance"""

EDITS: dict[str, tuple[Edit, Observe, Any, Any]] = {
    "items of codes": (
        Edit(MFA, "Shown this once.\n" + SET.format(10), "Shown this once.\n" + SET.format(12)),
        *(regenerated, (10, 10), (12, 12)),
    ),
    "items of backup_codes": (
        Edit(MFA, "is proven.\n" + SET.format(10), "is proven.\n" + SET.format(7)),
        *(enrolled_codes, (10, 10), (7, 7)),
    ),
    "pattern of a backup code": (
        Edit(MFA, PATTERN, OTHER_PATTERN),
        *(shape_of_backup_codes, "4-4-4-4", "5-5-5-5"),
    ),
    "x-ttl of access tokens": (
        ttl(AUTH, "ends at once with its session.\n", "PT10M", "PT2M"),
        *(access_token, (600, 200), (120, ENDED)),
    ),
    "x-ttl of refresh tokens": (
        ttl(AUTH, "used twice ends its session.\n", "PT1H", "PT30M"),
        *(refresh_token, 200, ENDED),
    ),
    "x-ttl of sessions": (
        Edit(AUTH, "  x-ttl: PT24H", "  x-ttl: PT1H"),
        *(session, 200, ENDED),
    ),
    "x-ttl of challenges": (
        Edit(AUTH, "  x-ttl: PT5M", "  x-ttl: PT1M"),
        *(challenge, (300, 200), (60, (401, "invalid_challenge"))),
    ),
    "x-ttl of enrolments": (
        Edit(MFA, "  x-ttl: PT10M", "  x-ttl: PT1M"),
        *(enrolment, (600, 200), (60, (409, "no_pending_enrollment"))),
    ),
    "x-assurance of setupMFA": (
        Edit(
            "paths/mfa.yaml",
            assurance("setupMFA", "highest", "PT10M"),
            assurance("setupMFA", "highest", "PT2M"),
        ),
        *(set_up_after_two_minutes, 200, REFUSED),
    ),
    "x-assurance of regenerateBackupCodes": (
        Edit(
            "paths/mfa.yaml",
            assurance("regenerateBackupCodes", "aal2", "PT10M"),
            assurance("regenerateBackupCodes", "aal2", "PT2M"),
        ),
        *(regenerate_after_two_minutes, 200, REFUSED),
    ),
    "x-assurance of changePassword": (
        Edit("paths/auth.yaml", "max-age: PT10M", "max-age: PT2M"),
        *(change_after_two_minutes, 200, REFUSED),
    ),
    "level of setupMFA": (
        Edit(
            "paths/mfa.yaml",
            assurance("setupMFA", "highest", "PT10M"),
            assurance("setupMFA", "aal2", "PT10M"),
        ),
        *(set_up_after_two_minutes, 200, REFUSED),
    ),
    "totp free": (policy("totp", "free: 5", "free: 2"), totp_free, 5, 2),
    "totp delay": (
        policy("totp", "delay: PT30S", "delay: PT45S"),
        *(totp_delays, [30, 60, 120], [45, 90, 180]),
    ),
    "totp factor": (
        policy("totp", "factor: 2", "factor: 3"),
        *(totp_delays, [30, 60, 120], [30, 90, 270]),
    ),
    "totp max-delay": (
        policy("totp", "max-delay: PT1H", "max-delay: PT40S"),
        *(totp_delays, [30, 60, 120], [30, 40, 40]),
    ),
    "totp lock-after": (
        policy("totp", "lock-after: 50", "lock-after: 6"),
        *(totp_lock, "invalid_code", "factor_locked"),
    ),
    "backup-code free": (policy("backup-code", "free: 5", "free: 3"), backup_code_free, 5, 3),
    "backup-code delay": (
        policy("backup-code", "delay: PT30S", "delay: PT10S"),
        *(backup_code_delays, [30, 60, 120], [10, 20, 40]),
    ),
    "password free": (policy("password", " {free: 10", " {free: 3"), password_free, 10, 3),
    "password max-delay": (
        policy("password", " max-delay: PT15M", " max-delay: PT2M"),
        *(password_delays, [30, 60, 120, 240, 480, 900], [30, 60, 120, 120, 120, 120]),
    ),
    "password account-free": (
        policy("password", "account-free: 100", "account-free: 4"),
        *(account_free, "invalid_credentials", "too_many_attempts"),
    ),
    "password known-address-max-delay": (
        policy("password", "address-max-delay: PT30S", "address-max-delay: PT5S"),
        *(known_address, [30, 30, 30], [5, 5, 5]),
    ),
    "enrolment max-wrong": (
        policy("enrolment", "max-wrong: 5", "max-wrong: 2"),
        *(wrong_enrolment_codes, 5, 2),
    ),
    "challenge max-wrong": (
        policy("challenge", "max-wrong: 5", "max-wrong: 2"),
        *(wrong_codes_of_a_challenge, 5, 2),
    ),
    "challenge max-open": (
        policy("challenge", "max-open: 5", "max-open: 2"),
        *(open_challenges, 200, (401, "invalid_challenge")),
    ),
    "flood rate": (
        policy("flood", "rate: 50", "rate: 25"),
        *(flood_limit, '"address";q=500;w=10', '"address";q=500;w=20'),
    ),
    "flood per": (
        policy("flood", "per: PT1S", "per: PT2S"),
        *(flood_limit, '"address";q=500;w=10', '"address";q=500;w=20'),
    ),
    "flood burst": (
        policy("flood", "burst: 500", "burst: 100"),
        *(flood_limit, '"address";q=500;w=10', '"address";q=100;w=2'),
    ),
    "costly rate": (
        policy("costly", "rate: 5", "rate: 10"),
        *(account_limit, '"user";q=100;w=20', '"user";q=100;w=10'),
    ),
    "costly burst": (
        policy("costly", "burst: 100", "burst: 10"),
        *(account_limit, '"user";q=100;w=20', '"user";q=10;w=2'),
    ),
    "registrations burst": (
        policy("registrations", "burst: 1000", "burst: 100"),
        *(registration_limit, '"operation";q=1000;w=10', '"operation";q=100;w=1'),
    ),
    "audit event of login": (
        Edit("paths/auth.yaml", "x-audit: session.opened", "x-audit: session.begun"),
        *(newest_event, "session.opened", "session.begun"),
    ),
    "x-password-policy without common": (
        Edit(AUTH, "refuse: [common, username]", "refuse: [username]"),
        *(weak_passwords, 3 * [REFUSED_PASSWORD]),
        [200, REFUSED_PASSWORD, REFUSED_PASSWORD],
    ),
    "x-password-policy without username": (
        Edit(AUTH, "refuse: [common, username]", "refuse: [common]"),
        *(weak_passwords, 3 * [REFUSED_PASSWORD]),
        [REFUSED_PASSWORD, 200, REFUSED_PASSWORD],
    ),
    "words of x-password-policy": (
        Edit(AUTH, ", words: [countersign]", ""),
        *(weak_passwords, 3 * [REFUSED_PASSWORD]),
        [REFUSED_PASSWORD, REFUSED_PASSWORD, 200],
    ),
    "x-password-policy that refuses nothing": (
        Edit(AUTH, "{refuse: [common, username], words: [countersign]}", "{refuse: []}"),
        *(weak_passwords, 3 * [REFUSED_PASSWORD]),
        [200, 200, 200],
    ),
    "x-low-threshold": (Edit(MFA, "x-low-threshold: 3", "x-low-threshold: 5"), low_from, 3, 5),
    "role of listUsers": (
        Edit("paths/admin.yaml", LISTED.format("    x-role: admin\n"), LISTED.format("")),
        *(list_of_users, 403, 200),
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_of_one_value_is_an_edit_of_the_behaviour(
    shipped: World, tmp_path: Path, name: str
) -> None:
    edit, observe, before, behaviour = EDITS[name]
    assert observe(shipped) == before
    assert observe(edited(tmp_path, edit)) == behaviour


EIGHT_DIGITS = (
    Edit(MFA, "{algorithm: SHA1, digits: 6,", "{algorithm: SHA1, digits: 8,"),
    Edit(
        MFA,
        '      minLength: 6\n      maxLength: 6\n      pattern: "^[0-9]{6}$"\n',
        '      minLength: 8\n      maxLength: 8\n      pattern: "^[0-9]{8}$"\n',
    ),
)


def test_codes_of_eight_digits_are_an_edit_of_the_digits_and_the_pattern(
    shipped: World, tmp_path: Path
) -> None:
    assert digits(shipped) == (6, 6, True)
    assert digits(edited(tmp_path, *EIGHT_DIGITS)) == (8, 8, True)


def test_a_factor_keeps_the_digits_that_it_was_enrolled_with(tmp_path: Path) -> None:
    """The phone cannot be told; a change of the spec must not lock its owner out."""
    before = world_in(tmp_path)
    account = before.account().sign_in().enrol()
    files = copy(tmp_path, SHIPPED)
    for edit in EIGHT_DIGITS:
        plant(files, edit.file, edit.old, edit.new)
    changed = before.settings.model_copy(update={"spec": files / "openapi.yaml"})
    account.api = World(changed, before.clock).api
    assert len(account.code()) == 6
    before.clock.advance(minutes=1)
    account.sign_in().step_up()
    account.enrol().sign_in()
    assert len(account.code()) == 8


CONTRADICTIONS = {
    "backup codes of 60 bits": (
        MFA,
        PATTERN,
        "^[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){2}$",
    ),
    "backup codes like TOTP codes": (MFA, PATTERN, "^[0-9]{8}$"),
    "a set larger than its maximum": (
        *(MFA, "Shown this once.\n" + SET.format(10)),
        "Shown this once.\n      type: array\n      minItems: 11\n      maxItems: 10\n",
    ),
    "eight digits where the pattern takes six": (MFA, EIGHT_DIGITS[0].old, EIGHT_DIGITS[0].new),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_an_edit_that_cannot_be_kept_to_refuses_to_start(tmp_path: Path, name: str) -> None:
    files = copy(tmp_path, SHIPPED)
    plant(files, *CONTRADICTIONS[name])
    with pytest.raises(SpecError) as refusal:
        start(files)
    assert str(refusal.value).startswith("spec/schemas/mfa.yaml:")


# -- slips -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spot:
    """A word of a file, by the place of its first letter and of the one after its last."""

    file: str
    start: int
    end: int


def spots() -> list[Spot]:
    """Words that leave no letter to choice: keys, references, operationIds, values of ``x-``."""
    found: list[Spot] = []
    for path in sorted(p for p in SHIPPED.rglob("*.yaml") if p.parent.name != "workflows"):
        file = str(path.relative_to(SHIPPED))
        node = yaml.compose(path.read_text("utf-8"))
        found += (Spot(file, *span) for span in _words(node, file, (), file == POLICIES))
    return found


def _words(node: yaml.Node, file: str, path: tuple[str, ...], x: bool) -> Iterator[tuple[int, int]]:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _words(item, file, path, x)
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        inside = x or key.value.startswith("x-")
        told = inside or key.value in ("$ref", "operationId")
        if told and isinstance(value, yaml.ScalarNode):
            yield _span(value)
        if path and file.startswith("paths/") and _is_told(path):
            yield _span(key)
        yield from _words(value, file, (*path, key.value), inside)


def _is_told(path: tuple[str, ...]) -> bool:
    """Whether a key below this path is one of OpenAPI's or ours, not a name of the author's own."""
    return not {"examples", "example", "value", "links", "headers"} & set(path)


def _span(node: yaml.Node) -> tuple[int, int]:
    quoted = 1 if node.style else 0
    return node.start_mark.index + quoted, node.end_mark.index - quoted


def slips(number: int) -> Iterator[tuple[str, int, int, str]]:
    """File, line, place and letter of changes of one character."""
    chance = random.Random(20261124)
    for spot in chance.sample(spots(), number):
        text = (SHIPPED / spot.file).read_text("utf-8")
        at = chance.randrange(spot.start, spot.end)
        letter = chance.choice([c for c in "qzQZ" if c != text[at]])
        yield spot.file, text.count("\n", 0, at) + 1, at, letter


def start(files: Path) -> None:
    """What ``serve`` does with a spec before it listens."""
    reading = spec.read(files / "openapi.yaml")
    create_app(
        reading.contract,
        registry=reading.registry,
        handlers=spec.HANDLERS,
        services=None,
        authenticate=lambda _request, _operation: None,
        refusals=(),
        context=dict.fromkeys(spec.CONTEXT, lambda _request: None),
    )


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy(tmp_path_factory.mktemp("spoilt"), SHIPPED)


@pytest.mark.parametrize(("file", "line", "at", "letter"), list(slips(40)))
def test_a_slip_of_one_letter_is_told_at_its_line(
    spoilt: Path, file: str, line: int, at: int, letter: str
) -> None:
    text = (SHIPPED / file).read_text("utf-8")
    (spoilt / file).write_text(text[:at] + letter + text[at + 1 :], "utf-8")
    try:
        with pytest.raises(SpecError) as refusal:
            start(spoilt)
    finally:
        shutil.copy(SHIPPED / file, spoilt / file)
    first = str(refusal.value).splitlines()[0]
    assert first.startswith(f"spec/{file}:{line}:"), first
    assert ": error: " in first


def test_the_untouched_copy_starts(spoilt: Path) -> None:
    """The control of every slip."""
    start(spoilt)


def test_a_root_reply_that_leads_nowhere_is_told_by_itself(spoilt: Path) -> None:
    """The component that it stands for has the same name, which is then nobody's fault."""
    planted = Edit("openapi.yaml", 'responses.yaml#/NotFound"', 'response.yaml#/NotFound"')
    plant(spoilt, planted.file, planted.old, planted.new)
    before = (spoilt / planted.file).read_text(encoding="utf-8").partition(planted.new)[0]
    number = before.count("\n") + 1
    try:
        with pytest.raises(SpecError) as refusal:
            start(spoilt)
    finally:
        shutil.copy(SHIPPED / planted.file, spoilt / planted.file)
    (line,) = (d for d in str(refusal.value).splitlines() if ": error: " in d)
    root = (SHIPPED / planted.file).read_text("utf-8")
    number = root.count("\n", 0, root.index(planted.old)) + 1
    assert line.startswith(f"spec/openapi.yaml:{number}:")
