"""What a `pattern` may look like.

Three engines read it: the validator (ECMA-262 semantics), a client's validator in whatever
language, and the generators of test data, which use Python's. Only what all of them read alike
is let through.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import jsonschema_rs

_ATOM = re.compile(
    r"\\(?:u\{[0-9A-Fa-f]+\}|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|c[A-Za-z]|[pP]\{[^}]*\}|k<[^>]*>|.)"
    r"|\[\^?\]?|\]|\((?:\?(?:P?[<=!>:#&|(]|[a-zA-Z-]+[:)])?[=!]?)?|\)|[*+?}][+?]?|.",
    re.DOTALL,
)
_ESCAPES = frozenset("dDwWsSbBtnvfr0^$\\.*+?()[]{}|/-") | frozenset("123456789")
_CLASSES = frozenset({r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\b", r"\B"})
_GROUPS = frozenset({"(", "(?:", "(?=", "(?!", "(?<=", "(?<!"})
_sre: Any = importlib.import_module("re._parser")


def faults(pattern: str) -> Iterator[str]:
    """Every reason why a pattern cannot stand, as the end of a sentence about it."""
    atoms = list(_atoms(pattern))
    strange = [reason for atom, in_class in atoms if (reason := _strange(atom, in_class))]
    yield from dict.fromkeys(strange)
    if not strange and (reason := _uncompiled(pattern)):
        yield reason
    elif not _anchored(atoms):
        yield "is not anchored: begin it with ^ and end it with $, and group alternatives"


def doubtful(pattern: str) -> list[str]:
    """The classes in a pattern that mean ASCII to some engines and all of Unicode to others."""
    atoms = (atom for atom, _ in _atoms(pattern))
    return list(dict.fromkeys(atom for atom in atoms if atom in _CLASSES))


@lru_cache(maxsize=1024)
def width(pattern: str) -> tuple[int, int] | None:
    """The least and the greatest length of a match, in code points; None where unknown."""
    try:
        least, greatest = _sre.parse(pattern).getwidth()
    except (re.error, OverflowError):
        return None
    return int(least), int(greatest)


def _atoms(pattern: str) -> Iterator[tuple[str, bool]]:
    """The atoms of a pattern, each with whether it stands inside a character class."""
    in_class = False
    for found in _ATOM.finditer(pattern):
        atom = found[0]
        if in_class and atom[0] != "\\":
            yield from ((char, True) for char in atom)
            in_class = "]" not in atom
            continue
        yield atom, in_class
        in_class = in_class or atom[0] == "["


def _strange(atom: str, in_class: bool) -> str | None:
    if atom[0] == "\\":
        return None if _known_escape(atom) else f"uses {atom}, which ECMA-262 lacks"
    if in_class:
        return None
    if atom in ("[]", "[^]"):
        return f"begins a class with {atom}, which engines read differently: write \\]"
    if atom[0] == "(" and atom not in _GROUPS and not atom.startswith("(?<"):
        return f"uses {atom}, which ECMA-262 lacks"
    if atom in ("*+", "++", "?+", "}+"):
        return f"uses the possessive {atom}, which ECMA-262 lacks"
    return None


def _known_escape(atom: str) -> bool:
    return len(atom) > 2 or atom[1:] in _ESCAPES


def _anchored(atoms: list[tuple[str, bool]]) -> bool:
    """An alternative outside every group would be anchored at one end only."""
    if not atoms or atoms[0][0] != "^" or atoms[-1] != ("$", False):
        return False
    depth = 0
    for atom, in_class in atoms:
        if in_class:
            continue
        depth += (atom[0] == "(") - (atom == ")")
        if atom == "|" and depth == 0:
            return False
    return True


def _uncompiled(pattern: str) -> str | None:
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern})
    except (jsonschema_rs.ValidationError, ValueError):
        return "is not a regular expression of ECMA-262"
    if width(pattern) is None:
        return "cannot be read by Python, which test data is generated with"
    return None
