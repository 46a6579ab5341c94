"""An edit that the server could not keep to is told at start, and not to the first caller."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from contract.diagnostics import SpecError
from domain import errors
from domain.errors import Refusal
from server import bodies, samples
from server.rehearsal import rehearse, replies, samples_of
from server.spec import Reading, read
from tests.support.servers import ROOT
from tests.support.world import World

AUTH, MFA, COMMON = "schemas/auth.yaml", "schemas/mfa.yaml", "schemas/common.yaml"
RESPONSES, HEADERS = "components/responses.yaml", "components/headers.yaml"
AUDIT = "schemas/audit.yaml"
AUTH_PATHS, MFA_PATHS = "paths/auth.yaml", "paths/mfa.yaml"

Edits = list[tuple[str, str, str]]


@pytest.fixture(scope="module")
def shipped() -> Reading:
    return read(ROOT / "spec" / "openapi.yaml")


def refused(folder: Path, edits: Edits) -> list[str]:
    """The errors after edits of a copy of the spec, each made wherever its text stands."""
    spec = Path(shutil.copytree(ROOT / "spec", folder / "spec"))
    # A workflow that rests on what an edit takes away is told before anything is rehearsed.
    shutil.rmtree(spec / "workflows")
    for file, old, new in edits:
        text = (spec / file).read_text("utf-8")
        assert old in text, old
        (spec / file).write_text(text.replace(old, new), "utf-8")
    with pytest.raises(SpecError) as raised:
        read(spec / "openapi.yaml")
    return [line for line in str(raised.value).splitlines() if ": error: " in line]


def place(folder: Path, file: str, context: str) -> str:
    """`file:line:column` of the last line of a text that stands in the edited copy."""
    text = (folder / "spec" / file).read_text("utf-8")
    assert text.count(context) == 1, context
    before = text[: text.index(context) + len(context)]
    line = before.rpartition("\n")[2]
    indent = len(line) - len(line.lstrip())
    return f"spec/{file}:{before.count(chr(10)) + 1}:{indent + 1}: error: "


def declared(status: str, component: str) -> str:
    """The declaration of one response, as it stands in the paths."""
    return f'      "{status}":\n        $ref: "../components/responses.yaml#/{component}"\n'


OPAQUE = "  minLength: 43\n  maxLength: 43\n"
REFRESH = "  x-ttl: PT1H\n  type: string\n"
SIXTY_FOUR = REFRESH + "  minLength: 64\n  maxLength: 64\n"
PATTERN_43, PATTERN_64 = (
    '"^[A-Za-z0-9_-]{43}$"\n  example: Zk',
    '"^[A-Za-z0-9_-]{64}$"\n  example: Zk',
)
SECONDS = "Seconds until the access token expires.\n      type: integer\n      minimum: 0\n"
AGENT = "where it did not say.\n      type: string\n"
OK = "  required: [success, message]\n  properties:\n    success:\n      type: boolean\n      example: true"
HEALTH = "  required: [status]\n  properties:\n"
SINCE = "  required: [status, since]\n  properties:\n    since: {type: integer, example: 1}\n"
NULLABLE = "or null where there is none.\n  type: string\n  format: date-time\n"
SESSIONS = "    sessions:\n      type: array\n"
VERIFY = "MFAVerifyRequest:\n  type: object\n  additionalProperties: false\n"
TEXT = "      description: The authenticator's current code.\n      type: string\n"
LOGIN = "PasswordLogin:\n  type: object\n  additionalProperties: false\n"
AS_BEFORE = "  required: [username, password]\n  properties:\n"
CHALLENGE_ID = '    challenge_id:\n      $ref: "auth.yaml#/ChallengeID"\n'
REGISTERED = "RegisteredUser:\n  type: object\n  required: [user_id, username]\n  properties:\n"
USER_ID = '    user_id:\n      $ref: "common.yaml#/Identifier"\n'
NAME, SHORT = (
    '    username:\n      $ref: "auth.yaml#/Username"\n',
    "    username:\n      type: string\n",
)
TOO_SHORT = SHORT + "      maxLength: 32\n      example: ann\n"

LIMIT = """          type: integer
          minimum: 1
          maximum: 100
          default: 20
