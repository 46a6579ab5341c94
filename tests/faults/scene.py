"""A server whose surroundings a test may break, and the books of who was let in."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt

from storage import migrate
from tests.faults import planted
from tests.faults.postgres import Cluster
from tests.faults.proxy import Proxy, proxy_to
from tests.security.site import PERIOD, House, Site
from tests.support.accounts import Account
from tests.support.api import Reply
from tests.support.servers import ServerProcess, serving

PROMISED = 5.0
"""Seconds within which whoever asks is told that the database does not answer."""
PROGRAM = (sys.executable, "-m", planted.__name__)


class FaultHouse(House):
    """One server, of one process or of several, with a bug or a pause where one is planted."""

    def __init__(
        self, name: str, folder: Path, url: str, *, through: str | None = None, **settings: str
    ) -> None:
        """``through`` is how the server gets to the database; this process goes by ``url``."""
        self.bug, self.pause = folder / "bug", folder / "pause"
        self.pause.mkdir(exist_ok=True)
        self.bug.write_text(settings.pop("bug", ""), encoding="utf-8")
        settings |= {"PLANTED_BUG": str(self.bug), "PLANTED_PAUSE": str(self.pause)}
        super().__init__(name, folder, through or url, **settings)
        self.database_url = url

    def plant(self, bug: str) -> None:
        """From now on, or from the next start on where the bug is one of the start."""
        self.bug.write_text(bug, encoding="utf-8")

    def _start(self, worker: int) -> ServerProcess:
        server = self._stacks[worker].enter_context(
            serving(self.folder, env=self.env, program=PROGRAM)
        )
        self.logs.append(server.log)
        return server


@dataclass
class Scene:
    """A house, one test's view of it, and the proxy before its database, where there is one."""

    house: FaultHouse
    site: Site
    proxy: Proxy | None = None

    @property
    def trap(self) -> Proxy:
        assert self.proxy is not None
        return self.proxy

    def integrity(self) -> str:
        """What SQLite says of its own file."""
        ((word,),) = (row.values() for row in self.site.rows("PRAGMA integrity_check"))
        return str(word)


@contextmanager
def on_sqlite(
    folder: Path, workers: int = 1, *, disk: Path | None = None, **settings: str
) -> Iterator[Scene]:
    """Servers over a SQLite file of their own, in ``folder`` or on a disk of its own."""
    url = f"sqlite:///{disk or folder}/countersign.db"
    with _scene(FaultHouse(f"sqlite-{workers}", folder, url, **settings)) as scene:
        yield scene


@contextmanager
def on_postgres(
    cluster: Cluster, folder: Path, workers: int = 1, **settings: str
) -> Iterator[Scene]:
    """Servers over a database of their own, reached through a proxy."""
    name = cluster.new_database()
    url = cluster.url(name)
    migrate.upgrade(url)
    with proxy_to(("127.0.0.1", cluster.port)) as proxy:
        through = cluster.url(name, proxy.port)
        house = FaultHouse(f"postgresql-{workers}", folder, url, through=through, **settings)
        with _scene(house, proxy) as scene:
            yield scene


@contextmanager
def _scene(house: FaultHouse, proxy: Proxy | None = None) -> Iterator[Scene]:
    with ExitStack() as stack:
        stack.callback(house.close)
        site = Site(house)
        stack.callback(site.close)
        yield Scene(house, site, proxy)


# -- what a fault must not do --------------------------------------------------------------------


def timed(act: Callable[[], Reply]) -> tuple[Reply, float]:
    before = time.monotonic()
    reply = act()
    return reply, time.monotonic() - before


def unavailable(act: Callable[[], Reply]) -> float:
    """503 in time, in the one envelope, and no token; the seconds that it took."""
    reply, seconds = timed(act)
    assert (reply.status, reply.code) == (503, "unavailable"), reply.content
    assert seconds < PROMISED
    assert b"token" not in reply.content
    return seconds


def statuses(site: Site, worker: int = 0) -> tuple[int, int]:
    """Liveness and readiness."""
    api = site.api(worker)
    return api.get("/health/live").status, api.get("/health/ready").status


