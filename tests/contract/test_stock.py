"""The verdict on a stock run is read from what Schemathesis prints."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tests.contract.stock import BLIND, Run, answered_only, for_administrators, identities, runs

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
    assert [each.only_403 for each in runs()] == [set(), for_administrators(), set()]


def test_each_identity_is_a_peer(tmp_path: Path) -> None:
    config = tomllib.loads(identities(tmp_path, {"a": "t1", "b": "t2"}).read_text("utf-8"))
    assert config["auth"]["wfc"]["peers"] == ["a", "b"]
    assert "Bearer t2" in Path(config["auth"]["wfc"]["path"]).read_text("utf-8")
