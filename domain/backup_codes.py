"""Backup codes: made after the pattern of the spec, stored as digests.

The pattern is the subset of ECMA-262 in which every string has the same length: literals, classes
with ranges, groups ``(?:...)``, counts ``{n}``, ``\\d`` and the anchors.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import string
import uuid
from collections.abc import Iterable
from datetime import datetime

from domain.errors import Unavailable
from domain.keyring import KeyRing
from domain.policy import BackupCodeFormat
from domain.records import CodeSet

# "An approved password hashing scheme whose work factor may be small" is enough for secrets of 64
# bits and more (NIST 800-63B-4 section 3.1.2.2): the pepper and the length carry the load, and a
# request costs one derivation, about half a millisecond.
PBKDF2_ROUNDS = 1_000
SALT_BYTES = 16

_MEANINGLESS = " -"
# Crockford's base32 reads the letters that are taken for digits as those digits.
_READ_AS = str.maketrans(
    {
        **dict(zip(string.ascii_lowercase, string.ascii_uppercase, strict=True)),
        **dict.fromkeys("Oo", "0"),
        **dict.fromkeys("IiLl", "1"),
        **dict.fromkeys(_MEANINGLESS),
    }
)


class BackupCodes:
    """Makes, recognises and digests backup codes of one format.

    ``codes`` is the spec's format, ``peppers`` a ring of server-side keys of 32 bytes; a set is
    made with the current one and keeps to it.
    """

    def __init__(self, codes: BackupCodeFormat, peppers: KeyRing[bytes]) -> None:
        self._choices = [_choices(alphabet) for alphabet in alphabets(codes.pattern)]
        self._shape = [set(choices) for choices in self._choices if "" not in choices]
        self._peppers = peppers

    def generate(self, count: int) -> list[str]:
        """``count`` distinct codes, each of them equally likely after normalising."""
        codes: dict[str, None] = {}
        while len(codes) < count:
            codes[self._one()] = None
        return list(codes)

    def _one(self) -> str:
        return "".join(secrets.choice(list(choices.values())) for choices in self._choices)

    def normalise(self, text: str) -> str:
        """What two spellings of one code have in common."""
        return normalise(text)

    def looks_like(self, text: str) -> bool:
        """Whether the text has the shape of a code after normalising."""
        normalised = normalise(text)
        return len(normalised) == len(self._shape) and all(
            character in allowed for character, allowed in zip(normalised, self._shape, strict=True)
        )

    def new_set(
        self, factor_id: str, now: datetime, codes: Iterable[str]
    ) -> tuple[CodeSet, list[str]]:
        """A new set of the factor and the digests of its codes, under a salt of its own."""
        listed = list(codes)
        pepper_id, pepper = self._peppers.current()
        code_set = CodeSet(
            id=str(uuid.uuid4()),
            factor_id=factor_id,
            salt=secrets.token_hex(SALT_BYTES),
            pepper_id=pepper_id,
            total=len(listed),
            generated_at=now,
        )
        return code_set, [_digest(code, code_set, pepper) for code in listed]

    def digest(self, code: str, code_set: CodeSet) -> str:
        """The stored form of a code, as hex; :class:`Unavailable` where the pepper is missing."""
        pepper = self._peppers.get(code_set.pepper_id)
        if pepper is None:
            raise Unavailable
        return _digest(code, code_set, pepper)


def _digest(code: str, code_set: CodeSet, pepper: bytes) -> str:
    """The HMAC comes before the derivation, so that without the pepper a stolen database gives
    nothing to try guesses against."""
    keyed = hmac.digest(pepper, normalise(code).encode(), "sha256")
    salt = bytes.fromhex(code_set.salt)
    return hashlib.pbkdf2_hmac("sha256", keyed, salt, PBKDF2_ROUNDS).hex()


def normalise(text: str) -> str:
    """Spaces and hyphens out, upper case, O read as 0, I and L read as 1."""
    return text.translate(_READ_AS)


def entropy_bits(pattern: str) -> float:
    """Bits of a random code of the pattern, counted after normalising.

    Raises ValueError for a pattern outside the subset that this module reads.
    """
    return sum(math.log2(len(_choices(alphabet))) for alphabet in alphabets(pattern))


def could_be_digits(pattern: str) -> int | None:
    """The length of a code that is digits alone, or None where no code can be.

    Raises ValueError for a pattern outside the subset that this module reads.
    """
    shape = [
        choices for alphabet in alphabets(pattern) if "" not in (choices := _choices(alphabet))
    ]
    return len(shape) if all(set(string.digits) & set(choices) for choices in shape) else None


def _choices(alphabet: str) -> dict[str, str]:
    """One character for each meaning that a position can have, keyed by the meaning."""
    choices: dict[str, str] = {}
    for character in alphabet:
        choices.setdefault(normalise(character), character)
    if "" in choices and len(choices) > 1:
        raise ValueError("a position of a backup code always is a space or hyphen, or never")
    return choices


def alphabets(pattern: str) -> list[str]:
    """The characters that each position of a code can hold, in order.

    Raises ValueError for a pattern outside the subset that this module reads.
    """
    if not (pattern.startswith("^") and pattern.endswith("$")):
        raise ValueError("the pattern of a backup code must be anchored with ^ and $")
    reader = _Reader(pattern[1:-1])
    found = reader.sequence()
    if reader.more():
        raise ValueError("the pattern of a backup code has an unopened group")
    return found


class _Reader:
    """Reads the pattern's body from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def more(self) -> bool:
        return self._at < len(self._text)

    def sequence(self) -> list[str]:
        positions: list[str] = []
        while self.more() and self._text[self._at] != ")":
            positions += self._atom() * self._count()
        return positions

    def _take(self, expected: str = "") -> str:
        """The next character, or the next characters where they are ``expected``."""
        taken = self._text[self._at : self._at + (len(expected) or 1)]
        if not taken or (expected and taken != expected):
            raise ValueError(f"the pattern of a backup code lacks {expected or 'an end'!r}")
        self._at += len(taken)
        return taken

    def _atom(self) -> list[str]:
        character = self._take()
        if character == "(":
            self._take("?:")
            group = self.sequence()
            self._take(")")
            return group
        if character == "[":
            return [self._class()]
        if character == "\\":
            return [self._escape()]
        if character in ".*+?|^$]{}":
            raise ValueError(f"the pattern of a backup code cannot hold {character!r}")
        return [character]

    def _class(self) -> str:
        members = ""
        while (character := self._take()) != "]":
            if character == "^" and not members:
                raise ValueError("the pattern of a backup code cannot hold a negated class")
            members += self._escape() if character == "\\" else self._range(character)
        if not members:
            raise ValueError("the pattern of a backup code has an empty class")
        return members

    def _range(self, first: str) -> str:
        rest = self._text[self._at : self._at + 2]
        if len(rest) < 2 or rest[0] != "-" or rest[1] in "]\\":
            return first
        self._at += 2
        if rest[1] < first:
            raise ValueError("the pattern of a backup code has a range that runs backwards")
        return "".join(map(chr, range(ord(first), ord(rest[1]) + 1)))

    def _escape(self) -> str:
        character = self._take()
        if character == "d":
            return string.digits
        if character.isalnum():
            raise ValueError(f"the pattern of a backup code cannot hold \\{character}")
        return character

    def _count(self) -> int:
        """The number in a following ``{n}``, else 1."""
        if not self.more() or self._text[self._at] != "{":
            return 1
        body, closed, _ = self._text[self._at + 1 :].partition("}")
        if not (closed and body.isascii() and body.isdecimal() and 0 < int(body) <= 64):
            raise ValueError("the pattern of a backup code may count with {n} only, n up to 64")
        self._at += len(body) + 2
        return int(body)
