"""``countersign`` with one thing about the change of keys forgotten, to show that it is missed.

``PLANTED_KEYS`` names the bug. Worker processes run this module at their start, as they do the
console script.
"""

from __future__ import annotations

import os
import random
from datetime import timedelta

from domain.keyring import LEEWAY, Rota
from server import entry, keyring
from server.keyring import KeyDirectory

HASTY = "a key signs before verifiers can know it"
SELDOM = "the look of every second is late"
"""No bug by itself: whoever meets an unknown id looks at once."""
BLIND = "nobody looks for a key that is not known"


def sign_at_once() -> None:
    def hasty(_cls: type[Rota], _cached: timedelta, lifetime: timedelta) -> Rota:
        return Rota(timedelta(0), lifetime + LEEWAY)

    Rota.of = classmethod(hasty)  # type: ignore[assignment]


def look_seldom() -> None:
    """Each worker in a rhythm of its own, so that one of them is behind for seconds."""
    keyring._LOOK = random.uniform(2, 10)


def forget_the_look() -> None:
    look_seldom()
    KeyDirectory.seek = KeyDirectory.keys  # type: ignore[method-assign]


PLANTS = {HASTY: sign_at_once, SELDOM: look_seldom, BLIND: forget_the_look}

if "PLANTED_KEYS" in os.environ:  # in a server, and not where the tests read the names
    PLANTS[os.environ["PLANTED_KEYS"]]()

if __name__ == "__main__":
    entry.main()
