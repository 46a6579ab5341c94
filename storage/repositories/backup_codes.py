"""Sets of backup codes and their digests."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import bindparam, delete, func, insert, select, update

from domain.records import CodeSet
from storage.models import backup_codes, code_sets, factors
from storage.repositories.base import NOW, Repository, columns_of, values_of

_OF_SET = backup_codes.c.set_id == bindparam("of_set")
_UNUSED = backup_codes.c.used_at.is_(None)

# Two regenerations of one factor take turns here; the second then replaces what the first made.
_LOCK_FACTOR = (
    select(factors.c.id)
    .where(factors.c.id == bindparam("of_factor"))
    .with_for_update(key_share=True)
)
_DROP_SET = delete(code_sets).where(code_sets.c.factor_id == bindparam("of_factor"))
_ADD_SET = insert(code_sets).inline()
_ADD_CODES = insert(backup_codes).inline()
_OF_FACTOR = select(*columns_of(code_sets, CodeSet)).where(
    code_sets.c.factor_id == bindparam("of_factor")
)
_SPEND = (
    update(backup_codes)
    .where(_OF_SET, backup_codes.c.digest == bindparam("spent"), _UNUSED)
    .values(used_at=NOW)
)
_REMAINING = select(func.count()).select_from(backup_codes).where(_OF_SET, _UNUSED)


class BackupCodes(Repository):
    __slots__ = ()

    def replace(self, codes: CodeSet, digests: Iterable[str]) -> None:
        self._first(_LOCK_FACTOR, {"of_factor": codes.factor_id})
        self._change(_DROP_SET, {"of_factor": codes.factor_id})
        self._change(_ADD_SET, values_of(codes))
        self._change(
            _ADD_CODES,
            [{"set_id": codes.id, "digest": digest, "used_at": None} for digest in digests],
        )

    def of_factor(self, factor_id: str) -> CodeSet | None:
        return self._one(CodeSet, _OF_FACTOR, {"of_factor": factor_id})

    def spend(self, set_id: str, digest: str, now: datetime) -> bool:
        return self._changed_one(_SPEND, {"of_set": set_id, "spent": digest, "now": now})

    def remaining(self, set_id: str) -> int:
        return int(self._scalar(_REMAINING, {"of_set": set_id}))
