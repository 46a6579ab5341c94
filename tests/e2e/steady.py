"""A constant load: so many requests a second, whatever becomes of them, and what became of them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

SENDERS = 10
"""Threads; each sends its share on a keep-alive connection of its own."""


@dataclass
class Load:
    """``outcomes`` counts statuses, and the names of errors where there was no reply."""

    url: str
    requests: tuple[tuple[str, dict[str, str]], ...]
    rate: float
    outcomes: Counter[int | str] = field(default_factory=Counter)
    seconds: float = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def sent(self) -> Iterator[Load]:
        """Send while the block lasts; all replies have come when it is left."""
        threads = [threading.Thread(target=self._send, args=(n,)) for n in range(SENDERS)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
            self.seconds = time.monotonic() - began

    def _send(self, number: int) -> None:
        path, headers = self.requests[number % len(self.requests)]
        pause = SENDERS / self.rate
        due = time.monotonic() + pause * number / SENDERS
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not self._stop.wait(max(0, due - time.monotonic())):
                try:
                    self.outcomes[client.get(path, headers=headers).status_code] += 1
                except httpx.HTTPError as lost:
                    self.outcomes[type(lost).__name__] += 1
                due += pause
