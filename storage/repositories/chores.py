"""Whose turn it is to do what one process does for all."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, bindparam, or_, update

from storage.models import chores
from storage.repositories.base import NOW, Repository

_NEXT: BindParameter[Any] = bindparam("next_at")
# A time further ahead than anyone sets comes from a clock that was wrong, and would stop the chore.
_WRONG: BindParameter[Any] = bindparam("wrong_from")
_DUE = or_(chores.c.due_at.is_(None), chores.c.due_at <= NOW, chores.c.due_at >= _WRONG)
_TAKE = update(chores).where(chores.c.name == bindparam("of_chore"), _DUE).values(due_at=_NEXT)


class Chores(Repository):
    __slots__ = ()

    def take(self, name: str, now: datetime, next_at: datetime) -> bool:
        # Competitors read their clocks at slightly different moments, hence not next_at itself.
        wrong_from = next_at + (next_at - now)
        values = {"of_chore": name, "now": now, "next_at": next_at, "wrong_from": wrong_from}
        return self._changed_one(_TAKE, values)
