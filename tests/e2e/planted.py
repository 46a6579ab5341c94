"""``countersign`` with one of its guards taken away, to show that the races would notice.

The file that ``PLANTED_BUG`` names holds the name of the bug of the moment. Worker processes run
this module at their start, as they do the console script.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any

from domain import second_factor
from domain.ports import Transaction
from domain.second_factor import CodeProof
from server import entry
from storage.repositories.backup_codes import BackupCodes
from storage.repositories.challenges import Challenges
from storage.repositories.factors import Factors
from storage.repositories.sessions import Sessions

GUARDS: dict[str, tuple[type, str]] = {
    "a step is never spent": (Factors, "spend_step"),
    "a backup code is never spent": (BackupCodes, "spend"),
    "a challenge is never spent": (Challenges, "spend"),
    "a refresh token is never spent": (Sessions, "spend_refresh_token"),
}
"""Bugs that answer yes whatever the guarded UPDATE says."""
STALE = "a step is judged by what was read before"
"""The bug of check and act: only requests that overlap can meet it."""


def planted(bug: str) -> bool:
    return Path(os.environ["PLANTED_BUG"]).read_text(encoding="utf-8") == bug


def ungoverned(bug: str, guard: Callable[..., bool]) -> Callable[..., bool]:
    @wraps(guard)
    def spend(*arguments: Any) -> bool:
        return guard(*arguments) or planted(bug)

    return spend


def judging_late(guard: Callable[..., bool]) -> Callable[..., bool]:
    @wraps(guard)
    def spend_once(tx: Transaction, proof: CodeProof, now: datetime) -> bool:
        spent = guard(tx, proof, now)
        if proof.step is None or not planted(STALE):
            return spent
        return proof.step > proof.admitted.factor.last_step

    return spend_once


def take_guards_away() -> None:
    for bug, (repository, method) in GUARDS.items():
        setattr(repository, method, ungoverned(bug, getattr(repository, method)))
    second_factor._spend_once = judging_late(second_factor._spend_once)


if "PLANTED_BUG" in os.environ:  # in a server, and not where the tests read the names
    take_guards_away()

if __name__ == "__main__":
    entry.main()
