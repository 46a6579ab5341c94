"""Random texts of a format, of a pattern, or of a length."""

from __future__ import annotations

import base64
import ipaddress
import string
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from rstr.xeger import Xeger

Text = Callable[[Random], str]

_BEGIN = datetime(2000, 1, 1, tzinfo=UTC)
_SECONDS = 40 * 365 * 24 * 3600  # after _BEGIN
_LETTERS = 12
_REPEATS = 8  # beyond the fewest


class _Xeger(Xeger):
    """Repeats a few times where the library does up to a hundred: repeats within repeats multiply.

    What looks ahead takes no characters. The library draws some for it, and then the rest does not fit.
    """

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self._cases = {**self._cases, "assert": lambda _ahead: ""}

    def _handle_repeat(self, start_range: int, end_range: int, value: Any) -> str:
        times = self._random.randint(start_range, min(end_range, start_range + _REPEATS))
        return "".join(self._handle_state(state) for _ in range(times) for state in value)


def text_of(schema: dict[str, Any]) -> Text:
    """Draws texts that one schema object asks for: by its pattern, its format or its length.

    Most of them fit; the caller looks.
    """
    ways = [_matching(schema["pattern"])] if "pattern" in schema else []
    if schema.get("format") in _FORMATS:
        ways.append(_FORMATS[schema["format"]])
    if not ways:
        ways.append(_of_length(schema.get("minLength", 1), schema.get("maxLength")))
    return lambda random: random.choice(ways)(random)


def _matching(pattern: str) -> Text:
    def text(random: Random) -> str:
        try:
            return _Xeger(random).xeger(pattern)
        except (ValueError, LookupError):  # a construct that the library does not know
            return ""

    return text


def _of_length(least: int, most: int | None) -> Text:
    longest = max(least, _LETTERS) if most is None else min(most, max(least, _LETTERS))

    def text(random: Random) -> str:
        size = random.randint(min(least, longest), longest)
        return "".join(random.choices(string.ascii_lowercase, k=size))

    return text


_word = _of_length(3, _LETTERS)


def _moment(random: Random) -> datetime:
    return _BEGIN + timedelta(seconds=random.randrange(_SECONDS))


def _bits(random: Random, size: int) -> int:
    return random.getrandbits(size)


_FORMATS: dict[str, Text] = {
    "uuid": lambda random: str(uuid.UUID(int=_bits(random, 128), version=4)),
    "date-time": lambda random: f"{_moment(random):%Y-%m-%dT%H:%M:%SZ}",
    "date": lambda random: f"{_moment(random):%Y-%m-%d}",
    "time": lambda random: f"{_moment(random):%H:%M:%SZ}",
    "email": lambda random: f"{_word(random)}@example.org",
    "hostname": lambda random: f"{_word(random)}.example.org",
    "uri": lambda random: f"https://example.org/{_word(random)}",
    "ipv4": lambda random: str(ipaddress.IPv4Address(_bits(random, 32))),
    "ipv6": lambda random: str(ipaddress.IPv6Address(_bits(random, 128))),
    "byte": lambda random: base64.b64encode(random.randbytes(_LETTERS)).decode("ascii"),
}
"""The formats that ordinary letters do not have (RFC 3339, 5322, 3986, 4122, 4648)."""
