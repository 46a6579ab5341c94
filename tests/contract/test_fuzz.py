"""Schemathesis against a listening server, with real codes, so that good requests get in.

Each case has a user of its own, in the state and the role that the operation asks for. What the
schema cannot say (the right password, the code of this half minute) is put into good requests; bad
requests are sent as they were made. Every check that Schemathesis has is on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.core.failures import FailureGroup

import handlers.mfa
from server.spec import read
from tests.api.calls import FOR_ADMINISTRATORS, administrator
from tests.support.accounts import Account, register
from tests.support.authenticator import Authenticator
from tests.support.servers import ROOT
from tests.support.threads import listening
from tests.support.world import World, world_in

schema = schemathesis.openapi.from_dict(read(ROOT / "spec" / "openapi.yaml").bundle.document)
schema.config.generation.update(with_security_parameters=False)

SUCCEEDED: Counter[str] = Counter()
"""How often a good request to an operation was answered with its success."""

Fill = Callable[[Account, Any], None]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, str]]:
    world = world_in(tmp_path_factory.mktemp("fuzz"))
    with listening(world) as url:
        yield world, url


def _signed_in(account: Account, _case: Any) -> None:
    if not account.token:
        account.sign_in()


def _enrolled(account: Account, _case: Any) -> None:
    account.sign_in().enrol()


def _login(account: Account, case: Any) -> None:
    if "challenge_id" not in case.body:
        case.body.update(username=account.username, password=account.password)
        return
    account.sign_in().enrol()
    case.body.update(challenge_id=account.begin()["challenge_id"], mfa_code=account.code())


def _refresh(account: Account, case: Any) -> None:
    case.body["refresh_token"] = account.sign_in().refresh_token


def _password(account: Account, case: Any) -> None:
    account.sign_in()
    case.body["current_password"] = account.password


def _end_session(account: Account, case: Any) -> None:
    account.sign_in()
    session = account.another_device().sign_in().get("/auth/session").data
    case.path_parameters["session_id"] = session["session_id"]


def _verify(account: Account, case: Any) -> None:
    account.sign_in()
    account.phone = Authenticator(account.set_up()["secret"])
    case.body["code"] = account.code()


def _disable(account: Account, case: Any) -> None:
    account.sign_in().enrol()
    case.body.update(password=account.password, code=account.code())


def _backup_code(account: Account, case: Any) -> None:
    account.sign_in().enrol()
    case.body["code"] = account.backup_codes.pop()


def _another(account: Account, case: Any) -> None:
    case.path_parameters["user_id"] = register(account.api, account.clock).user_id


FILL: dict[str, Fill] = {
    "login": _login,
    "refreshTokens": _refresh,
    "changePassword": _password,
    "endSession": _end_session,
    "verifyMFA": _verify,
    "disableMFA": _disable,
    "verifyBackupCode": _backup_code,
    "regenerateBackupCodes": _enrolled,
    "createChallenge": _enrolled,
    "getUser": _another,
    "deactivateUser": _another,
    "reactivateUser": _another,
    "endUserSessions": _another,
    "resetUserMFA": _another,
}


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_the_server_keeps_its_contract(case: Any, served: tuple[World, str]) -> None:
    world, url = served
    world.clock.advance(minutes=30)  # beyond every delay that the case before has earned
    operation = case.operation.definition.raw["operationId"]
    good = case.meta.generation.mode.is_positive
    account = world.account()
    if operation in FOR_ADMINISTRATORS:
        administrator(world, account.sign_in())
    FILL.get(operation, _signed_in)(account, case) if good else _signed_in(account, case)
    headers = {"Authorization": f"Bearer {account.token}"} if account.token else {}
    response = case.call_and_validate(base_url=url, headers=headers)
    SUCCEEDED[operation] += good and response.status_code < 300


def test_good_requests_got_in_everywhere() -> None:
    """Runs after the cases above: a fuzzer that meets closed doors only has tested nothing."""
    operations = {
        result.ok().definition.raw["operationId"] for result in schema.get_all_operations()
    }
    assert operations
    assert {name for name in operations if not SUCCEEDED[name]} == set()


def test_a_server_that_lies_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers.mfa, "pack", lambda _result: {"enabled": "perhaps"})
    world = world_in(tmp_path, contract="report")
    account = world.account().sign_in()
    case = schema["/mfa/status"]["GET"].Case()
    with listening(world) as url, pytest.raises(FailureGroup, match="perhaps"):
        case.call_and_validate(base_url=url, headers={"Authorization": f"Bearer {account.token}"})
