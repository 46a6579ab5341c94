from __future__ import annotations

import sys

import pytest

from domain import usernames


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann", "ann"),
        ("STRASSE", "straße"),
        ("ﬁona", "fiona"),
        ("ａｎｎ", "ann"),
        ("exämple", "exa\u0308mple"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("K" + "elvin", "kelvin"),
        ("ᾳ", "ΑΙ"),
    ],
)
def test_names_that_differ_in_case_or_form_are_one(one: str, other: str) -> None:
    assert usernames.key(one) == usernames.key(other)


@pytest.mark.parametrize(("one", "other"), [("ann", "anna"), ("ann", "a.nn"), ("ı", "i")])
def test_other_names_stay_apart(one: str, other: str) -> None:
    assert usernames.key(one) != usernames.key(other)


def test_the_key_of_a_key_is_itself() -> None:
    """Over every character there is: otherwise one name could reach two accounts."""
    unstable = [
        code
        for code in range(sys.maxunicode + 1)
        if not 0xD800 <= code <= 0xDFFF
        and usernames.key(usernames.key(f"a{chr(code)}b")) != usernames.key(f"a{chr(code)}b")
    ]
    assert unstable == []
