"""Users: the account and its password hash."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select, update

from domain.records import User
from storage.models import users
from storage.repositories.base import Repository, columns_of, per_engine, values_of

_ALL = select(*columns_of(users, User)).order_by(users.c.created_at, users.c.number)
_BY_ID = select(*columns_of(users, User)).where(users.c.id == bindparam("user_id"))
# NO KEY: keeps other acts on the account out, and not the rows that merely refer to it.
_LOCK = _BY_ID.with_for_update(key_share=True)
_BY_KEY = select(*columns_of(users, User)).where(users.c.username_key == bindparam("username_key"))
_ADD = per_engine(
    lambda insert: insert(users).inline().on_conflict_do_nothing(index_elements=["username_key"])
)
_SET_PASSWORD = (
    update(users)
    .where(users.c.id == bindparam("user_id"), users.c.password_hash == bindparam("old_hash"))
    .values(password_hash=bindparam("new_hash"))
)
_SET_ACTIVE = (
    update(users).where(users.c.id == bindparam("user_id")).values(active=bindparam("to_active"))
)


class Users(Repository):
    __slots__ = ()

    def add(self, user: User) -> bool:
        return self._changed_one(self._own(_ADD), values_of(user))

    def get(self, user_id: str) -> User | None:
        return self._one(User, _BY_ID, {"user_id": user_id})

    def lock(self, user_id: str) -> User | None:
        return self._one(User, _LOCK, {"user_id": user_id})

    def by_key(self, username_key: str) -> User | None:
        return self._one(User, _BY_KEY, {"username_key": username_key})

    def list(self) -> Sequence[User]:
        return self._many(User, _ALL, {})

    def set_password(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        return self._changed_one(
            _SET_PASSWORD, {"user_id": user_id, "old_hash": old_hash, "new_hash": new_hash}
        )

    def set_active(self, user_id: str, active: bool) -> bool:
        return self._changed_one(_SET_ACTIVE, {"user_id": user_id, "to_active": active})
