from __future__ import annotations

from domain.services import Services
from handlers import admin
from tests.domain.test_admin import administrator
from tests.domain.world import Make, Person, a_trail


def test_an_account_is_told_in_json_s_own_types(services: Services, ann: Person) -> None:
    user_id = ann.session().user_id
    told = {
        "user_id": user_id,
        "username": ann.username,
        "role": "user",
        "active": True,
        "mfa_enabled": True,
        "created_at": "2026-11-24T09:00:07Z",
    }
    assert admin.get_user(services, user_id) == told
    page = admin.list_users(services, None, 20, None)
    assert page == {"users": [told], "next_cursor": None}


def test_a_page_says_where_to_go_on(services: Services, person: Make) -> None:
    made = [person().username for _ in range(3)]
    first = admin.list_users(services, None, 2, None)
    assert [user["username"] for user in first["users"]] == made[:2]
    second = admin.list_users(services, None, 2, first["next_cursor"])
    assert [user["username"] for user in second["users"]] == made[2:]
    assert admin.list_users(services, made[0].upper(), 2, None)["users"] == first["users"][:1]


def test_acts_answer_nothing(services: Services, person: Make, ann: Person) -> None:
    root, user_id = administrator(person), ann.session().user_id
    for act in (
        admin.end_user_sessions,
        admin.reset_user_mfa,
        admin.deactivate_user,
        admin.reactivate_user,
    ):
        assert act(services, a_trail(), root.session(), user_id) is None


def test_events_are_told_in_json_s_own_types(services: Services, person: Make, ann: Person) -> None:
    root, user_id = administrator(person), ann.session().user_id
    admin.deactivate_user(services, a_trail("user.deactivated"), root.session(), user_id)
    page = admin.list_audit_events(services, 1, None, user_id, "user.deactivated")
    (told,) = page["events"]
    assert page["next_cursor"] is None
    assert (told["event"], told["result"], told["reason"]) == ("user.deactivated", "success", None)
    assert (told["user_id"], told["actor_id"]) == (user_id, root.session().user_id)
    assert told["session_id"] == root.session().id
    assert admin.list_audit_events(services, 1, None, user_id, "mfa.reset")["events"] == []
    older = admin.list_audit_events(services, 1, None, None, None)
    assert older["next_cursor"] == str(told["number"])
