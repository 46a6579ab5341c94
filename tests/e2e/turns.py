"""``countersign`` that writes down who looks after the house and who has the turn.

``TURNS`` names the file; the clock is that of ``tests.security.clocked``. Where the file that
``PLANTED_BUG`` names has something in it, the guard that gives one process the turn is gone.
Worker processes run this module at their start, as they do the console script.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from domain.housekeeping import Housekeeper
from server import entry, housekeeping
from storage.repositories.chores import Chores
from tests.security import clocked  # noqa: F401 - the clock takes its place as it is imported

LOOK, TURN = "look", "turn"


def written_down(word: str, act: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(act)
    def wrapper(*arguments: Any) -> Any:
        result = act(*arguments)
        with Path(os.environ["TURNS"]).open("a", encoding="ascii") as file:
            file.write(f"{word} {os.getpid()}\n")
        return result

    return wrapper


def ungoverned(guard: Callable[..., bool]) -> Callable[..., bool]:
    @wraps(guard)
    def take(*arguments: Any) -> bool:
        planted = Path(os.environ["PLANTED_BUG"]).read_text(encoding="ascii")
        return guard(*arguments) or bool(planted)

    return take


if "TURNS" in os.environ:  # in a server, and not where the tests read the names
    housekeeping.LOOK_SECONDS = 0.05
    Chores.take = ungoverned(Chores.take)  # type: ignore[method-assign]
    Housekeeper._purge = written_down(TURN, Housekeeper._purge)  # type: ignore[method-assign]
    housekeeping.Rounds.look = written_down(LOOK, housekeeping.Rounds.look)  # type: ignore[method-assign]

if __name__ == "__main__":
    entry.main()
