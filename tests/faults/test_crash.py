"""What is cut off in the middle: nobody has a token that is not on record, and nothing is halved."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import planted
from tests.faults.acts import burst, cut_at_each_commit, kill_after_the_commit
from tests.faults.postgres import Cluster
from tests.faults.scene import PROMISED, Scene, on_postgres, on_sqlite


@pytest.fixture
def buggy(request: pytest.FixtureRequest, postgres: Scene) -> Iterator[Scene]:
    """The server with a bug that it looks up at each commit."""
    postgres.house.plant(planted.LOST)
    yield postgres
    postgres.house.plant("")


def test_a_commit_whose_answer_is_lost_is_spent_and_refused(postgres: Scene) -> None:
    found = cut_at_each_commit(postgres, "after")
    assert found[503, True] >= 1
    assert not found[200, False]


def test_a_commit_that_is_lost_is_refused_and_not_spent(postgres: Scene) -> None:
    found = cut_at_each_commit(postgres, "before")
    assert found[503, False] >= 1
    assert not found[200, False]


def test_a_server_that_takes_a_lost_commit_for_done_is_noticed(buggy: Scene) -> None:
    with pytest.raises(AssertionError, match="a token without its session"):
        cut_at_each_commit(buggy, "before")


def crash(scene: Scene, cluster: Cluster) -> None:
    title = "PostgreSQL, immediate restart in a burst of logins"
    burst(title, scene, lambda: cluster.restart("immediate"))


def test_a_crash_of_the_database_in_a_burst_of_logins(postgres: Scene, cluster: Cluster) -> None:
    crash(postgres, cluster)


def test_a_server_that_does_not_wait_for_its_commits_is_noticed(
    cluster: Cluster, tmp_path: Path
) -> None:
    with (
        on_postgres(cluster, tmp_path, bug=planted.UNWAITED) as scene,
        pytest.raises(AssertionError, match="a token without"),
    ):
        crash(scene, cluster)


def test_a_suspended_database_in_a_burst_of_logins(postgres: Scene, cluster: Cluster) -> None:
    """What was sent before is carried out when it goes on, with nobody left to hear of it."""

    def suspend() -> None:
        cluster.suspend()
        time.sleep(PROMISED + 1)
        cluster.resume()

    burst("PostgreSQL, SIGSTOP in a burst of logins", postgres, suspend)


def test_a_killed_server_in_a_burst_of_logins(sqlite: Scene) -> None:
    def kill() -> None:
        sqlite.site.kill(0)
        sqlite.site.restart(0)

    burst("SQLite, kill -9 in a burst of logins", sqlite, kill)
    assert sqlite.integrity() == "ok"


def test_a_server_whose_every_helper_commits_is_noticed(tmp_path: Path) -> None:
    """The same act is a row of the catalogue, S-85, on both engines."""
    with on_sqlite(tmp_path) as scene:
        scene.house.plant(planted.HELPERS)
        with pytest.raises(AssertionError, match="a session without its refresh token"):
            kill_after_the_commit(scene)
