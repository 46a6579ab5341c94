"""That the acts about a server's process notice a server that does it wrong.

The acts themselves are rows of the catalogue, S-86 and S-87 (tests/security/test_reliability.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import planted
from tests.faults.acts import end_with_logins_in_flight
from tests.faults.disks import held
from tests.faults.scene import on_sqlite
from tests.faults.slow import Crowd


def test_a_server_that_drops_who_is_in_flight_is_noticed(tmp_path: Path) -> None:
    with (
        on_sqlite(tmp_path, bug=planted.HURRIED) as scene,
        pytest.raises(AssertionError, match=r"got no complete answer|replies == "),
    ):
        end_with_logins_in_flight(scene, lambda: held(scene, seconds=1))


def test_a_server_that_waits_for_ever_for_a_header_is_noticed(tmp_path: Path) -> None:
    with (
        on_sqlite(tmp_path, bug=planted.ENDLESS) as scene,
        pytest.raises(AssertionError, match="the slow ones are not closed"),
    ):
        Crowd(scene.site.server().url, scene.site.account()).measure()
