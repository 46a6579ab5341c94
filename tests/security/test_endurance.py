"""A siege: whoever knows the password guesses codes without end, and every delay is waited out.

Several connections to every worker, several addresses, a clock that jumps over each delay, workers
that are killed in between. However long it lasts, fifty wrong codes in a row are looked at.
"""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import pytest

from tests.e2e.wire import Line
from tests.security.doors import LOCK
from tests.security.refusals import refused
from tests.security.site import Site, fresh_address
from tests.security.test_guessing import wrong_codes
from tests.support.accounts import Account, ok
from tests.support.doors import at_login

PER_WORKER = 2
"""Connections to each worker; there are two cores."""
PER_ADDRESS = 400
"""Requests from one address, fewer than the burst that a flood is made of."""
PER_HOUR = 500
"""Guesses that find the factor locked until an hour is over."""
KILL_AFTER = 20
"""Guesses that were looked at when the first worker is killed."""

_CODE = re.compile(rb'"code":"(\w+)"')
_CHALLENGE = re.compile(rb'"challenge_id":"([\w-]{43})"')

KINDS = {
    *("invalid_code", "too_many_attempts", "factor_locked", "invalid_challenge"),
    *("too_many_requests", "unavailable"),
}
"""What a guess can be answered with."""


@dataclass
class Siege:
    """``size`` guesses that get an answer, by as many attackers as fit; ``told`` counts answers."""

    site: Site
    ann: Account
    size: int
    told: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.codes: Iterator[str] = wrong_codes(self.ann)
        self.threads = [
            threading.Thread(target=Attacker(self, worker).attack, daemon=True)
            for worker in range(self.site.workers)
            for _ in range(PER_WORKER)
        ]

    @property
    def done(self) -> int:
        """Guesses that were answered, with whatever the rules have to say of a guess."""
        return (
            self.told["invalid_code"] + self.told["too_many_attempts"] + self.told["factor_locked"]
        )

    @property
    def over(self) -> bool:
        return bool(self.faults) or self.done >= self.size

    def take(self) -> str:
        """The next code; one that comes near the present time steps is left out."""
        with self.lock:
            step = self.site.clock.step()
            near = {self.ann.phone.code_of(step + n) for n in range(-2, 3)}  # type: ignore[union-attr]
            return next(code for code in self.codes if code not in near)

    def note(self, kind: str, seconds: int) -> None:
        with self.lock:
            self.told[kind] += 1
            if kind == "too_many_attempts":
                self.site.clock.advance(seconds=seconds)
            elif kind == "factor_locked" and self.told[kind] % PER_HOUR == 0:
                self.site.clock.advance(hours=1)
            elif kind not in KINDS:
                self.faults.append(kind)

    def until(self, reached: Callable[[], bool]) -> None:
        """Wait while the attackers go on."""
        while not reached() and not self.over:
            time.sleep(0.01)
        assert self.faults == []

    def __enter__(self) -> Siege:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        if failure is not None:
            self.faults.append("the test has failed")
        for thread in self.threads:
            thread.join()


