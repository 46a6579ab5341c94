"""Which operation a path and a method lead to."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from contract.routing import Router
from tests.contract.lab.stage import ROOT, Lab, contract, exchange, scope
from tests.contract.lab.variants import edited


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(contract())


def test_a_literal_path_is_preferred_to_a_template(lab: Lab) -> None:
    lab.call("GET", "/things/latest")
    assert lab.stage.calls[-1][0] == "latestThing"


def test_a_percent_encoded_slash_belongs_to_the_segment(lab: Lab) -> None:
    assert lab.call("GET", "/things/a%2Fb").status == 200
    assert lab.stage.calls[-1] == ("getThing", {"thing_id": "a/b"})


def test_a_parameter_is_decoded_once(lab: Lab) -> None:
    assert lab.call("GET", "/things/%C3%A9").status == 200
    assert lab.stage.calls[-1] == ("getThing", {"thing_id": "é"})
    assert lab.call("GET", "/things/%2561").details[0]["pointer"] == "/thing_id"


def test_a_server_that_gives_no_raw_path_is_served_too(lab: Lab) -> None:
    for path, expected in (("/things/é", 200), ("/things/a%62", 400)):
        request = scope("GET", "", ()) | {"path": path, "raw_path": None}
        assert asyncio.run(exchange(lab.app, request, [b""])).status == expected


def test_an_unreserved_character_may_come_encoded(lab: Lab) -> None:
    assert lab.call("GET", "/%74hings").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/",
        "",
        "*",
        "//",
        "//things",
        "//example.org/things",
        "/things/",
        "/things//",
        "/things/a/",
        "/things/a/b",
        "/Things",
        "/things%2Fa-1",
        "/./things",
        "/x/../things",
        "/things;a=b",
        "/%ff",
        "/%00",
        "/%",
        "/{thing_id}",
        "/é",
        "\\things",
    ],
)
def test_any_other_path_is_not_found(lab: Lab, path: str) -> None:
    answer = lab.call("GET", path)
    assert (answer.status, answer.code) == (404, "not_found")
    assert answer.header("location") is None


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/things", "GET, HEAD, OPTIONS, POST"),
        ("/things/a-1", "DELETE, GET, HEAD, OPTIONS"),
        ("/things/latest", "GET, HEAD, OPTIONS"),
        ("/login", "OPTIONS, POST"),
    ],
)
def test_another_method_is_told_every_method_of_the_path(lab: Lab, path: str, allow: str) -> None:
    for method in ("PUT", "PATCH", "TRACE", "CONNECT", "FOO", "get"):
        answer = lab.call(method, path)
        assert (answer.status, answer.code) == (405, "method_not_allowed")
        assert answer.header("allow") == allow


@pytest.mark.parametrize("path", ["/things", "/things/a-1", "/login"])
def test_options_names_the_methods_and_has_no_body(lab: Lab, path: str) -> None:
    answer = lab.call("OPTIONS", path)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.header("allow") == lab.call("PUT", path).header("allow")
    assert answer.header("content-type") is None
    assert answer.header("content-length") is None


def test_options_of_an_unknown_path_is_not_found(lab: Lab) -> None:
    assert lab.call("OPTIONS", "/nope").status == 404


@pytest.mark.parametrize("path", ["/things", "/plain", "/nope", "/things?limit=x"])
def test_head_is_get_without_the_body(lab: Lab, path: str) -> None:
    got, head = lab.call("GET", path), lab.call("HEAD", path)
    assert head.body == b""
    assert head.status == got.status
    for name in ("content-type", "content-length", "cache-control", "x-total"):
        assert head.header(name) == got.header(name)
    assert head.header("content-length") == str(len(got.body))


def test_head_is_not_allowed_where_there_is_no_get(lab: Lab) -> None:
    answer = lab.call("HEAD", "/login")
    assert (answer.status, answer.body) == (405, b"")


def test_a_method_override_is_ignored(lab: Lab) -> None:
    answer = lab.call("POST", "/things/a-1", headers=[("X-HTTP-Method-Override", "DELETE")])
    assert answer.status == 405


def test_the_path_of_the_server_url_comes_first(tmp_path: Path) -> None:
    root = edited(tmp_path, "openapi.yaml", "url: /\n", "url: https://lab.test/api/v1/\n")
    lab = Lab(contract(root))
    assert lab.call("GET", "/api/v1/things").status == 200
    assert lab.call("GET", "/api/v1/things/a-1").status == 200
    assert lab.call("GET", "/things").status == 404


def test_every_operation_of_the_contract_is_found() -> None:
    compiled = contract(ROOT)
    router = Router("", compiled.operations.values())
    for operation in compiled.operations.values():
        found = router.match(operation.path.replace("{thing_id}", "a-1").encode())
        assert found is not None
        assert found[0].operation(operation.method) is operation


def test_a_path_that_is_not_utf_8_is_no_parameter(lab: Lab) -> None:
    answer = lab.call("GET", "/things/%ff")
    assert answer.status == 400
    assert answer.details[0]["location"] == "path"
    assert answer.details[0]["keyword"] == "utf-8"
