"""Deleting what no rule needs any more, in bounded batches.

A session that has ended is kept until its idle life runs out, which no renewal moves any more;
so one indexed column says when any session, live or ended, has become useless.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Delete, Table, bindparam, delete, exists, select

from storage.models import budgets, challenges, factors, refresh_tokens, sessions
from storage.repositories.base import NOW, Repository

# Only failures with passwords are forgotten with time. Those of a second factor count in a row
# until a success (NIST 800-63B-4 section 3.2.2), however slowly an attacker goes about it.
PASSWORD_MEMORY = timedelta(hours=24)


def _batch(table: Table, *conditions: object) -> Delete:
    """Delete up to ``limit`` rows, passing over those that another process is deleting."""
    key = next(iter(table.primary_key))
    doomed = (
        select(key)
        .where(*conditions)  # type: ignore[arg-type]
        .limit(bindparam("limit"))
        .with_for_update(skip_locked=True, of=table)
    )
    return delete(table).where(key.in_(doomed))


_RUN_OUT = sessions.c.idle_until <= NOW

# Tokens before their sessions: a delete that cascades has no bound.
_STATEMENTS = (
    _batch(challenges, challenges.c.expires_at <= NOW),
    _batch(refresh_tokens, refresh_tokens.c.session_id.in_(select(sessions.c.id).where(_RUN_OUT))),
    _batch(sessions, _RUN_OUT, ~exists().where(refresh_tokens.c.session_id == sessions.c.id)),
    _batch(factors, factors.c.pending, factors.c.expires_at <= NOW),
    _batch(
        budgets,
        budgets.c.key.like("password:%"),
        budgets.c.last_at <= bindparam("forgotten"),
    ),
)


class Purge(Repository):
    __slots__ = ()

    def run(self, now: datetime, limit: int) -> int:
        """Carry out every batch; the number of rows deleted."""
        values = {"now": now, "limit": limit, "forgotten": now - PASSWORD_MEMORY}
        return sum(self._change(statement, values) for statement in _STATEMENTS)
