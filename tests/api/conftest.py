"""One application for the whole folder: every test brings accounts of its own.

The clock is shared too. It only ever moves forward, and no test relies on where it stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from contract.view import View
from domain.errors import Refusal
from server import samples
from tests.api import calls
from tests.support.accounts import Account
from tests.support.world import World, world_in


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world_in(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="package", autouse=True)
def refusals() -> Iterator[set[tuple[str, type[Refusal]]]]:
    """Every refusal that the rules end in, by operation: each is one that is rehearsed at start."""
    seen: set[tuple[str, type[Refusal]]] = set()
    answer = View._refusal

    def noting(view: View, refusal: Any, request_id: str) -> Any:
        seen.add((view._operation.id, type(refusal)))
        return answer(view, refusal, request_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(View, "_refusal", noting)
        yield seen
    rehearsed = {
        (name, kind)
        for name, operation in calls.SPEC_OPERATIONS.items()
        for kind in samples.kinds(operation, calls.SPEC.policies)
    }
    forgotten = seen - rehearsed
    assert not forgotten


@pytest.fixture
def user(world: World) -> Account:
    """Signed in with a password; MFA is off."""
    return world.account().sign_in()


@pytest.fixture
def member(world: World) -> Account:
    """Signed in; MFA is on."""
    return world.account().sign_in().enrol()