"""
EVENTS = """
EventList:
  type: object
  required: [events, next_cursor]
  properties:
    events:
      description: The newest first.
      type: array
"""
PAGES = """    operationId: listEvents
    security:
      - bearerAuth: []
    parameters:"""

PLANTED: dict[str, tuple[Edits, tuple[str, str], str]] = {
    "a property renamed, in one place": (
        [
            (MFA, "    - backup_codes_total\n", "    - backup_codes_all\n"),
            (MFA, "    backup_codes_total:\n", "    backup_codes_all:\n"),
        ],
        (MFA, "MFAStatusResponse:\n  type: object\n  required:"),
        'getMFAStatus answers 200, but "/data" lacks "backup_codes_all"',
    ),
    "a property taken away": (
        [
            (MFA, "    - backup_codes_total\n", ""),
            (MFA, "    backup_codes_total:\n", "    another:\n"),
        ],
        (MFA, "    - backup_codes_low\n  properties:"),
        'getMFAStatus answers 200, but "/data/backup_codes_total" is not declared',
    ),
    "a new required property": (
        [(COMMON, HEALTH, SINCE)],
        (COMMON, "Health:\n  type: object\n  required:"),
        'getLiveness answers 200, but "/data" lacks "since"',
    ),
    "nullable taken away": (
        [(COMMON, NULLABLE + "  nullable: true\n", NULLABLE)],
        (COMMON, "or null where there is none.\n  type:"),
        'getMFAStatus answers 200, but "/data/enabled_at" must be string',
    ),
    "a length that no token has": (
        [(AUTH, REFRESH + OPAQUE, SIXTY_FOUR), (AUTH, PATTERN_43, PATTERN_64)],
        (AUTH, REFRESH + "  minLength:"),
        '"/data/refresh_token" is shorter than 64',
    ),
    "an error code off the list": (
        [(COMMON, "        - invalid_challenge\n", "")],
        (COMMON, "The list is closed.\n      type: string\n      enum:"),
        'login answers 401 invalid_challenge, but "/error/code" can be "invalid_challenge", which',
    ),
    "the code of a wrong method off the list": (
        [(COMMON, "        - method_not_allowed\n", "")],
        (COMMON, "The list is closed.\n      type: string\n      enum:"),
        "a method that a path lacks answers 405 method_not_allowed, but",
    ),
    "a conflict no longer declared": (
        [(AUTH_PATHS, declared("409", "Conflict"), "")],
        (
            AUTH_PATHS,
            "    operationId: createChallenge\n    security:\n      - bearerAuth: []\n    responses:",
        ),
        "createChallenge answers 409 mfa_not_enabled, but the spec declares no such status",
    ),
    "an outage no longer declared": (
        [(MFA_PATHS, declared("503", "Unavailable"), "")],
        (
            MFA_PATHS,
            "    operationId: getMFAStatus\n    security:\n      - bearerAuth: []\n    responses:",
        ),
        "getMFAStatus answers 503 unavailable, but the spec declares no such status",
    ),
    "a value of one of two forms that have it both": (
        [(COMMON, "      enum: [ES256]\n", "      enum: [ES384]\n")],
        (COMMON, "    alg:\n      type: string\n      enum: [ES384]"),
        'getJWKS answers 200, but "/keys/*/alg" can be "ES256", which is not listed',
    ),
    "a maximum below the lifetime": (
        [(AUTH, SECONDS, SECONDS + "      maximum: 300\n")],
        (AUTH, SECONDS + "      maximum:"),
        '"/data/expires_in" is above 300',
    ),
    "fewer methods": (
        [(AUTH, "enum: [totp, backup_code]", "enum: [totp]")],
        (AUTH, "        enum: [totp]"),
        '"/data/methods/*" can be "backup_code", which is not listed',
    ),
    "fewer levels": (
        [(AUTH, "enum: [aal1, aal2]", "enum: [aal2]")],
        (AUTH, "  enum: [aal2]"),
        '"/data/sessions/*/acr" can be "aal1", which is not listed',
    ),
    "fewer ways to sign in": (
        [(AUTH, "enum: [pwd, otp, mfa]", "enum: [pwd, mfa]")],
        (AUTH, "        enum: [pwd, mfa]"),
        'getSession answers 200, but "/data/amr/*" can be "otp", which is not listed',
    ),
    "one session at least": (
        [(AUTH, SESSIONS, SESSIONS + "      minItems: 1\n")],
        (AUTH, SESSIONS + "      minItems:"),
        '"/data/sessions" has fewer than 1 items',
    ),
    "a user agent cut short": (
        [(AUTH, AGENT, AGENT + "      maxLength: 255\n")],
        (AUTH, AGENT + "      maxLength:"),
        '"/data/sessions/*/user_agent" is longer than 255',
    ),
    "a user agent that is never empty": (
        [(AUTH, AGENT, AGENT + "      minLength: 1\n")],
        (AUTH, AGENT + "      minLength:"),
        '"/data/sessions/*/user_agent" is shorter than 1',
    ),
    "the envelope renamed": (
        [(COMMON, OK, OK.replace("success", "ok"))],
        (COMMON, "sends none.\n  type: object\n  required:"),
        'the body lacks "ok"',
    ),
    "a hint no longer declared": (
        [(RESPONSES, '    Retry-After:\n      $ref: "headers.yaml#/RetryHint"\n', "")],
        (
            RESPONSES,
            "Unavailable:\n  description: A service that this one needs does not answer; nothing was granted\n  headers:",
        ),
        '503 unavailable (and 23 more replies), but the header "retry-after" is not declared',
    ),
    "a wait longer than the maximum": (
        [(HEADERS, "    minimum: 0\n  example: 30", "    maximum: 60\n  example: 30")],
        (HEADERS, "    maximum:"),
        'but the header "Retry-After" breaks maximum',
    ),
    "a challenge without parameters": (
        [(HEADERS, '"^Bearer(?: .+)?$"', '"^Bearer$"')],
        (HEADERS, '    pattern: "^Bearer$"'),
        'but the header "WWW-Authenticate" breaks pattern',
    ),
    "letters that no secret keeps to": (
        [(MFA, 'pattern: "^[A-Z2-7]+$"', 'pattern: "^[A-Z]+$"')],
        (MFA, '      pattern: "^[A-Z]+$"'),
        'setupMFA answers 200, but "/data/secret" does not match the pattern',
    ),
    "a username that can be registered and not answered": (
        [(AUTH, REGISTERED + USER_ID + NAME, REGISTERED + USER_ID + TOO_SHORT)],
        (AUTH, SHORT + "      maxLength:"),
        'registerUser answers 201, but "/data/username" is longer than 32',
    ),
    "a username that no QR code holds": (
        [(AUTH, "  maxLength: 64\n", "  maxLength: 400\n")],
        (MFA_PATHS, "    operationId: setupMFA"),
        "setupMFA cannot always answer: ",
    ),
    "a code that need not be sent": (
        [(MFA, VERIFY + "  required: [code]\n", VERIFY)],
        (MFA, "MFAVerifyRequest:"),
        'verifyMFA reads "code": it has to be required',
    ),
    "a code that can be null": (
        [(MFA, TEXT, TEXT + "      nullable: true\n")],
        (MFA, VERIFY + "  required: [code]\n  properties:\n    code:"),
        'verifyMFA reads "code": it has to be a string',
    ),
    "a page that is longer than its list": (
        [(AUTH_PATHS, LIMIT, LIMIT.replace("maximum: 100", "maximum: 500"))],
        (AUDIT, EVENTS + "      maxItems:"),
        'listEvents answers 200, but "/data/events" has more than 100 items',
    ),
    "a page of any length": (
        [(AUTH_PATHS, LIMIT, LIMIT.replace("          maximum: 100\n", ""))],
        (AUTH_PATHS, PAGES),
        'listEvents reads pages by "limit": it has to be 1000 at most',
    ),
    "a page of nothing": (
        [(AUTH_PATHS, LIMIT, LIMIT.replace("minimum: 1\n", "minimum: 0\n"))],
        (AUTH_PATHS, PAGES),
        'listEvents reads pages by "limit": it has to be 1 at least',
    ),
    "a page of nobody knows what length": (
        [(AUTH_PATHS, LIMIT, LIMIT.replace("          default: 20\n", ""))],
        (AUTH_PATHS, PAGES),
        'listEvents reads pages by "limit": it has to have a default, or be required',
    ),
    "two forms in one": (
        [(AUTH, LOGIN + AS_BEFORE, LOGIN + AS_BEFORE + CHALLENGE_ID)],
        (AUTH, LOGIN + "  required:"),
        '"challenge_id" belongs to another form',
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_an_edit_that_no_answer_keeps_to_is_refused_where_it_stands(
    tmp_path: Path, name: str
) -> None:
    edits, (file, context), sentence = PLANTED[name]
    lines = refused(tmp_path, edits)
    where = place(tmp_path, file, context)
    assert any(line.startswith(where) and sentence in line for line in lines), (where, lines)


def test_the_shipped_spec_passes_in_no_time(shipped: Reading) -> None:
    started = time.perf_counter()
    rehearse(shipped.contract, shipped.policies)
    # Some 25 ms, and 100 more for the first; a machine under load takes its time.
    assert time.perf_counter() - started < 1


def test_a_breach_that_many_replies_share_is_told_once(tmp_path: Path) -> None:
    lines = refused(tmp_path, [(COMMON, "      enum: [false]\n", "      enum: [true]\n")])
    assert len(lines) == 1
    assert "more replies" in lines[0]


def test_every_breach_is_told_at_once(tmp_path: Path) -> None:
    names = ("a maximum below the lifetime", "fewer methods", "one session at least")
    lines = refused(tmp_path, [edit for name in names for edit in PLANTED[name][0]])
    assert all(any(PLANTED[name][2] in line for line in lines) for name in names)


# -- nothing is left out ---------------------------------------------------------------------


def kinds(of: type[Refusal] = Refusal) -> set[type[Refusal]]:
    return {kind for below in of.__subclasses__() for kind in {below, *kinds(below)}}


def test_every_operation_has_its_samples(shipped: Reading) -> None:
    assert set(samples.RESULTS) == set(shipped.contract.operations)
    assert set(samples.REFUSALS) < set(shipped.contract.operations)


def test_every_refusal_of_the_rules_is_rehearsed(shipped: Reading) -> None:
    rehearsed = {
        kind
        for operation in shipped.contract.operations.values()
        for kind in samples.kinds(operation, shipped.policies)
    }
    # No shipped operation ends; tests/server/test_sunset.py rehearses one that does.
    assert (
        rehearsed | {errors.Gone} == kinds() == {k for k in vars(errors).values() if _is_refusal(k)}
    )


def _is_refusal(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, Refusal) and thing is not Refusal


def test_every_body_is_looked_through(shipped: Reading) -> None:
    with_body = {name for name, op in shipped.contract.operations.items() if op.body}
    assert set(bodies.READ) == with_body


def test_every_page_is_looked_through(shipped: Reading) -> None:
    operations = shipped.contract.operations.items()
    paged = {name for name, op in operations if any(p.name == "limit" for p in op.parameters)}
    assert set(bodies.PAGED) == paged
    assert bodies.pages(shipped.contract) == dict.fromkeys(paged, 100)


def test_a_rehearsed_reply_has_the_headers_of_a_real_one(world: World, shipped: Reading) -> None:
    """What the guard adds is added here by other hands."""
    account = world.account().sign_in()
    real = [
        ("getSession", account.get("/auth/session")),
        ("getSession", account.api.get("/auth/session")),
        ("createChallenge", account.post("/auth/challenge")),
        ("getJWKS", account.api.get("/.well-known/jwks.json")),
    ]
    contract = shipped.contract
    stage = samples_of(contract, shipped.policies)
    for name, reply in real:
        operation = shipped.contract.operations[name]
        rehearsed = [
            {field.lower() for field, _ in sample.headers} | {"content-length"}
            for _, sample in replies(operation, shipped.policies, stage)
            if sample.status == reply.status
        ]
        assert rehearsed
        assert all(names == set(reply.headers) for names in rehearsed), name
