"""Users: the account and its password hash."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, exists, select, update

from domain.records import Account, User
from storage.models import factors, users
from storage.repositories.base import Repository, columns_of, per_engine, values_of

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
_SET_ROLE = (
    update(users).where(users.c.id == bindparam("user_id")).values(role=bindparam("to_role"))
)

_ENABLED = exists().where(factors.c.user_id == users.c.id, ~factors.c.pending)
_ACCOUNTS = select(
    *(
        _ENABLED.label(name) if name == "mfa_enabled" else users.c[name]
        for name in Account.__slots__
    )
)
_ACCOUNT = _ACCOUNTS.where(users.c.id == bindparam("user_id"))
_ESCAPE = "\\"
# SQLite's LIKE does not tell ASCII capitals from small letters; keys have no capitals.
_PAGE = (
    _ACCOUNTS.where(
        users.c.number > bindparam("after"),
        users.c.username_key.like(bindparam("pattern"), escape=_ESCAPE),
    )
    .order_by(users.c.number)
    .limit(bindparam("limit"))
)


def _beginning_with(prefix: str) -> str:
    """A LIKE pattern in which the prefix stands for itself."""
    for special in (_ESCAPE, "%", "_"):
        prefix = prefix.replace(special, _ESCAPE + special)
    return f"{prefix}%"


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

    def set_password(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        return self._changed_one(
            _SET_PASSWORD, {"user_id": user_id, "old_hash": old_hash, "new_hash": new_hash}
        )

    def set_active(self, user_id: str, active: bool) -> bool:
        return self._changed_one(_SET_ACTIVE, {"user_id": user_id, "to_active": active})

    def set_role(self, user_id: str, role: str) -> bool:
        return self._changed_one(_SET_ROLE, {"user_id": user_id, "to_role": role})

    def account(self, user_id: str) -> Account | None:
        return self._one(Account, _ACCOUNT, {"user_id": user_id})

    def page(self, prefix: str, after: int, limit: int) -> Sequence[Account]:
        values = {"pattern": _beginning_with(prefix), "after": after, "limit": limit}
        return self._many(Account, _PAGE, values)
