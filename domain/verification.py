"""Going through the audit trail from its first event to its head and naming what does not fit.

One defect is to be named once, wherever it can be told from others: after an event whose hash does
not fit, what follows may carry on from the hash that is stored or from the one that should be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from domain.chain import digest
from domain.keyring import KeyRing
from domain.ports import Store
from domain.records import AuditEvent, AuditHead

EDITED, MISSING, INSERTED = "edited", "missing", "inserted"
CLOSED_UP = "the one before it is missing, and the numbers were closed up"
KEYLESS = "sealed with a key that is not here"
PAGE = 1_000
"""Events in memory at once."""
KEYS = 64
"""Keys in memory at once."""


@dataclass(frozen=True, slots=True)
class Defect:
    """What is wrong with the events from ``first`` to ``last``, or with the head."""

    what: str
    first: int | None = None
    last: int | None = None

    def __str__(self) -> str:
        if self.first is None:
            return f"head: {self.what}"
        if self.first == self.last:
            return f"event {self.first}: {self.what}"
        return f"events {self.first} to {self.last}: {self.what}"

    def followed_by(self, other: Defect) -> bool:
        """Whether the other is the same of what comes next."""
        return self.what == other.what and self.last is not None and other.first == self.last + 1


def verify(store: Store, keys: KeyRing[bytes], tell: Callable[[Defect], None]) -> int:
    """Hold every event against the chain, in bounded memory, and tell of each defect in order.

    Returns how many events there are. Others may append meanwhile; their events are held too.
    """
    reader = _Reader(store)
    walk = _Walk(keys)
    for defect in _joined(_defects(reader, walk)):
        tell(defect)
    return reader.count


def _defects(reader: _Reader, walk: _Walk) -> Iterator[Defect]:
    for event in reader.events():
        yield from walk.step(event, reader.head)
    yield from walk.end(reader.head)


def _joined(defects: Iterable[Defect]) -> Iterator[Defect]:
    """The same defect of neighbours, told as one: a lost key would fill the screen."""
    held: Defect | None = None
    for defect in defects:
        if held is not None and held.followed_by(defect):
            held = replace(held, last=defect.last)
            continue
        if held is not None:
            yield held
        held = defect
    if held is not None:
        yield held


class _Reader:
    """The events in pages. ``head`` was read after the page at hand: nothing true is beyond it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.head = AuditHead(0, "")
        self.count = 0

    def events(self) -> Iterator[AuditEvent]:
        # Whoever plants a row may give it any number, below the first one too.
        last, ended = -(1 << 62), False
        while not ended:
            page, head = self._page(last)
            # Where the head moved on while nothing came, the newest events come with the next page.
            ended = not page and head == self.head
            self.head = head
            self.count += len(page)
            yield from page
            last = page[-1].number if page else last

    def _page(self, last: int) -> tuple[list[AuditEvent], AuditHead]:
        with self._store.read() as tx:
            return list(tx.audit.after(last, PAGE)), tx.audit.head()


class _Walk:
    """One pass along the chain.

    ``links`` are the hashes from which the next event may carry on; None after a gap, for what was
    there is not known. ``shift`` is how many events before this one were put in between others,
    less those that were taken out, where the numbers were made to fit: it was sealed with a number
    that much lower.
    """

    def __init__(self, keys: KeyRing[bytes]) -> None:
        # Whoever keeps the keys looks for one that is lost again and again, and says so each time.
        self._key = lru_cache(KEYS)(keys.get)
        self._next = 1
        self._links: frozenset[str] | None = frozenset({""})
        self._shift = 0
        self._suspect: Defect | None = None
        self._before: frozenset[str] | None = None

    def step(self, event: AuditEvent, head: AuditHead) -> Iterator[Defect]:
        """What is known to be wrong up to this event."""
        beyond = min(self._numbers(event.number)) > head.number
        gap = event.number - self._next
        if gap < 0 or (gap and beyond):
            yield Defect(INSERTED, event.number, event.number)
            return
        if gap:
            yield from self._settled()
            yield Defect(MISSING, self._next, event.number - 1)
            self._links = None
        yield from self._judge(event, INSERTED if beyond else EDITED)
        self._next = event.number + 1

    def end(self, head: AuditHead) -> Iterator[Defect]:
        """What is wrong with the last event, and between it and the head."""
        last, suspect = self._numbers(self._next - 1), self._suspect
        yield from self._settled()
        if head.number in last:
            if self._links is not None and head.hash not in self._links:
                yield Defect(f"does not match event {self._next - 1}")
        elif head.number > max(last):
            yield Defect(MISSING, self._next, head.number)
        elif suspect is None:
            yield Defect(f"stands at {head.number}, before the newest event")

    def _numbers(self, number: int) -> tuple[int, int]:
        """The number as it is and as it was sealed; whoever made them fit may have moved the head."""
        return number, number - self._shift

    def _judge(self, event: AuditEvent, word: str) -> Iterator[Defect]:
        fits = self._fits(event, self._links, self._shift) or self._fits_renumbered(event)
        yield from self._settled()
        if fits:
            self._links = frozenset({event.hash})
            return
        what = word if self._key(event.key_id) else KEYLESS
        self._suspect = Defect(what, event.number, event.number)
        self._before, self._links = self._links, self._onward(event)

    def _fits_renumbered(self, event: AuditEvent) -> bool:
        """Whether the suspect is not edited itself, but the numbers around it were."""
        if self._suspect is None:
            return False
        for what, links, shift in (
            # It carries on from the event before the suspect: that one was put in between.
            (INSERTED, self._before, self._shift + 1),
            # It carries on from the suspect, and both were sealed with a number one higher.
            (CLOSED_UP, self._links, self._shift - 1),
        ):
            if self._fits(event, links, shift):
                self._suspect, self._shift = replace(self._suspect, what=what), shift
                return True
        return False

    def _settled(self) -> Iterator[Defect]:
        if self._suspect is not None:
            yield self._suspect
        self._suspect = None

    def _fits(self, event: AuditEvent, links: frozenset[str] | None, shift: int) -> bool:
        return links is None or event.hash in self._hashes(event, links, shift)

    def _onward(self, event: AuditEvent) -> frozenset[str]:
        """Either the event was edited and its hash is the true one, or the hash itself was."""
        hashes = self._hashes(event, self._links or frozenset(), self._shift)
        return hashes | {event.hash}

    def _hashes(self, event: AuditEvent, links: frozenset[str], shift: int) -> frozenset[str]:
        key = self._key(event.key_id)
        if key is None:
            return frozenset()
        sealed = replace(event, number=event.number - shift)
        return frozenset(digest(key, link, sealed) for link in links)
