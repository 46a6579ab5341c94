"""Whatever may happen once happens once: 16 threads, and several processes, one winner."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

import storage
from domain.records import CodeSet
from storage.store import SqlStore, SqlTransaction
from tests.storage import races, rows
from tests.storage.rows import NOW

ROOT = Path(storage.__file__).parent.parent
ROUNDS = 20


@pytest.mark.parametrize("contest", races.CONTESTS)
def test_of_sixteen_threads_one_wins(store: SqlStore, contest: str) -> None:
    for _ in range(ROUNDS):
        arguments = races.prepare(store, contest)
        assert races.race(races.attempt(store, contest, arguments)) == 1


@pytest.mark.parametrize("active_first", [True, False])
@pytest.mark.parametrize("act", ["activation", "removal"])
def test_who_needs_both_factors_of_a_user_and_who_re_encrypts_never_wait_for_each_other(
    store: SqlStore, act: str, active_first: bool
) -> None:
    ids = sorted(rows.new_id() for _ in range(2))
    active, pending = ids if active_first else reversed(ids)
    user = rows.stored_user(store)
    with store.write() as tx:
        for factor in (rows.a_factor(user, id=active), rows.a_factor(user, id=pending)):
            tx.factors.put_pending(factor, rows.a_set(factor), rows.digests(1))
            assert factor.id == pending or tx.factors.activate(active, 1, NOW)
        tx.commit()
    change = races.changing(
        store,
        (lambda tx: tx.factors.activate(pending, 1, NOW))
        if act == "activation"
        else (lambda tx: tx.factors.delete_all(user.id) == 2),
    )
    with ThreadPoolExecutor(1) as pool:
        with store.write() as tx:
            assert tx.factors.reseal(ids[0], "sealed", "anew")
            changed = pool.submit(change)
            with pytest.raises(TimeoutError):
                changed.result(0.3)
            assert tx.factors.reseal(ids[1], "sealed", "anew")
            tx.commit()
        assert changed.result(10)


def test_who_waited_for_a_budget_that_was_cleared_holds_it(store: SqlStore) -> None:
    """Else two who draw on the same two budgets could each hold the one that the other needs."""
    key, held = "password:" + rows.new_id(), Event()

    def hold(until: Event) -> bool:
        with store.write() as tx:
            assert tx.budgets.get(key).count == 0
            held.set()
            assert until.wait(10)
            return tx.budgets.charge(key, 0, NOW)

    with store.write() as tx:
        assert tx.budgets.charge(key, 0, NOW)
        tx.commit()
    with ThreadPoolExecutor(2) as pool:
        end = Event()
        with store.write() as tx:
            assert tx.budgets.get(key).count == 1
            first = pool.submit(hold, end)
            assert not held.wait(0.3)
            tx.budgets.clear(key)
            tx.commit()
        assert held.wait(10)
        held.clear()
        second = pool.submit(hold, end)
        assert not held.wait(0.3)
        end.set()
        assert first.result(10)
        assert second.result(10)


@contextmanager
def workers(url: str, number: int) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "tests.storage.races", url]
    started = [
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(number)
    ]
    try:
        assert [worker.stdout.readline() for worker in started] == ["ready\n"] * number
        yield started
    finally:
        for worker in started:
            worker.stdin.close()
            assert worker.wait(10) == 0
            worker.stdout.close()


def race_processes(
    processes: list[subprocess.Popen[str]], contest: str, arguments: Sequence[str]
) -> int:
    line = "\t".join([str(time.time() + 0.02), contest, *arguments])
    for process in processes:
        process.stdin.write(line + "\n")
        process.stdin.flush()
    return sum(int(process.stdout.readline()) for process in processes)


def test_of_two_processes_one_wins(store: SqlStore, database_url: str) -> None:
    with workers(database_url, 2) as processes:
        for contest in races.CONTESTS:
            for _ in range(ROUNDS):
                arguments = races.prepare(store, contest)
                assert race_processes(processes, contest, arguments) == 1, contest


class TestTheRacesThemselves:
    """A spend that looks and then writes must win twice, or the races above prove nothing."""

    def test_an_unguarded_spend_is_caught(self, store: SqlStore) -> None:
        winners = []
        for _ in range(ROUNDS):
            arguments = races.prepare(store, races.UNGUARDED)
            winners.append(races.race(races.attempt(store, races.UNGUARDED, arguments)))
        assert max(winners) > 1

    def test_an_unguarded_spend_is_caught_between_processes(
        self, store: SqlStore, database_url: str
    ) -> None:
        with workers(database_url, 2) as processes:
            winners = [
                race_processes(processes, races.UNGUARDED, races.prepare(store, races.UNGUARDED))
                for _ in range(ROUNDS)
            ]
        assert max(winners) > 1


@pytest.mark.parametrize("limit", [1, 5])
def test_a_challenge_is_never_charged_above_its_limit(store: SqlStore, limit: int) -> None:
    for _ in range(ROUNDS):
        (digest,) = races.prepare(store, "challenge")
        charge = races.changing(
            store, lambda tx, digest=digest: tx.challenges.charge(digest, limit, NOW)
        )
        assert races.race(charge) == limit
        with store.read() as transaction:
            assert transaction.challenges.get(digest).wrong == limit


def test_budgets_read_for_a_decision_are_charged_one_at_a_time(store: SqlStore) -> None:
    """Everyone looks first, as the rules do; nobody is refused, and every charge counts."""
    for _ in range(ROUNDS // 2):
        key = "totp:" + rows.new_id()
        charge = races.changing(
            store, lambda tx, key=key: tx.budgets.charge(key, tx.budgets.get(key).count, NOW)
        )
        assert races.race(charge) == 16
        with store.read() as transaction:
            assert transaction.budgets.get(key).count == 16


def test_who_loses_an_activation_deletes_nothing_even_if_they_commit(store: SqlStore) -> None:
    for _ in range(ROUNDS):
        with store.write() as transaction:
            user = rows.a_user()
            transaction.users.add(user)
            rows.activated(transaction, user)
            factor, *_ = rows.enrol(transaction, user)
            transaction.commit()
        won: list[bool] = []

        def activate(tx: SqlTransaction, factor_id: str = factor.id, won=won) -> bool:
            won.append(tx.factors.activate(factor_id, 2, NOW))
            return True

        races.race(races.changing(store, activate))
        assert won.count(True) == 1
        with store.read() as transaction:
            assert transaction.factors.active(user.id).id == factor.id


def test_set_ups_at_once_leave_one_pending_factor_with_its_codes(store: SqlStore) -> None:
    for _ in range(ROUNDS):
        user = rows.stored_user(store)
        set_up = races.changing(store, lambda tx, user=user: bool(rows.enrol(tx, user)))
        assert races.race(set_up) == 16
        with store.read() as transaction:
            factor = transaction.factors.pending(user.id, NOW)
            codes = transaction.backup_codes.of_factor(factor.id)
            assert transaction.backup_codes.remaining(codes.id) == 10


def regenerate(transaction: SqlTransaction, factor_id: str) -> bool:
    codes = CodeSet(rows.new_id(), factor_id, "00", "pepper", 10, NOW)
    transaction.backup_codes.replace(codes, rows.digests())
    return True


def test_regenerations_at_once_leave_one_set(store: SqlStore) -> None:
    for _ in range(ROUNDS // 2):
        (factor_id,) = races.prepare(store, "step")
        change = races.changing(store, lambda tx, factor_id=factor_id: regenerate(tx, factor_id))
        assert races.race(change) == 16
        with store.read() as transaction:
            codes = transaction.backup_codes.of_factor(factor_id)
            assert transaction.backup_codes.remaining(codes.id) == 10


def test_a_locked_user_is_read_and_written_by_one_act_at_a_time(store: SqlStore) -> None:
    """Look at the password, then change it without a guard: safe under the lock alone."""

    def append(transaction: SqlTransaction, user_id: str) -> bool:
        seen = transaction.users.lock(user_id)
        return transaction.users.set_password(user_id, seen.password_hash, seen.password_hash + "x")

    for _ in range(ROUNDS // 2):
        user = rows.stored_user(store)
        change = races.changing(store, lambda tx, user=user: append(tx, user.id))
        assert races.race(change) == 16
        with store.read() as transaction:
            assert transaction.users.get(user.id).password_hash == user.password_hash + "x" * 16


def test_purges_at_once_do_not_disturb_each_other(store: SqlStore) -> None:
    user = rows.stored_user(store)
    with store.write() as transaction:
        for _ in range(200):
            transaction.challenges.add(rows.a_challenge(user))
        transaction.commit()
    late = NOW + timedelta(days=1)
    purge = races.changing(store, lambda transaction: transaction.purge(late, 20) > 0)
    while races.race(purge, threads=8):
        pass
    with store.write() as transaction:
        assert transaction.purge(late, 1000) == 0
