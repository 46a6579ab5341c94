"""The headers of a response are what is sent: no more, no fewer, and none that nobody can make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from contract.check import breaches
from contract.diagnostics import SpecError
from contract.replies import Reply, malformed, turned_away
from contract.request import Exchange
from server.spec import read
from tests.contract.notes import copy, plant
from tests.support.servers import ROOT
from tests.support.world import World, world_in

SPEC = ROOT / "spec"
HEADERS, RESPONSES, META = "components/headers.yaml", "components/responses.yaml", "paths/meta.yaml"

NO_STORE = '    Cache-Control:\n      $ref: "headers.yaml#/NoStore"\n'
CONSTANTS = """
Frames:
  description: Nobody frames an API.
  required: true
  schema: {type: string, enum: [DENY]}
  example: DENY

Level:
  description: A number that is always the same.
  required: true
  schema: {type: integer, enum: [2]}
  example: 2

Hint:
  description: What need not be sent is not made up.
  schema: {type: string, enum: [hint]}
  example: hint
"""
CARRIED = """    X-Frame-Options: {$ref: "headers.yaml#/Frames"}
    X-API-Level: {$ref: "headers.yaml#/Level"}
    X-Hint: {$ref: "headers.yaml#/Hint"}
"""
UNMADE = """
Unmade:
  description: What nothing in the server makes.
  required: true
  schema: {type: string, minLength: 1}
  example: x
"""


def component(text: str, name: str, old: str, new: str) -> str:
    """The file of the responses with an edit of one of them."""
    before, found, after = text.partition(f"\n{name}:\n")
    assert found
    assert old in after, old
    return before + found + after.replace(old, new, 1)


def edited(folder: Path, definitions: str, *edits: tuple[str, str, str]) -> Path:
    """A copy of the spec with further headers, and edits of responses: name, old, new."""
    files = copy(folder, SPEC)
    responses, headers = files / RESPONSES, files / HEADERS
    text = responses.read_text("utf-8")
    for edit in edits:
        text = component(text, *edit)
    responses.write_text(text, "utf-8")
    headers.write_text(headers.read_text("utf-8") + definitions, "utf-8")
    return files / "openapi.yaml"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> World:
    """401 and 400 with three headers more, 415 and the keys without one that others have."""
    folder = tmp_path_factory.mktemp("headers")
    root = edited(
        folder,
        CONSTANTS,
        ("Unauthorized", NO_STORE, NO_STORE + CARRIED),
        ("BadRequest", NO_STORE, NO_STORE + CARRIED),
        ("UnsupportedMediaType", NO_STORE, ""),
        ("Options", "    Allow:\n", CARRIED + "    Allow:\n"),
    )
    cached = '          Cache-Control:\n            $ref: "../components/headers.yaml#/Cacheable"\n'
    plant(root.parent, META, cached, "")
    return world_in(folder, spec=root)


def test_a_header_with_one_value_is_sent_because_it_is_declared(planted: World) -> None:
    for reply in (
        planted.api.get("/auth/session"),
        planted.api.get("/health/live", params={"undeclared": "1"}),
        planted.api.request("OPTIONS", "/health/live"),
    ):
        assert reply.headers["X-Frame-Options"] == "DENY"
        assert reply.headers["X-API-Level"] == "2"
        assert "X-Hint" not in reply.headers
    malformed = planted.application.connection_replies.malformed()
    assert b"\r\nX-Frame-Options: DENY\r\nX-API-Level: 2\r\n" in malformed


def test_a_header_that_is_declared_no_more_is_sent_no_more(planted: World) -> None:
    typed = {"Content-Type": "text/plain"}
    unsupported = planted.api.post("/auth/login", content=b"x", headers=typed)
    keys = planted.api.get("/.well-known/jwks.json")
    assert (unsupported.status, keys.status) == (415, 200)
    for reply in (unsupported, keys):
        assert "Cache-Control" not in reply.headers
        assert "X-Frame-Options" not in reply.headers
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_the_shipped_spec_has_what_the_edits_took_away(world: World) -> None:
    typed = {"Content-Type": "text/plain"}
    unsupported = world.api.post("/auth/login", content=b"x", headers=typed)
    assert unsupported.headers["Cache-Control"] == "no-store"
    cached = world.api.get("/.well-known/jwks.json").headers["Cache-Control"]
    assert cached == "public, max-age=300"
    assert "X-Frame-Options" not in world.api.get("/auth/session").headers


ASKED = '    X-Unmade: {$ref: "headers.yaml#/Unmade"}\n'
UNSENT = {
    # the response that asks for it, and one of those who would answer without it
    "a refusal": ("Unauthorized", "401"),
    "a refusal of the contract": ("PayloadTooLarge", "413 payload_too_large"),
    "what no path answers": ("MethodNotAllowed", "a method that a path lacks answers 405"),
    "OPTIONS": ("Options", "OPTIONS answers 204"),
    "a fault": ("InternalError", "500"),
}


@pytest.mark.parametrize("name", UNSENT)
def test_a_required_header_that_nobody_makes_is_refused_at_start(tmp_path: Path, name: str) -> None:
    response, who = UNSENT[name]
    root = edited(tmp_path, UNMADE, (response, "  headers:\n", "  headers:\n" + ASKED))
    faults = errors(root)
    text = (root.parent / HEADERS).read_text("utf-8")
    line = text[: text.index(UNMADE)].count("\n") + 4
    assert len(faults) == 1
    assert faults[0].startswith(f"spec/{HEADERS}:{line}:3: error: ")
    assert faults[0].endswith('but nothing sends the header "X-Unmade"')
    assert who in faults[0]


def test_one_of_a_single_success_is_refused_at_start_as_well(tmp_path: Path) -> None:
    root = edited(tmp_path, UNMADE)
    old = "        description: Alive\n        headers:\n"
    asked = '          X-Unmade: {$ref: "../components/headers.yaml#/Unmade"}\n'
    plant(root.parent, META, old, old + asked)
    (fault,) = errors(root)
    assert fault.endswith('getLiveness answers 200, but nothing sends the header "X-Unmade"')


@pytest.mark.parametrize("make", [malformed, turned_away])
def test_what_the_protocol_sends_keeps_to_what_the_root_lists(
    planted: World, make: Callable[[Exchange], Reply]
) -> None:
    errors = planted.application.contract.errors
    reply = make(Exchange(errors))
    assert breaches(reply, errors) == ()
    lacking = replace(reply, headers=[h for h in reply.headers if h[0] != "Cache-Control"])
    assert [breach.keyword for breach in breaches(lacking, errors)] == ["required"]


def errors(root: Path) -> list[str]:
    with pytest.raises(SpecError) as refused:
        read(root)
    return [str(d) for d in refused.value.diagnostics if d.severity == "error"]
