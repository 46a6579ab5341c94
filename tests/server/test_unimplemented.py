"""A spec that is ahead of its handlers is served in development, and nowhere else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from contract.diagnostics import SpecError
from server import app, spec
from tests.support.api import Api
from tests.support.servers import ROOT
from tests.support.specs import ahead
from tests.support.world import World, settings_in

DEVICE = "/devices/7c9e6679-7425-40de-944b-e07fc1f90ae7"
NAME = {"name": "phone"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ahead")
    return ahead(Path(shutil.copytree(ROOT / "spec", folder / "spec")))


@pytest.fixture(scope="module")
def world(root: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(settings_in(tmp_path_factory.mktemp("world"), spec=root))


@pytest.fixture
def api(world: World) -> Api:
    return world.api


def missing(root: Path, name: str) -> str:
    files = {"renameDevice": "devices.yaml", "getHint": "mfa.yaml"}
    lines = (root.parent / "paths" / files[name]).read_text(encoding="utf-8").splitlines()
    line = next(n for n, text in enumerate(lines, 1) if text.endswith(f"operationId: {name}"))
    return f"spec/paths/{files[name]}:{line}:18: "


def test_the_lint_and_production_refuse(root: Path, tmp_path: Path) -> None:
    production = settings_in(tmp_path, env="production", issuer="https://id.example", spec=root)
    for attempt in (lambda: spec.read(root), lambda: app.read(production)):
        with pytest.raises(SpecError) as refused:
            attempt()
        lines = str(refused.value).splitlines()
        assert sorted(line.split("error: ")[0] for line in lines) == [
            missing(root, "renameDevice"),
            missing(root, "getHint"),
        ]


def test_development_warns_of_each_at_its_place(root: Path, tmp_path: Path) -> None:
    reading = app.read(settings_in(tmp_path, spec=root))
    told = [str(each) for each in reading.bundle.warnings]
    assert told == [
        missing(root, "renameDevice") + 'warning: "renameDevice" has no handler: '
        'there is no module for "devices"; its examples are sent',
        missing(root, "getHint") + 'warning: "getHint" has no handler: '
        "handlers.mfa.get_hint does not exist; its examples are sent",
    ]


def test_a_function_under_another_name_is_still_a_mistake(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ROOT / "spec", tmp_path / "spec"))
    paths = folder / "paths" / "mfa.yaml"
    text = paths.read_text(encoding="utf-8")
    paths.write_text(text.replace("operationId: getMFAStatus", "operationId: getMFAState"), "utf-8")
    with pytest.raises(SpecError) as refused:
        app.read(settings_in(tmp_path, spec=folder / "openapi.yaml"))
    assert 'error: "getMFAState" has no handler' in str(refused.value)
    assert "no operation is served by handlers.mfa.get_mfa_status" in str(refused.value)


def test_its_examples_are_sent_and_marked(world: World) -> None:
    account = world.account().sign_in()
    with capture_logs() as logs:
        reply = world.api.request("PUT", DEVICE, json=NAME, token=account.token)
    assert reply.data == NAME
    assert reply.headers["Preference-Applied"] == "example"
    assert [each["operation"] for each in logs if each["event"] == "answered_from_examples"] == [
        "renameDevice"
    ]
    preferred = {"Prefer": "example=laptop"}
    other = world.api.request("PUT", DEVICE, json=NAME, token=account.token, headers=preferred)
    assert other.data == {"name": "laptop"}
    assert other.headers["Preference-Applied"] == "example=laptop"


def test_requests_and_sessions_are_checked_in_earnest(world: World) -> None:
    account = world.account().sign_in()
    assert world.api.request("PUT", DEVICE, json=NAME).status == 401
    assert world.api.request("PUT", DEVICE, json=NAME, token="a.b.c").status == 401
    assert world.api.request("PUT", DEVICE, json={}, token=account.token).status == 400
    assert world.api.request("PUT", "/devices/x", json=NAME, token=account.token).status == 400
    assert world.api.get("/mfa/hints?short=1").status == 400
    assert world.api.get("/mfa/hints?long=true").json == {
        "success": True,
        "message": "Hint retrieved",
    }
    world.api.post("/auth/logout", token=account.token)
    assert world.api.request("PUT", DEVICE, json=NAME, token=account.token).status == 401


def test_what_has_a_handler_is_served_by_it_and_not_marked(world: World) -> None:
    account = world.account().sign_in()
    reply = world.api.get("/mfa/status", token=account.token, headers={"Prefer": "code=429"})
    assert reply.status == 200
    assert "Preference-Applied" not in reply.headers


def test_the_mark_is_declared_where_it_is_sent(api: Api) -> None:
    paths = api.get("/openapi.json").json["paths"]
    put, status = paths["/devices/{device_id}"]["put"], paths["/mfa/status"]["get"]
    assert all("Preference-Applied" in each["headers"] for each in put["responses"].values())
    assert "Preference-Applied" not in status["responses"]["200"]["headers"]
    assert api.get("/docs/explained.json").status == 200


def test_the_flood_limit_holds_before_there_is_a_handler(root: Path, tmp_path: Path) -> None:
    api = World(settings_in(tmp_path, spec=root)).api
    assert {api.get("/mfa/hints").status for _ in range(700)} == {200, 429}
