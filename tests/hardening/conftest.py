"""The server under test, judged once more when everything has been thrown at it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.hardening.site import Renewal, Site
from tests.support.accounts import Account
from tests.support.api import over_http
from tests.support.servers import environment, serving
from tests.support.specs import without_flood

MOST_GROWTH = 50
"""Megabytes that the server may be larger at the end of the suite than at its beginning."""


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("hardening")
    # All that is hostile here comes from one address; the limit has suites of its own.
    env = environment(folder, COUNTERSIGN_SPEC=str(without_flood(folder)))
    with (
        serving(folder, env=env) as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        site = Site(server, over_http(client))
        site.account()  # whatever is made on first use is made
        before = site.resident_megabytes()
        yield site
        assert site.is_alive()
        assert site.resident_megabytes() - before < MOST_GROWTH
        assert not site.repeated_marks(site.log())
        assert '"level": "error"' not in site.log()


@pytest.fixture(scope="package")
def account(site: Site) -> Account:
    """A user without a second factor, signed in."""
    return site.account()


@pytest.fixture(scope="package")
def renewals() -> list[Renewal]:
    return []


@pytest.fixture
def renewal(site: Site, renewals: list[Renewal]) -> Renewal:
    """The token of the test before, unless that test lost it."""
    if not renewals or renewals[-1].doubtful:
        renewals.append(Renewal(site))
    return renewals[-1]
