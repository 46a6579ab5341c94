"""Rotating every kind of key under a server that is at work, and who would notice a mistake.

Clients do what clients do, each request on a connection of its own, so that either worker may
answer; a verifier of another service checks every access token with the key set, which it keeps as
long as it was told it may.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

import httpx
import jwt
import sqlalchemy
from sqlalchemy import select

from server import keys
from storage.engine import create_engine
from storage.models import audit_events, code_sets, factors
from tests.support.accounts import Account, RealClock, register
from tests.support.api import Api, Reply
from tests.support.servers import ROOT, ServerProcess, command, environment, serving

RATE = 50
"""Requests per second; an address is allowed no more."""
CACHED = 2
"""Seconds that verifiers may keep the key set, so that a turn takes 13 seconds and no more."""
LIVES = "PT30S"
"""The life of an access token, so that in a long run signing keys retire."""
CLIENTS = 12
ABSENT = 3
"""People whose secrets nobody uses while keys are rotated."""
SIGNING_IN = threading.Lock()
RENEWED = 15
"""Seconds after which a client renews its access token."""


def quick_spec(folder: Path) -> Path:
    """A copy of the shipped spec in which the keys of tokens take turns quickly; the root file."""
    copy = shutil.copytree(ROOT / "spec", folder / "spec")
    for file, old, new in (
        ("components/headers.yaml", "max-age=300", f"max-age={CACHED}"),
        ("schemas/auth.yaml", "x-ttl: PT10M", f"x-ttl: {LIVES}"),
    ):
        text = (copy / file).read_text(encoding="utf-8")
        assert old in text
        (copy / file).write_text(text.replace(old, new), encoding="utf-8")
    return copy / "openapi.yaml"


@dataclass
class Verifier:
    """Another service: it fetches the keys when its copy is too old, and not a moment sooner."""

    url: str
    keys: Mapping[str, jwt.PyJWK] = field(default_factory=dict)
    until: float = 0.0
    signers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, token: str) -> None:
        with self.lock:
            if time.monotonic() >= self.until:
                self._fetch()
            key_id = jwt.get_unverified_header(token)["kid"]
            self.signers[key_id] += 1
            if key_id not in self.keys:
                self.failures.append(f"{key_id} signs and is not in a set that may still be kept")
            else:
                jwt.decode(token, self.keys[key_id], ["ES256"], audience="countersign")

    def _fetch(self) -> None:
        reply = httpx.get(f"{self.url}/.well-known/jwks.json", timeout=30)
        assert reply.headers["Cache-Control"] == f"public, max-age={CACHED}"
        self.until = time.monotonic() + CACHED
        self.keys = {key["kid"]: jwt.PyJWK(key) for key in reply.json()["keys"]}


class Pace:
    """Lets a request pass every fiftieth of a second, whoever sends it, and counts the replies."""

    def __init__(self, rate: int = RATE) -> None:
        self._lock = threading.Lock()
        self._gap = 1 / rate
        self._next = time.monotonic()
        self.replies: Counter[str] = Counter()
        self.wrong: list[str] = []

    def wait(self) -> None:
        with self._lock:
            self._next = max(self._next + self._gap, time.monotonic() - 1)
            ahead = self._next - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)

    def note(self, request: httpx.Request, response: httpx.Response) -> None:
        with self._lock:
            self.replies[f"{request.method} {request.url.path} {response.status_code}"] += 1
            if response.status_code not in (200, 201, 204):
                code = response.json().get("error", {}).get("code")
                self.wrong.append(
                    f"{request.method} {request.url.path}: {response.status_code} {code}"
                )


class Refused(Exception):
    """A request that everything was right with; ``Pace.wrong`` has it."""


@dataclass
class Load:
    """Clients of a server. Whatever they send is right, so that every refusal is a mistake."""

    url: str
    verifier: Verifier
    pace: Pace = field(default_factory=Pace)
    people: SimpleQueue[Person] = field(default_factory=SimpleQueue)

    def api(self) -> Api:
        limits = httpx.Limits(max_keepalive_connections=0)
        client = httpx.Client(base_url=self.url, timeout=60, limits=limits)

        def send(request: httpx.Request) -> httpx.Response:
            self.pace.wait()
            response = client.send(request)
            self.pace.note(request, response)
            return response

        return Api(send, self.url)

    def invite(self, number: int) -> None:
        """Register people; half of them have a second factor from the beginning."""
        for index in range(number):
            person = Person(register(self.api(), RealClock()), self.verifier)
            person.sign_in()
            if index % 2:
                person.enrol()
            self.people.put(person)

    @contextmanager
    def at_work(self, act_of: Callable[[Person, int], None] | None = None) -> Iterator[None]:
        """Everybody acts for as long as the block lasts, as people do or as ``act_of`` says."""
        doing = act_of or Person.act
        over, turns = threading.Event(), itertools.count()

        def act() -> None:
            while not over.is_set():
                person = self.people.get()
                try:
                    doing(person, next(turns))
                except (Refused, AssertionError, KeyError, httpx.HTTPError) as error:
                    self.pace.wrong.append(f"{type(error).__name__}: {error}"[:300])
                finally:
                    self.people.put(person)

        with ThreadPoolExecutor(CLIENTS) as pool:
            acting = [pool.submit(act) for _ in range(CLIENTS)]
            try:
                yield
            finally:
                over.set()
            for done in acting:
                done.result()


@dataclass
class Person:
    """A user who shows each new access token to the verifier."""

    account: Account
    verifier: Verifier
    renewed: float = 0.0

    def act(self, turn: int) -> None:
        """What people do: mostly they look at something; now and then they prove who they are."""
        if self.is_due():
            self.refresh()
        elif turn % 40 == 1:
            self.sign_in()
        elif turn % 10 == 3:
            self.enrol()
        else:
            self._well(self.account.get("/auth/session"))

    def is_due(self) -> bool:
        return time.monotonic() - self.renewed > RENEWED

    def enrol_again(self) -> None:
        """Nothing but new phones, on a token that lives."""
        if self.is_due():
            self.refresh()
        else:
            self.enrol()

    def sign_in(self) -> None:
        """With the phone where it has a code to spare, else with a backup code.

        One at a time: passwords take a busy machine so long that others would be turned away.
        """
        account, phone = self.account, self.account.phone
        with SIGNING_IN:
            if phone is None or phone.last_step < int(time.time()) // phone.period:
                account.sign_in()
            elif account.backup_codes:
                account.sign_in_with_backup_code()
        self._show()

    def enrol(self) -> None:
        """A new phone: a secret is sealed by one request and opened by the next."""
        self.account.enrol()

    def refresh(self) -> None:
        body = {"refresh_token": self.account.refresh_token}
        self.account.take(self._well(self.account.api.post("/auth/refresh", json=body)).data)
        self._show()

    def _show(self) -> None:
        self.renewed = time.monotonic()
        self.verifier.check(self.account.token)

    def _well(self, reply: Reply) -> Reply:
        if reply.status not in (200, 201, 204):
            raise Refused(reply.status)
        return reply


# -- the run ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What a run under rotation came to."""

    wrong: list[str]
    signers: Mapping[str, int]
    made: Mapping[str, list[str]]
    """The ids of each kind, the oldest first."""
    shown: list[str]
    """The key set at the end."""
    used: Mapping[str, Mapping[str, int]]
    """Rows under each key, by kind, before ``keys reencrypt``."""
    reencrypted: str
    sealed: Mapping[str, int]
    """Secrets under each key afterwards."""
    requests: int


