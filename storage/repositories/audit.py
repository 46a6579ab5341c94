"""The audit trail: rows that are only ever added, and the head that whoever adds one locks."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, insert, select, update

from domain.records import AuditEvent, AuditHead
from storage.models import audit_events, audit_head
from storage.repositories.base import Repository, columns_of, values_of

_HEAD = select(*columns_of(audit_head, AuditHead))
_LOCK = _HEAD.with_for_update()
# The guard stands for itself: without the lock two would append behind the same event.
_MOVE = (
    update(audit_head)
    .where(audit_head.c.number == bindparam("seen"))
    .values(number=bindparam("to_number"), hash=bindparam("to_hash"))
)
_ADD = insert(audit_events).inline()
_ALL = select(*columns_of(audit_events, AuditEvent))
_AFTER = (
    _ALL.where(audit_events.c.number > bindparam("after"))
    .order_by(audit_events.c.number)
    .limit(bindparam("most"))
)


class Audit(Repository):
    __slots__ = ()

    def head(self) -> AuditHead:
        return self._one(AuditHead, _HEAD, {}) or AuditHead(0, "")

    def lock_head(self) -> AuditHead:
        return self._one(AuditHead, _LOCK, {}) or AuditHead(0, "")

    def append(self, event: AuditEvent, seen: AuditHead) -> bool:
        values = {"seen": seen.number, "to_number": event.number, "to_hash": event.hash}
        if not self._changed_one(_MOVE, values):
            return False
        self._change(_ADD, values_of(event))
        return True

    def after(self, number: int, limit: int) -> Sequence[AuditEvent]:
        return self._many(AuditEvent, _AFTER, {"after": number, "most": limit})

    def latest(
        self,
        limit: int,
        *,
        before: int | None = None,
        user_id: str | None = None,
        event: str | None = None,
        result: str | None = None,
    ) -> Sequence[AuditEvent]:
        asked = {"user_id": user_id, "event": event, "result": result}
        given = {name: value for name, value in asked.items() if value is not None}
        statement = _ALL.order_by(audit_events.c.number.desc()).limit(bindparam("most"))
        for name in given:
            statement = statement.where(audit_events.c[name] == bindparam(f"of_{name}"))
        values = {f"of_{name}": value for name, value in given.items()} | {"most": limit}
        if before is not None:
            statement = statement.where(audit_events.c.number < bindparam("before"))
            values["before"] = before
        return self._many(AuditEvent, statement, values)
