"""Which keys the rows need: fingerprints of keys, and what is sealed or digested with which."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, delete, exists, func, select

from domain.keyring import KeyPrint
from storage.models import audit_events, code_sets, factors, key_fingerprints
from storage.repositories.base import Repository, columns_of, per_engine

_PRINTS = select(*columns_of(key_fingerprints, KeyPrint)).order_by(
    key_fingerprints.c.kind, key_fingerprints.c.id
)
_REGISTER = per_engine(
    lambda insert: (
        insert(key_fingerprints)
        .values(kind=bindparam("kind"), id=bindparam("id"), fingerprint=bindparam("fingerprint"))
        .on_conflict_do_nothing(index_elements=["kind", "id"])
    )
)
_FORGET = delete(key_fingerprints).where(
    key_fingerprints.c.kind == bindparam("of_kind"), key_fingerprints.c.id == bindparam("of_key")
)


def _sealed_with() -> ColumnElement[bool]:
    """An envelope begins with the key's id and a point."""
    head: BindParameter[str] = bindparam("head")
    return func.substr(factors.c.sealed_secret, 1, func.length(head)) == head


_OTHERWISE = (
    select(factors.c.id, factors.c.sealed_secret)
    .where(~_sealed_with(), factors.c.id > bindparam("after"))
    .order_by(factors.c.id)
    .limit(bindparam("limit"))
)
_COUNT_OTHERWISE = select(func.count()).select_from(factors).where(~_sealed_with())
_NEEDED: dict[str, Select[tuple[bool]]] = {
    "encryption": select(exists().where(_sealed_with())),
    "pepper": select(exists().where(code_sets.c.pepper_id == bindparam("of_key"))),
    "audit": select(exists().where(audit_events.c.key_id == bindparam("of_key"))),
}


class Keys(Repository):
    __slots__ = ()

    def prints(self) -> Sequence[KeyPrint]:
        return self._many(KeyPrint, _PRINTS, {})

    def register(self, known: KeyPrint) -> bool:
        values = {"kind": known.kind, "id": known.id, "fingerprint": known.fingerprint}
        return self._changed_one(self._own(_REGISTER), values)

    def forget(self, kind: str, key_id: str) -> bool:
        return self._changed_one(_FORGET, {"of_kind": kind, "of_key": key_id})

    def needed(self, kind: str, key_id: str) -> bool:
        return bool(self._scalar(_NEEDED[kind], {"of_key": key_id, "head": f"{key_id}."}))

    def sealed_otherwise(self, key_id: str, after: str, limit: int) -> Sequence[tuple[str, str]]:
        values = {"head": f"{key_id}.", "after": after, "limit": limit}
        return self._many(lambda *row: row, _OTHERWISE, values)

    def count_otherwise(self, key_id: str) -> int:
        return int(self._scalar(_COUNT_OTHERWISE, {"head": f"{key_id}."}))
