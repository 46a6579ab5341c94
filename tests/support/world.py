"""A whole Countersign in this process, with a clock that the test owns."""

from __future__ import annotations

import atexit
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from domain.passwords import Passwords
from server import app, keys, spec
from server.settings import Settings
from tests.report.recorder import RECORDER, SHIPPED, shipped
from tests.support.accounts import Account, register
from tests.support.api import Api, in_process
from tests.support.specs import without_flood

START = datetime(2026, 11, 24, 9, 0, 7, tzinfo=UTC)


@dataclass
class TestClock:
    """Stands still until it is moved."""

    __test__ = False
    present: datetime = START

    def now(self) -> datetime:
        return self.present

    def advance(self, **duration: float) -> None:
        self.present += timedelta(**duration)


def quick_passwords() -> Passwords:
    """Argon2id at its cheapest; the cost is the business of the suites that measure it."""
    return Passwords(4, time_cost=1, memory_cost=8, parallelism=1)


@cache
def roomy() -> Path:
    """The shipped spec with a flood limit that no test meets: all of them have one address."""
    folder = mkdtemp(prefix="countersign-spec-")
    atexit.register(shutil.rmtree, folder)
    return without_flood(Path(folder))


@cache
def reading_of(root: Path) -> spec.Reading:
    """A reading of a spec that nobody edits."""
    return shipped() if root == SHIPPED else spec.read(root)


def _read(settings: Settings) -> spec.Reading:
    """A reading of the spec in force. The two that many worlds begin with are read once."""
    if settings.spec in (SHIPPED, roomy()) and not settings.features_off:
        return reading_of(settings.spec)
    return app.read(settings)


@dataclass
class World:
    """An application, its services, a client of it and its clock.

    What an application answers counts for the contract report unless it is not ``observed``, as where
    a test falsifies replies.
    """

    settings: Settings
    clock: TestClock = field(default_factory=TestClock)
    reading: spec.Reading | None = None
    observed: bool = True

    def __post_init__(self) -> None:
        app.prepare(self.settings)
        self.application = app.create(
            self.settings,
            self.reading or _read(self.settings),
            clock=self.clock,
            passwords=quick_passwords(),
            observing=RECORDER.observer if self.observed else None,
        )
        self.services = self.application.services
        self.api = in_process(self.application)

    def api_from(self, address: str) -> Api:
        """A client at another address."""
        return in_process(self.application, address)

    def account(self, **fields: Any) -> Account:
        """A registered user."""
        return register(self.api, self.clock, **fields)


def settings_in(folder: Path, **changes: Any) -> Settings:
    """Settings of a server that keeps everything it writes under ``folder``."""
    defaults: dict[str, Any] = {
        "database_url": f"sqlite:///{folder}/countersign.db",
        "key_dir": folder / "keys",
        "spec": roomy(),
    }
    return Settings(**(defaults | changes))


def world_in(folder: Path, *, observed: bool = True, **changes: Any) -> World:
    """A world of its own under ``folder``; ``changes`` are settings."""
    keys.ensure(folder / "keys")
    return World(settings_in(folder, **changes), observed=observed)
