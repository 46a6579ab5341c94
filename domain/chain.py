"""The chain of audit events: each carries a keyed hash over itself and the one before it.

The key keeps whoever can only write to the database from making a chain of their own. What no
chain can show is that its newest end was cut off together with the head; the hashes in the log do.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC

from domain.errors import Unavailable
from domain.keyring import KeyRing
from domain.ports import Clock, Transaction
from domain.records import AuditEvent

Tell = Callable[[AuditEvent], None]


def _nobody(_event: AuditEvent) -> None:
    return


@dataclass(frozen=True, slots=True)
class Chain:
    """Seals events and appends them; ``tell`` hears of each that is final."""

    keys: KeyRing[bytes]
    tell: Tell = _nobody

    def append(self, tx: Transaction, event: AuditEvent, clock: Clock) -> AuditEvent:
        """Append an event to the trail; the caller commits next. Returns it as stored.

        Its time is taken while the head is locked, so that the times follow the numbers.
        """
        head = tx.audit.lock_head()
        key_id, key = self.keys.current()
        placed = replace(event, at=clock.now(), number=head.number + 1, key_id=key_id)
        sealed = replace(placed, hash=digest(key, head.hash, placed))
        if not tx.audit.append(sealed, head):
            raise Unavailable
        return sealed


def digest(key: bytes, previous: str, event: AuditEvent) -> str:
    """HMAC-SHA256 (hex) over the hash of the event before and every member but the own hash."""
    members = {name: getattr(event, name) for name in event.__slots__ if name != "hash"}
    # To the microsecond and in UTC: what both databases give back as it was.
    members["at"] = event.at.astimezone(UTC).isoformat(timespec="microseconds")
    canonical = json.dumps([previous, members], sort_keys=True, separators=(",", ":"))
    return hmac.new(key, canonical.encode(), hashlib.sha256).hexdigest()
