"""The guide for spec authors is carried out: every edit in it, and what it says is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.notes import copy
from tests.support.servers import ROOT
from tests.support.tasks import GUIDE, SEEN, Change, Stage, make, tasks, undone
from tests.support.world import SHIPPED, World, world_in

TASKS = tasks(GUIDE.read_text("utf-8"))


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The control: the spec as it is."""
    return world_in(tmp_path_factory.mktemp("shipped"), spec=SHIPPED)


def stage(world: World) -> Stage:
    return Stage(world.api, world.clock)


def test_ten_tasks_are_described_and_each_is_looked_at() -> None:
    assert list(TASKS) == list(SEEN)
    assert len(TASKS) == 10
    assert all(TASKS.values())


@pytest.mark.parametrize("title", TASKS)
def test_a_task_does_what_the_guide_says(tmp_path: Path, shipped: World, title: str) -> None:
    seen = SEEN[title]
    assert seen.look(stage(shipped)) == seen.before
    spec = copy(tmp_path, ROOT / "spec")
    make(spec, TASKS[title])
    assert seen.look(stage(world_in(tmp_path, spec=spec / "openapi.yaml"))) == seen.after


@pytest.mark.parametrize("title", TASKS)
def test_a_task_is_taken_back(tmp_path: Path, title: str) -> None:
    spec = copy(tmp_path, ROOT / "spec")
    before = {path: path.read_bytes() for path in spec.rglob("*.yaml")}
    make(spec, TASKS[title])
    assert {path: path.read_bytes() for path in spec.rglob("*.yaml")} != before
    make(spec, undone(TASKS[title]))
    assert {path: path.read_bytes() for path in spec.rglob("*.yaml")} == before


def test_a_diff_is_read_place_by_place() -> None:
    text = "### 1. One\n```diff\n--- spec/a.yaml\n x: 1\n-y: 2\n+y: 3\n@@\n-z: 1\n+z: 2\n--- spec/b.yaml\n+w: 1\n```\n"
    assert tasks(text) == {
        "One": [
            Change("a.yaml", "x: 1\ny: 2", "x: 1\ny: 3"),
            Change("a.yaml", "z: 1", "z: 2"),
            Change("b.yaml", "", "w: 1"),
        ]
    }
