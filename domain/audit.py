"""What the acts leave behind: a row and a log line of everything that changes something.

A success is recorded in the transaction of the act itself, so that there is neither a change
without its row nor a row without its change. A refusal is recorded after the act was rolled back,
in a transaction of its own, and where that fails the answer is 503.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

from domain import paging
from domain.errors import FactorLocked, Refusal, TooManyAttempts, Unavailable
from domain.ports import Transaction
from domain.records import AuditEvent, Session
from domain.results import AuditPage, OwnEvent, OwnEvents
from domain.services import Services

SUCCESS, FAILURE = "success", "failure"
PASSWORD, REFRESH_TOKEN = "password", "refresh_token"
REUSE = "token_reused"
"""The reason where a spent refresh token came again, and its session ended for it."""
COMMAND_LINE = "cli"
"""The actor of what is done with ``countersign`` and not by a request."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Trail:
    """What one request, or one command, leaves behind; it learns on the way who it is about.

    ``event`` is the name that the operation's ``x-audit`` gives. The other members are those of
    :class:`AuditEvent`. What is submitted never gets in here: people type passwords into the field
    of the name.
    """

    event: str
    address: str | None = None
    request_id: str | None = None
    user_id: str | None = None
    actor_id: str | None = None
    session_id: str | None = None
    factor: str | None = None
    _kept: AuditEvent | None = field(default=None, init=False, repr=False)

    def of(self, session: Session) -> None:
        """The user acts for themselves, in this session."""
        self.user_id, self.session_id = session.user_id, session.id

    def by(self, session: Session, user_id: str | None) -> None:
        """An administrator acts, in this session, upon the user; None where there is no such user."""
        self.user_id, self.session_id = user_id, session.id
        self.actor_id = session.user_id

    def record(self, services: Services, tx: Transaction) -> None:
        """Append the success, as the last thing before the act commits."""
        self._append(services, tx, SUCCESS, None)

    def record_failure(self, services: Services, tx: Transaction, reason: str) -> None:
        """Append a failure that changes something, in the transaction of the change."""
        self._append(services, tx, FAILURE, reason)

    def refused(self, services: Services, refusal: Refusal) -> None:
        """Keep a refusal that rolled the act back: its row where it is due one, and its line."""
        if self._kept is None or self._kept.result != FAILURE:
            self._kept = self._event(services, FAILURE, refusal.code)
            if self._evaluated(refusal):
                with services.store.write() as tx:
                    self._append(services, tx, FAILURE, refusal.code)
                    tx.commit()
        self.told(services)

    def told(self, services: Services) -> None:
        """Tell the log of what is final now."""
        if self._kept is None:
            raise RuntimeError(f"{self.event} changed something and recorded nothing")
        services.chain.tell(self._kept)

    def _evaluated(self, refusal: Refusal) -> bool:
        """Whether a guess was looked at, or it is known whom it is about or who it was.

        Whoever is refused before that costs the server next to nothing, and could have the table
        grow without end for as little.
        """
        if isinstance(refusal, (TooManyAttempts, FactorLocked)):
            return False
        return any((self.user_id, self.actor_id, self.factor))

    def _append(self, services: Services, tx: Transaction, result: str, reason: str | None) -> None:
        event = self._event(services, result, reason)
        self._kept = services.chain.append(tx, event, services.clock)

    def _event(self, services: Services, result: str, reason: str | None) -> AuditEvent:
        return AuditEvent(
            at=services.clock.now(),
            event=self.event,
            result=result,
            reason=reason,
            user_id=self.user_id,
            actor_id=self.actor_id,
            session_id=self.session_id,
            factor=self.factor,
            address=self.address,
            request_id=self.request_id,
        )


def audited(
    act: Callable[Concatenate[Services, Trail, P], T],
) -> Callable[Concatenate[Services, Trail, P], T]:
    """An act that leaves its event behind whichever way it ends.

    The act itself records its success (:meth:`Trail.record`); the line in the log is written when
    that is committed. A database that does not answer leaves nothing: nothing was decided.
    """

    @functools.wraps(act)
    def kept(services: Services, trail: Trail, /, *args: P.args, **kwargs: P.kwargs) -> T:
        services.keys.vouch()
        try:
            result = act(services, trail, *args, **kwargs)
        except Unavailable:
            raise
        except Refusal as refusal:
            trail.refused(services, refusal)
            raise
        trail.told(services)
        return result

    return kept


def list_own(services: Services, session: Session, *, limit: int, cursor: str | None) -> OwnEvents:
    """The user's own events, the newest first, ``limit`` at a time.

    ``cursor`` is a former page's ``next_cursor``: what is older than that page follows.
    """
    with services.store.read() as tx:
        found = tx.audit.latest(limit + 1, before=paging.place(cursor), user_id=session.user_id)
    shown, following = paging.cut(found, limit)
    return OwnEvents(tuple(_own(event) for event in shown), following)


def _own(event: AuditEvent) -> OwnEvent:
    others = event.actor_id is not None and event.actor_id != event.user_id
    return OwnEvent(
        event=event.event,
        at=event.at,
        result=event.result,
        reason=event.reason,
        factor=event.factor,
        session_id=None if others else event.session_id,
        address=None if others else event.address,
        request_id=None if others else event.request_id,
        by_administrator=others,
    )


def list_all(
    services: Services,
    *,
    limit: int,
    cursor: str | None = None,
    user_id: str | None = None,
    event: str | None = None,
    result: str | None = None,
) -> AuditPage:
    """Everybody's events that match, the newest first; paged as :func:`list_own`."""
    with services.store.read() as tx:
        found = tx.audit.latest(
            limit + 1, before=paging.place(cursor), user_id=user_id, event=event, result=result
        )
    return AuditPage(*paging.cut(found, limit))
