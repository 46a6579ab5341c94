"""Reads JSON as RFC 8259 has it and no wider; what Python's reader lets through is refused.

Nothing here recurses deeper than DEPTH or converts a number longer than NUMBER, so that neither
a RecursionError nor the quadratic conversion of a huge integer can be provoked.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

DEPTH = 16
NUMBER = 32  # characters of a number token

# A string that is never closed runs to the end: matching it from each of its quotes in turn
# would take quadratic time.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?$)|[\[\]{}]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Malformed(ValueError):
    """The text is not acceptable JSON. `keyword` names the rule, str() says it."""

    def __init__(self, keyword: str, message: str) -> None:
        self.keyword = keyword
        super().__init__(message)


def parse(body: bytes, depth: int = DEPTH) -> Any:
    """The value of a JSON text. Raises Malformed, whose text holds nothing of the body."""
    text = _decode(body)
    _check_depth(text, depth)
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError:
        raise Malformed("json", "is not JSON (RFC 8259)") from None
    if _SURROGATE.search(text):
        _check_surrogates(value)
    return value


def _decode(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("utf-8", "is not UTF-8 (RFC 8259 section 8.1)") from None


def _check_depth(text: str, limit: int) -> None:
    if text.count("[") + text.count("{") <= limit:
        return
    depth = 0
    for match in _TOKEN.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth > limit:
            raise Malformed("depth", f"is nested deeper than {limit} levels")


def _check_surrogates(value: Any) -> None:
    """Half a surrogate pair is no character; it cannot be stored, hashed or sent."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("utf-8", "holds a lone surrogate") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        # Two readers may each take another of the two values (RFC 8259 section 4).
        raise Malformed("duplicate", "holds an object with the same name twice")
    return members


def _integer(token: str) -> int:
    if len(token) > NUMBER:
        raise Malformed("number", f"holds a number longer than {NUMBER} characters")
    return int(token)


def _number(token: str) -> float:
    if len(token) > NUMBER:
        raise Malformed("number", f"holds a number longer than {NUMBER} characters")
    value = float(token)
    if not math.isfinite(value):
        raise Malformed("number", "holds a number that is out of range")
    return value


def _constant(_token: str) -> NoReturn:
    raise Malformed("json", "holds NaN or Infinity, which JSON does not have")


_decoder = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_number,
    parse_constant=_constant,
)
