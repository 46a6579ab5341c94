"""What administrators do: one public function for each operation of ``paths/admin.yaml``.

That the caller is an administrator with two factors has been seen to by
:func:`domain.sessions.authenticate`; an act that changes something looks again under its locks.
"""

from __future__ import annotations

from domain import accounts, audit, paging, sessions, usernames
from domain.accounts import Act
from domain.audit import Trail, audited
from domain.errors import Forbidden, NotFound, OwnAccount
from domain.ports import Transaction
from domain.records import Account, Session, User
from domain.results import AccountPage, AuditPage
from domain.services import Services


def list_users(
    services: Services, username: str | None, limit: int, cursor: str | None
) -> AccountPage:
    """Up to ``limit`` accounts in the order of creation, beginning after ``cursor`` where given.

    ``username`` limits them to those whose names begin with it, compared as names are.
    """
    prefix, after = usernames.key(username or ""), paging.place(cursor) or 0
    with services.store.read() as tx:
        found = tx.users.page(prefix, after, limit + 1)
    return AccountPage(*paging.cut(found, limit))


def get_user(services: Services, user_id: str) -> Account:
    """One account; :class:`NotFound` where there is none with this id."""
    with services.store.read() as tx:
        account = tx.users.account(user_id)
    if account is None:
        raise NotFound
    return account


@audited
def deactivate_user(services: Services, trail: Trail, session: Session, user_id: str) -> None:
    """Close another's account. Raises :class:`OwnAccount`, :class:`NotFound`."""
    _refuse_own(trail, session, user_id)
    _carry_out(services, trail, session, user_id, accounts.close)


@audited
def reactivate_user(services: Services, trail: Trail, session: Session, user_id: str) -> None:
    """Open a closed account; :class:`NotFound` where there is none with this id."""
    _carry_out(services, trail, session, user_id, accounts.reopen)


@audited
def end_user_sessions(services: Services, trail: Trail, session: Session, user_id: str) -> None:
    """End an account's sessions, one's own too; :class:`NotFound` as above."""
    _carry_out(services, trail, session, user_id, accounts.end_sessions)


@audited
def reset_user_mfa(services: Services, trail: Trail, session: Session, user_id: str) -> None:
    """Remove another's second factor. Raises :class:`OwnAccount`, :class:`NotFound`."""
    _refuse_own(trail, session, user_id)
    _carry_out(services, trail, session, user_id, accounts.remove_factor)


def list_audit_events(
    services: Services, limit: int, cursor: str | None, user_id: str | None, event: str | None
) -> AuditPage:
    """Everybody's events, the newest first; see :func:`domain.audit.list_all`."""
    return audit.list_all(services, limit=limit, cursor=cursor, user_id=user_id, event=event)


def _refuse_own(trail: Trail, session: Session, user_id: str) -> None:
    """An administrator who is shut out, or has no second factor left, could not undo it."""
    if session.user_id == user_id:
        trail.by(session, user_id)
        raise OwnAccount


def _carry_out(services: Services, trail: Trail, session: Session, user_id: str, act: Act) -> None:
    now = services.clock.now()
    with services.store.write() as tx:
        user = _locked(tx, session, user_id)
        # An id that nobody has is not kept: it could be anything that was typed.
        trail.by(session, None if user is None else user.id)
        if sessions.require_live(tx, session, now).role != accounts.ADMIN:
            raise Forbidden
        if user is None:
            raise NotFound
        act(tx, user, now)
        trail.record(services, tx)
        tx.commit()


def _locked(tx: Transaction, session: Session, user_id: str) -> User | None:
    """The account acted upon, locked together with the caller's.

    So two administrators who close each other's accounts at the same moment come one after the
    other, and the second is out before the act.
    """
    found = {each: tx.users.lock(each) for each in sorted({session.user_id, user_id})}
    return found[user_id]
