"""TOTP factors, pending and active."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select, update

from domain.records import CodeSet, Factor
from storage.models import factors
from storage.repositories.backup_codes import BackupCodes
from storage.repositories.base import NOW, Repository, columns_of, values_of
from storage.repositories.users import Users

_BY_ID = factors.c.id == bindparam("of_factor")
_OF_USER = factors.c.user_id == bindparam("of_user")
_ACTIVE = ~factors.c.pending
_ALIVE = factors.c.pending & (factors.c.expires_at > NOW)

_PENDING_OF_USER = select(*columns_of(factors, Factor)).where(_OF_USER, _ALIVE)
_ACTIVE_OF_USER = select(*columns_of(factors, Factor)).where(_OF_USER, _ACTIVE)

_DROP_PENDING = delete(factors).where(_OF_USER, factors.c.pending)
_ADD = insert(factors).inline()

_CHARGE_PENDING = (
    update(factors)
    .where(_BY_ID, _ALIVE, factors.c.wrong < bindparam("max_wrong"))
    .values(wrong=factors.c.wrong + 1)
)
# The lock decides the race before the old factor goes: the one who loses must delete nothing.
_UNSPENT = factors.c.last_step < bindparam("step")
_LOCK_PENDING = select(factors.c.user_id).where(_BY_ID, _ALIVE, _UNSPENT).with_for_update()
_DROP_ACTIVE = delete(factors).where(_OF_USER, _ACTIVE)
_ACTIVATE = (
    update(factors)
    .where(_BY_ID, _ALIVE, _UNSPENT)
    .values(
        pending=False,
        expires_at=None,
        last_step=bindparam("step"),
        enabled_at=NOW,
        last_used_at=NOW,
    )
)
_SPEND_STEP = update(factors).where(_BY_ID, _ACTIVE, _UNSPENT).values(last_step=bindparam("step"))
_TOUCH = update(factors).where(_BY_ID).values(last_used_at=NOW)
_RESEAL = (
    update(factors)
    .where(_BY_ID, factors.c.sealed_secret == bindparam("old"))
    .values(sealed_secret=bindparam("new"))
)
_DROP_ALL = delete(factors).where(_OF_USER)

# Whoever re-encrypts holds many factors, taken in the order of their ids; whoever needs both of a
# user takes them in the same order, or the two could wait for each other.
_IN_ORDER = select(factors.c.id).order_by(factors.c.id).with_for_update()
_OWNER = select(factors.c.user_id).where(_BY_ID).scalar_subquery()
_LOCK_ALL = _IN_ORDER.where(_OF_USER)
_LOCK_WITH_OTHERS = _IN_ORDER.where(factors.c.user_id == _OWNER)


class Factors(Repository):
    __slots__ = ()

    def put_pending(self, factor: Factor, codes: CodeSet, digests: Iterable[str]) -> None:
        # Two set-ups of one user take turns here; neither runs into the other's unique key.
        Users(self._connection, self._writing).lock(factor.user_id)
        self._change(_DROP_PENDING, {"of_user": factor.user_id})
        self._change(_ADD, values_of(factor))
        BackupCodes(self._connection, self._writing).replace(codes, digests)

    def pending(self, user_id: str, now: datetime) -> Factor | None:
        return self._one(Factor, _PENDING_OF_USER, {"of_user": user_id, "now": now})

    def active(self, user_id: str) -> Factor | None:
        return self._one(Factor, _ACTIVE_OF_USER, {"of_user": user_id})

    def charge_pending(self, factor_id: str, max_wrong: int, now: datetime) -> bool:
        values = {"of_factor": factor_id, "max_wrong": max_wrong, "now": now}
        return self._changed_one(_CHARGE_PENDING, values)

    def activate(self, factor_id: str, step: int, now: datetime) -> bool:
        values = {"of_factor": factor_id, "step": step, "now": now}
        self._first(_LOCK_WITH_OTHERS, {"of_factor": factor_id})
        user_id = self._scalar(_LOCK_PENDING, values)
        if user_id is None:
            return False
        self._change(_DROP_ACTIVE, {"of_user": user_id})
        return self._changed_one(_ACTIVATE, values)

    def spend_step(self, factor_id: str, step: int, now: datetime) -> bool:
        return self._changed_one(_SPEND_STEP, {"of_factor": factor_id, "step": step, "now": now})

    def touch(self, factor_id: str, now: datetime) -> None:
        self._change(_TOUCH, {"of_factor": factor_id, "now": now})

    def reseal(self, factor_id: str, old: str, new: str) -> bool:
        return self._changed_one(_RESEAL, {"of_factor": factor_id, "old": old, "new": new})

    def delete_all(self, user_id: str) -> int:
        self._first(_LOCK_ALL, {"of_user": user_id})
        return self._change(_DROP_ALL, {"of_user": user_id})
