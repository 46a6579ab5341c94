"""One suite, handed a store, on every engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.store import SqlStore
from tests.storage import databases


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A database of this test session on PostgreSQL."""
    with databases.postgres_database() as url:
        yield url


@pytest.fixture(params=databases.ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database on each engine in turn; it has been migrated, or will be."""
    if request.param == "sqlite":
        return databases.migrated_sqlite_url(tmp_path)
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(params=databases.ENGINES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database that nobody has migrated, on each engine in turn."""
    if request.param == "sqlite":
        yield databases.sqlite_url(tmp_path)
    else:
        with databases.postgres_database() as url:
            yield url


@pytest.fixture
def store(database_url: str) -> Iterator[SqlStore]:
    """A store over an empty database, on each engine in turn."""
    with databases.store_at(database_url) as store:
        if not database_url.startswith("sqlite"):
            databases.empty_tables(database_url)
        yield store
