"""Addresses from which an account has signed in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, delete, select

from storage.models import addresses
from storage.repositories.base import NOW, Repository, per_engine

_KNOWN = select(addresses.c.address).where(
    addresses.c.user_id == bindparam("of_user"), addresses.c.address == bindparam("at")
)
_REMEMBER = per_engine(
    lambda insert: (
        insert(addresses)
        .values(user_id=bindparam("of_user"), address=bindparam("at"), last_seen_at=NOW)
        .on_conflict_do_update(index_elements=["user_id", "address"], set_={"last_seen_at": NOW})
    )
)


_OF_USER = addresses.c.user_id == bindparam("of_user")
_LATEST = (
    select(addresses.c.address)
    .where(_OF_USER)
    .order_by(addresses.c.last_seen_at.desc(), addresses.c.address)
    .limit(bindparam("keep"))
)
_EVICT = delete(addresses).where(_OF_USER, addresses.c.address.not_in(_LATEST))


class Addresses(Repository):
    __slots__ = ()

    def known(self, user_id: str, address: str) -> bool:
        return self._first(_KNOWN, {"of_user": user_id, "at": address}) is not None

    def remember(self, user_id: str, address: str, now: datetime) -> None:
        self._change(self._own(_REMEMBER), {"of_user": user_id, "at": address, "now": now})

    def evict(self, user_id: str, keep: int) -> None:
        self._change(_EVICT, {"of_user": user_id, "keep": keep})
