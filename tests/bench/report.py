"""The run in words and tables."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from tests.bench.bare import THREADS
from tests.bench.run import EARLIER, PROGRAMS, Rates, Spread
from tests.bench.scene import CONNECTIONS, LOGIN_LENGTH, LOGINS

PACKAGES = (
    *("connexion", "flask", "werkzeug", "starlette", "uvicorn", "uvloop", "httptools", "a2wsgi"),
    *("gunicorn", "sqlalchemy", "jsonschema-rs", "pyjwt", "cryptography", "argon2-cffi"),
)
PEERS = ("stock", "bare")
NAMES = {"countersign": "Countersign", "stock": "stock Connexion", "bare": "bare Flask"}
TARGETS = (("GET /health/live", "stock", 3.0), ("GET /mfa/status", "bare", 1.0))
"""Operation, peer, and the ratio that this project wants to reach."""


def ratios(rates: Rates) -> str:
    """Countersign against its peers, as a Markdown table."""
    return _table(
        ["operation", *(f"against {NAMES[peer]}" for peer in PEERS)],
        (
            [title, *(_ratio(rates.ratio(title, peer)) for peer in PEERS)]
            for title in rates.by_operation
        ),
    )


def against(rates: Rates, revision: str) -> str:
    """Countersign now against itself at another revision, as a Markdown table."""
    rows = ([title, _ratio(rates.ratio(title, EARLIER))] for title in rates.by_operation)
    return _table(["operation", f"against {revision}"], rows)


def absolutes(rates: Rates) -> str:
    """Medians of replies a second, as a Markdown table."""
    return _table(
        ["replies a second", *NAMES.values()],
        (
            [title, *(_count(Spread.of(row[name]).middle) for name in PROGRAMS)]
            for title, row in rates.by_operation.items()
        ),
    )


def targets(rates: Rates) -> str:
    """What was aimed at and what was reached, a line each."""
    return "\n".join(
        f"- {title} against {NAMES[peer]}: at least {_times(wanted)} wanted, "
        f"{_ratio(rates.ratio(title, peer))} measured."
        for title, peer, wanted in TARGETS
    )


def ceiling(rates: Rates) -> str:
    """How fast the load generator is by itself."""
    spread = Spread.of(rates.ceiling)
    return f"{_count(spread.middle)} ({_count(spread.least)} to {_count(spread.greatest)})"


def page(rates: Rates, seconds: float, load: float) -> str:
    """The whole of docs/benchmarks.md. ``load`` is the machine's load average before the run."""
    return _PAGE.format(
        ratios=ratios(rates),
        targets=targets(rates),
        absolutes=absolutes(rates),
        ceiling=ceiling(rates),
        rounds=len(rates.ceiling),
        seconds=seconds,
        connections=CONNECTIONS,
        logins=LOGINS,
        login_seconds=seconds * LOGIN_LENGTH,
        threads=THREADS,
        machine=_machine(load),
        versions=", ".join(f"{name} {version(name)}" for name in PACKAGES),
    )


def _ratio(spread: Spread) -> str:
    return f"{_times(spread.middle)} ({spread.least:.2f} to {spread.greatest:.2f})"


def _times(number: float) -> str:
    return f"{number:.2f}×"


def _count(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def _machine(load: float) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"{platform.system()} {platform.release()}; load average before the run {load:.2f}. "
        f"{platform.python_implementation()} {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}"
    )


def _processor() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


_PAGE = """\
# Benchmarks

`make bench` writes this page. It measures what holding every request and every reply against the
spec costs, by serving the same operations from three servers:

- **Countersign**: `countersign serve --workers 1`, as it is shipped;
- **stock Connexion**: the same spec and handlers on `connexion.FlaskApp` with
  `validate_responses=True` and `strict_validation=True`, under uvicorn, one process;
- **bare Flask**: the same handlers in plain views, under gunicorn (`gthread`, one worker,
  {threads} threads), with nothing validated on the way in or out.

All three run the same rules and storage on copies of one SQLite file, with the same keys.

## Ratios

How many times as many requests a second Countersign serves: the median of {rounds} rounds, and the
least and the greatest.

{ratios}

Where the least is below 1 and the greatest above it, the run does not tell which server is faster:
other work on the machine blurs it. The load average stands with the machine's facts below.

Aims:

{targets}

What the rows mean:

- `GET /health/live` does no work of its own: it is the cost of the layers.
- `GET /mfa/status` checks an access token, reads the session, and counts the backup codes of a
  user whose second factor is on: five queries. A measurement uses one token throughout, so its
  ES256 signature is verified once, on all three alike; its time and its session are checked for
  each request.
- `POST /mfa/verify` sends a code of five digits with a good token. Countersign and stock Connexion
  refuse it by the schema, with 400, after checking token and session. Bare Flask checks no schema:
  the rules get to see the code and answer 409, in a transaction that may write, because no
  enrolment is pending. That is other work, so the ratio in that row says what an early refusal
  saves and not which server is faster. Stock Connexion also writes a line to its log each time.
- `POST /auth/login` is a right password: one Argon2id verification (64 MiB, 3 passes) and two
  write transactions, the same for all; beside them the servers hardly differ.

## Replies a second

Only for a sense of scale: these depend on the machine and on what else it does.

{absolutes}

The load generator alone, against a responder that does not look at the request: {ceiling}.

## Method

All servers run at the same time and are measured in turn, {seconds:g} s each ({login_seconds:g} s for
`POST /auth/login`) after a warm-up; another one begins in each round. A ratio is taken within a
round and never across rounds, since a machine is not as fast at one time as at another. The load
generator is a process of its own (`tests/bench/load.py`) with {connections} keep-alive connections,
{logins} for `POST /auth/login`; each sends its next request when it has the whole reply. A
reply of any other status than the expected one ends the run. Generator and server share the
machine.

Machine: {machine}.

Versions: {versions}.
"""
