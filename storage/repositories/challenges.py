"""Open questions for a second factor."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select, update

from domain.records import Challenge
from storage.models import challenges
from storage.repositories.base import NOW, Repository, columns_of, values_of

_BY_DIGEST = challenges.c.digest == bindparam("of_digest")
_OPEN = challenges.c.used_at.is_(None) & (challenges.c.expires_at > NOW)
_OPEN_LOGINS = (
    (challenges.c.user_id == bindparam("of_user")) & challenges.c.session_id.is_(None) & _OPEN
)

_ADD = insert(challenges).inline()
_GET = select(*columns_of(challenges, Challenge)).where(_BY_DIGEST)
_NEWEST = (
    select(challenges.c.number)
    .where(_OPEN_LOGINS)
    .order_by(challenges.c.created_at.desc(), challenges.c.number.desc())
    .limit(bindparam("keep"))
)
_EVICT = delete(challenges).where(_OPEN_LOGINS, challenges.c.number.not_in(_NEWEST))
_VOID_SESSION = delete(challenges).where(challenges.c.session_id == bindparam("of_session"))
_VOID_USER = delete(challenges).where(challenges.c.user_id == bindparam("of_user"))
_CHARGE = (
    update(challenges)
    .where(_BY_DIGEST, _OPEN, challenges.c.wrong < bindparam("max_wrong"))
    .values(wrong=challenges.c.wrong + 1)
)
_SPEND = update(challenges).where(_BY_DIGEST, _OPEN).values(used_at=NOW)


class Challenges(Repository):
    __slots__ = ()

    def add(self, challenge: Challenge) -> None:
        self._change(_ADD, values_of(challenge))

    def get(self, digest: str) -> Challenge | None:
        return self._one(Challenge, _GET, {"of_digest": digest})

    def evict(self, user_id: str, keep: int, now: datetime) -> None:
        self._change(_EVICT, {"of_user": user_id, "keep": keep, "now": now})

    def void_session(self, session_id: str) -> None:
        self._change(_VOID_SESSION, {"of_session": session_id})

    def void_user(self, user_id: str) -> None:
        self._change(_VOID_USER, {"of_user": user_id})

    def charge(self, digest: str, max_wrong: int, now: datetime) -> bool:
        values = {"of_digest": digest, "max_wrong": max_wrong, "now": now}
        return self._changed_one(_CHARGE, values)

    def spend(self, digest: str, now: datetime) -> bool:
        return self._changed_one(_SPEND, {"of_digest": digest, "now": now})
