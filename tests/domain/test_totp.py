"""RFC 6238 and RFC 4226 against their own tables."""

from __future__ import annotations

import base64
import struct
import zlib
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from domain import totp
from domain.policy import TotpParameters

SHA1_SEED = b"12345678901234567890"
SEEDS = {
    "SHA1": SHA1_SEED,
    "SHA256": b"12345678901234567890123456789012",
    "SHA512": b"1234567890123456789012345678901234567890123456789012345678901234",
}
# RFC 6238 appendix B.
TABLE = [
    (59, "94287082", "46119246", "90693936"),
    (1111111109, "07081804", "68084774", "25091201"),
    (1111111111, "14050471", "67062674", "99943326"),
    (1234567890, "89005924", "91819424", "93441116"),
    (2000000000, "69279037", "90698825", "38618901"),
    (20000000000, "65353130", "77737706", "47863826"),
]
VECTORS = [
    (seconds, algorithm, code)
    for seconds, *codes in TABLE
    for algorithm, code in zip(SEEDS, codes, strict=True)
]
# RFC 4226 appendix D, counters 0 to 9.
HOTP = [
    "755224",
    "287082",
    "359152",
    "969429",
    "338314",
    "254676",
    "287922",
    "162583",
    "399871",
    "520489",
]
PARAMETERS = TotpParameters("SHA1", 6, 30, 1, 20)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def step_of(code: str, seconds: float, **changes: object) -> int | None:
    options = {"algorithm": "SHA1", "digits": 6, "period": 30, "window": 1} | changes
    return totp.matching_step(SHA1_SEED, code, now=at(seconds), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("seconds", "algorithm", "code"), VECTORS)
def test_the_table_of_rfc_6238_is_matched(seconds: int, algorithm: str, code: str) -> None:
    found = totp.matching_step(
        SEEDS[algorithm],
        code,
        algorithm=algorithm,
        digits=8,
        period=30,
        window=0,
        now=at(seconds),
    )
    assert found == seconds // 30


@pytest.mark.parametrize(("seconds", "algorithm", "code"), VECTORS)
def test_a_code_of_another_algorithm_is_not_matched(
    seconds: int, algorithm: str, code: str
) -> None:
    other = {"SHA1": "SHA256", "SHA256": "SHA512", "SHA512": "SHA1"}[algorithm]
    found = totp.matching_step(
        SEEDS[other], code, algorithm=other, digits=8, period=30, window=1, now=at(seconds)
    )
    assert found is None


@pytest.mark.parametrize("counter", range(10))
def test_the_table_of_rfc_4226_is_matched(counter: int) -> None:
    assert step_of(HOTP[counter], counter * 30 + 29.9, window=0) == counter


@pytest.mark.parametrize(("steps", "accepted"), [(-2, 0), (-1, 1), (0, 1), (1, 1), (2, 0)])
def test_one_step_either_way_is_accepted_and_two_are_not(steps: int, accepted: int) -> None:
    code = HOTP[5]
    found = step_of(code, (5 - steps) * 30 + 15)
    assert found == (5 if accepted else None)


def test_a_code_lives_for_three_steps_to_the_second() -> None:
    code = HOTP[5]
    lifetime = [second for second in range(60, 300) if step_of(code, second) == 5]
    assert (lifetime[0], lifetime[-1]) == (120, 209)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "75522",
        "7552244",
        " 755224",
        "755224\n",
        "755 224",
        "٧٥٥٢٢٤",
        "７５５２２４",
        "७५५२२४",
        "75522²",
        "+75522",
        "755_24",
    ],
)
def test_only_as_many_ascii_digits_as_the_factor_has_are_a_code(text: str) -> None:
    assert step_of("755224", 0) == 0
    assert step_of(text, 0) is None
    assert not totp.is_code(text, 6)


def test_a_leading_zero_belongs_to_the_code() -> None:
    assert step_of("07081804", 1111111109, digits=8) == 37037036
    assert step_of("7081804", 1111111109, digits=8) is None


def test_there_is_no_step_before_the_epoch() -> None:
    assert step_of(HOTP[0], 0) == 0
    assert step_of(HOTP[1], 0) == 1


def test_the_secret_is_base32_without_padding() -> None:
    assert totp.base32(SHA1_SEED) == "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert "=" not in totp.base32(bytes(16))


def test_the_uri_says_what_the_server_accepts() -> None:
    uri = totp.provisioning_uri(SHA1_SEED, "ann.o'neil+x@exämple.org", "Müller & Co", PARAMETERS)
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert unquote(parts.path) == "/Müller & Co:ann.o'neil+x@exämple.org"
    assert {name: values[0] for name, values in parse_qs(parts.query).items()} == {
        "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
        "issuer": "Müller & Co",
        "algorithm": "SHA1",
        "digits": "6",
        "period": "30",
    }


def test_the_uri_needs_no_plus_for_a_space_and_no_character_outside_ascii() -> None:
    uri = totp.provisioning_uri(SHA1_SEED, "a?b&c=d/é#x", "An Issuer", PARAMETERS)
    assert uri.isascii()
    assert uri.startswith("otpauth://totp/An%20Issuer:a%3Fb%26c%3Dd%2F%C3%A9%23x?")
    assert "issuer=An%20Issuer" in uri


def test_the_qr_code_is_a_square_png() -> None:
    uri = totp.qr_code("otpauth://totp/x")
    kind, _, data = uri.partition(",")
    png = base64.b64decode(data, validate=True)
    width, height = struct.unpack(">II", png[16:24])
    assert kind == "data:image/png;base64"
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert png[12:16] == b"IHDR"
    assert struct.unpack(">I", png[29:33])[0] == zlib.crc32(png[12:29])
    assert width == height > 100
