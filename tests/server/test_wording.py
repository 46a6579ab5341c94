"""The shipped spec says every error that the server can send, and an edit of it changes what is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from contract.diagnostics import SpecError
from contract.operation import ResponseRule
from server.rehearsal import replies, samples_of
from server.spec import Reading, read
from tests.contract.notes import copy, plant
from tests.support.servers import ROOT
from tests.support.world import world_in

SPEC = ROOT / "spec"
RESPONSES, COMMON, MFA = "components/responses.yaml", "schemas/common.yaml", "paths/mfa.yaml"

Said = tuple[int, str, str]
"""Status, code and message."""


def written() -> dict[str, set[tuple[str, str]]]:
    """Code and message of every example in the file of the shared replies, by component."""
    components = yaml.safe_load((SPEC / RESPONSES).read_text("utf-8"))
    return {
        name: {
            (example["value"]["error"]["code"], example["value"]["message"])
            for media in response.get("content", {}).values()
            for example in media["examples"].values()
        }
        for name, response in components.items()
    }


def said(reading: Reading) -> Iterator[tuple[str, Said]]:
    """What each operation can say when it refuses or fails."""
    contract = reading.contract
    samples = samples_of(contract, reading.policies)
    for operation in contract.operations.values():
        for _, reply in replies(operation, reading.policies, samples):
            if reply.status >= 400:
                body = json.loads(reply.body)
                yield operation.id, (reply.status, body["error"]["code"], body["message"])


@pytest.fixture(scope="module")
def shipped() -> Reading:
    return read(SPEC / "openapi.yaml")


def test_whatever_is_said_stands_in_an_example(shipped: Reading) -> None:
    examples = set().union(*written().values())
    told = {(code, message) for _, (_, code, message) in said(shipped)}
    assert told <= examples
    # What only replies without an operation say, and what those say that have ended.
    assert {code for code, _ in examples - told} == {"method_not_allowed", "gone"}


def test_every_code_of_the_closed_list_has_an_example_of_its_name(shipped: Reading) -> None:
    listed = shipped.bundle.document["components"]["schemas"]["ErrorBody"]["properties"]["code"]
    rules = [*shipped.contract.errors.values()]
    rules += [r for op in shipped.contract.operations.values() for r in op.responses.values()]
    named: dict[str, str] = {}
    for rule in rules:
        named |= rule.wordings
    # No shipped operation has an end; tests/server/test_sunset.py hears what one says that has.
    assert set(listed["enum"]) - named.keys() == {"gone"}


@pytest.mark.parametrize("status", ["404", "405", "400", "500", "503"])
def test_replies_without_an_operation_are_said_by_the_root(shipped: Reading, status: str) -> None:
    rule: ResponseRule = shipped.contract.errors[status]
    assert rule.wordings
    assert ("X-Content-Type-Options", "nosniff") in rule.constants


def edited(folder: Path, *edits: tuple[str, str, str]) -> Path:
    files = copy(folder, SPEC)
    for file, old, new in edits:
        plant(files, file, old, new)
    return files / "openapi.yaml"


OWN = """      "409":
        description: Not now
        headers:
          X-Request-ID: {$ref: "../components/headers.yaml#/RequestID"}
        content:
          application/json:
            schema: {$ref: "../schemas/common.yaml#/ErrorResponse"}
            example:
              success: false
              message: There is nothing to confirm
              error: {code: no_pending_enrollment, details: [], request_id: 4f1d0c5be29a47f68c3e7d20b9a1f654}
