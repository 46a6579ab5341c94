"""The key directory as a running server sees it: read again when it changes, without a thread.

Whoever asks for a key looks whether the directory has changed, once a second at most; whoever
meets the id of a key that is not known looks at once. What cannot be read leaves the last good
keys in force. The database's fingerprints tell a wrong key from a right one (``Custodian``).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from types import MappingProxyType

import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from contract.compile import Contract
from contract.operation import rule_for
from domain.errors import KeysUnfit, Unavailable
from domain.keyring import (
    LOOK,
    VOUCHED,
    Fixed,
    KeyPrint,
    KeyRing,
    Rota,
    Turns,
    key_print,
)
from domain.policy import Policies
from domain.ports import Store, Transaction
from server import keys
from server.keys import KeyDirectoryError, Keys

_LOOK = LOOK.total_seconds()
# How coarse the times of a file system may be: after a change, names are compared for so long.
_COARSE_NS = 2_000_000_000

_KEY_SET = "getJWKS"
_AGE = re.compile(r"(?i)\b(?:s-maxage|max-age)=\"?([0-9]{1,9})")

Name = tuple[str, str]

log = structlog.get_logger("keys")


@dataclass(frozen=True, slots=True)
class _State:
    """What a look at the directory compares: nothing is opened for it."""

    changed_ns: int
    files: tuple[tuple[str, int, int, int, int], ...]

    @classmethod
    def of(cls, folder: Path) -> _State:
        changed = folder.stat()
        with os.scandir(folder) as entries:
            # A lock file is touched by every command; what begins with a point is no key.
            found = [(e.name, e.stat()) for e in entries if not e.name.startswith(".")]
        files = ((n, s.st_mtime_ns, s.st_size, s.st_mode, s.st_ino) for n, s in found)
        return cls(changed.st_mtime_ns, (("", 0, 0, changed.st_mode, 0), *sorted(files)))


class KeyDirectory:
    """The keys of a folder. Raises KeyDirectoryError where there are none to begin with.

    ``monotonic`` is a clock in seconds.
    """

    def __init__(self, folder: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._monotonic = monotonic
        self._lock = Lock()
        self._looked = monotonic()
        self.trouble: str | None = None
        """Why the directory as it is cannot be used; None where it can."""
        try:
            # The state comes first: what changes while the files are read is seen by the next look.
            self._state = _State.of(folder)
        except OSError:
            self._state = _State(0, ())
        self._seen_ns = self._state.changed_ns
        self._keys = keys.load(folder)

    def keys(self) -> Keys:
        """The keys as they are, or were a second ago; another set of keys is another object."""
        if self._monotonic() - self._looked >= _LOOK and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        return self._keys

    def seek(self) -> Keys:
        """The keys after a look at once, because one is not known. It costs a ``stat``.

        Anybody can send an id that nobody knows, so the files are looked at only where the
        directory's own time has moved, or is so young that it could hide a second change.
        """
        if self._moved():
            self.look()
        return self._keys

    def look(self) -> None:
        """Read the keys again if anything about their files has changed."""
        with self._lock:
            self._look()

    def _moved(self) -> bool:
        try:
            changed_ns = self._folder.stat().st_mtime_ns
        except OSError:
            return False  # the look of every second says so
        return changed_ns != self._seen_ns or time.time_ns() - changed_ns < _COARSE_NS

    def _look(self) -> None:
        self._looked = self._monotonic()
        trouble = None
        try:
            state = _State.of(self._folder)
            self._seen_ns = state.changed_ns
            trouble = self.trouble
            if state.files != self._state.files:
                trouble = self._read()
                self._state = state
        except OSError as error:
            # Perhaps a passing one, so the state stays as it was and the next look tries again.
            trouble = f"{self._folder}: {error.strerror}"
            self._state = _State(0, ())
        self._tell(trouble)

    def _read(self) -> str | None:
        """Take the keys as they are now; what is wrong with them."""
        try:
            found = keys.load(self._folder)
        except KeyDirectoryError as error:
            return str(error)  # unchanged files would not read better the next time
        for kind in keys.KINDS:
            before, now = set(getattr(self._keys, kind)), set(getattr(found, kind))
            if before != now:
                new, gone = sorted(now - before), sorted(before - now)
                log.info("keys changed", kind=kind, new=new, gone=gone)
        self._keys = found
        return None

    def _tell(self, trouble: str | None) -> None:
        if trouble is not None and trouble != self.trouble:
            log.error("the key directory cannot be used", problem=trouble)
        elif trouble is None and self.trouble is not None:
            log.info("the key directory can be used again")
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What the database's fingerprints say of one set of keys; all are pairs of kind and id."""

    keys: Keys
    right: frozenset[Name]
    wrong: frozenset[Name]
    missing: frozenset[Name]

    def newest(self, kind: str) -> Name:
        return kind, max(getattr(self.keys, kind))

    @property
    def unfit(self) -> bool:
        return bool(self.wrong or self.missing) or any(
            self.newest(kind) not in self.right for kind in VOUCHED
        )

    @property
    def faults(self) -> frozenset[tuple[str, str, str]]:
        """Kind, id and what is wrong with it."""
        wrong = {(*name, "wrong") for name in self.wrong}
        return frozenset(wrong | {(*name, "missing") for name in self.missing})


