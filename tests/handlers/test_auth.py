from __future__ import annotations

from domain.services import Services
from handlers import auth
from tests.domain.world import (
    HOME,
    OPERATIONS,
    PASSWORD,
    Person,
    SettableClock,
    a_trail,
)

LOGIN = OPERATIONS["login"]


def test_registering_gives_the_id_and_the_name_as_given(services: Services) -> None:
    data = auth.register_user(
        services, a_trail(), {"username": "Ann.Exämple", "password": PASSWORD}
    )
    assert set(data) == {"user_id", "username"}
    assert data["username"] == "Ann.Exämple"


def test_signing_in_without_mfa_gives_tokens(services: Services, bob: Person) -> None:
    body = {"username": bob.username, "password": PASSWORD}
    data = auth.login(services, a_trail(), body, HOME, LOGIN, None)
    assert set(data) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (data["token_type"], data["expires_in"]) == ("Bearer", 600)


def test_signing_in_with_mfa_gives_a_challenge_and_its_code_tokens(
    services: Services, ann: Person
) -> None:
    body = {"username": ann.username, "password": PASSWORD}
    data = auth.login(services, a_trail(), body, HOME, LOGIN, None)
    assert data == {
        "mfa_required": True,
        "challenge_id": data["challenge_id"],
        "expires_in": 300,
        "methods": ["totp", "backup_code"],
    }
    finish = {"challenge_id": data["challenge_id"], "mfa_code": ann.code()}
    assert "access_token" in auth.login(services, a_trail(), finish, HOME, LOGIN, None)


def test_refreshing_gives_tokens(services: Services, bob: Person) -> None:
    assert bob.tokens is not None
    data = auth.refresh_tokens(services, a_trail(), {"refresh_token": bob.tokens.refresh_token})
    assert set(data) == {"access_token", "refresh_token", "token_type", "expires_in"}


def test_a_session_is_told_in_json_s_own_types(
    services: Services, clock: SettableClock, bob: Person, ann: Person
) -> None:
    data = auth.get_session(services, bob.session())
    assert data == {
        "user_id": bob.session().user_id,
        "username": bob.username,
        "session_id": bob.session().id,
        "acr": "aal1",
        "amr": ["pwd"],
        "auth_time": "2026-11-24T09:00:07Z",
        "mfa_time": None,
        "expires_at": "2026-11-24T10:00:07Z",
    }
    assert auth.get_session(services, ann.session())["mfa_time"] == "2026-11-24T09:00:07Z"


def test_sessions_are_told_in_json_s_own_types(services: Services, bob: Person) -> None:
    assert auth.list_sessions(services, bob.session()) == {
        "sessions": [
            {
                "session_id": bob.session().id,
                "created_at": "2026-11-24T09:00:07Z",
                "last_used_at": "2026-11-24T09:00:07Z",
                "acr": "aal1",
                "current": True,
                "user_agent": "Firefox",
            }
        ]
    }


def test_a_step_up_challenge_looks_like_one_of_login(services: Services, ann: Person) -> None:
    data = auth.create_challenge(services, a_trail(), ann.session())
    assert set(data) == {"mfa_required", "challenge_id", "expires_in", "methods"}


def test_what_only_ends_or_changes_something_answers_nothing(
    services: Services, bob: Person
) -> None:
    other = bob.elsewhere().sign_in().session()
    body = {"current_password": PASSWORD, "new_password": "heron under the bridge"}
    session = bob.session()
    assert auth.end_session(services, a_trail(), session, other.id) is None
    policy = OPERATIONS["changePassword"]
    assert auth.change_password(services, a_trail(), body, session, HOME, policy) is None
    assert auth.logout(services, a_trail(), session) is None
