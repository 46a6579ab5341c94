"""Comparing usernames: what looks and sounds the same is the same account."""

from __future__ import annotations

from unicodedata import normalize


def key(username: str) -> str:
    """What usernames are compared by: compatibility forms and case do not count.

    Unicode's own definition of a compatibility caseless match (Unicode 16, section 3.13, D146):
    folding can undo a normal form and the other way about, hence the second round.
    """
    return normalize("NFKC", _folded(_folded(normalize("NFD", username))))


def _folded(text: str) -> str:
    return normalize("NFKD", text.casefold())
