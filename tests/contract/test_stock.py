"""The verdict on a stock run is read from what Schemathesis prints."""

from __future__ import annotations

from tests.contract.stock import UNREACHABLE, shut_out

OUTPUT = """
Authentication failed: 2 operations returned only 401/403 responses

401 Unauthorized (2 operations):
  - POST /auth/password
  - GET /mfa/status

Missing test data: 1 operation repeatedly returned 404 Not Found

  - DELETE /auth/sessions/{session_id}
"""


def test_an_operation_that_nobody_got_into_is_found() -> None:
    assert shut_out(OUTPUT) == {"POST /auth/password", "GET /mfa/status"}
    assert shut_out(OUTPUT) - UNREACHABLE == {"GET /mfa/status"}


def test_a_run_without_warnings_shuts_nobody_out() -> None:
    assert shut_out("18 passed") == set()
