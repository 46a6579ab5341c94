"""What a block promises: commit is explicit, leaving rolls back, reading cannot write."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from domain.errors import Unavailable
from storage import migrate
from storage.engine import create_engine
from storage.store import SqlStore
from tests.storage.rows import NOW, a_user, stored_user


def test_what_was_committed_stays(store: SqlStore) -> None:
    user = stored_user(store)
    with store.read() as transaction:
        assert transaction.users.get(user.id) == user


def test_what_was_not_committed_goes(store: SqlStore) -> None:
    user = a_user()
    with store.write() as transaction:
        transaction.users.add(user)
    with store.read() as transaction:
        assert transaction.users.get(user.id) is None


def test_an_exception_rolls_back_and_passes(store: SqlStore) -> None:
    user = a_user()

    def fail_half_way() -> None:
        with store.write() as transaction:
            transaction.users.add(user)
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        fail_half_way()
    with store.read() as transaction:
        assert transaction.users.get(user.id) is None


def test_a_reading_transaction_cannot_write(store: SqlStore) -> None:
    with pytest.raises(RuntimeError, match="reading"), store.read() as transaction:
        transaction.users.add(a_user())
    with pytest.raises(RuntimeError, match="reading"), store.read() as transaction:
        transaction.purge(NOW, 1)


def test_a_reading_transaction_sees_a_new_budget_as_zero(store: SqlStore) -> None:
    with store.read() as transaction:
        assert transaction.budgets.get("k").count == 0


def test_reads_do_not_wait_for_a_writer(store: SqlStore) -> None:
    user = stored_user(store)
    with store.write() as writing:
        writing.users.set_active(user.id, False)
        with store.read() as reading:
            assert reading.users.get(user.id).active


def test_the_expected_schema_answers_a_ping(store: SqlStore) -> None:
    store.ping()


def test_another_schema_is_unavailable(database_url: str) -> None:
    engine = create_engine(database_url)
    store = SqlStore(engine)
    migrate.upgrade(database_url)
    store.ping()
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    with pytest.raises(Unavailable):
        store.ping()
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE alembic_version SET version_num = :v"), {"v": migrate.head()}
        )
    store.ping()
    engine.dispose()


def test_a_database_never_migrated_is_unavailable(empty_url: str) -> None:
    engine = create_engine(empty_url)
    with pytest.raises(Unavailable):
        SqlStore(engine).ping()
    engine.dispose()
