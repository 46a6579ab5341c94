from __future__ import annotations

import base64
import hashlib
import math
import re
from collections import Counter
from datetime import UTC, datetime

import pytest

from domain.backup_codes import (
    BackupCodes,
    alphabets,
    could_be_digits,
    entropy_bits,
    normalise,
)
from domain.errors import Unavailable
from domain.keyring import Fixed
from domain.policy import BackupCodeFormat
from tests.domain.world import PATTERN

NOW = datetime(2026, 11, 24, tzinfo=UTC)
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PEPPERS = {"p1": b"1" * 32, "p2": b"2" * 32}


@pytest.fixture(scope="module")
def codes() -> BackupCodes:
    return BackupCodes(BackupCodeFormat(PATTERN, 10, 10, 3), Fixed(PEPPERS, "p1"))


@pytest.fixture(scope="module")
def thousand(codes: BackupCodes) -> list[list[str]]:
    return [codes.generate(10) for _ in range(1000)]


def test_a_set_has_the_spec_s_number_of_codes_of_the_spec_s_pattern(
    thousand: list[list[str]],
) -> None:
    assert {len(generated) for generated in thousand} == {10}
    assert all(re.fullmatch(PATTERN, code) for generated in thousand for code in generated)


def test_no_code_is_ever_made_twice(thousand: list[list[str]]) -> None:
    assert len({code for generated in thousand for code in generated}) == 10_000


def test_every_position_is_uniform(thousand: list[list[str]]) -> None:
    """Chi-square with 31 degrees of freedom; the bound is its 1e-6 quantile for one position."""
    every = [normalise(code) for generated in thousand for code in generated]
    expected = len(every) / len(CROCKFORD)
    for position in range(16):
        seen = Counter(code[position] for code in every)
        assert set(seen) == set(CROCKFORD)
        chi_square = sum((seen[symbol] - expected) ** 2 / expected for symbol in CROCKFORD)
        assert chi_square < 84.0


def test_the_chi_square_finds_a_bias() -> None:
    """The twin of the test above: a modulo bias of bytes over 31 symbols is far beyond its bound."""
    draws = [CROCKFORD[byte % 31] for byte in bytes(range(256)) * 40]
    expected = len(draws) / len(CROCKFORD)
    seen = Counter(draws)
    assert sum((seen[symbol] - expected) ** 2 / expected for symbol in CROCKFORD) > 84.0


@pytest.mark.parametrize(
    "spelling",
    [
        "7K2M-QX9D-01TB-W0RN",
        "7k2m-qx9d-01tb-w0rn",
        "7k2mqx9d01tbw0rn",
        "7K2M QX9D 01TB W0RN",
        "7K2M-QX9D-OITB-WORN",
        "7k2m-qx9d-oltb-worn",
        " 7K2M--QX9D 0LTB-W0RN ",
    ],
)
def test_spellings_of_one_code_are_one_code(codes: BackupCodes, spelling: str) -> None:
    code_set, (digest,) = codes.new_set("f", NOW, ["7K2M-QX9D-01TB-W0RN"])
    assert codes.looks_like(spelling)
    assert codes.normalise(spelling) == "7K2MQX9D01TBW0RN"
    assert codes.digest(spelling, code_set) == digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "492039",
        "7K2M-QX9D-01TB-W0R",
        "7K2M-QX9D-01TB-W0RNN",
        "7K2M-QX9D-01TB-W0RU",
        "7K2M-QX9D-01TB-W0R٣",
        "７K2M-QX9D-01TB-W0RN",
    ],
)
def test_what_has_another_shape_does_not_look_like_a_code(codes: BackupCodes, text: str) -> None:
    assert not codes.looks_like(text)


def test_every_set_has_a_salt_of_its_own(codes: BackupCodes) -> None:
    plain = codes.generate(10)
    one, first = codes.new_set("f", NOW, plain)
    other, second = codes.new_set("f", NOW, plain)
    assert one.id != other.id
    assert len(bytes.fromhex(one.salt)) == 16
    assert one.salt != other.salt
    assert not set(first) & set(second)


