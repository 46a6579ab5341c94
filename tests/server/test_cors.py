"""Pages of listed origins may read replies; for every other client nothing changes."""

from __future__ import annotations

import pytest

from tests.support.api import Reply
from tests.support.world import World, world_in

LISTED, OTHER = "https://app.example.org", "https://evil.example.org"
OURS = "access-control-"


@pytest.fixture(scope="module")
def open_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("cors")
    return world_in(folder, cors_origins=(LISTED, "http://localhost:3000"))


def granted(reply: Reply) -> dict[str, str]:
    return {name: value for name, value in reply.headers.items() if name.startswith(OURS)}


def stable(reply: Reply) -> dict[str, str]:
    return {name: value for name, value in reply.headers.items() if name != "x-request-id"}


PATHS = ["/auth/session", "/health/live", "/.well-known/jwks.json", "/nowhere", "/openapi.json"]


@pytest.mark.parametrize("path", PATHS)
def test_a_listed_origin_may_read_replies_and_refusals(open_world: World, path: str) -> None:
    reply = open_world.api.get(path, headers={"Origin": LISTED})
    assert granted(reply) == {
        "access-control-allow-origin": LISTED,
        "access-control-expose-headers": (
            "RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-ID"
        ),
    }
    assert reply.headers["vary"] == "Origin"
    assert reply.status == open_world.api.get(path).status


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "origin",
    [OTHER, "null", LISTED + ".evil.org", LISTED + ":444", LISTED.upper(), "http" + LISTED[5:]],
)
def test_any_other_origin_gets_what_a_client_without_one_gets(
    open_world: World, path: str, origin: str
) -> None:
    theirs = open_world.api.get(path, headers={"Origin": origin})
    nobodys = open_world.api.get(path)
    assert (theirs.status, stable(theirs)) == (nobodys.status, stable(nobodys))
    assert granted(theirs) == {}


def preflight(world: World, path: str, origin: str, method: str = "POST") -> Reply:
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    return world.api.request("OPTIONS", path, headers=asked)


def test_a_preflight_says_what_the_path_takes(open_world: World) -> None:
    reply = preflight(open_world, "/auth/login", LISTED)
    assert (reply.status, reply.content) == (204, b"")
    assert reply.headers["allow"] == "OPTIONS, POST"
    assert granted(reply) == {
        "access-control-allow-origin": LISTED,
        "access-control-allow-methods": "OPTIONS, POST",
        "access-control-allow-headers": "Authorization, Content-Type",
        "access-control-max-age": "600",
    }


def test_a_preflight_of_a_path_that_is_not_there_lets_nothing_in(open_world: World) -> None:
    reply = preflight(open_world, "/nowhere", LISTED)
    assert reply.status == 404
    assert "access-control-allow-methods" not in reply.headers


def test_a_preflight_of_another_origin_is_a_plain_options(open_world: World) -> None:
    reply = preflight(open_world, "/auth/login", OTHER)
    assert reply.status == 204
    assert stable(reply) == stable(open_world.api.request("OPTIONS", "/auth/login"))


def test_the_browsers_own_credentials_are_never_let_in(open_world: World) -> None:
    for reply in (
        preflight(open_world, "/auth/login", LISTED),
        open_world.api.get("/auth/session", headers={"Origin": LISTED, "Cookie": "a=b"}),
    ):
        assert "access-control-allow-credentials" not in reply.headers


def test_without_a_list_no_origin_is_let_in(world: World) -> None:
    for reply in (
        world.api.get("/auth/session", headers={"Origin": LISTED}),
        preflight(world, "/auth/login", LISTED),
    ):
        assert granted(reply) == {}
        assert "vary" not in reply.headers
