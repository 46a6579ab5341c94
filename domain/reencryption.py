"""Moving every TOTP secret to the newest encryption key, and telling which keys can go.

It may run beside servers and more than once: a secret that changes in between is left alone, and
one that is not moved by the end is counted as left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain.errors import Unavailable
from domain.services import Services

# Small, because on SQLite nobody else writes while a batch is stored.
BATCH = 100

Renewed = tuple[str, str, str]
"""A factor's id, its envelope as read and the one to replace it with."""


@dataclass(frozen=True, slots=True)
class Reencryption:
    """How many secrets were re-encrypted, and how many are left under another key."""

    done: int
    left: int


def reencrypt(services: Services, batch: int = BATCH) -> Reencryption:
    """Seal every secret, those of pending factors too, with the current key."""
    done, after = 0, ""
    while rows := _stale(services, after, batch):
        done += _store(services, _renewed(services, rows))
        after = rows[-1][0]
    with services.store.read() as tx:
        return Reencryption(done, tx.keys.count_otherwise(services.sealer.current))


def _stale(services: Services, after: str, batch: int) -> Sequence[tuple[str, str]]:
    current = services.sealer.current
    with services.store.read() as tx:
        return tx.keys.sealed_otherwise(current, after, batch)


def _renewed(services: Services, rows: Iterable[tuple[str, str]]) -> list[Renewed]:
    """What opens, sealed anew; what does not open has been logged by whoever tried."""
    found = []
    for factor_id, sealed in rows:
        try:
            secret = services.sealer.open(sealed, factor_id)
        except Unavailable:
            continue
        found.append((factor_id, sealed, services.sealer.seal(secret, factor_id)))
    return found


def _store(services: Services, renewed: Iterable[Renewed]) -> int:
    with services.store.write() as tx:
        done = sum(tx.factors.reseal(*each) for each in renewed)
        tx.commit()
    return done


def release(services: Services, kind: str) -> list[str]:
    """The ids of the old keys of a kind that no row needs; their fingerprints are forgotten.

    To be asked when the newest key is older than any request in flight.
    """
    ring = services.keys.rings[kind]
    current, present = ring.current()[0], set(ring.all())
    with services.store.write() as tx:
        known = {each.id for each in tx.keys.prints() if each.kind == kind}
        free = [i for i in sorted(present | known) if i != current and not tx.keys.needed(kind, i)]
        for key_id in free:
            tx.keys.forget(kind, key_id)
        tx.commit()
    return [key_id for key_id in free if key_id in present]
