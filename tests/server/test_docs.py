"""The documentation's pages: what a browser is told it may do with them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import urljoin

import pytest
import yaml

from server.docs import pages
from tests.support.servers import ROOT
from tests.support.world import SHIPPED, World, reading_of, world_in

SPEC = ROOT / "spec"
PATHS = sorted(pages({"openapi": "3.0.3"}, list, reading_of(SHIPPED).bundle.texts))
HTML = ROOT / "server" / "static" / "index.html"


def directives(policy: str) -> dict[str, list[str]]:
    return {name: sources for name, *sources in map(str.split, policy.split(";"))}


@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_closed_to_frames_and_leaves_no_trace(world: World, path: str) -> None:
    reply = world.api.get(path)
    assert reply.status in (200, 308)
    policy = directives(reply.headers["content-security-policy"])
    assert policy["default-src"] == policy["frame-ancestors"] == ["'none'"]
    assert reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["cross-origin-resource-policy"] == "same-origin"
    assert "set-cookie" not in reply.headers


def test_the_page_runs_its_own_files_and_no_other_script(world: World) -> None:
    policy = directives(world.api.get("/docs/").headers["content-security-policy"])
    assert policy["script-src"] == policy["connect-src"] == ["'self'"]
    assert policy["base-uri"] == policy["form-action"] == ["'none'"]
    page = HTML.read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert re.findall(r"(?:src|href)=\"(?:https?:)?//", page) == []


def test_what_the_page_names_is_there(world: World) -> None:
    named = re.findall(r"(?:src|href)=\"([^\"]+)\"", HTML.read_text(encoding="utf-8"))
    assert {world.api.get(f"/docs/{name}").status for name in named} == {200}
    assert {f"/docs/{name}" for name in named} <= set(PATHS)


def test_what_the_spec_decides_is_shown_for_every_operation(world: World) -> None:
    reply = world.api.get("/docs/explained.json")
    told = {(each["method"], each["path"], each["operation"]) for each in reply.json}
    document = world.api.get("/openapi.json").json
    assert told == {
        (method.upper(), path, operation["operationId"])
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert 'read("explained.json")' in (HTML.parent / "page.js").read_text(encoding="utf-8")


def test_every_workflow_is_listed_and_served_as_it_stands(world: World) -> None:
    listed = world.api.get("/docs/workflows.json").json
    files = sorted((SPEC / "workflows").glob("*.arazzo.yaml"))
    assert [each["file"] for each in listed] == [f"workflows/{path.name}" for path in files]
    for each, path in zip(listed, files, strict=True):
        reply = world.api.get(f"/docs/{each['file']}")
        assert reply.headers["content-type"] == "application/yaml"
        assert reply.content == path.read_bytes()
        info = yaml.safe_load(reply.content)["info"]
        assert (each["title"], each["summary"]) == (info["title"], info["summary"])
    assert 'read("workflows.json")' in (HTML.parent / "page.js").read_text(encoding="utf-8")


def test_what_a_workflow_refers_to_is_served_where_it_says(world: World) -> None:
    for path in (each for each in PATHS if each.endswith(".arazzo.yaml")):
        for source in yaml.safe_load(world.api.get(path).content)["sourceDescriptions"]:
            assert world.api.get(urljoin(path, source["url"])).status == 200


def test_a_spec_without_workflows_has_an_empty_list(tmp_path: Path) -> None:
    root = Path(shutil.copytree(SPEC, tmp_path / "spec")) / "openapi.yaml"
    shutil.rmtree(root.parent / "workflows")
    assert world_in(tmp_path, spec=root).api.get("/docs/workflows.json").json == []
