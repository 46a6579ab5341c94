"""One run: all servers at once, and each measured in turn, round after round."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.bench.load import Job, Outcome, measure
from tests.bench.scene import Operation, Scene
from tests.support.servers import ServerProcess, serving

PROGRAMS = {
    "countersign": None,
    "stock": [sys.executable, "-m", "tests.bench.stock"],
    "bare": [sys.executable, "-m", "tests.bench.bare"],
}
"""How each server is started; None stands for the console script, as it is shipped."""
EARLIER = "earlier"
"""The name of Countersign as it was at another revision."""
Programs = Mapping[str, list[str] | None]
RESPONDER = [sys.executable, "-m", "tests.bench.responder"]


class Unexpected(Exception):
    """A server answered with another status than the one that is measured."""


@dataclass(frozen=True)
class Spread:
    """The middle of a few numbers, and the least and the greatest of them."""

    middle: float
    least: float
    greatest: float

    @classmethod
    def of(cls, numbers: list[float]) -> Spread:
        return cls(median(numbers), min(numbers), max(numbers))


@dataclass
class Rates:
    """Replies a second by operation and server, one number for each round."""

    by_operation: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    ceiling: list[float] = field(default_factory=list)

    def add(self, operation: str, server: str, rate: float) -> None:
        self.by_operation.setdefault(operation, {}).setdefault(server, []).append(rate)

    def ratio(self, operation: str, peer: str) -> Spread:
        """How many times as many requests Countersign serves as a peer, round by round."""
        row = self.by_operation[operation]
        pairs = zip(row["countersign"], row[peer], strict=True)
        return Spread.of([ours / theirs for ours, theirs in pairs])


def run(rounds: int, warm_up: float, seconds: float, programs: Programs = PROGRAMS) -> Rates:
    """Measure. Both times are in seconds, for each measurement. Raises Unexpected."""
    rates = Rates()
    with TemporaryDirectory() as folder, ExitStack() as stack:
        scene = Scene(Path(folder))
        servers = {
            name: stack.enter_context(_server(scene, Path(folder), name, program))
            for name, program in programs.items()
        }
        ceiling = stack.enter_context(serving(Path(folder), program=RESPONDER))
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
            live, *_ = operations = scene.operations()
            for operation, name in _turns(operations, [*programs], number):
                outcome = _measure(servers[name], operation, warm_up, seconds)
                check(operation, name, outcome)
                rates.add(operation.title, name, outcome.rate)
            rates.ceiling.append(_measure(ceiling, live, warm_up, seconds).rate)
    return rates


@contextmanager
def _server(
    scene: Scene, folder: Path, name: str, program: list[str] | None
) -> Iterator[ServerProcess]:
    own = folder / name
    with serving(folder, env=scene.copy(own), program=program) as server:
        yield server


def _turns(
    operations: list[Operation], names: list[str], number: int
) -> Iterator[tuple[Operation, str]]:
    """Operation by operation, another server first in each round, so that none has the best place."""
    first = number % len(names)
    for operation in operations:
        for name in names[first:] + names[:first]:
            yield operation, name


def _measure(
    server: ServerProcess, operation: Operation, warm_up: float, seconds: float
) -> Outcome:
    port = int(server.url.rpartition(":")[2])
    return measure(Job(port, operation.requests(), warm_up, seconds * operation.length))


def check(operation: Operation, name: str, outcome: Outcome) -> None:
    """Raises Unexpected unless all replies, and at least one, have the expected status."""
    expected = operation.expected[name]
    if set(outcome.statuses) != {expected}:
        raise Unexpected(
            f"{name} answered {operation.title} with {dict(outcome.statuses)}, not only {expected}"
        )
