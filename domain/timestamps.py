"""Times on their way out of the rules."""

from __future__ import annotations

from datetime import datetime
from math import floor


def rfc3339(moment: datetime) -> str:
    """An aware UTC datetime as RFC 3339 with ``Z``, whole seconds, rounded down."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def numeric_date(moment: datetime) -> int:
    """An aware datetime as the NumericDate of RFC 7519 section 2, whole seconds, rounded down."""
    return floor(moment.timestamp())
