"""The audit trail in the database: one chain, whoever appends, and every change of a row found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update

import storage
from domain import verification
from domain.chain import Chain
from domain.records import AuditEvent, AuditHead
from domain.verification import verify
from storage.models import audit_events, audit_head
from storage.repositories.audit import Audit
from storage.repositories.base import values_of
from storage.store import SqlStore
from tests.storage import databases
from tests.storage.appends import EVENT, KEYS, NONE, UNGUARDED, UNLOCKED, Standing
from tests.storage.rows import LATER, NOW, new_id

ROOT = Path(storage.__file__).parent.parent
EVENTS = 10_000


def fill(store: SqlStore, count: int) -> None:
    """Append as the server does, in one transaction."""
    chain, clock = Chain(KEYS), Standing()
    with store.write() as tx:
        for number in range(count):
            chain.append(tx, replace(EVENT, request_id=f"r{number}"), clock)
        tx.commit()


class Collected:
    """A trail in memory, to be stored at once: on PostgreSQL every append is three round trips."""

    def __init__(self) -> None:
        self.audit, self.events = self, list[AuditEvent]()

    def lock_head(self) -> AuditHead:
        return AuditHead(len(self.events), self.events[-1].hash if self.events else "")

    def append(self, event: AuditEvent, _seen: AuditHead) -> bool:
        self.events.append(event)
        return True


def fill_at_once(store: SqlStore, count: int) -> None:
    made, chain, clock = Collected(), Chain(KEYS), Standing()
    for number in range(count):
        chain.append(made, replace(EVENT, request_id=f"r{number}"), clock)  # type: ignore[arg-type]
    head = made.lock_head()
    with store.write() as tx:
        tx._connection.execute(insert(audit_events), [values_of(e) for e in made.events])
        tx._connection.execute(update(audit_head).values(number=head.number, hash=head.hash))
        tx.commit()


def execute(store: SqlStore, *statements: Any) -> None:
    with store.write() as tx:
        for statement in statements:
            tx._connection.execute(statement)
        tx.commit()


def defects(store: SqlStore) -> list[str]:
    found: list[str] = []
    verify(store, KEYS, lambda defect: found.append(str(defect)))
    return found


def event_of(store: SqlStore, number: int) -> AuditEvent:
    with store.read() as tx:
        (event,) = tx.audit.after(number - 1, 1)
    return event


def at(number: int) -> Any:
    return audit_events.c.number == number


# -- rows --------------------------------------------------------------------------------------


def test_an_event_comes_back_as_it_was(store: SqlStore) -> None:
    whole = AuditEvent(
        at=LATER.replace(microsecond=123456),
        event="mfa.enabled",
        result="failure",
        reason="invalid_code",
        user_id=new_id(),
        actor_id=new_id(),
        session_id=new_id(),
        factor="totp",
        address="2001:db8::1",
        request_id="0" * 32,
        number=1,
        key_id="k",
        hash="f" * 64,
    )
    bare = AuditEvent(NOW, "mfa.setup", "success", number=2, key_id="k", hash="0" * 64)
    with store.write() as tx:
        assert tx.audit.append(whole, AuditHead(0, ""))
        assert tx.audit.append(bare, AuditHead(1, whole.hash))
        tx.commit()
    with store.read() as tx:
        assert tx.audit.after(0, 9) == [whole, bare]
        assert tx.audit.after(1, 9) == [bare]
        assert tx.audit.latest(9) == [bare, whole]
        assert tx.audit.latest(9, before=2, user_id=whole.user_id) == [whole]
        assert tx.audit.latest(9, event="mfa.setup", result="failure") == []
        assert tx.audit.head() == AuditHead(2, bare.hash)


def test_the_head_moves_only_from_where_it_was_seen(store: SqlStore) -> None:
    event = replace(EVENT, number=1, key_id="k", hash="0" * 64)
    for seen, done in ((AuditHead(7, "x"), False), (AuditHead(0, ""), True)):
        with store.write() as tx:
            assert tx.audit.append(event, seen) is done
            tx.commit()
    with store.read() as tx:
        assert tx.audit.after(0, 9) == [event]


def test_what_is_rolled_back_leaves_no_gap(store: SqlStore) -> None:
    for commit in (True, False, True):
        with store.write() as tx:
            number = Chain(KEYS).append(tx, EVENT, Standing()).number
            if commit:
                tx.commit()
    assert number == 2
    assert defects(store) == []


# -- ten thousand events -----------------------------------------------------------------------


@pytest.fixture(scope="module", params=databases.ENGINES)
def long(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SqlStore]:
    """A trail of ten thousand events on each engine; each test leaves it as it was."""
    if request.param == "sqlite":
        with databases.store_at(databases.sqlite_url(tmp_path_factory.mktemp("audit"))) as store:
            fill_at_once(store, EVENTS)
            yield store
        return
    with databases.postgres_database() as url, databases.store_at(url) as store:
        fill_at_once(store, EVENTS)
        yield store


@contextmanager
def put_back(store: SqlStore, *numbers: int) -> Iterator[None]:
    """Whatever the block does to these rows and the head is undone."""
    of_them = audit_events.c.number.in_(numbers)
    with store.read() as tx:
        rows = [r._asdict() for r in tx._connection.execute(select(audit_events).where(of_them))]
        head = tx.audit.head()
    try:
        yield
    finally:
        execute(
            store,
            delete(audit_events).where(of_them | (audit_events.c.number > EVENTS)),
            *(insert(audit_events).values(row) for row in rows),
            update(audit_head).values(number=head.number, hash=head.hash),
        )


def test_ten_thousand_events_are_one_chain_and_are_read_in_pages(
    long: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    after = Audit.after

    def noting(rows: Audit, number: int, limit: int) -> Sequence[AuditEvent]:
        found = after(rows, number, limit)
        sizes.append(len(found))
        return found

    monkeypatch.setattr(Audit, "after", noting)
    assert verify(long, KEYS, pytest.fail) == EVENTS
    # What is in memory at once does not grow with the trail.
    assert max(sizes) == verification.PAGE < EVENTS / 5


def one_byte_away(value: Any) -> Any:
    """A value of which the smallest part has changed, or a byte where there was none."""
    if isinstance(value, datetime):
        return value.replace(microsecond=value.microsecond ^ 1)
    return value[:-1] + chr(ord(value[-1]) ^ 1) if value else "x"


COLUMNS = [field.name for field in fields(AuditEvent) if field.name != "number"]
EDITED = {1 + 800 * place: column for place, column in enumerate(COLUMNS)}


def test_one_changed_byte_is_named_in_each_column(long: SqlStore) -> None:
    with put_back(long, *EDITED):
        for number, column in EDITED.items():
            value = {column: one_byte_away(getattr(event_of(long, number), column))}
            execute(long, update(audit_events).where(at(number)).values(value))
        what = {"key_id": verification.KEYLESS}
        assert defects(long) == [
            f"event {number}: {what.get(column, verification.EDITED)}"
            for number, column in EDITED.items()
        ]


def test_a_changed_a_removed_and_an_inserted_row_are_each_named(long: SqlStore) -> None:
    with put_back(long, 17, 4711):
        forged = replace(event_of(long, 4712), number=EVENTS + 1)
        execute(
            long,
            update(audit_events).where(at(17)).values(result="failure"),
            delete(audit_events).where(at(4711)),
            insert(audit_events).values(values_of(forged)),
        )
        assert defects(long) == [
            "event 17: edited",
            "event 4711: missing",
            f"event {EVENTS + 1}: inserted",
        ]


def test_a_removed_end_is_named(long: SqlStore) -> None:
    gone = range(EVENTS - 4, EVENTS + 1)
    with put_back(long, *gone):
        execute(long, delete(audit_events).where(audit_events.c.number.in_(gone)))
        assert defects(long) == [f"events {EVENTS - 4} to {EVENTS}: missing"]


def test_one_row_that_was_put_in_between_is_named(store: SqlStore) -> None:
    fill(store, 50)
    forged = replace(event_of(store, 20), user_id="v")
    execute(
        store,
        # In two steps, for a number may be there once only at any moment.
        text("UPDATE audit_events SET number = -number WHERE number >= 20"),
        text("UPDATE audit_events SET number = 1 - number WHERE number < 0"),
        insert(audit_events).values(values_of(forged)),
    )
    assert defects(store) == ["event 20: inserted"]


# -- two processes -----------------------------------------------------------------------------

APPENDS = 100


def appended(url: str, bug: str) -> int:
    """Let two processes append at the same moment; how many events were refused."""
    command = [sys.executable, "-m", "tests.storage.appends", url, str(APPENDS), bug]
    started = [
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    assert [process.stdout.readline() for process in started] == ["ready\n"] * 2  # type: ignore[union-attr]
    refused = sum(int(process.communicate("go\n", 60)[0]) for process in _released(started))
    assert [process.returncode for process in started] == [0, 0]
    return refused


def _released(processes: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return processes


def test_two_processes_keep_one_chain(store: SqlStore, database_url: str) -> None:
    assert appended(database_url, NONE) == 0
    assert verify(store, KEYS, pytest.fail) == 2 * APPENDS


def test_without_the_lock_the_guard_refuses_those_who_come_second(
    store: SqlStore, database_url: str
) -> None:
    refused = appended(database_url, UNLOCKED)
    assert refused > 0
    assert verify(store, KEYS, pytest.fail) == 2 * APPENDS - refused


def test_without_lock_and_guard_the_chain_breaks_and_is_found(
    store: SqlStore, database_url: str
) -> None:
    refused = appended(database_url, UNGUARDED)
    assert refused or defects(store)
