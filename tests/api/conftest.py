"""One application for the whole folder: every test brings accounts of its own.

The clock is shared too. It only ever moves forward, and no test relies on where it stands.
"""

from __future__ import annotations

import pytest

from tests.support.accounts import Account
from tests.support.world import World, world_in


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world_in(tmp_path_factory.mktemp("api"))


@pytest.fixture
def user(world: World) -> Account:
    """Signed in with a password; MFA is off."""
    return world.account().sign_in()


@pytest.fixture
def member(world: World) -> Account:
    """Signed in; MFA is on."""
    return world.account().sign_in().enrol()
