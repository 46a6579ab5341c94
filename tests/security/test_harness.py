"""The harness does what the rows rely on; a site is real, and a refusal is one."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx
import pytest

from tests.security.phones import Phone
from tests.security.refusals import refused, unchanged
from tests.security.site import CONFIGURATIONS, Site
from tests.support.accounts import ok
from tests.support.api import Reply
from tests.support.authenticator import Authenticator

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def test_the_clock_of_every_worker_is_the_site_s(site: Site) -> None:
    ann = site.user()
    site.clock.advance(minutes=9)
    for worker in range(site.workers):
        assert site.api(worker).get("/auth/session", token=ann.token).status == 200
    site.clock.advance(minutes=2)
    for worker in range(site.workers):
        assert site.api(worker).get("/auth/session", token=ann.token).status == 401


def test_the_clock_moves_forward_only(site: Site) -> None:
    before = site.clock.now()
    site.clock.to_phase(29)
    assert site.clock.now().timestamp() % 30 == 29
    assert timedelta(0) <= site.clock.now() - before < timedelta(seconds=30)
    with pytest.raises(AssertionError, match="forward only"):
        site.clock.to(before - timedelta(seconds=1))


def test_requests_alternate_between_the_workers(site: Site) -> None:
    api, seen = site.api(), []
    for _ in range(4):
        api.get("/health/live")
    for (url, source), _client in site._clients.items():
        assert source == site.address
        seen.append(url)
    assert sorted(seen) == sorted(server.url for server in site.house.servers)


def test_a_member_signs_in_with_codes_of_oathtool(site: Site) -> None:
    ann = site.member()
    assert isinstance(ann.phone, Phone)
    assert ann.another_device().sign_in().get("/auth/session").data["acr"] == "aal2"
    assert site.rows("SELECT active FROM users WHERE id = :id", id=ann.user_id)[0]["active"]
    assert ann.username in site.dump()


def test_a_worker_that_was_killed_or_stopped_comes_back(site: Site) -> None:
    ann = site.user()
    last = site.workers - 1
    site.kill(last)
    with pytest.raises(httpx.TransportError):
        site.api(last).get("/health/live")
    site.restart(last)
    assert site.api(last).get("/auth/session", token=ann.token).status == 200
    assert site.stop(last) == 0
    site.house.heal()
    site.pause(last)
    site.house.heal()
    assert all(site.api(n).get("/health/live").status == 200 for n in range(site.workers))


def test_oathtool_agrees_with_the_other_writing_of_the_rfc() -> None:
    other = Authenticator(SECRET)
    for step in (1, 15, 16, 37037036, 59999999, 2**31 // 30, 20000000000 // 30):
        assert Phone(SECRET).code_of(step) == other.code_of(step)


def reply_of(status: int, body: object, **headers: str) -> Reply:
    return Reply(status, httpx.Headers(headers), json.dumps(body).encode())


REFUSAL = {"success": False, "message": "no", "error": {"code": "invalid_code", "details": []}}


@pytest.mark.parametrize(
    "reply",
    [
        reply_of(200, {"success": True}),
        reply_of(503, REFUSAL),
        reply_of(401, REFUSAL, **{"set-cookie": "session=1"}),
        reply_of(401, REFUSAL | {"data": {}}),
        reply_of(401, REFUSAL | {"hint": [{"secret": "GEZD"}]}),
        reply_of(401, REFUSAL | {"error": {"code": "invalid_token"}}),
    ],
    ids=["a success", "an outage", "a cookie", "data", "a secret", "another code"],
)
def test_what_is_no_refusal_is_told_apart(reply: Reply) -> None:
    refused(reply_of(401, REFUSAL), "invalid_code")
    with pytest.raises(AssertionError):
        refused(reply, "invalid_code")


def test_a_change_of_state_is_noticed(site: Site) -> None:
    ann = site.member()
    challenge = ann.begin()["challenge_id"]
    with unchanged(site, ann):
        refused(ann.finish(challenge, ann.wrong_code()), "invalid_code")
    with pytest.raises(AssertionError), unchanged(site, ann):
        ann.another_device().sign_in()
    with pytest.raises(AssertionError), unchanged(site, ann):
        ok(ann.post("/mfa/backup-codes/verify", json={"code": ann.backup_codes[0]}))


def test_every_configuration_has_its_servers(site: Site) -> None:
    assert site.name in CONFIGURATIONS
    assert len(site.house.servers) == site.workers
    assert site.house.database_url.startswith(site.engine)
