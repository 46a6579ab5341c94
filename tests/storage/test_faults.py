"""A database that does not answer is a 503 within five seconds, and is used again when it does."""

from __future__ import annotations

import contextlib
import contextvars
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import text

from domain.errors import Unavailable
from storage import migrate, patience, postgresql, sqlite
from storage.engine import create_engine
from storage.store import SqlStore
from tests.storage import databases
from tests.storage.rows import NOW, a_user, stored_user

PATIENCE = 5.0


@contextmanager
def refused_in_time() -> Iterator[pytest.ExceptionInfo[Unavailable]]:
    started = time.monotonic()
    with pytest.raises(Unavailable) as refused:
        yield refused
    assert time.monotonic() - started < PATIENCE


def write(store: SqlStore) -> None:
    stored_user(store)


def read(store: SqlStore) -> None:
    with store.read() as transaction:
        transaction.users.by_key("ann")


class TestSqlite:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "countersign.db"

    @pytest.fixture
    def store(self, path: Path) -> Iterator[SqlStore]:
        with databases.store_at(f"sqlite:///{path}") as store:
            yield store

    @pytest.fixture
    def other(self, path: Path, store: SqlStore) -> Iterator[sqlite3.Connection]:
        """Another process's connection."""
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            yield other

    def test_a_lock_held_too_long_is_unavailable(self, store, other) -> None:
        other.execute("BEGIN IMMEDIATE")
        with refused_in_time():
            write(store)
        other.execute("ROLLBACK")
        write(store)

    def test_every_thread_that_queues_behind_a_lock_is_refused_in_time(self, store, other) -> None:
        other.execute("BEGIN IMMEDIATE")

        def attempt(_: int) -> float:
            started = time.monotonic()
            with pytest.raises(Unavailable):
                write(store)
            return time.monotonic() - started

        with ThreadPoolExecutor(16) as pool:
            assert max(pool.map(attempt, range(16))) < PATIENCE
        other.execute("ROLLBACK")
        write(store)

    def test_a_lock_held_for_a_while_is_waited_for(self, store, other) -> None:
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(2.5, lambda: other.execute("ROLLBACK"))
        release.start()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: write(store), range(8)))
        release.join()

    def test_a_lock_does_not_keep_readers_out(self, store, other) -> None:
        other.execute("BEGIN EXCLUSIVE")
        read(store)

    def test_a_full_database_is_unavailable_and_nothing_is_half_written(self, store) -> None:
        user = a_user(username="x" * 100_000)

        def fill() -> None:
            with store.write() as transaction:
                connection = transaction._connection
                pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
                connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
                transaction.budgets.charge("k", 0, NOW)
                transaction.users.add(user)
                transaction.commit()

        with refused_in_time():
            fill()
        with store.read() as transaction:
            assert transaction.budgets.get("k").count == 0

    def test_a_read_only_database_is_unavailable_to_writers(self, store) -> None:
        def write_without_permission() -> None:
            with store.write() as transaction:
                transaction._connection.exec_driver_sql("PRAGMA query_only = ON")
                transaction.budgets.charge("k", 0, NOW)

        with refused_in_time():
            write_without_permission()

    def test_a_ping_waits_for_the_writer_that_a_login_would_wait_for(self, store, other) -> None:
        store.ping()
        other.execute("BEGIN IMMEDIATE")
        with refused_in_time():
            store.ping()
        other.execute("ROLLBACK")
        store.ping()

    def test_who_has_failed_to_write_writes_before_it_says_ready(self, store, other) -> None:
        """With a full disk reading goes on, and so does the begin of a write."""

        def fail() -> None:
            with store.write() as transaction:
                pages = transaction._connection.exec_driver_sql("PRAGMA page_count").scalar()
                transaction._connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
                transaction.users.add(a_user(username="x" * 100_000))

        def ping_writes() -> bool:
            before = version()
            store.ping()
            return version() != before

        def version() -> tuple[int]:
            return other.execute("PRAGMA data_version").fetchone()

        assert not ping_writes()
        with refused_in_time():
            fail()
        assert ping_writes()
        assert not ping_writes()

    def test_all_waits_of_one_request_together_end_in_time(self, store, other) -> None:
        """Each of its transactions finds the database held by another once more."""

        def request() -> float:
            patience.begin()
            started = time.monotonic()
            for _ in range(3):
                other.execute("BEGIN IMMEDIATE")
                release = threading.Timer(3, lambda: other.execute("ROLLBACK"))
                release.start()
                try:
                    write(store)
                except Unavailable:
                    return time.monotonic() - started
                finally:
                    release.join()
            raise AssertionError("three waits of three seconds each")

        assert contextvars.Context().run(request) < PATIENCE

    def test_a_file_that_has_vanished_is_unavailable_and_not_made_anew(self, path, store) -> None:
        store._reader.dispose()
        path.unlink()
        with refused_in_time():
            store.ping()
        assert not path.exists()

    def test_a_file_that_is_no_database_is_unavailable(self, tmp_path: Path) -> None:
        path = tmp_path / "text.db"
        path.write_text("this is no database, however long one looks at it" * 100)
        with refused_in_time():
            read(SqlStore(create_engine(f"sqlite:///{path}")))

    def test_a_hundred_threads_do_not_wait_for_the_pool(self, store) -> None:
        gate = threading.Barrier(100)

        def hold(_: int) -> None:
            with store.read() as transaction:
                transaction.users.by_key("ann")
                gate.wait(20)

        with ThreadPoolExecutor(100) as pool:
            list(pool.map(hold, range(100)))

    def test_more_threads_than_connections_end_in_time(self, path, store) -> None:
        small = SqlStore(create_engine(f"sqlite:///{path}", pool_size=1))
        with small.read() as transaction:
            transaction.users.by_key("ann")
            with refused_in_time():
                read(small)
        read(small)


