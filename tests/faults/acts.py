"""The faults, each with everything that must hold during it and after it."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from http.client import HTTPException

import httpx
import pytest

from tests.e2e.wire import Line
from tests.faults.proxy import How
from tests.faults.scene import (
    PROMISED,
    Books,
    Guest,
    Scene,
    back_within,
    guests,
    statuses,
    timed,
    unavailable,
)
from tests.faults.state import Tale, told
from tests.security.site import PERIOD, fresh_address
from tests.support.accounts import Account, ok
from tests.support.api import Reply
from tests.support.servers import ServerProcess

Fault = Callable[[], AbstractContextManager[None]]


# -- the database does not answer ----------------------------------------------------------------


def outage(title: str, scene: Scene, fault: Fault, *, reads: bool = False) -> Tale:
    """Whoever asks is refused in time for as long as the fault lasts; then all is as before.

    ``reads`` says that reading goes on, so that only what writes is refused. Everybody asks twice
    of PostgreSQL: over connections that were open, then over new ones.
    """
    site = scene.site
    guest, held = Guest.of(site), site.member()
    backup = held.begin()["challenge_id"], held.backup_codes[0]
    books = Books(site).open([guest])
    pid = site.server().process.pid

    def asked() -> Iterator[float]:
        body = {"username": held.username, "password": held.password}
        yield unavailable(lambda: site.api().post("/auth/login", json=body))
        yield unavailable(lambda: _entered(books, guest))
        yield unavailable(lambda: held.finish(*backup))
        reply, seconds = timed(lambda: held.get("/mfa/status"))
        assert reply.status == (200 if reads else 503)
        yield seconds

    with told(title, site) as tale:
        with fault():
            for _ in range(2 if scene.proxy else 1):
                tale.note("answers after " + ", ".join(f"{wait:.2f} s" for wait in asked()))
                assert statuses(site) == (200, 503)
        tale.note(f"ready again after {back_within(site, PROMISED):.2f} s, without a restart")
        assert site.server().process.pid == pid
        assert site.server().process.poll() is None
        ok(_entered(books, guest))
        assert guest.finish().status == 401
    books.sound()
    assert tale.after.sessions == tale.before.sessions + 1
    assert guest.again(site).status == 401
    ok(held.finish(*backup))
    return tale


def _entered(books: Books, guest: Guest) -> Reply:
    reply = guest.finish()
    books.enter(guest, reply)
    return reply


# -- the connection is cut at a COMMIT -----------------------------------------------------------


def commits_of_a_login(scene: Scene) -> list[int]:
    """How many COMMITs the second step of three logins sends: now and then one sweeps too."""
    seen = []
    for _ in range(3):
        guest = Guest.of(scene.site)
        trap = scene.trap.set(0, "after")
        ok(guest.finish())
        seen.append(trap.seen)
    assert min(seen) > 0, "the proxy sees no COMMIT"
    return sorted(seen)


def cut_at_each_commit(scene: Scene, how: How) -> Counter[tuple[int, bool]]:
    """Cut one login at each of its COMMITs; what came of it: (status, whether it was spent)."""
    found: Counter[tuple[int, bool]] = Counter()
    commits = commits_of_a_login(scene)[-1]
    for number in range(1, commits + 1):
        title = f"PostgreSQL, the connection cut {how} COMMIT {number} of {commits} of a login"
        with told(title, scene.site) as tale:
            found += cut_once(scene, number, how)
            tale.note(f"(status, spent): {found}")
    return found


def cut_once(scene: Scene, number: int, how: How) -> Counter[tuple[int, bool]]:
    site = scene.site
    guest = Guest.of(site)
    books = Books(site).open([guest])
    trap = scene.trap.set(number, how)
    try:
        reply, seconds = timed(guest.finish)
    finally:
        scene.trap.set(0, how)
    if not trap.sprung.is_set():
        return Counter()  # a login that does not sweep
    books.enter(guest, reply)
    books.sound()
    assert reply.status in (200, 503)
    assert seconds < PROMISED
    spent = books.spent(guest)
    # Spent stays spent, and what was not is still good, once.
    again = books.enter(guest, guest.again(site))
    assert again is not None
    assert again.status == (401 if spent else 200)
    site.clock.advance(seconds=PERIOD)
    ok(_entered(books, Guest.of(site, guest.ann)))
    books.sound()
    return Counter([(reply.status, spent)])


# -- in the middle of a burst --------------------------------------------------------------------


def burst(title: str, scene: Scene, fault: Callable[[], object], number: int = 16) -> Tale:
    """``number`` logins at once, and the fault comes as soon as one of them has a token.

    The fault returns when it is mended. Whoever was not let in then tries the same code again.
    """
    site = scene.site
    crowd = guests(site, number)
    books = Books(site).open(crowd)
    first = threading.Event()

    def log_in(guest: Guest) -> tuple[int | None, float]:
        before = time.monotonic()
        try:
            status: int | None = _entered(books, guest).status
        except httpx.TransportError:  # the server is gone
            books.enter(guest, None)
            status = None
        if status == 200:
            first.set()
        return status, time.monotonic() - before

    with told(title, site) as tale:
        with ThreadPoolExecutor(number) as pool:
            waiting = [pool.submit(log_in, guest) for guest in crowd]
            assert first.wait(PROMISED)
            fault()
            found = [each.result() for each in waiting]
        statuses_of, longest = Counter(status for status, _ in found), max(s for _, s in found)
        tale.note(f"replies: {dict(statuses_of)}, the last after {longest:.2f} s")
        back_within(site, PROMISED)
    assert set(statuses_of) <= {200, 503, None}
    assert longest < PROMISED
    books.sound()
    for guest, (status, _) in zip(crowd, found, strict=True):
        if status != 200:
            spent = books.spent(guest)
            again = books.enter(guest, guest.again(site))
            assert again is not None
            assert again.status == (401 if spent else 200)
    books.sound()
    return tale


# -- the server dies -----------------------------------------------------------------------------


def kill_after_the_commit(scene: Scene) -> None:
    """kill -9 when a login is committed and its reply has not left; then look what there is.

    Before PostgreSQL the proxy keeps the answer to the COMMIT back. SQLite has no such place: there
    the planted pause holds the request right after its commit.
    """
    site = scene.site
    before_reply = _held_answer(scene) if scene.proxy else _pause(scene)
    guest = Guest.of(site)
    books = Books(site).open([guest])
    with told(f"{site.engine}, kill -9 between commit and reply", site) as tale:
        with before_reply as reached, ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(guest.finish)
            _wait_for(reached)
            site.kill(0)
            with pytest.raises(httpx.TransportError):
                waiting.result()
        books.enter(guest, None)
        site.restart(0)
        tale.note("no reply; started again")
    books.sound()
    assert books.spent(guest), "what was committed is lost"
    assert tale.after.sessions == tale.before.sessions + 1
    assert guest.again(site).status == 401
    site.clock.advance(seconds=PERIOD)
    ok(Guest.of(site, guest.ann).finish())


Reached = Callable[[], bool]


def _held_answer(scene: Scene) -> AbstractContextManager[Reached]:
    return _held_at(scene, commits_of_a_login(scene)[0])


@contextmanager
def _held_at(scene: Scene, number: int) -> Iterator[Reached]:
    trap = scene.trap.set(number, "hold")
    try:
        yield trap.sprung.is_set
    finally:
        scene.trap.set(0, "after")
        scene.trap.mend()


@contextmanager
def _pause(scene: Scene) -> Iterator[Reached]:
    armed, paused = (scene.house.pause / name for name in ("armed", "paused"))
    armed.touch()
    try:
        yield paused.exists
    finally:
        armed.unlink()
        paused.unlink(missing_ok=True)


def _wait_for(reached: Reached) -> None:
    end = time.monotonic() + PROMISED
    while not reached():
        assert time.monotonic() < end, "the login does not come to its commit"
        time.sleep(0.01)


def end_with_logins_in_flight(scene: Scene, held: Fault, number: int = 20) -> None:
    """SIGTERM while ``held`` keeps that many logins waiting, and half a body besides."""
    site = scene.site
    server, crowd = site.server(), guests(site, number)
    books = Books(site).open(crowd)
    requests = [
        site.request("/auth/login", {"challenge_id": guest.challenge, "mfa_code": guest.code})
        for guest in crowd
    ]
    with told(f"{site.engine}, SIGTERM with {number} logins in flight", site) as tale:
        with ExitStack() as stack:
            half, *lines = [stack.enter_context(Line(server)) for _ in range(number + 1)]
            with held():
                half.hold(requests[0])
                for line, request in zip(lines, requests, strict=True):
                    line.hold(request)
                    line.release()
                time.sleep(0.3)  # until they are read
                before = time.monotonic()
                server.process.send_signal(signal.SIGTERM)
                _refused_soon(server)
            for guest, line in zip(crowd, lines, strict=True):
                books.enter(guest, _complete(line))
            assert server.process.wait(30) == 0
        seconds = time.monotonic() - before
        replies = Counter(reply.status for _, reply in books.entries if reply is not None)
        tale.note(f"replies: {dict(replies)}; exit 0 after {seconds:.1f} s, with half a body open")
    assert seconds < ENDED
    assert replies == {200: number}, f"replies == {replies}"
    books.sound()
    assert tale.after.sessions == tale.before.sessions + number
    site.restart(0)


ENDED = 20.0
"""Seconds within which a server that is told to end has ended."""


def _complete(line: Line) -> Reply:
    try:
        reply = line.reply()
    except (HTTPException, OSError) as error:
        raise AssertionError("a login in flight got no complete answer") from error
    return Reply(reply.status_code, reply.headers, reply.content)


def _refused_soon(server: ServerProcess) -> None:
    """A server that ends takes no new connection."""
    end = time.monotonic() + PROMISED
    while time.monotonic() < end:
        try:
            Line(server).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.02)
    raise AssertionError("a server that ends still takes connections")


# -- many at once --------------------------------------------------------------------------------


class Stream:
    """``people`` who each log in once a second, in both steps: two requests a second each.

    The clock of the servers moves on by a time step each second, so that everybody has a new code.
    """

    def __init__(self, scene: Scene, people: int = 25) -> None:
        self.site = scene.site
        self.accounts = [self._moved(scene.site.member()) for _ in range(people)]
        self.books = Books(self.site).open([Guest(ann, "", 0) for ann in self.accounts])
        self.statuses: Counter[int] = Counter()
        self.refused_at: list[float] = []
        self.longest = self.longest_act = 0.0
        self._over = threading.Event()
        self._lock = threading.Lock()

    @property
    def let_in(self) -> list[Guest]:
        return [g for g, reply in self.books.entries if reply is not None and reply.status == 200]

    def worst_outage(self) -> float:
        """The longest time, in seconds, from a refusal to the end of the refusals of its kind.

        A second without a refusal ends an outage.
        """
        return max((end - start for start, end in self._spans()), default=0.0)

    def outages(self) -> str:
        return "refusing for " + ", ".join(f"{b - a:.1f} s" for a, b in self._spans())

    def _spans(self) -> list[tuple[float, float]]:
        spans: list[tuple[float, float]] = []
        for moment in sorted(self.refused_at):
            if spans and moment - spans[-1][1] < 1:
                spans[-1] = spans[-1][0], moment
            else:
                spans.append((moment, moment))
        return spans

    def _moved(self, ann: Account) -> Account:
        ann.api = self.site.api(address=fresh_address())
        return ann

    def run(self, acts: Sequence[Callable[[], object]], pause: float) -> None:
        """Log in for ``pause`` seconds, then while each act lasts and as long again after it."""
        with ThreadPoolExecutor(len(self.accounts) + 1) as pool:
            work = [
                pool.submit(self._log_in_and_again, ann, index / len(self.accounts))
                for index, ann in enumerate(self.accounts)
            ]
            work.append(pool.submit(self._tick))
            try:
                time.sleep(pause)
                for act in acts:
                    acted = time.monotonic()
                    act()
                    self.longest_act = max(self.longest_act, time.monotonic() - acted)
                    time.sleep(pause)
            finally:
                self._over.set()
            for each in work:
                each.result()

    def _tick(self) -> None:
        while not self._over.wait(1):
            self.site.clock.advance(seconds=PERIOD)

    def _log_in_and_again(self, ann: Account, offset: float) -> None:
        due = time.monotonic() + offset
        while not self._over.wait(max(0.0, due - time.monotonic())):
            self._log_in(ann)
            due += 1

    def _log_in(self, ann: Account) -> None:
        assert ann.phone is not None
        body = {"username": ann.username, "password": ann.password}
        reply = self._count(lambda: ann.api.post("/auth/login", json=body))
        step = self.site.clock.step()
        if reply.status != 200 or step <= ann.phone.last_step:
            return
        ann.phone.last_step = step
        guest = Guest(ann, reply.data["challenge_id"], step)
        self._count(lambda: _entered(self.books, guest))

    def _count(self, act: Callable[[], Reply]) -> Reply:
        reply, seconds = timed(act)
        with self._lock:
            self.statuses[reply.status] += 1
            self.longest = max(self.longest, seconds)
            if reply.status == 503:
                self.refused_at.append(time.monotonic())
        return reply
