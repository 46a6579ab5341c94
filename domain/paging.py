"""Pages of numbered rows: one row more than is shown tells whether something follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Numbered(Protocol):
    """What has a place in the order that it is listed in."""

    @property
    def number(self) -> int: ...


N = TypeVar("N", bound=Numbered)


def cut(found: Sequence[N], limit: int) -> tuple[tuple[N, ...], str | None]:
    """The page, and the cursor of the next one; None where ``found`` has no more than ``limit``."""
    shown = tuple(found[:limit])
    return shown, str(shown[-1].number) if len(found) > limit else None


def place(cursor: str | None) -> int | None:
    """The number beyond which a page goes on; None for the first page."""
    return None if cursor is None else int(cursor)
