"""Every reply that the spec declares is reached by a real cause, and nothing else is."""

from __future__ import annotations

import shutil

import pytest

from tests.api import faults
from tests.api.calls import SPEC, SPEC_OPERATIONS, Call, fresh_password, path_of, ready
from tests.api.causes import CAUSES, GUESSED_AT, JSON, NOBODY, WITH_TOKEN
from tests.report.declared import Cell, cells
from tests.report.recorder import RECORDER
from tests.support.accounts import Account
from tests.support.api import Reply
from tests.support.servers import ROOT
from tests.support.world import World, world_in

OPERATIONS = SPEC_OPERATIONS
CELLS = sorted(cells(SPEC.bundle.document))
WITH_BODY = [name for name, operation in OPERATIONS.items() if operation.body]
FLOOD = "{rate: 50, per: PT1S, burst: 500}"

CODES = {
    "400": {"invalid_request"},
    "401": {
        *("invalid_token", "insufficient_user_authentication", "invalid_credentials"),
        *("invalid_code", "invalid_challenge", "factor_locked"),
    },
    "403": {"registration_closed", "forbidden"},
    "404": {"not_found"},
    "405": {"method_not_allowed"},
    "409": {
        *("username_taken", "password_refused", "no_pending_enrollment", "mfa_not_enabled"),
        "own_account",
    },
    "413": {"payload_too_large"},
    "415": {"unsupported_media_type"},
    "429": {"too_many_attempts", "too_many_requests"},
    "500": {"internal_error", "contract_violation"},
    "503": {"unavailable"},
}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world_in(tmp_path_factory.mktemp("closed"), registration="closed")


@pytest.fixture(scope="module")
def raising(world: World) -> World:
    return faults.with_handlers(world, faults.raising)


@pytest.fixture(scope="module")
def lying(world: World) -> World:
    return faults.with_handlers(world, faults.adding_a_property)


# -- every cell ------------------------------------------------------------------------------

LIMITED = [name for name, operation in OPERATIONS.items() if "429" in operation.responses]
# What needs an application of its own: an address that floods, a closed registration, a 500.
ELSEWHERE = {
    *((name, "429") for name in set(LIMITED) - set(GUESSED_AT)),
    *((name, "500") for name in OPERATIONS),
    ("registerUser", "403"),
}
OF_OPERATIONS = [cell for cell in CELLS if cell[0] != "-" and cell[:2] not in ELSEWHERE]


@pytest.mark.parametrize("cell", OF_OPERATIONS, ids=" ".join)
def test_every_declared_reply_is_reached(world: World, cell: Cell) -> None:
    operation, status, _media_type = cell
    holds(CAUSES[status](world, operation, None), cell)


def holds(reply: Reply, cell: Cell) -> None:
    _operation, status, media_type = cell
    assert reply.status == int(status), reply.content
    assert reply.headers["Content-Type"] == media_type
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert cell in RECORDER.cells
    if reply.status >= 400:
        body = reply.json
        assert set(body) == {"success", "message", "error"}
        assert body["success"] is False
        assert body["message"]
        assert set(body["error"]) == {"code", "details", "request_id"}
        assert reply.code in CODES[status]
        assert body["error"]["request_id"] == reply.headers["X-Request-ID"]
        assert reply.headers["Cache-Control"] == "no-store"


