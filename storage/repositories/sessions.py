"""Sessions and their refresh tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from domain.records import RefreshToken, Session
from storage.models import refresh_tokens, sessions, users
from storage.repositories.base import NOW, Repository, columns_of, values_of

_OF_USER = ("username", "role")
_COLUMNS: list[Any] = [
    users.c[name] if name in _OF_USER else sessions.c[name] for name in Session.__slots__
]
_BY_ID = sessions.c.id == bindparam("session_id")
_NOT_ENDED = sessions.c.ended_at.is_(None)
_IN_TIME = (sessions.c.idle_until > NOW) & (sessions.c.expires_at > NOW)

# Session and user in one query: every authenticated request makes it.
_LIVE = (
    select(*_COLUMNS)
    .join_from(sessions, users, sessions.c.user_id == users.c.id)
    .where(_NOT_ENDED, _IN_TIME, users.c.active)
)
_LIVE_BY_ID = _LIVE.where(_BY_ID)
_LIVE_OF_USER = _LIVE.where(sessions.c.user_id == bindparam("user_id")).order_by(
    sessions.c.created_at.desc(), sessions.c.number.desc()
)
_ADD = insert(sessions).inline()
_RENEW = (
    update(sessions)
    .where(_BY_ID, _NOT_ENDED, _IN_TIME)
    .values(last_used_at=NOW, idle_until=bindparam("until"))
)
_SET_ASSURANCE = (
    update(sessions)
    .where(_BY_ID, _NOT_ENDED)
    .values(acr=bindparam("to_acr"), amr=bindparam("to_amr"), mfa_time=bindparam("to_mfa_time"))
)
# Nothing asks after a session that has ended, so its life is over for the purge, too.
_ENDING = update(sessions).where(_NOT_ENDED).values(ended_at=NOW, idle_until=NOW)
_END = _ENDING.where(_BY_ID)
_BY_USER = sessions.c.user_id == bindparam("of_user")
_END_ALL = _ENDING.where(_BY_USER)
_END_OTHERS = _END_ALL.where(sessions.c.id != bindparam("keep"))
_IN_USE = (
    select(sessions.c.number)
    .where(_BY_USER, _NOT_ENDED, _IN_TIME)
    .order_by(sessions.c.last_used_at.desc(), sessions.c.number.desc())
    .limit(bindparam("keep"))
)
_EVICT = _END_ALL.where(sessions.c.number.not_in(_IN_USE))

_UNUSED = refresh_tokens.c.used_at.is_(None)
_ADD_TOKEN = insert(refresh_tokens).inline()
_TOKEN = select(*columns_of(refresh_tokens, RefreshToken)).where(
    refresh_tokens.c.digest == bindparam("digest")
)
_SPEND_TOKEN = (
    update(refresh_tokens)
    .where(refresh_tokens.c.digest == bindparam("spent"), _UNUSED)
    .values(used_at=NOW)
)
_SUPERSEDE = (
    update(refresh_tokens)
    .where(refresh_tokens.c.session_id == bindparam("of_session"), _UNUSED)
    .values(used_at=NOW)
)


class Sessions(Repository):
    __slots__ = ()

    def add(self, session: Session) -> None:
        values = values_of(session)
        self._change(_ADD, {name: values[name] for name in values.keys() - _OF_USER})

    def live(self, session_id: str, now: datetime) -> Session | None:
        return self._one(Session, _LIVE_BY_ID, {"session_id": session_id, "now": now})

    def live_of(self, user_id: str, now: datetime) -> Sequence[Session]:
        return self._many(Session, _LIVE_OF_USER, {"user_id": user_id, "now": now})

    def renew(self, session_id: str, now: datetime, idle_until: datetime) -> bool:
        return self._changed_one(
            _RENEW, {"session_id": session_id, "now": now, "until": idle_until}
        )

    def set_assurance(
        self, session_id: str, acr: str, amr: tuple[str, ...], mfa_time: datetime | None
    ) -> bool:
        values = {"session_id": session_id, "to_acr": acr, "to_amr": amr, "to_mfa_time": mfa_time}
        return self._changed_one(_SET_ASSURANCE, values)

    def end(self, session_id: str, now: datetime) -> bool:
        return self._changed_one(_END, {"session_id": session_id, "now": now})

    def end_all(self, user_id: str, now: datetime, keep: str | None = None) -> int:
        if keep is None:
            return self._change(_END_ALL, {"of_user": user_id, "now": now})
        return self._change(_END_OTHERS, {"of_user": user_id, "now": now, "keep": keep})

    def evict(self, user_id: str, keep: int, now: datetime) -> None:
        self._change(_EVICT, {"of_user": user_id, "keep": keep, "now": now})

    def add_refresh_token(self, token: RefreshToken) -> None:
        self._change(_ADD_TOKEN, values_of(token))

    def refresh_token(self, digest: str) -> RefreshToken | None:
        return self._one(RefreshToken, _TOKEN, {"digest": digest})

    def spend_refresh_token(self, digest: str, now: datetime) -> bool:
        return self._changed_one(_SPEND_TOKEN, {"spent": digest, "now": now})

    def supersede_refresh_tokens(self, session_id: str, now: datetime) -> None:
        self._change(_SUPERSEDE, {"of_session": session_id, "now": now})
