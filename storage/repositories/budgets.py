"""Guess budgets: failures in a row under a key."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, delete, false, select, update

from domain.records import Budget
from storage.models import budgets
from storage.repositories.base import NOW, Repository, columns_of, per_engine

_BY_KEY = budgets.c.key == bindparam("of_key")
_GET = select(*columns_of(budgets, Budget)).where(_BY_KEY)
_GET_LOCKED = _GET.with_for_update()
# A row that is not there cannot be locked, so a transaction that decides puts one there first. The
# update of no row locks the one that is there, or puts one in the place of one that is cleared while
# it waits: without it, whoever draws on two budgets would hold the second and not the first.
_MAKE = per_engine(
    lambda insert: (
        insert(budgets)
        .values(key=bindparam("of_key"), count=0, last_at=None)
        .on_conflict_do_update(
            index_elements=["key"], set_={"count": budgets.c.count}, where=false()
        )
    )
)
_CHARGE_FIRST = per_engine(
    lambda insert: (
        insert(budgets)
        .values(key=bindparam("of_key"), count=1, last_at=NOW)
        .on_conflict_do_update(
            index_elements=["key"], set_={"count": 1, "last_at": NOW}, where=budgets.c.count == 0
        )
    )
)
_CHARGE_AGAIN = (
    update(budgets)
    .where(_BY_KEY, budgets.c.count == bindparam("seen"))
    .values(count=budgets.c.count + 1, last_at=NOW)
)
_CLEAR = delete(budgets).where(_BY_KEY)


class Budgets(Repository):
    __slots__ = ()

    def get(self, key: str) -> Budget:
        # SQLite holds the whole database for a transaction that writes, and needs no row.
        if self._writing and self._connection.dialect.name == "postgresql":
            self._change(self._own(_MAKE), {"of_key": key})
        found = self._one(Budget, _GET_LOCKED if self._writing else _GET, {"of_key": key})
        return found or Budget(key, 0, None)

    def charge(self, key: str, seen: int, now: datetime) -> bool:
        if seen == 0:
            return self._changed_one(self._own(_CHARGE_FIRST), {"of_key": key, "now": now})
        return self._changed_one(_CHARGE_AGAIN, {"of_key": key, "seen": seen, "now": now})

    def clear(self, key: str) -> None:
        self._change(_CLEAR, {"of_key": key})
