"""What is explained is what is in force, and stands where it is said to stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.explain import Line, as_json, explain
from server.spec import Reading, read
from tests.contract.notes import copy, plant
from tests.support.servers import ROOT
from tests.support.world import SHIPPED, reading_of


@pytest.fixture(scope="module")
def shipped() -> Reading:
    return reading_of(SHIPPED)


def lines(reading: Reading, operation: str) -> dict[str, Line]:
    (found,) = explain(reading, operation)
    return {line.name: line for line in found.lines}


def test_every_operation_is_explained_in_the_order_of_the_spec(shipped: Reading) -> None:
    assert [each.operation for each in explain(shipped)] == list(shipped.contract.operations)


def test_each_line_names_the_place_that_says_so(shipped: Reading) -> None:
    for each in explain(shipped):
        for line in each.lines:
            text = (ROOT / line.file).read_text("utf-8").splitlines()[line.line - 1]
            key = line.name.split()[-1] if line.name.split()[0] != "status" else line.name[7:]
            hints = {"handler": "operationId", "message": "description"}
            if line.name.startswith(("query", "path", "header")):
                hints[key] = "$ref" if "$ref" in text else "name"
            elif line.name.startswith("body"):
                hints[key] = "requestBody"
            assert hints.get(key, key) in text, (each.operation, line, text)


def test_a_sign_in_is_explained_whole(shipped: Reading) -> None:
    found = lines(shipped, "login")
    assert found["handler"].value == "handlers.auth.login"
    assert found["security"].value == "none or bearerAuth"
    assert found["x-audit"].value == "session.opened"
    assert found["x-attempts totp lock-after"].value == "50"
    assert found["x-attempts totp lock-after"].file == "spec/components/policies.yaml"
    assert found["body application/json"].value == "LoginRequest, 14374 bytes at most"
    assert found["LoginChallenge x-ttl"].value == "PT5M"
    assert found["message"].value == shipped.contract.operations["login"].message
    assert found["status 200"].value == "LoginResult"
    assert "factor_locked" in found["status 401"].value
    assert "too_many_attempts, too_many_requests" in found["status 429"].value


def test_an_edit_is_explained_where_it_was_made(tmp_path: Path) -> None:
    files = copy(tmp_path, ROOT / "spec")
    plant(files, "schemas/auth.yaml", "x-ttl: PT5M", "x-ttl: PT4M")
    line = lines(read(files / "openapi.yaml"), "login")["LoginChallenge x-ttl"]
    written = (files / "schemas" / "auth.yaml").read_text("utf-8").splitlines()
    assert (line.value, written[line.line - 1].strip()) == ("PT4M", "x-ttl: PT4M")


def test_parameters_are_explained_at_their_own_place(shipped: Reading) -> None:
    found = lines(shipped, "listUsers")
    assert found["query limit"].value == "integer (default 20)"
    assert found["query limit"].line != found["query cursor"].line
    assert lines(shipped, "getUser")["path user_id"].value == "string (required)"


def test_no_operation_by_that_name(shipped: Reading) -> None:
    with pytest.raises(LookupError, match="getUser"):
        explain(shipped, "getUsr")


def test_programs_get_the_same(shipped: Reading) -> None:
    (each,) = as_json(shipped, "setupMFA")
    (said,) = explain(shipped, "setupMFA")
    assert each["operation"] == said.operation
    assert each["lines"][0] == {
        "name": "handler",
        "value": "handlers.mfa.setup_mfa",
        "file": said.lines[0].file,
        "line": said.lines[0].line,
    }
    assert str(said).count("\n") == len(each["lines"])
