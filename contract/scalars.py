"""Gives a type to the text of a parameter or a header."""

from __future__ import annotations

import math
import re
from typing import Any

from contract.parse import NUMBER

SCALARS = frozenset({"string", "integer", "number", "boolean"})

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_BOOLEANS = {"true": True, "false": False}


def read(text: str, kind: str) -> Any:
    """The value of a text as `kind` (one of SCALARS), or the text itself if it has none.

    Numbers are written as in JSON and are at most NUMBER characters long; a text that stays text
    is then refused by `type`.
    """
    if kind == "integer" and len(text) <= NUMBER and _INTEGER.fullmatch(text):
        return int(text)
    if kind == "number" and len(text) <= NUMBER and _NUMBER.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return _BOOLEANS.get(text, text) if kind == "boolean" else text
