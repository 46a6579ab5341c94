"""One PostgreSQL and one server over it for the tests that leave both as they were."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.postgres import Cluster, a_cluster
from tests.faults.scene import Scene, on_postgres, on_sqlite


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with a_cluster() as running:
        yield running


@pytest.fixture(scope="module")
def postgres(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with on_postgres(cluster, tmp_path_factory.mktemp("postgresql")) as scene:
        yield scene


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with on_sqlite(tmp_path_factory.mktemp("sqlite")) as scene:
        yield scene