"""


def test_an_edit_of_the_yaml_is_what_is_said(tmp_path: Path) -> None:
    """The shared reply by its operations, a reply of its own by the one that has it."""
    root = edited(
        tmp_path,
        (RESPONSES, "message: The credentials are not valid", "message: No such pair"),
        (RESPONSES, "message: A bearer token is needed", "message: Who are you?"),
    )
    paths = root.parent / MFA
    before, verify, after = paths.read_text("utf-8").partition("operationId: verifyMFA\n")
    shared = '      "409":\n        $ref: "../components/responses.yaml#/Conflict"\n'
    paths.write_text(before + verify + after.replace(shared, OWN, 1), "utf-8")
    world = world_in(tmp_path, spec=root)
    ann = world.account()
    wrong = {"username": ann.username, "password": "not the password of ann"}
    assert world.api.post("/auth/login", json=wrong).json["message"] == "No such pair"
    assert world.api.get("/auth/session").json["message"] == "Who are you?"
    dead = world.api.get("/auth/session", token="dead")
    assert dead.json["message"] == "The token is not valid"
    ann.sign_in()
    verified = ann.post("/mfa/verify", json={"code": "000000"})
    assert verified.json["message"] == "There is nothing to confirm"
    missing = ann.post("/mfa/backup-codes/verify", json={"code": "AAAA-BBBB-CCCC-DDDD"})
    assert missing.json["message"] == "MFA is not enabled"


def test_what_the_protocol_says_is_edited_in_the_same_place(tmp_path: Path) -> None:
    root = edited(
        tmp_path,
        (RESPONSES, "message: The request is not valid", "message: Gibberish"),
        (RESPONSES, "message: Too many requests are waiting; try again", "message: Full house"),
    )
    application = world_in(tmp_path, spec=root).application
    assert b'"message":"Gibberish"' in application.connection_replies.malformed()
    assert b'"message":"Full house"' in application.connection_replies.turned_away()
    assert b"\r\nRetry-After: 1\r\n" in application.connection_replies.turned_away()
    plant(root.parent, RESPONSES, "message: Gibberish", "message: Pardon")
    application.renew()
    assert b'"message":"Pardon"' in application.connection_replies.malformed()


MESSAGE = """      description: A sentence for people; it may change between versions.
      type: string
      minLength: 1
      example: The code is not valid
"""

UNFIT: dict[str, tuple[str, str, str]] = {
    "a message that is empty": (
        "message: The code is not valid",
        'message: ""',
        "answers 401 invalid_code",
    ),
    "one that only a wording asks for": (
        "message: A key is missing or wrong; the log of the server names it",
        'message: " "',
        "getReadiness answers 503 unavailable, but",
    ),
    "one that the flood limit alone says": (
        "message: The store of the flood limit does not answer",
        'message: ""',
        "answers 503 unavailable",
    ),
    "one of a reply without an operation": (
        "message: The path does not have this method",
        'message: ""',
        "a method that a path lacks answers 405 method_not_allowed",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_message_that_the_schema_refuses_is_found_at_start(tmp_path: Path, name: str) -> None:
    old, new, who = UNFIT[name]
    with pytest.raises(SpecError) as refused:
        read(edited(tmp_path, (RESPONSES, old, new)))
    faults = [str(d) for d in refused.value.diagnostics if d.severity == "error"]
    line = (tmp_path / "spec" / COMMON).read_text("utf-8")
    number = line[: line.index(MESSAGE)].count("\n") + 3
    assert len(faults) == 1
    assert faults[0].startswith(f"spec/{COMMON}:{number}:7: error: ")
    assert '"/message" is shorter than 1' in faults[0]
    assert who in faults[0]


def test_a_message_that_is_too_long_is_found_at_start(tmp_path: Path) -> None:
    short = MESSAGE.replace("minLength: 1\n", "maxLength: 40\n")
    with pytest.raises(SpecError) as refused:
        read(edited(tmp_path, (COMMON, MESSAGE, short)))
    assert any('"/message" is longer than 40' in str(d) for d in refused.value.diagnostics)


def test_an_example_that_is_named_like_another_code_is_told_where_it_stands(tmp_path: Path) -> None:
    old, new = "code: factor_locked\n", "code: invalid_code\n"
    with pytest.raises(SpecError) as refused:
        read(edited(tmp_path, (RESPONSES, old, new)))
    before, _, _ = (SPEC / RESPONSES).read_text("utf-8").partition(old)
    place = f"spec/{RESPONSES}:{before.count(chr(10)) + 1}:21"
    said = 'the example "factor_locked" shows the code "invalid_code"'
    assert [str(d) for d in refused.value.diagnostics if d.severity == "error"] == [
        f"{place}: error: {said}"
    ]