def _verdict(found: Keys, known: Iterable[KeyPrint]) -> _Verdict:
    groups: dict[str, set[Name]] = {"right": set(), "wrong": set(), "missing": set()}
    for each in known:
        groups[_judged(found, each)].add((each.kind, each.id))
    return _Verdict(found, *(frozenset(group) for group in groups.values()))


def _judged(found: Keys, known: KeyPrint) -> str:
    key = getattr(found, known.kind).get(known.id)
    if key is None:
        return "missing"
    return "right" if key_print(known.kind, known.id, key) == known else "wrong"


def _unregistered(verdict: _Verdict, tx: Transaction | None = None) -> list[KeyPrint]:
    """The keys whose fingerprints the database should learn.

    A directory of which the database knows other keys and not one of these is the wrong directory;
    nothing of it is registered. Where the database knows no key of a kind at all, its rows may be
    older than the fingerprints: ``tx`` is asked which of the old keys they need.
    """
    return [
        key_print(kind, key_id, getattr(verdict.keys, kind)[key_id])
        for kind in VOUCHED
        for key_id in _candidates(verdict, kind, tx)
        if (kind, key_id) not in verdict.right | verdict.wrong
    ]


def _candidates(verdict: _Verdict, kind: str, tx: Transaction | None) -> list[str]:
    known = {name for name in verdict.right | verdict.wrong | verdict.missing if name[0] == kind}
    newest = verdict.newest(kind)[1]
    if known:
        return [newest] if known & verdict.right else []
    older = [] if tx is None else [i for i in getattr(verdict.keys, kind) if i != newest]
    return [newest, *(i for i in older if tx is not None and tx.keys.needed(kind, i))]


class Custodian:
    """The keys of a directory, held against the fingerprints in the database.

    An encryption key or a pepper is given out when the database has vouched for the set that it
    is of: once for each set of keys, and again whenever ``check`` is called. Those of the audit
    chain are asked for within transactions, so for them the last set that was judged counts.
    """

    def __init__(self, directory: KeyDirectory, store: Store) -> None:
        self._directory = directory
        self._store = store
        self._last: _Verdict | None = None
        self.rings: Mapping[str, KeyRing[bytes]] = MappingProxyType(
            {
                "encryption": _VouchedRing("encryption", directory, self._vouch),
                "pepper": _VouchedRing("pepper", directory, self._vouch),
                "audit": _VouchedRing("audit", directory, lambda: self._last),
            }
        )

    @property
    def audit(self) -> KeyRing[bytes]:
        return self.rings["audit"]

    def meet(self) -> None:
        """Hold the keys against the database now, if it answers; else at their first use."""
        try:
            self._store.ping()
            self._judge()
        except Unavailable:
            log.warning("the keys are not held against the database yet: it does not answer")

    def vouch(self) -> None:
        self._vouch()

    def check(self) -> None:
        self._directory.look()
        if self._judge().unfit or self._directory.trouble is not None:
            raise KeysUnfit

    def _last_verdict(self) -> _Verdict | None:
        last = self._last
        return last if last is not None and last.keys is self._directory.keys() else None

    def _vouch(self) -> _Verdict:
        return self._last_verdict() or self._judge()

    def _judge(self) -> _Verdict:
        found = self._directory.keys()
        with self._store.read() as tx:
            verdict = _verdict(found, tx.keys.prints())
        if _unregistered(verdict):
            verdict = self._register(verdict)
        self._tell(verdict)
        self._last = verdict
        return verdict

    def _tell(self, verdict: _Verdict) -> None:
        told = frozenset() if self._last is None else self._last.faults
        for kind, key_id, fault in sorted(verdict.faults - told):
            log.error("a key that stored rows need is unfit", kind=kind, key=key_id, fault=fault)

    def _register(self, verdict: _Verdict) -> _Verdict:
        with self._store.write() as tx:
            # Of two directories that start together, whichever comes second here is the wrong one.
            tx.audit.lock_head()
            verdict = _verdict(verdict.keys, tx.keys.prints())
            for unknown in _unregistered(verdict, tx):
                tx.keys.register(unknown)
            known = tx.keys.prints()
            tx.commit()
        return _verdict(verdict.keys, known)


