"""Whose turn it is to sign, at the edges of the clock, and what is remembered of a key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from domain.keyring import LEEWAY, LOOK, Fixed, Rota, Turns, key_print

MADE = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
AGE, LIFETIME = timedelta(minutes=5), timedelta(minutes=10)
ROTA = Rota.of(AGE, LIFETIME)
TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)


def turns(*made: datetime, rota: Rota = ROTA) -> Turns[str]:
    """Keys named by their number, made at these times."""
    ids = {str(number): moment for number, moment in enumerate(made)}
    ring = Fixed({key_id: f"key {key_id}" for key_id in ids}, max(ids))
    return Turns(ring, rota, ids.__getitem__)


def signer(found: Turns[str], now: datetime) -> str:
    return found.signing(now)[0]


def test_the_notice_outlasts_the_cache_by_a_late_look_and_a_slow_clock() -> None:
    assert ROTA.notice == AGE + LOOK + LEEWAY
    assert ROTA.overlap == LIFETIME + LEEWAY


@pytest.mark.parametrize("now", [MADE, MADE - HOUR, MADE + HOUR])
def test_a_first_key_signs_at_once_whatever_the_clock_says(now: datetime) -> None:
    assert turns(MADE).signing(now) == ("0", "key 0")
    assert turns(MADE).published(now) == ("0",)


def test_a_second_key_is_published_at_once_and_signs_after_the_notice() -> None:
    found, made = turns(MADE, MADE + HOUR), MADE + HOUR
    begins = made + ROTA.notice
    for now, expected in ((made, "0"), (begins - TICK, "0"), (begins, "1"), (begins + HOUR, "1")):
        assert signer(found, now) == expected
    assert found.published(made) == found.published(begins) == ("0", "1")


def test_a_key_verifies_until_the_last_token_that_it_signed_has_expired() -> None:
    found = turns(MADE, MADE + HOUR)
    last_signed = MADE + HOUR + ROTA.notice - TICK
    assert signer(found, last_signed) == "0"
    expired = last_signed + LIFETIME + LEEWAY
    assert found.published(expired) == ("0", "1")
    assert found.published(expired + TICK) == ("1",)


def test_keys_made_in_one_go_take_their_turns_and_none_is_left_out_of_the_set() -> None:
    found = turns(MADE, MADE + HOUR, MADE + HOUR + timedelta(seconds=1))
    one, two = MADE + HOUR + ROTA.notice, MADE + HOUR + ROTA.notice + timedelta(seconds=1)
    assert [signer(found, now) for now in (one - TICK, one, two - TICK, two)] == list("0112")
    assert found.published(one) == ("0", "1", "2")
    assert found.published(one + ROTA.overlap - TICK) == ("0", "1", "2")
    assert found.published(one + ROTA.overlap) == ("1", "2")
    assert found.published(two + ROTA.overlap) == ("2",)


def test_whoever_signs_is_published_at_every_moment() -> None:
    found = turns(MADE, *(MADE + timedelta(minutes=n) for n in (1, 2, 30, 31, 90)))
    for second in range(0, 3 * 3600, 7):
        now = MADE + timedelta(seconds=second)
        assert signer(found, now) in found.published(now)


def test_without_the_notice_a_key_signs_that_a_cache_does_not_hold() -> None:
    """The bug that the notice is there against: a verifier with yesterday's set fails."""
    hasty = turns(MADE, MADE + HOUR, rota=Rota(timedelta(0), ROTA.overlap))
    careful = turns(MADE, MADE + HOUR)
    fetched = MADE + HOUR - TICK  # the moment before the second key is there
    cached = ("0",)
    for used in (fetched + 2 * TICK, fetched + AGE):
        assert signer(hasty, used) not in cached
        assert signer(careful, used) in cached


class Growing:
    """A ring whose keys change."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self.keys = keys

    def all(self) -> Mapping[str, str]:
        return self.keys

    def current(self) -> tuple[str, str]:
        return max(self.keys), self.keys[max(self.keys)]

    def get(self, key_id: str) -> str | None:
        return self.keys.get(key_id)


def test_a_plan_is_made_anew_for_another_set_of_keys() -> None:
    ring = Growing({"0": "a"})
    found = Turns(ring, ROTA, lambda key_id: MADE + int(key_id) * HOUR)
    assert found.published(MADE + HOUR) == ("0",)
    assert not found.find("1")
    ring.keys = {"0": "a", "1": "b"}
    assert found.find("1")
    assert found.published(MADE + HOUR) == ("0", "1")
    ring.keys = {"1": "b"}
    assert found.signing(MADE + HOUR) == ("1", "b")


def test_fixed_keys_have_a_current_one() -> None:
    fixed = Fixed({"a": 1, "b": 2}, "a")
    assert fixed.current() == fixed.signing(MADE) == ("a", 1)
    assert (fixed.get("b"), fixed.get("c")) == (2, None)
    assert (fixed.find("b"), fixed.find("c")) == (True, False)
    assert fixed.published(MADE) == ("a", "b")
    with pytest.raises(ValueError, match="one of the keys"):
        Fixed({"a": 1}, "b")


def test_a_fingerprint_tells_keys_kinds_and_ids_apart_and_shows_nothing_of_the_key() -> None:
    key, other = bytes(range(32)), bytes(range(1, 33))
    prints = {
        key_print(kind, key_id, each).fingerprint
        for kind in ("encryption", "pepper")
        for key_id in ("1", "2")
        for each in (key, other)
    }
    assert len(prints) == 8
    assert key_print("pepper", "1", key) == key_print("pepper", "1", key)
    assert all(len(each) == 64 and key.hex()[:12] not in each for each in prints)
