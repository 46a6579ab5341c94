"""The books of a run, held against the spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from statistics import median, quantiles

from server.spec import Reading
from tests.report import declared
from tests.report.declared import Cell, Code
from tests.report.evidence import Evidence, Key
from tests.report.recorder import NOBODY, Recorder


@dataclass(frozen=True)
class Fault:
    """What makes the verdict red: of which kind, and what it is about."""

    kind: str
    operation: str
    subject: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}"


@dataclass(frozen=True)
class Seen:
    """A cell: how often each suite saw it, and with which error codes."""

    operation: str
    status: str
    media_type: str
    declared: bool
    suites: dict[str, int]
    codes: dict[str, int]

    @property
    def count(self) -> int:
        return sum(self.suites.values())


@dataclass(frozen=True)
class SeenCode:
    """An error code of the list: how often it was sent, by how many of those that can send it."""

    code: str
    count: int
    statuses: list[str]
    operations: int
    of: int


@dataclass(frozen=True)
class Keyword:
    """A keyword and what was seen of it.

    ``broken`` is None where no value can break it, ``idle`` says that no reply has a value for it.
    """

    operation: str
    where: str
    keyword: str
    place: str
    satisfied: bool
    broken: bool | None = None
    idle: bool = False

    @property
    def complete(self) -> bool:
        return (self.satisfied or self.idle) and self.broken is not False


@dataclass(frozen=True)
class Time:
    """How long the successes of an operation took in this process, in milliseconds."""

    operation: str
    count: int
    median: float
    p95: float


@dataclass(frozen=True)
class Total:
    """How many of so many."""

    name: str
    seen: int
    of: int

    def __str__(self) -> str:
        return f"{self.name}: {self.seen} of {self.of}"


@dataclass(frozen=True)
class Report:
    """Everything that is told of a run. ``operations`` gives method and path by operationId."""

    version: str
    revision: str
    operations: dict[str, str]
    cells: list[Seen]
    codes: list[SeenCode]
    requests: list[Keyword]
    replies: list[Keyword]
    times: list[Time]
    totals: list[Total]
    faults: list[Fault] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return not self.faults


def report(reading: Reading, books: Recorder) -> Report:
    """The verdict on a run: complete if all that is declared was seen, and nothing else."""
    return _Judge(reading, books).report()


class _Judge:
    def __init__(self, reading: Reading, books: Recorder) -> None:
        self._bundle, self._contract = reading.bundle, reading.contract
        self._books = books
        self._cells = declared.cells(reading.bundle.document)
        rehearsed = list(declared.rehearsed(reading))
        self._codes = declared.codes(rehearsed)
        self._keywords = Evidence(reading.bundle)
        self._rehearsed = {
            key for name, reply in rehearsed for key in self._keywords.of_reply(name, reply)
        }
        self._outcomes = {
            outcome: {key for key, shown in books.evidence if shown == outcome}
            for outcome in ("satisfied", "broken", "passed")
        }

    def report(self) -> Report:
        requests, replies = list(self._requests()), list(self._replies())
        cells = sorted(self._seen(), key=lambda cell: (cell.operation, cell.status))
        return Report(
            version=self._bundle.document["info"]["version"],
            revision=self._contract.revision,
            operations={
                name: f"{operation.method} {operation.path}"
                for name, operation in self._contract.operations.items()
            },
            cells=cells,
            codes=list(self._seen_codes()),
            requests=requests,
            replies=replies,
            times=sorted(self._times(), key=lambda time: -time.median),
            totals=list(self._totals(requests, replies)),
            faults=[
                *self._faults_of_cells(),
                *self._faults_of_codes(),
                *self._faults_of_requests(requests),
                *_faults("keyword of a reply never seen", replies, lambda k: not k.complete),
            ],
        )

    # -- cells -----------------------------------------------------------------------------------

    def _seen(self) -> Iterator[Seen]:
        for cell in self._cells | self._held():
            suites: Counter[str] = Counter()
            codes: Counter[str] = Counter()
            for (suite, *row, code), count in self._books.seen.items():
                if tuple(row) == cell:
                    suites[suite] += count
                    codes[code] += count
            del codes[NOBODY]
            yield Seen(*cell, cell in self._cells, dict(suites), dict(codes))

    def _held(self) -> set[Cell]:
        """What was seen, without the pages that no spec speaks of and what the root lists for all."""
        return {
            cell
            for cell in self._books.cells
            if cell in self._cells
            or cell[0] != NOBODY
            or (cell[1] >= "400" and cell[1] not in self._contract.errors)
        }

    def _faults_of_cells(self) -> Iterator[Fault]:
        seen = self._held()
        for cell in sorted(self._cells - seen):
            yield Fault("declared and never seen", cell[0], " ".join(cell))
        for cell in sorted(seen - self._cells):
            yield Fault("seen and never declared", cell[0], " ".join(cell))

    # -- codes -----------------------------------------------------------------------------------

    def _sent(self) -> Counter[Code]:
        sent: Counter[Code] = Counter()
        for (_, operation, status, _, code), count in self._books.seen.items():
            if code != NOBODY:
                sent[operation, status, code] += count
        return sent

    def _seen_codes(self) -> Iterator[SeenCode]:
        sent = self._sent()
        for code in declared.listed(self._contract):
            able = {row for row in self._codes if row[2] == code}
            yield SeenCode(
                code,
                sum(count for row, count in sent.items() if row[2] == code),
                sorted({status for _, status, _ in able}),
                len(able & sent.keys()),
                len(able),
            )

    def _faults_of_codes(self) -> Iterator[Fault]:
        sent = {row for row in self._sent() if row[:2] in {cell[:2] for cell in self._held()}}
        for code in sorted(self._codes - sent):
            yield Fault("can be sent and never seen", code[0], " ".join(code))
        for code in sorted(sent - self._codes):
            yield Fault("sent and not rehearsed", code[0], " ".join(code))

    # -- keywords --------------------------------------------------------------------------------

    def _requests(self) -> Iterator[Keyword]:
        for key, breakable in self._keywords.requests.items():
            broken = key in self._outcomes["broken"]
            yield self._keyword(key, broken=broken if breakable else None)

    def _replies(self) -> Iterator[Keyword]:
        for key in sorted(self._keywords.replies):
            seen = key in self._outcomes["satisfied"]
            yield self._keyword(key, idle=key not in self._rehearsed and not seen)

    def _keyword(self, key: Key, **known: bool | None) -> Keyword:
        word, place = key.pointer.rpartition("/")[2], self._bundle.where(key.pointer, key=True)
        satisfied = key in self._outcomes["satisfied"]
        return Keyword(key.operation, key.where, word, str(place), satisfied, **known)

    def _faults_of_requests(self, requests: list[Keyword]) -> Iterator[Fault]:
        yield from _faults("keyword never satisfied", requests, lambda k: not k.satisfied)
        yield from _faults("keyword never broken", requests, lambda k: k.broken is False)
        passed = [self._keyword(key) for key in sorted(self._outcomes["passed"])]
        yield from _faults("keyword broken and let pass", passed, lambda _: True)

    # -- the rest --------------------------------------------------------------------------------

    def _times(self) -> Iterator[Time]:
        for operation, times in self._books.times.items():
            p95 = quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0]
            yield Time(operation, len(times), median(times) / 1e3, p95 / 1e3)

    def _totals(self, requests: list[Keyword], replies: list[Keyword]) -> Iterator[Total]:
        breakable = [k for k in requests if k.broken is not None]
        yield Total("cells", len(self._cells & self._books.cells), len(self._cells))
        yield Total("error codes", len(self._codes & self._sent().keys()), len(self._codes))
        yield Total("request keywords satisfied", sum(k.satisfied for k in requests), len(requests))
        yield Total(
            "request keywords broken", sum(bool(k.broken) for k in breakable), len(breakable)
        )
        sent = [k for k in replies if not k.idle]
        yield Total("reply keywords seen", sum(k.satisfied for k in sent), len(sent))


def _faults(
    kind: str, keywords: Iterable[Keyword], wrong: Callable[[Keyword], bool]
) -> Iterator[Fault]:
    for each in filter(wrong, keywords):
        told = (each.operation, each.where, each.keyword) if each.where else (each.keyword,)
        yield Fault(kind, each.operation, f"{' '.join(told)} ({each.place})")