def countersign(env: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(
        command(*arguments), env=dict(env), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows_by_key(url: str) -> dict[str, Counter[str]]:
    engine = create_engine(url, pool_size=1)
    with engine.connect() as connection:

        def count(column: sqlalchemy.Column[str]) -> Counter[str]:
            return Counter(value.partition(".")[0] for value in connection.scalars(select(column)))

        found = {
            "encryption": count(factors.c.sealed_secret),
            "pepper": count(code_sets.c.pepper_id),
            "audit": count(audit_events.c.key_id),
        }
    engine.dispose()
    return found


@contextmanager
def server_in(
    folder: Path, url: str, program: tuple[str, ...] | None = None, **settings: str
) -> Iterator[tuple[ServerProcess, dict[str, str]]]:
    """Two workers on a spec whose keys take turns quickly, and the environment of commands."""
    env = environment(
        folder,
        COUNTERSIGN_DATABASE_URL=url,
        COUNTERSIGN_SPEC=str(quick_spec(folder)),
        **settings,
    )
    with serving(folder, "--workers", "2", env=env, program=program) as server:
        yield server, env


def under_rotation(
    folder: Path,
    url: str,
    seconds: float,
    *,
    rounds: int = 1,
    kinds: tuple[str, ...] = keys.KINDS,
    program: tuple[str, ...] | None = None,
    **settings: str,
) -> Outcome:
    """Rotate each kind of key ``rounds`` times while clients are at work.

    A round takes its part of the seconds, and that should be more than the 13 of a turn.
    """
    with server_in(folder, url, program, **settings) as (server, env):
        load = Load(server.url, Verifier(server.url))
        load.invite(CLIENTS)
        absent = [Person(register(load.api(), RealClock()), load.verifier) for _ in range(ABSENT)]
        for person in absent:
            person.sign_in()
            person.enrol()
        before = load.pace.replies.total()
        with load.at_work():
            for _ in range(rounds):
                countersign(env, "keys", "rotate", *kinds)
                time.sleep(seconds / rounds)
        requests = load.pace.replies.total() - before
        used, ready = rows_by_key(url), httpx.get(f"{server.url}/health/ready", timeout=30)
        if ready.status_code != 200:
            load.pace.wrong.append(f"readiness: {ready.status_code}")
        with load.at_work():
            reencrypted = countersign(env, "keys", "reencrypt")
            for person in absent:
                person.account.sign_in_with_backup_code()
        shown = httpx.get(f"{server.url}/.well-known/jwks.json", timeout=30).json()["keys"]
        return Outcome(
            wrong=[*load.pace.wrong, *load.verifier.failures],
            signers=load.verifier.signers,
            made={kind: keys.ids(folder / "keys", kind) for kind in keys.KINDS},
            shown=[key["kid"] for key in shown],
            used=used,
            reencrypted=reencrypted,
            sealed=rows_by_key(url)["encryption"],
            requests=requests,
        )


def under_one_act(
    folder: Path,
    url: str,
    kind: str,
    act: Callable[[Person], None],
    seconds: float,
    rounds: int,
    program: tuple[str, ...] | None = None,
    **settings: str,
) -> list[str]:
    """What went wrong while everybody did one thing and keys of one kind were rotated.

    It ends with the round in which something has. Each round takes so many seconds.
    """
    with server_in(folder, url, program, **settings) as (server, _):
        load = Load(server.url, Verifier(server.url))
        load.invite(CLIENTS)
        with load.at_work(lambda person, _: act(person)):
            for _ in range(rounds):
                with keys.locked(folder / "keys"):
                    keys.make(folder / "keys", kind)
                time.sleep(seconds)
                if load.pace.wrong or load.verifier.failures:
                    break
        return [*load.pace.wrong, *load.verifier.failures]


def held(outcome: Outcome, signers: int) -> None:
    """No refusal, and every new key was really used: ``signers`` of the signing keys were seen."""
    print(f"{outcome.requests} requests, signed by {dict(outcome.signers)}")
    print(f"rows by key before: {outcome.used}; secrets after: {outcome.sealed}")
    assert outcome.wrong == []
    assert sorted(outcome.signers) == outcome.made["signing"][:signers]
    for kind in ("encryption", "pepper", "audit"):
        newest = outcome.made[kind][-1]
        assert outcome.used[kind][newest] > 0, kind
    assert outcome.reencrypted.startswith(f"{ABSENT} secrets re-encrypted, 0 left")
    assert set(outcome.sealed) == {outcome.made["encryption"][-1]}
