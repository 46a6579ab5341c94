from __future__ import annotations

import json

from domain.services import Services
from handlers import mfa
from tests.domain.world import HOME, OPERATIONS, PASSWORD, Person, a_trail
from tests.support.authenticator import Authenticator


def test_a_setup_holds_all_that_the_spec_names(services: Services, bob: Person) -> None:
    data = mfa.setup_mfa(services, a_trail(), bob.session())
    assert set(data) == {
        "secret",
        "otpauth_uri",
        "qr_code",
        "backup_codes",
        "expires_in",
        "algorithm",
        "digits",
        "period",
    }
    assert isinstance(data["backup_codes"], list)
    assert json.loads(json.dumps(data)) == data


def test_proving_a_setup_answers_nothing_and_turns_mfa_on(services: Services, bob: Person) -> None:
    secret = mfa.setup_mfa(services, a_trail(), bob.session())["secret"]
    body = {"code": Authenticator(secret).code(bob.clock.now())}
    assert mfa.verify_mfa(services, a_trail(), body, bob.session(), OPERATIONS["verifyMFA"]) is None
    assert mfa.get_mfa_status(services, bob.session()) == {
        "enabled": True,
        "pending": False,
        "enabled_at": "2026-11-24T09:00:07Z",
        "last_used_at": "2026-11-24T09:00:07Z",
        "backup_codes_remaining": 10,
        "backup_codes_total": 10,
        "backup_codes_low": False,
    }


def test_without_mfa_the_status_has_no_times(services: Services, bob: Person) -> None:
    data = mfa.get_mfa_status(services, bob.session())
    assert (data["enabled"], data["enabled_at"], data["last_used_at"]) == (False, None, None)


def test_regenerating_gives_the_codes_and_their_time(services: Services, ann: Person) -> None:
    data = mfa.regenerate_backup_codes(services, a_trail(), ann.session())
    assert set(data) == {"codes", "generated_at"}
    assert len(data["codes"]) == 10
    assert data["generated_at"] == "2026-11-24T09:00:07Z"


def test_a_spent_backup_code_tells_what_is_left(services: Services, ann: Person) -> None:
    body, policy = {"code": ann.codes[0]}, OPERATIONS["verifyBackupCode"]
    assert mfa.verify_backup_code(services, a_trail(), body, ann.session(), policy) == {
        "backup_codes_remaining": 9,
        "backup_codes_low": False,
    }


def test_disabling_answers_nothing_and_turns_mfa_off(services: Services, ann: Person) -> None:
    body, policy = {"password": PASSWORD, "code": ann.codes[0]}, OPERATIONS["disableMFA"]
    assert mfa.disable_mfa(services, a_trail(), body, ann.session(), HOME, policy) is None
    assert not mfa.get_mfa_status(services, ann.session())["enabled"]