class _VouchedRing:
    """The keys of one kind that the verdict lets through. No verdict yet lets all through."""

    def __init__(
        self, kind: str, directory: KeyDirectory, verdict: Callable[[], _Verdict | None]
    ) -> None:
        self._kind = kind
        self._directory = directory
        self._verdict = verdict

    def all(self) -> Mapping[str, bytes]:
        keys_of_kind: Mapping[str, bytes] = getattr(self._directory.keys(), self._kind)
        return keys_of_kind

    def current(self) -> tuple[str, bytes]:
        verdict = self._verdict()
        found = self.all() if verdict is None else getattr(verdict.keys, self._kind)
        key_id = max(found)
        if verdict is not None and (self._kind, key_id) not in verdict.right:
            self._say(key_id, "not of this database")
            raise Unavailable
        return key_id, found[key_id]

    def get(self, key_id: str) -> bytes | None:
        if key_id not in self.all():
            self._directory.seek()
        verdict = self._verdict()
        found = self.all().get(key_id)
        if found is None:
            self._say(key_id, "missing")
        elif verdict is not None and (self._kind, key_id) in verdict.wrong:
            self._say(key_id, "wrong")
            return None
        return found

    def _say(self, key_id: str, fault: str) -> None:
        log.error("a key is unfit for use", kind=self._kind, key=key_id, fault=fault)


def cached_for(contract: Contract) -> timedelta:
    """How long verifiers may keep the key set by the Cache-Control that the spec declares for it.

    Nothing where it names no age (RFC 9111 section 5.2.2): what may be kept without one is small.
    """
    success = rule_for(contract.operations[_KEY_SET].responses, 200)
    rule = success and success.headers.get("cache-control")
    ages = _AGE.findall((rule and rule.constant) or "")
    return timedelta(seconds=max(map(int, ages), default=0))


def rota_of(policies: Policies) -> Rota:
    """When signing keys take turns, by what the spec says of the key set and of access tokens."""
    return Rota.of(policies.key_set_age, policies.lifetimes.access_token)


def turns_of(ids: list[str], policies: Policies, now: datetime) -> dict[str, str]:
    """What each signing key is used for now: ``published``, ``signing``, ``verifying``, ``retired``."""
    ring = Fixed(dict.fromkeys(ids), max(ids))
    turns = Turns(ring, rota_of(policies), keys.made_at)
    signing, published = turns.signing(now)[0], turns.published(now)
    uses = dict.fromkeys(sorted(ids), "retired")
    uses |= {i: "verifying" if i < signing else "published" for i in published}
    return uses | {signing: "signing"}


class SigningRing:
    """The signing keys as they are; tokens are short-lived, and the database keeps none."""

    def __init__(self, directory: KeyDirectory) -> None:
        self._directory = directory

    def all(self) -> Mapping[str, EllipticCurvePrivateKey]:
        return self._directory.keys().signing

    def current(self) -> tuple[str, EllipticCurvePrivateKey]:
        found = self.all()
        return max(found), found[max(found)]

    def get(self, key_id: str) -> EllipticCurvePrivateKey | None:
        return self.all().get(key_id) or self._directory.seek().signing.get(key_id)
