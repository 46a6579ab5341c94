"""What a database holds, in a few numbers, told before and after each fault."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tests.security.site import Site
from tests.support.servers import ROOT

REPORT = ROOT / "build" / "faults.txt"

_COUNTS = {
    "users": "SELECT count(*) FROM users",
    "sessions": "SELECT count(*) FROM sessions",
    "sessions_ended": "SELECT count(*) FROM sessions WHERE ended_at IS NOT NULL",
    "refresh_tokens": "SELECT count(*) FROM refresh_tokens",
    "refresh_tokens_spent": "SELECT count(*) FROM refresh_tokens WHERE used_at IS NOT NULL",
    "factors": "SELECT count(*) FROM factors",
    "newest_step_spent": "SELECT coalesce(max(last_step), 0) FROM factors WHERE NOT pending",
    "backup_codes_used": "SELECT count(*) FROM backup_codes WHERE used_at IS NOT NULL",
    "challenges": "SELECT count(*) FROM challenges",
    "challenges_spent": "SELECT count(*) FROM challenges WHERE used_at IS NOT NULL",
    "audit_events": "SELECT count(*) FROM audit_events",
    "guesses_charged": "SELECT coalesce(sum(count), 0) FROM budgets",
}
_STEPS = "SELECT user_id, last_step FROM factors WHERE NOT pending"


@dataclass(frozen=True)
class State:
    """The whole database, counted. ``steps`` is the newest spent time step of each user."""

    users: int
    sessions: int
    sessions_ended: int
    refresh_tokens: int
    refresh_tokens_spent: int
    factors: int
    newest_step_spent: int
    backup_codes_used: int
    challenges: int
    challenges_spent: int
    audit_events: int
    guesses_charged: int
    steps: dict[str, int] = field(repr=False, default_factory=dict)


def state_of(site: Site) -> State:
    """Read by this process, past whatever stands between the server and its database."""
    counts = ", ".join(f"({query}) AS {name}" for name, query in _COUNTS.items())
    (row,) = site.rows(f"SELECT {counts}")
    steps = {row["user_id"]: row["last_step"] for row in site.rows(_STEPS)}
    return State(**{name: int(value) for name, value in row.items()}, steps=steps)


class Tale:
    """One fault: what the database held before and after it, and what was seen meanwhile."""

    def __init__(self, title: str, site: Site) -> None:
        bug = Path(site.house.env.get("PLANTED_BUG", os.devnull)).read_text(encoding="utf-8")
        self.title = f"{title} [planted: {bug}]" if bug else title
        self.site = site
        self.notes: list[str] = []
        self.before = self.after = state_of(site)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def end(self) -> None:
        self.after = state_of(self.site)
        _write(self.title, [*self._table(), *self.notes])

    def _table(self) -> Iterator[str]:
        yield f"{'':<24}{'before':>12}{'after':>12}{'change':>10}"
        for name in (each.name for each in fields(State) if each.name != "steps"):
            before, after = getattr(self.before, name), getattr(self.after, name)
            yield f"{name:<24}{before:>12}{after:>12}{after - before:>+10}"
        moved = sum(1 for user, step in self.after.steps.items() if step != self._step(user))
        yield f"{'users with a new step':<24}{'':>12}{moved:>12}"

    def _step(self, user: str) -> Any:
        return self.before.steps.get(user)


@contextmanager
def told(title: str, site: Site) -> Iterator[Tale]:
    """Print and keep the state before and after the block; it ends with the fault mended."""
    tale = Tale(title, site)
    yield tale
    tale.end()


def _write(title: str, lines: list[str]) -> None:
    """Put the section into the report, in place of what an earlier run told under its title."""
    section = "\n".join([f"== {title}", *lines])
    print(section)
    REPORT.parent.mkdir(exist_ok=True)
    old = REPORT.read_text(encoding="utf-8") if REPORT.exists() else ""
    kept = [
        part
        for part in old.strip().split("\n\n")
        if part and part.partition("\n")[0] != f"== {title}"
    ]
    REPORT.write_text("\n\n".join([*kept, section]) + "\n", encoding="utf-8")
