"""The verdict on a stock run is read from what Schemathesis prints."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from tests.contract.stock import (
    BLIND,
    SPEC,
    Run,
    answered_only,
    carry_out,
    for_administrators,
    identities,
    options,
    runs,
)

OUTPUT = """
Authentication failed: 4 operations returned only 401/403 responses

401 Unauthorized (2 operations):
  - POST /auth/password
  - GET /mfa/status

403 Forbidden (2 operations):
  - GET /admin/users
  - GET /admin/audit

Missing test data: 1 operation repeatedly returned 404 Not Found

  - DELETE /auth/sessions/{session_id}
"""
REFUSED = frozenset({"GET /admin/users", "GET /admin/audit"})


def test_an_operation_that_nobody_got_into_is_found() -> None:
    assert answered_only(401, OUTPUT) == {"POST /auth/password", "GET /mfa/status"}
    assert answered_only(403, OUTPUT) == REFUSED
    assert Run("user", (), only_403=REFUSED).faults(OUTPUT) == [
        "answered nothing but 401: GET /mfa/status"
    ]
    assert Run("user", (), frozenset({*BLIND, "GET /mfa/status"}), REFUSED).faults(OUTPUT) == []


def test_an_administrator_who_is_refused_is_found() -> None:
    faults = Run("administrator", (), frozenset({*BLIND, "GET /mfa/status"})).faults(OUTPUT)
    assert faults == [
        "answered nothing but 403: GET /admin/audit",
        "answered nothing but 403: GET /admin/users",
    ]


def test_a_user_who_is_let_in_is_found() -> None:
    run = Run("user", (), frozenset({*BLIND, "GET /mfa/status"}), REFUSED | {"GET /admin/x"})
    assert run.faults(OUTPUT) == ["was not refused to a user: GET /admin/x"]


def test_a_run_without_warnings_shuts_nobody_out() -> None:
    assert answered_only(401, "18 passed") == answered_only(403, "18 passed") == set()


def test_a_user_is_expected_to_be_refused_whatever_asks_for_the_role() -> None:
    assert {name.split(" ", 1)[1].split("/")[1] for name in for_administrators()} == {"admin"}
    assert [each.only_403 for each in runs()] == [
        set(),
        for_administrators(),
        set(),
        set(),
    ]


def test_each_identity_is_a_peer(tmp_path: Path) -> None:
    config = tomllib.loads(identities(tmp_path, {"a": "t1", "b": "t2"}).read_text("utf-8"))
    assert config["auth"]["wfc"]["peers"] == ["a", "b"]
    assert "Bearer t2" in Path(config["auth"]["wfc"]["path"]).read_text("utf-8")


ROLE = "    x-role: admin\n    x-assurance: {level: aal2}\n"


def spec_without_a_role(folder: Path) -> Path:
    """The shipped spec but that anybody who is signed in may read any account."""
    copy = shutil.copytree(SPEC.parent, folder / "spec")
    paths = copy / "paths" / "admin.yaml"
    before, name, after = paths.read_text(encoding="utf-8").partition("operationId: getUser\n")
    assert ROLE in after
    paths.write_text(before + name + after.replace(ROLE, "", 1), encoding="utf-8")
    return copy / "openapi.yaml"


@pytest.mark.slow
@pytest.mark.parametrize("found", [False, True])
def test_an_account_that_others_may_read_is_found(tmp_path: Path, found: bool) -> None:
    """The check compares two identities, and has something to compare only by a link."""
    run = Run("administrator", tuple(options("include", ("registerUser", "getUser"))))
    spec = spec_without_a_role(tmp_path) if found else SPEC
    status, output = carry_out(run, tmp_path, "--phases", "stateful", "-n", "10", spec=spec)
    assert status == int(found), output
    assert ("`user` received the `" in output) is found, output
