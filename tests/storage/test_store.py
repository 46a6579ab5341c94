"""What a block promises: commit is explicit, leaving rolls back, reading cannot write."""

from __future__ import annotations

from collections.abc import Callable, Iterator

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


@pytest.fixture
def at_revision(database_url: str) -> Iterator[Callable[[str], SqlStore]]:
    """Puts another revision into the books of a migrated database, and the right one at the end."""
    migrate.upgrade(database_url)
    engine = create_engine(database_url)

    def put(revision: str) -> SqlStore:
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": revision})
        return SqlStore(engine)

    yield put
    put(migrate.head())
    engine.dispose()


At = Callable[[str], SqlStore]


@pytest.mark.parametrize("revision", ["0000", "unknown"])
def test_a_schema_that_is_too_old_or_strange_is_unavailable(at_revision: At, revision: str) -> None:
    at_revision(migrate.head()).ping()
    with pytest.raises(Unavailable):
        at_revision(revision).ping()


def test_a_later_schema_is_served_and_left_alone(at_revision: At, database_url: str) -> None:
    at_revision("9999").ping()
    migrate.upgrade(database_url)
    assert migrate.current(database_url) == "9999"


def test_a_database_never_migrated_is_unavailable(empty_url: str) -> None:
    engine = create_engine(empty_url)
    with pytest.raises(Unavailable):
        SqlStore(engine).ping()
    engine.dispose()
