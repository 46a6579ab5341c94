"""Deleting what no rule needs any more, in bounded batches.

A session's ``idle_until`` says when it is useless: the moment it ended, or when its idle life runs
out, which no renewal moves any more. The audit trail is not purged: it is there to be kept.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Delete,
    Table,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    tuple_,
)

from storage.models import addresses, budgets, challenges, factors, refresh_tokens, sessions
from storage.repositories.base import NOW, Repository

# Only failures with passwords are forgotten with time. Those of a second factor count in a row
# until a success (NIST 800-63B-4 section 3.2.2), however slowly an attacker goes about it; they are
# forgotten with the factor alone.
BUDGET_MEMORY = timedelta(hours=24)
# Guesses from an address that the account was used from are hardly delayed. Providers give
# addresses to others in time; who was away for longer is delayed like everybody.
ADDRESS_MEMORY = timedelta(days=365)
# A request that saw the session alive may still add a challenge to it; none takes so long.
IN_FLIGHT = timedelta(minutes=1)


def _batch(table: Table, *conditions: object) -> Delete:
    """Delete up to ``limit`` rows, passing over those that another process is deleting."""
    keys = tuple(table.primary_key)
    doomed = (
        select(*keys)
        .where(*conditions)  # type: ignore[arg-type]
        .limit(bindparam("limit"))
        .with_for_update(skip_locked=True, of=table)
    )
    return delete(table).where(_row(keys).in_(doomed))


def _row(keys: tuple[Any, ...]) -> ColumnElement[Any]:
    return keys[0] if len(keys) == 1 else tuple_(*keys)


_RUN_OUT = sessions.c.idle_until <= bindparam("sessions_until")
_FORGOTTEN = budgets.c.last_at <= bindparam("budgets_until")
_OF_FACTOR = or_(budgets.c.key.like("totp:%"), budgets.c.key.like("backup-code:%"))
# What is left of a key of domain/guesses.py is the user's id.
_OWNER = func.replace(func.replace(budgets.c.key, "totp:", ""), "backup-code:", "")

# What belongs to a session before the session: a delete that cascades has no bound, and takes its
# locks in the reverse of the order that requests do.
_STATEMENTS = (
    _batch(challenges, challenges.c.expires_at <= NOW),
    _batch(refresh_tokens, refresh_tokens.c.session_id.in_(select(sessions.c.id).where(_RUN_OUT))),
    _batch(
        sessions,
        _RUN_OUT,
        ~exists().where(refresh_tokens.c.session_id == sessions.c.id),
        ~exists().where(challenges.c.session_id == sessions.c.id),
    ),
    _batch(factors, factors.c.pending, factors.c.expires_at <= NOW),
    _batch(budgets, _FORGOTTEN, budgets.c.key.like("password:%")),
    _batch(budgets, _FORGOTTEN, _OF_FACTOR, ~exists().where(factors.c.user_id == _OWNER)),
    _batch(addresses, addresses.c.last_seen_at <= bindparam("addresses_until")),
)


class Purge(Repository):
    __slots__ = ()

    def run(self, now: datetime, limit: int) -> int:
        """Carry out every batch; the number of rows deleted."""
        values = {
            "now": now,
            "limit": limit,
            "sessions_until": now - IN_FLIGHT,
            "budgets_until": now - BUDGET_MEMORY,
            "addresses_until": now - ADDRESS_MEMORY,
        }
        return sum(self._change(statement, values) for statement in _STATEMENTS)