@dataclass
class Attacker:
    """One connection to one worker. It keeps no books of a hundred thousand replies."""

    siege: Siege
    worker: int
    sent: int = 0
    line: Line | None = None
    challenge: str | None = None

    def attack(self) -> None:
        try:
            while not self.siege.over:
                with suppress(OSError, http.client.HTTPException):  # the worker was killed
                    self._guess()
                    continue
                self._leave()
        finally:
            self._leave()

    def _guess(self) -> None:
        if self.challenge is None:
            self.challenge = self._begin()
        if self.challenge is not None:
            self._answer({"challenge_id": self.challenge, "mfa_code": self.siege.take()})

    def _begin(self) -> str | None:
        ann = self.siege.ann
        reply = self._post({"username": ann.username, "password": ann.password})
        found = _CHALLENGE.search(reply.content)
        if found is None:
            self._answered(reply)
        return found and found[1].decode()  # type: ignore[return-value]

    def _answer(self, body: dict[str, str]) -> None:
        reply = self._post(body)
        kind = self._answered(reply)
        if kind in ("invalid_challenge", "too_many_attempts", "invalid_code"):
            self.challenge = None  # five minutes old by then, or spent, or about to be

    def _answered(self, reply: httpx.Response) -> str:
        found = _CODE.search(reply.content)
        kind = found[1].decode() if found and reply.status_code >= 400 else "let in"
        self.siege.note(kind, int(reply.headers.get("Retry-After", 0)))
        if kind == "too_many_requests":
            self._leave()
        return kind

    def _post(self, body: dict[str, str]) -> httpx.Response:
        if self.line is None or self.sent >= PER_ADDRESS:
            self._leave()
            server = self.siege.site.server(self.worker)
            self.line, self.sent = Line(server, fresh_address()), 0
        self.sent += 1
        return self.line.send(
            httpx.Request("POST", f"{self.line.server.url}/auth/login", json=body)
        )

    def _leave(self) -> None:
        if self.line is not None:
            self.line.close()
        self.line = None


def count(site: Site, ann: Account) -> int:
    """The failures that the database holds against the authenticator."""
    rows = site.rows("SELECT count FROM budgets WHERE key = :key", key=f"totp:{ann.user_id}")
    return int(rows[0]["count"]) if rows else 0


def longest_run(site: Site, ann: Account) -> int:
    """The most wrong TOTP codes that were looked at between two successes, by the audit trail."""
    rows = site.rows(
        "SELECT result, factor, reason FROM audit_events WHERE user_id = :user"
        " AND factor IN ('totp', 'backup_code') ORDER BY number",
        user=ann.user_id,
    )
    run = longest = 0
    for row in rows:
        run = 0 if row["result"] == "success" else run + (row["reason"] == "invalid_code")
        longest = max(longest, run)
    return longest


def killed_in_between(siege: Siege) -> None:
    """kill -9 of a worker: what had been counted is still counted, and it goes on from there."""
    site, ann = siege.site, siege.ann
    before = count(site, ann)
    site.kill(0)
    assert count(site, ann) >= before
    site.restart(0)
    assert LOCK >= count(site, ann) >= before > 0


def withstood(site: Site, size: int) -> Counter[str]:
    """Carry a siege of so many guesses out; what its guesses were answered with.

    The factor is locked before half of them are sent. Then the owner comes with a backup code,
    which is accepted and opens the factor, and the attackers lock it once more.
    """
    ann = site.member()
    with Siege(site, ann, size) as siege:
        siege.until(lambda: siege.told["invalid_code"] >= KILL_AFTER)
        killed_in_between(siege)
        siege.until(lambda: siege.told["factor_locked"] > 0 and siege.done >= size // 2)
        assert siege.told["invalid_code"] <= LOCK
        assert count(site, ann) == LOCK
        ann.another_device().sign_in_with_backup_code()
        siege.until(lambda: siege.over)
    assert siege.faults == []
    assert siege.done >= size
    assert siege.told["invalid_code"] <= 2 * LOCK
    assert KILL_AFTER <= longest_run(site, ann) <= LOCK
    assert count(site, ann) == LOCK
    refused(at_login(ann, ann.code()), "factor_locked")
    ann.sign_in_with_backup_code()
    site.clock.advance(seconds=60)
    ok(at_login(ann, ann.code()))
    return siege.told


def test_of_2000_wrong_codes_fifty_in_a_row_are_looked_at(site: Site) -> None:
    """The short form; a worker is killed on the way, and the owner gets in with backup codes."""
    withstood(site, 2000)


@pytest.mark.full
def test_of_100_000_wrong_codes_fifty_in_a_row_are_looked_at(site: Site) -> None:
    """The whole siege, by four connections to two workers."""
    site.needs("the siege is laid to two workers; the short form covers one", workers=2)
    told = withstood(site, 100_000)
    print(f"{site.name}: {dict(told)}")
