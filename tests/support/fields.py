"""Structured fields (RFC 9651): as much of a parser as lists of strings with parameters need.

It is written from section 4.2 of the RFC and shares nothing with what writes the fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_KEY_BEGINS = frozenset("abcdefghijklmnopqrstuvwxyz*")
_KEY = _KEY_BEGINS | frozenset("0123456789_-.")
_INTEGER_DIGITS = 15


class NotStructured(ValueError):
    """The text is no list of strings with integer parameters."""


@dataclass(frozen=True)
class Item:
    """A string with its parameters."""

    value: str
    parameters: dict[str, int] = field(default_factory=dict)


def parse_list(text: str) -> list[Item]:
    """Section 4.2.1, for members that are strings. Raises NotStructured."""
    reader = _Reader(text.strip(" "))
    found = [reader.item()]
    while reader.left:
        reader.skip(" \t")
        reader.take(",")
        reader.skip(" \t")
        found.append(reader.item())
    return found


class _Reader:
    def __init__(self, text: str) -> None:
        self.left = text

    def skip(self, characters: str) -> None:
        self.left = self.left.lstrip(characters)

    def take(self, character: str) -> None:
        if not self.left.startswith(character):
            raise NotStructured(f"expected {character!r} before {self.left!r}")
        self.left = self.left[1:]

    def item(self) -> Item:
        value, parameters = self.string(), {}
        while self.left.startswith(";"):
            self.take(";")
            self.skip(" ")
            key = self.key()
            self.take("=")
            parameters[key] = self.integer()
        return Item(value, parameters)

    def string(self) -> str:
        """Section 4.2.5."""
        self.take('"')
        found = ""
        while self.left and self.left[0] != '"':
            if self.left[0] == "\\":
                self.take("\\")
                if self.left[:1] not in ('"', "\\"):
                    raise NotStructured("a backslash escapes a quote or a backslash only")
            if not " " <= self.left[0] <= "~":
                raise NotStructured("a string is printable ASCII")
            found, self.left = found + self.left[0], self.left[1:]
        self.take('"')
        return found

    def key(self) -> str:
        """Section 4.2.3.3."""
        if self.left[:1] not in _KEY_BEGINS:
            raise NotStructured(f"no key begins {self.left!r}")
        length = next((n for n, c in enumerate(self.left) if c not in _KEY), len(self.left))
        found, self.left = self.left[:length], self.left[length:]
        return found

    def integer(self) -> int:
        """Section 4.2.4, without decimals."""
        sign = "-" if self.left.startswith("-") else ""
        digits = self.left[len(sign) :]
        length = next((n for n, c in enumerate(digits) if c not in "0123456789"), len(digits))
        if not 0 < length <= _INTEGER_DIGITS:
            raise NotStructured(f"no integer begins {self.left!r}")
        self.left = digits[length:]
        return int(sign + digits[:length])
