"""Two worker processes over one database, on each engine, for the whole run of these tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from storage import migrate
from tests.storage import databases
from tests.support.accounts import Account, RealClock, register
from tests.support.api import Api, over_http
from tests.support.servers import ServerProcess, environment, serving
from tests.support.world import World, settings_in


@dataclass(frozen=True)
class Cluster:
    """A server and a client of it; ``folder`` has its keys, ``url`` is that of its database."""

    folder: Path
    url: str
    server: ServerProcess
    api: Api

    @property
    def env(self) -> dict[str, str]:
        return environment(self.folder, COUNTERSIGN_DATABASE_URL=self.url)

    def account(self) -> Account:
        """A registered user of the real server."""
        return register(self.api, RealClock())


@pytest.fixture(scope="session", params=databases.ENGINES)
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp(f"cluster-{request.param}")
    with ExitStack() as stack:
        url = f"sqlite:///{folder}/countersign.db"
        if request.param == "postgresql":
            url = stack.enter_context(databases.postgres_database())
            migrate.upgrade(url)
        env = environment(folder, COUNTERSIGN_DATABASE_URL=url)
        server = stack.enter_context(serving(folder, "--workers", "2", env=env))
        client = stack.enter_context(httpx.Client(base_url=server.url, timeout=60))
        yield Cluster(folder, url, server, over_http(client))


@contextmanager
def twin_of(folder: Path, url: str) -> Iterator[World]:
    """An application in this process over a server's database and keys.

    Its passwords are cheap: it prepares what the real server is then asked about.
    """
    world = World(settings_in(folder, database_url=url), RealClock())
    try:
        yield world
    finally:
        world.services.store._writer.dispose()


@pytest.fixture(scope="session")
def twin(cluster: Cluster) -> Iterator[World]:
    with twin_of(cluster.folder, cluster.url) as world:
        yield world
