"""What the mock answers: requests are checked as ever, replies come from the spec and fit it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from contract.app import ContractApp
from contract.diagnostics import SpecError
from contract.mock import answers
from contract.operation import Operation
from server import mock
from tests.contract.lab.stage import ROOT as LAB
from tests.contract.lab.variants import edited
from tests.contract.notes import copy, plant
from tests.support.api import Api, Reply, in_process
from tests.support.ledger import Ledger
from tests.support.servers import ROOT

SHIPPED = ROOT / "spec" / "openapi.yaml"
ME = {"username": "annabel", "password": "correct horse battery staple"}
APPLICATION, TOKENS = mock.create(SHIPPED)
(TOKEN,) = TOKENS.good


def client_of(application: ContractApp) -> Api:
    """One with books of its own: what the mock shows is no secret, and the same each time."""
    return in_process(application, ledger=Ledger())


API = client_of(APPLICATION)


def prefer(*fields: str) -> list[tuple[str, str]]:
    return [("Prefer", field) for field in fields]


def status_of(*fields: str) -> Reply:
    return API.get("/mfa/status", token=TOKEN, headers=prefer(*fields))  # type: ignore[arg-type]


def registering(*fields: str) -> Reply:
    return API.post("/auth/register", json=ME, headers=prefer(*fields))  # type: ignore[arg-type]


def served(root: Path) -> Api:
    return client_of(mock.create(root)[0])


# -- requests ---------------------------------------------------------------------------------


def test_requests_are_checked_as_they_are_where_they_are_served() -> None:
    assert API.post("/auth/register", json=ME | {"more": 1}).status == 400
    assert API.post("/auth/register", json={"username": "annabel"}).status == 400
    assert API.post("/auth/register", content=b"<a/>").status == 415
    assert API.post("/auth/register", content=b" " * 70_000).status == 413
    assert API.get("/auth/events?limit=0", token=TOKEN).status == 400
    assert API.get("/auth/events?more=1", token=TOKEN).status == 400
    assert API.get("/nowhere").status == 404
    assert API.request("PUT", "/mfa/status").status == 405


def test_a_preference_does_not_excuse_a_request() -> None:
    refused = API.post("/auth/register", json={}, headers={"Prefer": "code=201"})
    assert refused.status == 400
    assert "Preference-Applied" not in refused.headers


def test_only_the_token_that_the_spec_shows_is_good() -> None:
    assert API.get("/mfa/status", token=TOKEN).status == 200
    missing, unknown = API.get("/mfa/status"), API.get("/mfa/status", token=TOKEN + "x")
    assert (missing.status, unknown.status) == (401, 401)
    assert missing.headers["WWW-Authenticate"] == "Bearer"
    assert unknown.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_the_token_of_a_sign_in_goes_on_and_a_drawn_one_does_not() -> None:
    signed_in = API.post("/auth/login", json=ME)
    assert API.get("/mfa/status", token=signed_in.data["access_token"]).status == 200
    drawn = API.post("/auth/refresh", json={"refresh_token": "x" * 43}, headers=DYNAMIC)
    assert API.get("/mfa/status", token=drawn.data["access_token"]).status == 401


def test_a_token_is_not_needed_where_it_is_optional() -> None:
    for token in (None, "unknown"):
        assert API.post("/auth/login", json=ME, token=token).status == 200


def test_a_spec_that_shows_no_token_has_one_all_the_same() -> None:
    application, tokens = mock.create(LAB)
    assert tokens.good == ("mock",)
    api = client_of(application)
    assert api.post("/secret", json={"word": "x"}, token="mock").status == 200
    assert api.post("/secret", json={"word": "x"}, token="other").status == 401


def test_nothing_is_counted_and_no_role_is_asked_for() -> None:
    assert {API.get("/admin/users", token=TOKEN).status for _ in range(600)} == {200}


# -- replies ----------------------------------------------------------------------------------


def test_the_default_is_the_success_with_its_first_example() -> None:
    signed_in = API.post("/auth/login", json=ME)
    written = APPLICATION.contract.document["paths"]["/auth/login"]["post"]["responses"]["200"]
    assert signed_in.json == written["content"]["application/json"]["examples"]["tokens"]["value"]
    assert "Preference-Applied" not in signed_in.headers


def test_a_body_that_nobody_wrote_is_put_together() -> None:
    listed = API.get("/admin/users", token=TOKEN)
    assert listed.json["message"] == "Users retrieved"
    assert listed.data["users"][0]["role"] == "user"
    codes = API.post("/mfa/backup-codes/regenerate", token=TOKEN).data["codes"]
    assert len(set(codes)) == 10
    assert API.post("/auth/logout", token=TOKEN).json == {"success": True, "message": "Signed out"}


def test_two_starts_put_the_same_together() -> None:
    other = served(SHIPPED)
    for path in ("/mfa/setup", "/mfa/backup-codes/regenerate"):
        assert API.post(path, token=TOKEN).data == other.post(path, token=TOKEN).data


def test_a_refusal_carries_the_headers_that_it_has_to() -> None:
    closed = status_of("code=429")
    assert closed.status == 429
    assert closed.headers["Retry-After"] == "30"
    assert closed.headers["RateLimit"] == '"totp";r=0;t=30'
    assert closed.json["error"]["request_id"] == closed.headers["X-Request-ID"]


PREFERRED: list[tuple[list[str], int, str | None]] = [
    (["code=409, example=password_refused"], 409, "code=409, example=password_refused"),
    (["example=password_refused", "code=409"], 409, "code=409, example=password_refused"),
    (["code=409"], 409, "code=409"),
    (["code=409, example=nothing_of_the_kind"], 409, "code=409"),
    (["example=password_refused"], 201, None),  # an example of another status
    (["code=404"], 201, None),  # a status that is not declared
    (["code=999"], 201, None),
    (["code=" + "9" * 900], 201, None),
    (["code=%D9%A4"], 201, None),
    (["code"], 201, None),
    (["dynamic=true"], 201, "dynamic=true"),
    (["dynamic=false"], 201, None),
    (["code=409, example=username_taken, dynamic=true"], 409, "code=409, example=username_taken"),
    (["code=500, dynamic=true"], 500, "code=500, dynamic=true"),
    (["return=minimal, handling=strict"], 201, None),
]


@pytest.mark.parametrize(("fields", "status", "claimed"), PREFERRED)
def test_what_can_be_had_is_had_and_nothing_else_is_claimed(
    fields: list[str], status: int, claimed: str | None
) -> None:
    reply = registering(*fields)
    assert reply.status == status
    assert reply.headers.get("Preference-Applied") == claimed
    assert reply.headers["Vary"] == "Prefer"


def test_the_named_example_is_the_one_that_is_sent() -> None:
    assert registering("code=409, example=password_refused").code == "password_refused"
    assert registering("code=409").code == "username_taken"
    login = API.post("/auth/login", json=ME, headers={"Prefer": "example=challenge"})
    assert login.data["mfa_required"] is True


DYNAMIC = {"Prefer": "dynamic=true"}


def test_every_operation_draws_what_fits_and_never_the_same() -> None:
    for operation in APPLICATION.contract.operations.values():
        for status in operation.responses:
            first = drawn(operation, status)
            assert any(drawn(operation, status) != first for _ in range(20)), operation.id


def drawn(operation: Operation, status: str) -> str:
    """A drawn body, without what differs anyway."""
    path = re.sub(r"\{.*?\}", "7c9e6679-7425-40de-944b-e07fc1f90ae7", operation.path)
    headers = {"Prefer": f"code={status}, dynamic=true"}
    body = BODIES.get(operation.id)
    reply = API.request(operation.method, path, json=body, token=TOKEN, headers=headers)
    assert reply.status == int(status), (operation.id, status, reply.content)
    assert reply.headers["Preference-Applied"] == headers["Prefer"]
    return re.sub(r'"request_id":"\w+"', "", reply.content.decode())


CODE = {"code": "492039"}
BODIES: dict[str, Any] = {
    "registerUser": ME,
    "login": ME,
    "refreshTokens": {"refresh_token": "x" * 43},
    "changePassword": {"current_password": "x", "new_password": "x" * 8},
    "verifyMFA": CODE,
    "disableMFA": CODE | {"password": "x"},
    "verifyBackupCode": CODE,
}


def test_head_is_get_without_a_body() -> None:
    reply = API.request("HEAD", "/mfa/status", token=TOKEN, headers={"Prefer": "code=429"})
    assert (reply.status, reply.content) == (429, b"")


def test_what_is_sent_is_declared() -> None:
    document = API.get("/openapi.json").json
    for item in document["paths"].values():
        for operation in item.values():
            for response in operation["responses"].values():
                assert {"Preference-Applied", "Vary"} <= set(response["headers"])
    assert API.get("/docs/").status == 200


# -- planted ----------------------------------------------------------------------------------


def test_an_example_that_does_not_fit_stops_the_mock(tmp_path: Path) -> None:
    spec = copy(tmp_path, SHIPPED.parent)
    plant(spec, "paths/auth.yaml", "expires_in: 600\n", "expires_in: soon\n")
    with pytest.raises(SpecError, match=r"spec/paths/auth.yaml:\d+:\d+: error: the example does"):
        mock.create(spec / "openapi.yaml")


def test_a_reply_that_breaks_the_spec_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(value: Any, request_id: str) -> Any:
        return value | {"planted": request_id}

    monkeypatch.setattr(answers, "_with_request_id", planted)
    with capture_logs() as logs:
        withheld = API.get("/mfa/status", token=TOKEN)
    assert (withheld.status, withheld.code) == (500, "contract_violation")
    assert [each["keyword"] for each in logs if "withheld" in each] == ["additionalProperties"]


def test_a_header_of_its_own_is_withheld_where_it_is_not_declared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    headers = {name: field for name, field in answers.HEADERS.items() if name == "Vary"}
    monkeypatch.setattr(answers, "HEADERS", headers)
    api = served(SHIPPED)
    assert api.get("/health/live").status == 200
    assert api.get("/health/live", headers=DYNAMIC).code == "contract_violation"


def test_what_no_example_adds_up_to_is_named(tmp_path: Path) -> None:
    twice = "oneOf:\n    - type: string\n      example: a\n    - type: string\n      example: a\n"
    root = edited(
        tmp_path, "schemas/things.yaml", "ThingList:\n", f"Twice:\n  {twice}\nThingList:\n"
    )
    edited(tmp_path, "paths/things.yaml", "#/ThingList", "#/Twice")
    with pytest.raises(SpecError, match=r"spec/paths/things.yaml:\d+:\d+: error: no value could"):
        mock.create(root)


def test_an_example_that_cannot_stand_in_a_header_is_named(tmp_path: Path) -> None:
    root = edited(tmp_path, "components/headers.yaml", "example: Bearer", 'example: "Bearer é"')
    with pytest.raises(SpecError, match=r"components/\w+.yaml:\d+:\d+: error: its example cannot"):
        mock.create(root)