class Proxy:
    """A TCP proxy that can go silent: it holds every line and passes nothing on."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._open = threading.Event()
        self._open.set()
        self._sockets: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        self._open.clear()

    def thaw(self) -> None:
        self._open.set()

    def cut(self) -> None:
        """Close every line, as a restarting server does."""
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def close(self) -> None:
        self._server.close()
        self.thaw()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            upstream = socket.create_connection(self._target)
            self._sockets += [client, upstream]
            for pair in ((client, upstream), (upstream, client)):
                threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with closing(sink):
            try:
                while data := source.recv(65536):
                    self._open.wait()
                    sink.sendall(data)
            except OSError:
                return


class TestPostgresql:
    @pytest.fixture
    def store(self, postgres_url: str) -> Iterator[SqlStore]:
        with databases.store_at(postgres_url) as store:
            yield store

    @pytest.fixture
    def proxy(self, postgres_url: str) -> Iterator[Proxy]:
        url = sqlalchemy.make_url(postgres_url)
        proxy = Proxy(url.host or "127.0.0.1", url.port or 5432)
        yield proxy
        proxy.close()

    @pytest.fixture
    def behind(self, proxy: Proxy, postgres_url: str) -> Iterator[SqlStore]:
        """A store whose server is reached through the proxy."""
        migrate.upgrade(postgres_url)
        url = sqlalchemy.make_url(postgres_url).set(host="127.0.0.1", port=proxy.port)
        engine = create_engine(url.render_as_string(hide_password=False))
        yield SqlStore(engine)
        engine.dispose()

    def test_terminated_connections_are_replaced_unseen(self, store, postgres_url) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: write(store), range(8)))
        terminate_others(postgres_url)
        for _ in range(8):
            write(store)
            read(store)

    def test_a_connection_lost_in_a_transaction_is_unavailable(self, store, postgres_url) -> None:
        def lose_it() -> None:
            with store.write() as transaction:
                transaction.budgets.charge("lost", 0, NOW)
                terminate_others(postgres_url)
                transaction.commit()

        with refused_in_time():
            lose_it()
        with store.read() as transaction:
            assert transaction.budgets.get("lost").count == 0

    @pytest.mark.parametrize("act", [read, write])
    def test_a_server_that_goes_silent_is_unavailable_and_comes_back(
        self, behind: SqlStore, proxy: Proxy, act
    ) -> None:
        act(behind)
        proxy.freeze()
        with refused_in_time():
            act(behind)
        with refused_in_time():
            act(behind)
        proxy.thaw()
        act(behind)

    def test_a_restart_costs_nobody_but_who_was_in_the_middle(
        self, behind: SqlStore, proxy: Proxy
    ) -> None:
        read(behind)
        proxy.cut()
        time.sleep(0.1)
        read(behind)
        write(behind)

    @pytest.mark.parametrize("act", [read, write, SqlStore.ping])
    def test_a_port_where_nobody_listens_is_unavailable(self, act) -> None:
        databases.require_postgres()
        with refused_in_time():
            act(SqlStore(create_engine("postgresql://postgres@127.0.0.1:1/none")))

    def test_a_host_that_swallows_packets_is_unavailable(self) -> None:
        databases.require_postgres()
        with socket.create_server(("127.0.0.1", 0), backlog=5) as silent:
            port = silent.getsockname()[1]
            with refused_in_time():
                read(SqlStore(create_engine(f"postgresql://postgres@127.0.0.1:{port}/none")))

    def test_a_row_locked_too_long_is_unavailable(self, store) -> None:
        user = stored_user(store)
        with store.write() as holding:
            holding.users.lock(user.id)
            with refused_in_time(), store.write() as waiting:
                waiting.users.lock(user.id)
        with store.write() as transaction:
            assert transaction.users.lock(user.id) == user

    def test_a_statement_that_takes_too_long_is_unavailable(self, store) -> None:
        with refused_in_time(), store.read() as transaction:
            transaction._connection.execute(text("SELECT pg_sleep(60)"))
        read(store)

    def test_a_read_only_server_is_unavailable_to_writers(self, store) -> None:
        def write_to_a_replica() -> None:
            with store.write() as transaction:
                transaction._connection.execute(text("SET TRANSACTION READ ONLY"))
                transaction.budgets.charge("k", 0, NOW)

        with refused_in_time():
            write_to_a_replica()

    def test_a_read_only_server_is_not_ready(self, store, postgres_url) -> None:
        read_only = create_engine(postgres_url)

        @sqlalchemy.event.listens_for(read_only, "connect")
        def forbid(connection, _record) -> None:
            connection.execute("SET default_transaction_read_only = on")
            connection.commit()

        store.ping()
        with refused_in_time():
            SqlStore(read_only).ping()
        read_only.dispose()

    def test_all_waits_of_one_request_together_end_in_time(self, store) -> None:
        """Statements that are each within their bound, one after the other."""

        def request() -> float:
            patience.begin()
            started = time.monotonic()
            with contextlib.suppress(Unavailable), store.read() as transaction:
                for _ in range(4):
                    transaction._connection.execute(text("SELECT pg_sleep(1.5)"))
            return time.monotonic() - started

        assert 3 < contextvars.Context().run(request) < PATIENCE
        read(store)

    def test_who_has_no_time_left_to_connect_does_not_begin_to(self, postgres_url) -> None:
        def request() -> None:
            patience.begin()
            with patience.present():
                time.sleep(patience.SECONDS - postgresql.CONNECT_SECONDS + 0.1)
            read(store)

        store = SqlStore(create_engine(postgres_url))
        with refused_in_time():
            contextvars.Context().run(request)
        read(store)
        store.close()

    def test_more_threads_than_connections_end_in_time(self, store, postgres_url) -> None:
        small = SqlStore(create_engine(postgres_url, pool_size=1))
        with small.read() as transaction:
            transaction.users.by_key("ann")
            with refused_in_time():
                read(small)
        read(small)
        small._reader.dispose()

    def test_two_transactions_in_each_others_way_end_in_time(self, store) -> None:
        users = [stored_user(store) for _ in range(2)]
        gate = threading.Barrier(2)

        def cross(first: int) -> bool:
            try:
                with store.write() as transaction:
                    transaction.users.lock(users[first].id)
                    gate.wait(5)
                    transaction.users.lock(users[1 - first].id)
            except Unavailable:
                return False
            return True

        started = time.monotonic()
        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(cross, range(2))) == [False, True]
        assert time.monotonic() - started < PATIENCE


def terminate_others(url: str) -> None:
    engine = create_engine(url, pool_size=1)
    with engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    engine.dispose()


@pytest.mark.parametrize("engine", databases.ENGINES)
def test_a_defect_of_ours_is_not_called_unavailable(request, tmp_path, engine) -> None:
    url = (
        databases.sqlite_url(tmp_path)
        if engine == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    user = a_user()
    with databases.store_at(url) as store, store.write() as transaction:
        assert transaction.users.add(user)
        with pytest.raises(sqlalchemy.exc.IntegrityError):
            transaction.users.add(a_user(id=user.id))


def test_the_refusal_says_nothing_of_what_was_asked(tmp_path: Path) -> None:
    engine = create_engine(databases.sqlite_url(tmp_path))
    with pytest.raises(Unavailable) as refused, SqlStore(engine).read() as transaction:
        transaction.users.by_key("s3cret")
    engine.dispose()
    chain = [refused.value, refused.value.__cause__]
    assert isinstance(chain[1], sqlalchemy.exc.OperationalError)
    assert not any("s3cret" in str(each) for each in chain)


def test_every_wait_fits_into_the_patience() -> None:
    chains = [
        (sqlite.BUSY_SECONDS,),
        (postgresql.POOL_SECONDS, postgresql.ANSWER_SECONDS),
        (postgresql.POOL_SECONDS, postgresql.CONNECT_SECONDS),
    ]
    assert max(sum(waits) for waits in chains) < PATIENCE
    assert patience.SECONDS + patience.LEAST < PATIENCE
    assert postgresql.LOCK_SECONDS < postgresql.STATEMENT_SECONDS < postgresql.ANSWER_SECONDS
