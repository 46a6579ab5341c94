"""One bench for each process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mutation.bench import Bench, quick


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with quick():
        yield Bench(tmp_path_factory.mktemp("mutation"))
