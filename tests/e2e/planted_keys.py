"""``countersign`` with one thing about the change of keys forgotten, to show that it is missed.

``PLANTED_KEYS`` names the bug. Worker processes run this module at their start, as they do the
console script.
"""

from __future__ import annotations

import os
from datetime import timedelta

from domain.keyring import LEEWAY, Rota
from server import entry
from server.keyring import KeyDirectory

HASTY = "a key signs before verifiers can know it"
BLIND = "nobody looks for a key that is not known"


def sign_at_once() -> None:
    def hasty(_cls: type[Rota], _cached: timedelta, lifetime: timedelta) -> Rota:
        return Rota(timedelta(0), lifetime + LEEWAY)

    Rota.of = classmethod(hasty)  # type: ignore[assignment]


def forget_the_look() -> None:
    KeyDirectory.seek = KeyDirectory.keys  # type: ignore[method-assign]


PLANTS = {"": lambda: None, HASTY: sign_at_once, BLIND: forget_the_look}

if "PLANTED_KEYS" in os.environ:  # in a server, and not where the tests read the names
    PLANTS[os.environ["PLANTED_KEYS"]]()

if __name__ == "__main__":
    entry.main()