def test_the_stored_form_holds_no_code_in_any_common_disguise(codes: BackupCodes) -> None:
    code = "7K2M-QX9D-01TB-W0RN"
    code_set, (digest,) = codes.new_set("f", NOW, [code])
    stored = f"{digest} {code_set}"
    for spelling in (code, code.lower(), normalise(code), normalise(code).lower()):
        raw = spelling.encode()
        assert spelling not in stored
        for algorithm in ("md5", "sha1", "sha256"):
            plain = hashlib.new(algorithm, raw)
            salted = hashlib.new(algorithm, bytes.fromhex(code_set.salt) + raw)
            for found in (plain, salted):
                assert found.hexdigest() not in stored
                assert base64.b64encode(found.digest()).decode() not in stored


def test_without_the_pepper_a_digest_cannot_be_made_again(codes: BackupCodes) -> None:
    code_set, (digest,) = codes.new_set("f", NOW, ["7K2M-QX9D-01TB-W0RN"])
    thief = BackupCodes(BackupCodeFormat(PATTERN, 10, 10, 3), Fixed({"p1": b"3" * 32}, "p1"))
    assert thief.digest("7K2M-QX9D-01TB-W0RN", code_set) != digest


def test_a_set_keeps_to_the_pepper_it_was_made_with(codes: BackupCodes) -> None:
    code_set, (digest,) = codes.new_set("f", NOW, ["7K2M-QX9D-01TB-W0RN"])
    later = BackupCodes(BackupCodeFormat(PATTERN, 10, 10, 3), Fixed(PEPPERS, "p2"))
    assert later.digest("7K2M-QX9D-01TB-W0RN", code_set) == digest
    assert later.new_set("f", NOW, ["x"])[0].pepper_id == "p2"


def test_a_missing_pepper_refuses(codes: BackupCodes) -> None:
    code_set, _ = codes.new_set("f", NOW, ["7K2M-QX9D-01TB-W0RN"])
    without = BackupCodes(BackupCodeFormat(PATTERN, 10, 10, 3), Fixed({"p2": b"2" * 32}, "p2"))
    with pytest.raises(Unavailable):
        without.digest("7K2M-QX9D-01TB-W0RN", code_set)


@pytest.mark.parametrize(
    ("pattern", "bits"),
    [
        (PATTERN, 80),
        ("^[0-9]{6}$", 6 * math.log2(10)),
        (r"^\d{4}-\d{4}$", 8 * math.log2(10)),
        ("^[0O1Il2]{10}$", 10 * math.log2(3)),
        ("^[a-zA-Z]{2}$", 2 * math.log2(25)),
        ("^(?:[AB]{2}-){3}X$", 6),
        (r"^A\-B$", 0),
    ],
)
def test_entropy_is_counted_after_normalising(pattern: str, bits: float) -> None:
    assert entropy_bits(pattern) == pytest.approx(bits)


def test_symbols_that_mean_the_same_are_drawn_as_one() -> None:
    made = BackupCodes(BackupCodeFormat("^[01OIil]{40}$", 4, 4, 3), Fixed(PEPPERS, "p1")).generate(
        4
    )
    assert set("".join(made)) == {"0", "1"}


@pytest.mark.parametrize(
    "pattern",
    [
        "[A-Z]{16}",
        "^[A-Z]{16}",
        "^[A-Z]+$",
        "^[A-Z]*$",
        "^[A-Z]{1,3}$",
        "^[A-Z]{0}$",
        "^[A-Z]{999}$",
        "^[A-Z]{x}$",
        "^[^A-Z]{16}$",
        "^A|B$",
        "^.{16}$",
        "^(AB)$",
        "^(?:AB$",
        "^AB)$",
        "^[]$",
        "^[AB$",
        "^[Z-A]$",
        r"^\w$",
        r"^A\$",
        "^[A-Z -]{16}$",
        "^a?$",
        "^A{$",
    ],
)
def test_a_pattern_that_cannot_be_followed_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"backup code|position"):
        entropy_bits(pattern)


def test_the_pattern_is_read_position_by_position() -> None:
    assert alphabets(r"^[A-C\-]{2}(?:x\d){2}$") == ["ABC-"] * 2 + ["x", "0123456789"] * 2


@pytest.mark.parametrize(
    ("pattern", "length"),
    [
        (PATTERN, 16),
        ("^[0-9]{3}-[0-9]{3}$", 6),
        ("^[A-Z]{16}$", None),
        ("^[A-HJKMNP-Z]{16}$", None),
    ],
)
def test_what_could_be_digits_is_known(pattern: str, length: int | None) -> None:
    """O, I and L read as digits, so that a class with O in it can be all digits."""
    assert could_be_digits(pattern) == (16 if pattern == "^[A-Z]{16}$" else length)
