from __future__ import annotations

import pytest

from domain.errors import Unavailable
from domain.keyring import Fixed
from domain.sealing import Sealer

OLD, NEW = b"o" * 32, b"n" * 32
SECRET = b"12345678901234567890"


def test_what_was_sealed_opens() -> None:
    sealer = Sealer(Fixed({"old": OLD}, "old"))
    assert sealer.open(sealer.seal(SECRET, "factor"), "factor") == SECRET


def test_a_secret_never_seals_to_the_same_text_nor_shows_in_it() -> None:
    sealer = Sealer(Fixed({"old": OLD}, "old"))
    one, other = sealer.seal(SECRET, "factor"), sealer.seal(SECRET, "factor")
    assert one != other
    assert SECRET.decode() not in one


def test_a_row_copied_to_another_factor_does_not_open() -> None:
    sealer = Sealer(Fixed({"old": OLD}, "old"))
    with pytest.raises(Unavailable):
        sealer.open(sealer.seal(SECRET, "factor"), "another")


@pytest.mark.parametrize("position", [4, 10, 30, -3])
def test_a_changed_envelope_does_not_open(position: int) -> None:
    sealer = Sealer(Fixed({"old": OLD}, "old"))
    sealed = list(sealer.seal(SECRET, "factor"))
    sealed[position] = "A" if sealed[position] != "A" else "B"
    with pytest.raises(Unavailable):
        sealer.open("".join(sealed), "factor")


@pytest.mark.parametrize("sealed", ["", "old", "old.", "old.AAAA", "gone.AAAA", "old.é", "old.A"])
def test_what_is_no_envelope_does_not_open(sealed: str) -> None:
    with pytest.raises(Unavailable):
        Sealer(Fixed({"old": OLD}, "old")).open(sealed, "factor")


def test_a_rotated_key_opens_the_old_and_seals_the_new() -> None:
    old = Sealer(Fixed({"old": OLD}, "old")).seal(SECRET, "factor")
    both = Sealer(Fixed({"old": OLD, "2027.new": NEW}, "2027.new"))
    assert both.open(old, "factor") == SECRET
    assert both.stale(old)
    renewed = both.seal(SECRET, "factor")
    assert not both.stale(renewed)
    assert Sealer(Fixed({"2027.new": NEW}, "2027.new")).open(renewed, "factor") == SECRET


def test_another_key_under_the_same_id_does_not_open() -> None:
    sealed = Sealer(Fixed({"k": OLD}, "k")).seal(SECRET, "factor")
    with pytest.raises(Unavailable):
        Sealer(Fixed({"k": NEW}, "k")).open(sealed, "factor")


def test_keys_that_are_no_good_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(Fixed({"k": b"short"}, "k"))
