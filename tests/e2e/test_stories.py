"""What people do with their second factor, on two real worker processes, from outside."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Cluster
from tests.e2e.tools import enrol, needs, phone_of, read_qr_code
from tests.e2e.wire import api_over, lines_to_all
from tests.support.accounts import Account, RealClock, ok, register
from tests.support.api import Api, Reply


@pytest.fixture(autouse=True)
def _tools() -> None:
    needs("oathtool", "oathtool")


def refused(reply: Reply, code: str, status: int = 401) -> None:
    assert (reply.status, reply.code) == (status, code), reply.content


def session_of(account: Account) -> dict[str, object]:
    return ok(account.get("/auth/session")).data


@pytest.fixture
def both(cluster: Cluster) -> Iterator[list[Api]]:
    """A client of each of the two workers."""
    with lines_to_all(cluster.server, 2) as lines:
        assert len({line.worker() for line in lines}) == 2
        yield [api_over(line) for line in lines]


def test_a_second_factor_from_its_first_scan_to_its_end(cluster: Cluster, tmp_path: Path) -> None:
    ann = cluster.account().sign_in()
    setup = ann.set_up()
    assert read_qr_code(setup["qr_code"], tmp_path) == setup["otpauth_uri"]
    assert phone_of(setup["otpauth_uri"]).secret == setup["secret"]
    enrol(ann, setup)
    assert session_of(ann)["amr"] == ["pwd", "otp", "mfa"]

    laptop = ann.another_device().sign_in()
    assert session_of(laptop)["acr"] == "aal2"
    before = session_of(laptop)
    laptop.step_up()
    after = session_of(laptop)
    assert after["session_id"] == before["session_id"]
    assert after["auth_time"] == before["auth_time"]

    old_code = laptop.backup_codes[0]
    laptop.backup_codes = list(ok(laptop.post("/mfa/backup-codes/regenerate")).data["codes"])
    refused(laptop.finish(laptop.begin()["challenge_id"], old_code), "invalid_code")
    tablet = laptop.another_device().sign_in_with_backup_code()
    assert session_of(tablet)["amr"] == ["pwd", "mfa"]
    assert tablet.status()["backup_codes_remaining"] == 9

    disable = {"password": tablet.password, "code": tablet.backup_codes.pop()}
    ok(tablet.post("/mfa/disable", json=disable))
    assert tablet.status()["enabled"] is False
    refused(laptop.get("/auth/session"), "invalid_token")
    assert "access_token" in tablet.begin()


def test_the_old_phone_works_until_the_new_one_is_proven_and_never_again(cluster: Cluster) -> None:
    ann = enrol(cluster.account().sign_in())
    old, old_sheet = ann.phone, list(ann.backup_codes)
    other = ann.another_device()
    setup = ann.set_up()
    other.sign_in()  # with the old phone
    unused = old.code_of(old.last_step + 1)
    enrol(ann, setup)
    assert ann.phone.secret != old.secret

    refused(other.get("/auth/session"), "invalid_token")
    refused(ann.finish(ann.begin()["challenge_id"], unused), "invalid_code")
    refused(ann.finish(ann.begin()["challenge_id"], old_sheet[0]), "invalid_code")
    ann.another_device().sign_in()  # with the new phone
    ann.another_device().sign_in_with_backup_code()


def test_a_new_password_ends_the_other_sessions(cluster: Cluster) -> None:
    ann = cluster.account().sign_in()
    other = ann.another_device().sign_in()
    new = secrets.token_urlsafe(16)
    change = {"current_password": ann.password, "new_password": new}
    ok(ann.post("/auth/password", json=change))
    assert session_of(ann)["acr"] == "aal1"
    refused(other.get("/auth/session"), "invalid_token")
    refused(refresh(other), "invalid_token")
    old = {"username": ann.username, "password": ann.password}
    refused(ann.api.post("/auth/login", json=old), "invalid_credentials")
    ann.password = new
    ann.another_device().sign_in()


def refresh(account: Account, token: str | None = None) -> Reply:
    return account.api.post("/auth/refresh", json={"refresh_token": token or account.refresh_token})


def test_a_refresh_token_rotates_and_its_reuse_ends_the_session(cluster: Cluster) -> None:
    ann = cluster.account().sign_in()
    first, session = ann.refresh_token, session_of(ann)
    ann.take(ok(refresh(ann)).data)
    second = ann.refresh_token
    assert second != first
    renewed = session_of(ann)
    assert {**renewed, "expires_at": ""} == {**session, "expires_at": ""}
    refused(refresh(ann, first), "invalid_token")
    refused(refresh(ann, second), "invalid_token")
    refused(ann.get("/auth/session"), "invalid_token")
    ann.sign_in()


def test_logout_is_immediate_at_every_worker(cluster: Cluster, both: list[Api]) -> None:
    ann = cluster.account().sign_in()
    for api in both:
        assert api.get("/auth/session", token=ann.token).status == 200
    ok(both[0].post("/auth/logout", token=ann.token))
    for api in both:
        refused(api.get("/auth/session", token=ann.token), "invalid_token")
        gone = api.post("/auth/refresh", json={"refresh_token": ann.refresh_token})
        refused(gone, "invalid_token")


def test_sessions_are_listed_and_ended_one_by_one(cluster: Cluster) -> None:
    ann = cluster.account().sign_in()
    phone, laptop = ann.another_device().sign_in(), ann.another_device().sign_in()
    listed = ok(ann.get("/auth/sessions")).data["sessions"]
    ids = [str(session_of(each)["session_id"]) for each in (ann, phone, laptop)]
    assert {each["session_id"] for each in listed} == set(ids)
    assert [each["session_id"] for each in listed if each["current"]] == ids[:1]

    stranger = cluster.account().sign_in()
    refused(stranger.delete(f"/auth/sessions/{ids[1]}"), "not_found", 404)
    assert session_of(phone)["session_id"] == ids[1]
    ok(ann.delete(f"/auth/sessions/{ids[1]}"))
    refused(phone.get("/auth/session"), "invalid_token")
    refused(ann.delete(f"/auth/sessions/{ids[1]}"), "not_found", 404)
    assert session_of(laptop)["session_id"] == ids[2]


def test_what_one_worker_began_the_other_finishes(both: list[Api]) -> None:
    one, two = both
    ann = register(one, RealClock()).sign_in()
    setup = ann.set_up()
    ann.api = two
    enrol(ann, setup)
    for begun_at, finished_at in ((one, two), (two, one)):
        ann.api = begun_at
        challenge = ann.begin()["challenge_id"]
        ann.api = finished_at
        ann.take(ok(ann.finish(challenge, ann.code())).data)
    assert session_of(ann)["acr"] == "aal2"


def test_both_workers_charge_one_budget(cluster: Cluster, both: list[Api]) -> None:
    one, two = both
    ann = enrol(cluster.account().sign_in())
    for attempt in range(5):
        ann.api = (one, two)[attempt % 2]
        wrong = ann.finish(ann.begin()["challenge_id"], ann.wrong_code())
        refused(wrong, "invalid_code")
    for api in (one, two):
        ann.api = api
        late = ann.finish(ann.begin()["challenge_id"], ann.code())
        refused(late, "too_many_attempts", 429)
        assert 1 <= int(late.headers["Retry-After"]) <= 30
    ann.another_device().sign_in_with_backup_code()
