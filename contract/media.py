"""Media types as they stand in `Content-Type` (RFC 9110 section 8.3)."""

from __future__ import annotations

import re

JSON_TYPE = "application/json"

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a grammar, not a secret
_TYPE = re.compile(rf"({_TOKEN}/{_TOKEN})(?P<parameters>(?:[ \t]*;.*)?)")
# JSON is UTF-8 (RFC 8259 section 8.1), so that is the one parameter with a meaning.
_UTF8 = re.compile(r"(?:[ \t]*;[ \t]*charset=(?:utf-8|\"utf-8\"))?[ \t]*", re.IGNORECASE)


def essence(content_type: str) -> str | None:
    """`type/subtype` in lower case; None where it is none, or has a parameter but UTF-8's."""
    if content_type == JSON_TYPE:
        return JSON_TYPE
    match = _TYPE.fullmatch(content_type.strip(" \t"))
    if match is None or not _UTF8.fullmatch(match["parameters"]):
        return None
    return match[1].lower()