def back_within(site: Site, seconds: float) -> float:
    """The seconds until every worker is ready again; no longer than ``seconds``."""
    before = time.monotonic()
    while any(statuses(site, worker) != (200, 200) for worker in range(site.workers)):
        assert time.monotonic() - before < seconds, "the server does not recover"
        time.sleep(0.05)
    return time.monotonic() - before


@dataclass
class Guest:
    """Somebody with a second factor, a challenge and a code that is good."""

    ann: Account
    challenge: str
    step: int

    @classmethod
    def of(cls, site: Site, ann: Account | None = None) -> Guest:
        ann = ann or site.member()
        challenge = ann.begin()["challenge_id"]
        assert ann.phone is not None
        ann.code()
        return cls(ann, challenge, ann.phone.last_step)

    @property
    def code(self) -> str:
        assert self.ann.phone is not None
        return self.ann.phone.code_of(self.step)

    def finish(self, **options: Any) -> Reply:
        return self.ann.finish(self.challenge, self.code, **options)

    def again(self, site: Site) -> Reply:
        """The same code at a new challenge."""
        return self.ann.finish(self.ann.begin()["challenge_id"], self.code)


def guests(site: Site, number: int) -> list[Guest]:
    """So many at the same moment of the clock, which ``site.member`` moves on for each."""
    members = [site.user().enrol() for _ in range(number)]
    site.clock.advance(seconds=PERIOD)
    return [Guest.of(site, member) for member in members]


@dataclass
class Books:
    """Who gave which second factor, and what came of it (None: no reply)."""

    site: Site
    entries: list[tuple[Guest, Reply | None]] = field(default_factory=list)
    _sessions: dict[str, int] = field(default_factory=dict)

    def open(self, guests: list[Guest]) -> Books:
        """Count the sessions of the guests before they begin."""
        self._sessions = {guest.ann.user_id: self._count(guest) for guest in guests}
        return self

    def enter(self, guest: Guest, reply: Reply | None) -> Reply | None:
        self.entries.append((guest, reply))
        return reply

    def spent(self, guest: Guest) -> bool:
        """Whether the guest's time step is on record."""
        return self._step(guest.ann.user_id) >= guest.step

    def sound(self) -> None:
        """No token without a recorded spend, nothing spent twice, nothing half written."""
        for guest, reply in self.entries:
            if reply is not None and reply.status == 200:
                self._recorded(guest, reply)
        for user, before in self._sessions.items():
            self._spent_once(user, before)
        self._whole()

    def _recorded(self, guest: Guest, reply: Reply) -> None:
        session = jwt.decode(reply.data["access_token"], options={"verify_signature": False})["sid"]
        rows = self.site.rows("SELECT amr FROM sessions WHERE id = :id", id=session)
        assert len(rows) == 1, "a token without its session"
        assert self.spent(guest), "a token without a recorded spend"
        events = self.site.rows(
            "SELECT result FROM audit_events WHERE session_id = :id", id=session
        )
        assert {"result": "success"} in events, "a token without its event in the trail"

    def _spent_once(self, user: str, before: int) -> None:
        tried = [(g, r) for g, r in self.entries if g.ann.user_id == user]
        let_in = [g.step for g, r in tried if r is not None and r.status == 200]
        assert len(let_in) == len(set(let_in)), "a time step let two in"
        spent = {g.step for g, _ in tried if g.step <= self._step(user)}
        opened = self._count(tried[0][0]) - before if tried else 0
        assert len(let_in) <= opened <= len(spent), (len(let_in), opened, len(spent))

    def _whole(self) -> None:
        halves = self.site.rows(
            "SELECT id FROM sessions WHERE id NOT IN (SELECT session_id FROM refresh_tokens)"
        )
        assert not halves, "a session without its refresh token"

    def _step(self, user: str) -> int:
        sql = "SELECT last_step FROM factors WHERE NOT pending AND user_id = :user"
        (row,) = self.site.rows(sql, user=user)
        return int(row["last_step"])

    def _count(self, guest: Guest) -> int:
        sql = "SELECT count(*) AS number FROM sessions WHERE user_id = :user"
        (row,) = self.site.rows(sql, user=guest.ann.user_id)
        return int(row["number"])
