"""What a run sees of the contract: how often each reply left, how long it took, what it shows.

Each process keeps its own books and leaves them in a file of its own at the end, so that
distributed runs and several runs add up. Only the shipped contract counts: a server of an edited
spec may send what the shipped one does not declare, and not the other way round.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import httpx

from contract.compile import Contract, revision_of
from contract.guard import Observer
from contract.media import JSON_TYPE, essence
from contract.replies import Reply
from contract.request import Exchange
from contract.schema import JSON
from server.extensions import RATE_LIMIT
from server.spec import Reading, read
from tests.report.evidence import Evidence, Key, Outcome

ROOT = Path(__file__).parent.parent.parent
SHIPPED = ROOT / "spec" / "openapi.yaml"
SEEN = ROOT / "build" / "contract-seen"
"""The folder of the books."""
NOBODY = "-"
"""Stands for the operation of a reply that belongs to none, and for what a reply lacks."""

Seen = tuple[str, str, str, str, str]
"""Suite, operation, status, media type, error code."""


@cache
def shipped() -> Reading:
    """The shipped spec, read once for each process."""
    return read(SHIPPED)


def edition(document: JSON) -> str:
    """Names a bundle, its flood limits aside: tests move those out of each other's way."""
    return revision_of(_blanked(document))


def _blanked(node: Any) -> Any:
    if isinstance(node, list):
        return [_blanked(item) for item in node]
    if isinstance(node, dict):
        return {
            name: None if name == RATE_LIMIT.name else _blanked(member)
            for name, member in node.items()
        }
    return node


def suite_of(test: str | None) -> str:
    """The suite of a test, by its id: its folder, but for the fuzzer, which is one by itself."""
    folder, _, rest = (test or "").removeprefix("tests/").partition("/")
    return "fuzz" if rest.startswith("test_fuzz.py") else folder if rest else "tests"


class Recorder:
    """The books of one process. Applications and clients of real servers write into the same."""

    def __init__(self) -> None:
        self.seen: Counter[Seen] = Counter()
        self.evidence: set[tuple[Key, Outcome]] = set()
        self.times: defaultdict[str, list[int]] = defaultdict(list)
        self._doors: dict[str, Doors] = {}
        self._ours: dict[str, bool] = {}

    @cached_property
    def _evidence(self) -> Evidence:
        return Evidence(shipped().bundle)

    def observer(self, contract: Contract) -> Observer | None:
        """Who an application of this contract tells of its replies; nobody, if it is edited."""
        return self.exchanged if self._is_shipped(contract.document) else None

    def exchanged(self, exchange: Exchange, reply: Reply, seconds: float) -> None:
        """Note what an application in this process answered."""
        media_type = essence(reply.value("content-type") or "") if reply.body else None
        if exchange.operation is None:
            self.count(None, reply.status, media_type, reply.body)
            return
        name = exchange.operation.id
        self.count(name, reply.status, media_type, reply.body)
        self.evidence.update(self._evidence.drawn(exchange, reply))
        if reply.status < 400:
            self.times[name].append(round(seconds * 1e6))

    def serves(self, url: str, document: JSON, files: Path) -> None:
        """A real server with this bundle is at an address: what its clients hear counts.

        It does so until something changes in the folder that the server has its spec from, for the
        server may take that up while it runs.
        """
        if self._is_shipped(document):
            self._doors[url] = Doors(document, files)

    def heard(self, request: httpx.Request, response: httpx.Response) -> None:
        """Note what a client was answered, if it was by a server that counts."""
        doors = self._doors.get(f"{request.url.scheme}://{request.url.netloc.decode()}")
        # The body of a reply to HEAD stays unsaid.
        if doors is not None and doors.untouched() and request.method != "HEAD":
            operation = doors.operation(request.method, request.url.path)
            media_type = response.headers.get("content-type") if response.content else None
            self.count(operation, response.status_code, media_type, response.content)

    def counts(self, url: str) -> bool:
        """Whether the server at an address is one that counts."""
        return url in self._doors and self._doors[url].untouched()

    def count(
        self, operation: str | None, status: int, media_type: str | None, body: bytes
    ) -> None:
        """Note one reply under the suite of the present test."""
        suite = suite_of(os.environ.get("PYTEST_CURRENT_TEST"))
        refused = status >= 400 and media_type == JSON_TYPE
        code = json.loads(body)["error"]["code"] if refused else None
        row = operation or NOBODY, str(status), media_type or NOBODY, code or NOBODY
        self.seen[suite, *row] += 1

    @property
    def cells(self) -> set[tuple[str, str, str]]:
        """Operation, status and media type of every reply."""
        return {row[1:4] for row in self.seen}

    def save(self) -> None:
        """Leave the books in a file of their own, if there is anything in them."""
        if not self.seen:
            return
        SEEN.mkdir(parents=True, exist_ok=True)
        books = {
            "edition": edition(shipped().bundle.document),
            "seen": [[*row, count] for row, count in self.seen.items()],
            "evidence": [[*key, outcome] for key, outcome in self.evidence],
            "times": self.times,
        }
        (SEEN / f"{uuid.uuid4().hex}.json").write_text(json.dumps(books), encoding="utf-8")

    def _is_shipped(self, document: JSON) -> bool:
        name = revision_of(document)
        if name not in self._ours:
            self._ours[name] = edition(document) == edition(shipped().bundle.document)
        return self._ours[name]


class Doors:
    """Finds the operation of a request to a real server."""

    def __init__(self, document: Mapping[str, Any], files: Path) -> None:
        self._files, self._touched = files, _touched(files)
        self._paths = [
            (re.compile(re.sub(r"\\\{[^/]+\\\}", "[^/]+", re.escape(path))), item)
            for path, item in sorted(document["paths"].items(), key=lambda pair: "{" in pair[0])
        ]

    def untouched(self) -> bool:
        """Whether the files of the spec are as they were."""
        return _touched(self._files) == self._touched

    def operation(self, method: str, path: str) -> str | None:
        """The operationId, if the request belongs to an operation."""
        for pattern, item in self._paths:
            if pattern.fullmatch(path):
                return item.get(method.lower(), {}).get("operationId")
        return None


def _touched(folder: Path) -> int:
    return max(path.stat().st_mtime_ns for path in folder.rglob("*"))


RECORDER = Recorder()
"""The recorder of this run."""


def gathered(folder: Path) -> Recorder:
    """All books of a folder in one, but those of another edition than the spec is now."""
    total, now = Recorder(), edition(shipped().bundle.document)
    for path in sorted(folder.glob("*.json")):
        books = json.loads(path.read_text(encoding="utf-8"))
        if books["edition"] != now:
            continue
        for *row, count in books["seen"]:
            total.seen[tuple(row)] += count
        total.evidence |= {(Key(*key), outcome) for *key, outcome in books["evidence"]}
        for name, times in books["times"].items():
            total.times[name] += times
    return total
