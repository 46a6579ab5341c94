"""What a request would like of its reply (RFC 7240): read leniently, for nobody has to heed it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

PREFER, APPLIED = "Prefer", "Preference-Applied"

_LONGEST = 1024  # characters of a field; what is longer is not read
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a grammar, not a secret
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_ELEMENT = re.compile(rf'(?:[^,"]|{_QUOTED})+')
_PREFERENCE = re.compile(rf"[ \t]*({_TOKEN})[ \t]*(?:=[ \t]*({_TOKEN}|{_QUOTED})[ \t]*)?(?:;.*)?")
_ESCAPE = re.compile(r"\\(.)")


def preferences(fields: Iterable[str]) -> dict[str, str]:
    """Name, in lower case, and value of each preference in the `Prefer` fields of a request.

    The first of several of one name counts, parameters after a semicolon are nobody's here, and a
    preference without a value has the empty one (RFC 7240 section 2). What is none is left out.
    """
    found: dict[str, str] = {}
    for field in fields:
        for element in _ELEMENT.findall(field) if len(field) <= _LONGEST else ():
            match = _PREFERENCE.fullmatch(element)
            if match is not None:
                found.setdefault(match[1].lower(), _word(match[2] or ""))
    return found


def applied(honoured: Mapping[str, str]) -> str:
    """The value of `Preference-Applied` (RFC 7240 section 3)."""
    return ", ".join(
        f"{name}={_written(value)}" if value else name for name, value in honoured.items()
    )


def _word(text: str) -> str:
    return _ESCAPE.sub(r"\1", text[1:-1]) if text.startswith('"') else text


def _written(value: str) -> str:
    if re.fullmatch(_TOKEN, value):
        return value
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
