"""What the workflows rely on: every code is new, and good for the server when it is given."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from tests.support.authenticator import Authenticator
from tests.workflows.authenticator import Pocket, serving

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # of RFC 6238 appendix B
OTHER = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
START = 1_111_111_100.0
"""Ten seconds before a time step ends."""


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.present = START

    def now(self) -> float:
        return self.present

    def sleep(self, seconds: float) -> None:
        self.present += seconds


@pytest.fixture
def clock() -> Time:
    return Time()


def steps_given(pocket: Pocket, clock: Time, times: int) -> list[tuple[int, float]]:
    """For each code the time step it belongs to, after the present one, and when it was given."""
    reference, found = Authenticator(SECRET), []
    for _ in range(times):
        code = pocket.code(SECRET)
        at = datetime.fromtimestamp(clock.present, UTC)
        (step,) = (s for s in range(-3, 4) if reference.code(at, s) == code)
        found.append((step, clock.present - START))
    return found


def test_no_code_is_given_twice_and_each_is_within_the_window(clock: Time) -> None:
    pocket = Pocket(now=clock.now, sleep=clock.sleep)
    assert steps_given(pocket, clock, 4) == [(0, 0), (1, 0), (1, 10), (1, 40)]


def test_secrets_do_not_wait_for_each_other(clock: Time) -> None:
    pocket = Pocket(now=clock.now, sleep=clock.sleep)
    steps_given(pocket, clock, 2)
    assert pocket.code(OTHER) == Authenticator(OTHER).code(datetime.fromtimestamp(START, UTC))
    assert clock.present == START


def test_a_wrong_code_is_of_no_step_that_the_server_could_accept(clock: Time) -> None:
    code = Pocket(wrong=True, now=clock.now, sleep=clock.sleep).code(SECRET)
    near = [datetime.fromtimestamp(START + 30 * step, UTC) for step in range(-2, 3)]
    assert code not in [Authenticator(SECRET).code(at) for at in near]


def test_the_service_gives_what_its_description_says() -> None:
    with serving(Pocket()) as url:
        codes = [httpx.post(f"{url}/code", json={"secret": SECRET}).json() for _ in range(2)]
        assert codes[0] != codes[1]
        assert [(list(each), len(each["code"])) for each in codes] == [(["code"], 6)] * 2
        assert httpx.post(f"{url}/code", json={"secret": "not base32"}).status_code == 400
