"""What the server says about itself."""

from __future__ import annotations

import base64

import pytest

from tests.api import faults
from tests.support.world import World


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_is_an_envelope_around_a_word_and_of_readiness_the_revision(
    world: World, path: str
) -> None:
    reply = world.api.get(path)
    assert reply.status == 200
    assert reply.json["success"] is True
    revision = {"revision": world.application.contract.revision} if "ready" in path else {}
    assert reply.data == {"status": "ok"} | revision
    assert set(reply.json) == {"success", "message", "data"}


def test_liveness_asks_nothing_of_the_database_and_readiness_everything(world: World) -> None:
    with faults.vanished(world):
        assert world.api.get("/health/live").status == 200
        reply = world.api.get("/health/ready")
        assert (reply.status, reply.code) == (503, "unavailable")
    assert world.api.get("/health/ready").status == 200


def test_the_keys_are_a_bare_set_of_public_keys(world: World) -> None:
    reply = world.api.get("/.well-known/jwks.json")
    assert reply.status == 200
    assert set(reply.json) == {"keys"}
    (key,) = reply.json["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")
    assert all(len(base64.urlsafe_b64decode(key[name] + "=")) == 32 for name in "xy")


def test_the_keys_may_be_cached_and_nothing_that_carries_a_secret_may(world: World) -> None:
    cached = world.api.get("/.well-known/jwks.json").headers["Cache-Control"]
    assert cached == "public, max-age=300"
    account = world.account().sign_in()
    for reply in (account.get("/auth/session"), account.post("/mfa/setup")):
        assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/.well-known/jwks.json"])
def test_head_is_get_without_a_body(world: World, path: str) -> None:
    got, asked = (world.api.request(method, path) for method in ("GET", "HEAD"))
    assert (asked.status, asked.content) == (200, b"")
    assert asked.headers["Content-Length"] == str(len(got.content))
    assert asked.headers["Content-Type"] == got.headers["Content-Type"]


def test_every_reply_has_an_id_of_its_own_that_no_client_chooses(world: World) -> None:
    chosen = "0" * 32
    replies = [
        world.api.get(path, headers={"X-Request-ID": chosen})
        for path in ("/health/live", "/health/live", "/nowhere", "/auth/session")
    ]
    ids = {reply.headers["X-Request-ID"] for reply in replies}
    assert len(ids) == len(replies)
    assert chosen not in ids