@pytest.fixture(scope="module")
def miserly(world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same world, but an address is let in once an hour."""
    copy = shutil.copytree(ROOT / "spec", tmp_path_factory.mktemp("miserly") / "spec")
    policies = copy / "components" / "policies.yaml"
    text = policies.read_text(encoding="utf-8")
    assert text.count(FLOOD) == 1
    policies.write_text(text.replace(FLOOD, "{rate: 1, per: PT1H, burst: 1}"), encoding="utf-8")
    settings = world.settings.model_copy(update={"spec": copy / "openapi.yaml"})
    return World(settings, world.clock)


def test_whatever_can_delay_limits_addresses_too() -> None:
    assert set(OPERATIONS) - set(LIMITED) == {"getJWKS", "getLiveness", "getReadiness"}
    assert set(GUESSED_AT) < set(LIMITED)


@pytest.mark.parametrize("operation", LIMITED)
def test_an_address_that_floods_is_a_429_whatever_it_asks_for(
    world: World, miserly: World, operation: str
) -> None:
    call = ready(world, operation)
    api = miserly.api_from(f"198.51.100.{LIMITED.index(operation)}")
    assert call.send(api).status < 300
    reply = call.send(api)
    faults.release(miserly)
    holds(reply, (operation, "429", "application/json"))
    assert reply.code == "too_many_requests"


def test_registration_that_is_closed_is_a_403(closed: World) -> None:
    body = {"username": "new.name", "password": fresh_password()}
    reply = closed.api.post("/auth/register", json=body)
    holds(reply, ("registerUser", "403", "application/json"))
    assert reply.code == "registration_closed"


# -- 400 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - set(WITH_BODY)))
def test_a_body_where_none_is_declared_is_refused(world: World, operation: str) -> None:
    reply = ready(world, operation).send(content=b"{}", headers=JSON)
    holds(reply, (operation, "400", "application/json"))
    assert [d["location"] for d in reply.json["error"]["details"]] == ["body"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_undeclared_query_parameter_is_refused_without_its_name(
    world: World, operation: str
) -> None:
    reply = ready(world, operation).send(params={"an_undeclared_name": "a.submitted.value"})
    (detail,) = reply.json["error"]["details"]
    assert detail["location"] == "query"
    assert b"an_undeclared_name" not in reply.content
    assert b"a.submitted.value" not in reply.content


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]", b"null", b'{"a":NaN}', b"{}", b""])
@pytest.mark.parametrize("operation", WITH_BODY)
def test_a_body_that_does_not_fit_is_refused(
    world: World, spender: Account, operation: str, content: bytes
) -> None:
    call = ready_for_refusal(world, operation, spender)
    holds(call.send(content=content, headers=JSON), (operation, "400", "application/json"))


@pytest.fixture(scope="module")
def spender(world: World) -> Account:
    """Signed in; for requests that are refused before they change anything."""
    return world.account().sign_in()


def ready_for_refusal(world: World, operation: str, account: Account) -> Call:
    token = account.sign_in().token if operation in WITH_TOKEN else None
    return Call(OPERATIONS[operation], account, token=token)


@pytest.mark.parametrize("operation", WITH_BODY)
def test_every_property_is_needed_and_no_other_is_taken(world: World, operation: str) -> None:
    call = ready(world, operation)
    cell = (operation, "400", "application/json")
    for name in call.body:
        holds(call.send(json={k: v for k, v in call.body.items() if k != name}), cell)
        holds(call.send(json=call.body | {name: None}), cell)
    reply = call.send(json=call.body | {"is_admin": True})
    holds(reply, cell)
    assert b"is_admin" not in reply.content
    assert call.send().status < 300


# -- 500 -------------------------------------------------------------------------------------


def served_by(other: World, call: Call) -> Reply:
    """The other application's reply; it holds nothing open that later tests move away."""
    reply = call.send(other.api)
    faults.release(other)
    return reply


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_handler_that_raises_is_an_internal_error(
    world: World, raising: World, operation: str
) -> None:
    reply = served_by(raising, ready(world, operation))
    holds(reply, (operation, "500", "application/json"))
    assert reply.code == "internal_error"
    assert b"ZeroDivision" not in reply.content
    assert b"no parts" not in reply.content


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_handler_that_says_more_than_the_spec_is_withheld(
    world: World, lying: World, operation: str
) -> None:
    reply = served_by(lying, ready(world, operation))
    holds(reply, (operation, "500", "application/json"))
    assert reply.code == "contract_violation"
    assert b"surplus" not in reply.content


WITH_TIME = sorted(set(OPERATIONS) - {"getJWKS", "getLiveness", "getReadiness"})


@pytest.mark.parametrize("operation", WITH_TIME)
def test_a_clock_that_fails_is_an_internal_error(
    world: World, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ready(world, operation)
    with faults.broken_clock(world, monkeypatch):
        reply = call.send()
    holds(reply, (operation, "500", "application/json"))
    assert call.send().status < 300, "nothing stays broken"


@pytest.mark.parametrize("operation", WITH_TOKEN)
def test_a_session_row_that_cannot_be_read_is_an_internal_error(
    world: World, operation: str
) -> None:
    call = ready(world, operation)
    spoil = "UPDATE sessions SET auth_time = 'no time' WHERE user_id = ?"
    assert faults.change(world, spoil, call.account.user_id)
    holds(call.send(), (operation, "500", "application/json"))


def test_a_password_hash_that_cannot_be_read_grants_nothing(world: World, user: Account) -> None:
    spoil = "UPDATE users SET password_hash = 'no hash' WHERE id = ?"
    assert faults.change(world, spoil, user.user_id)
    reply = ready(world, "login", user).send()
    holds(reply, ("login", "500", "application/json"))


# -- 503 -------------------------------------------------------------------------------------

WITH_STORAGE = [name for name, operation in OPERATIONS.items() if "503" in operation.responses]
READING = {name for name, operation in OPERATIONS.items() if operation.method == "GET"} - {
    "getReadiness"  # which has to be able to write
}


def test_all_but_the_keys_and_liveness_depend_on_storage() -> None:
    assert set(OPERATIONS) - set(WITH_STORAGE) == {"getJWKS", "getLiveness"}


@pytest.mark.parametrize("operation", WITH_STORAGE)
def test_a_damaged_database_is_a_503_and_then_all_is_well_again(
    world: World, operation: str
) -> None:
    call = ready(world, operation)
    with faults.damaged(world):
        holds(call.send(), (operation, "503", "application/json"))
    assert call.send().status < 300


@pytest.mark.parametrize("operation", WITH_STORAGE)
def test_a_locked_database_refuses_what_writes_and_serves_what_reads(
    world: World, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ready(world, operation)
    with faults.locked(world, monkeypatch):
        reply = call.send()
    if operation in READING:
        assert reply.status == 200
    else:
        holds(reply, (operation, "503", "application/json"))
        assert call.send().status < 300


def test_a_schema_of_another_version_is_not_ready(world: World) -> None:
    with faults.revision(world, "0000"):
        holds(world.api.get("/health/ready"), ("getReadiness", "503", "application/json"))
    assert world.api.get("/health/ready").status == 200


@pytest.mark.parametrize("operation", ["getLiveness", "getJWKS"])
def test_what_needs_no_storage_answers_without_it(world: World, operation: str) -> None:
    call = ready(world, operation)
    with faults.vanished(world):
        assert call.send().status == 200


def test_a_sealed_secret_that_does_not_open_is_a_503_and_no_token(
    world: World, member: Account
) -> None:
    """The key is missing or the row was swapped: nobody can say whether the code is right."""
    challenge = member.begin()["challenge_id"]
    statement = "UPDATE factors SET sealed_secret = {} WHERE user_id = ?"
    assert faults.change(world, statement.format("'~' || sealed_secret"), member.user_id)
    reply = member.finish(challenge, member.code())
    holds(reply, ("login", "503", "application/json"))


# -- 405, 404 and 204 without an operation ---------------------------------------------------


def test_an_unknown_path_is_a_404(world: World) -> None:
    holds(world.api.get("/no/such/path"), ("-", "404", "application/json"))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_another_method_is_a_405_with_every_method_that_there_is(
    world: World, operation: str
) -> None:
    rule = OPERATIONS[operation]
    path = path_of(rule, NOBODY)
    allow = {rule.method, "OPTIONS"} | ({"HEAD"} if rule.method == "GET" else set())
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - allow:
        reply = world.api.request(method, path)
        holds(reply, ("-", "405", "application/json"))
        assert set(reply.headers["Allow"].split(", ")) == allow
    reply = world.api.request("OPTIONS", path)
    assert (reply.status, reply.content) == (204, b"")
    assert set(reply.headers["Allow"].split(", ")) == allow
    assert ("-", "204", "-") in RECORDER.cells
