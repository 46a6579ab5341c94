"""Keys that may change while the server runs, as the rules see them: rings, not files.

A ring answers from one call to the next with what is known then. Whoever keeps something made of
its keys compares the mapping that ``all`` returns: another set of keys is another object.
"""

from __future__ import annotations

import hashlib
import hmac
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

K = TypeVar("K")
K_co = TypeVar("K_co", covariant=True)

VOUCHED = ("encryption", "pepper", "audit")
"""The kinds of key whose fingerprints the database keeps: stored rows are lost without them."""
LEEWAY = timedelta(seconds=10)
"""How far two clocks may be apart."""
LOOK = timedelta(seconds=1)
"""The longest that a server goes without a look at what keys there are."""


class KeyRing(Protocol[K_co]):
    """The keys of one kind."""

    def all(self) -> Mapping[str, K_co]:
        """Every key by id; the mapping never changes."""

    def current(self) -> tuple[str, K_co]:
        """The key for what is made now; :class:`Unavailable` where it may not be used."""

    def get(self, key_id: str) -> K_co | None:
        """The key with this id. One that is not known yet is looked for at once."""


class SigningKeys(Protocol[K_co]):
    """The signing keys and whose turn it is."""

    def all(self) -> Mapping[str, K_co]:
        """Every key by id; the mapping never changes."""

    def signing(self, now: datetime) -> tuple[str, K_co]:
        """The key that signs now."""

    def published(self, now: datetime) -> Sequence[str]:
        """The ids of the keys that are shown to verifiers and verify, the oldest first."""

    def find(self, key_id: str) -> bool:
        """Look at once for a key that is not known yet; whether it is there now."""


class Custody(Protocol):
    """What the rules ask of whoever keeps the keys."""

    @property
    def rings(self) -> Mapping[str, KeyRing[bytes]]:
        """The ring of each kind in ``VOUCHED``.

        Encryption keys and peppers are asked for outside of any transaction only.
        """

    @property
    def audit(self) -> KeyRing[bytes]:
        """The keys of the audit chain. They may be asked for within a transaction.

        What :meth:`vouch` has not seen is not among those that seal.
        """

    def vouch(self) -> None:
        """Hold the keys against the database, unless that was done with this set of them before.

        It reads and perhaps writes in transactions of its own, so never within one.
        """

    def check(self) -> None:
        """Return if every key that stored rows need is there and right; else :class:`KeysUnfit`.

        It reads and perhaps writes in transactions of its own, so never within one.
        """


@dataclass(frozen=True, slots=True)
class KeyPrint:
    """What the database knows of a key; of two keys with one id it tells which is right."""

    kind: str
    id: str
    fingerprint: str


def key_print(kind: str, key_id: str, key: bytes) -> KeyPrint:
    """An HMAC (SHA-256, hex) of a constant: of 32 random bytes it gives nothing away."""
    constant = f"countersign fingerprint {kind} {key_id}".encode()
    return KeyPrint(kind, key_id, hmac.new(key, constant, hashlib.sha256).hexdigest())


class Fixed(Generic[K]):
    """Keys that never change: ``current`` makes what is made, all of them read.

    A ring of any kind.
    """

    def __init__(self, keys: Mapping[str, K], current: str) -> None:
        if current not in keys:
            raise ValueError("the current key is one of the keys")
        self._keys = dict(keys)
        self._current = current

    def all(self) -> Mapping[str, K]:
        return self._keys

    def current(self) -> tuple[str, K]:
        return self._current, self._keys[self._current]

    def get(self, key_id: str) -> K | None:
        return self._keys.get(key_id)

    def signing(self, _now: datetime) -> tuple[str, K]:
        return self.current()

    def published(self, _now: datetime) -> Sequence[str]:
        return tuple(self._keys)

    def find(self, key_id: str) -> bool:
        return key_id in self._keys


@dataclass(frozen=True, slots=True)
class Rota:
    """When signing keys take turns.

    ``notice`` is how long a key is published before it signs, ``overlap`` how long the key before
    it goes on verifying after that.
    """

    notice: timedelta
    overlap: timedelta

    @classmethod
    def of(cls, cached: timedelta, lifetime: timedelta) -> Rota:
        """The rota where verifiers keep the key set for ``cached`` and tokens live ``lifetime``.

        A server shows a new key one look late, and its clock may be behind that of who made it.
        """
        return cls(cached + LOOK + LEEWAY, lifetime + LEEWAY)

    def starts(self, made: Sequence[datetime]) -> list[datetime]:
        """When each key, the oldest first, begins to sign; the first has nobody to wait for."""
        return [*made[:1], *(moment + self.notice for moment in made[1:])]


@dataclass(frozen=True, slots=True)
class _Plan(Generic[K]):
    """The turns of one set of keys: ``ids`` and ``starts`` side by side, the oldest first."""

    keys: Mapping[str, K]
    ids: tuple[str, ...]
    starts: list[datetime]

    def turn(self, now: datetime) -> int:
        """Whose turn it is to sign."""
        return max(0, bisect_right(self.starts, now) - 1)

    def retired(self, now: datetime, overlap: timedelta) -> int:
        """How many of the oldest have been without a turn for the overlap."""
        return self.turn(now - overlap)


class Turns(Generic[K]):
    """The keys of a ring by the rota; ``made_at`` reads from an id when the key was made."""

    def __init__(self, ring: KeyRing[K], rota: Rota, made_at: Callable[[str], datetime]) -> None:
        self._ring = ring
        self._rota = rota
        self._made_at = made_at
        self._plan: _Plan[K] | None = None

    def all(self) -> Mapping[str, K]:
        return self._ring.all()

    def find(self, key_id: str) -> bool:
        return self._ring.get(key_id) is not None

    def signing(self, now: datetime) -> tuple[str, K]:
        plan = self._present()
        key_id = plan.ids[plan.turn(now)]
        return key_id, plan.keys[key_id]

    def published(self, now: datetime) -> Sequence[str]:
        plan = self._present()
        return plan.ids[plan.retired(now, self._rota.overlap) :]

    def _present(self) -> _Plan[K]:
        plan, keys = self._plan, self._ring.all()
        if plan is None or plan.keys is not keys:
            ids = tuple(sorted(keys))
            starts = self._rota.starts([self._made_at(key_id) for key_id in ids])
            self._plan = plan = _Plan(keys, ids, starts)
        return plan
