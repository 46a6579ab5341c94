"""Accounts as administrators are shown them, on every engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from storage.store import SqlStore, SqlTransaction
from tests.storage import rows
from tests.storage.rows import a_user, new_id


@pytest.fixture
def tx(store: SqlStore) -> Iterator[SqlTransaction]:
    with store.write() as transaction:
        yield transaction


def keys(tx: SqlTransaction, *made: str) -> None:
    for key in made:
        assert tx.users.add(a_user(username=key, username_key=key))


def found(tx: SqlTransaction, prefix: str) -> list[str]:
    return [account.username for account in tx.users.page(prefix, 0, 100)]


def test_a_page_begins_after_a_number_and_ends_with_its_limit(tx: SqlTransaction) -> None:
    keys(tx, "a", "b", "c", "d")
    first = tx.users.page("", 0, 3)
    assert [account.username for account in first] == ["a", "b", "c"]
    assert [account.username for account in tx.users.page("", first[1].number, 3)] == ["c", "d"]
    assert tx.users.page("", 10**18 - 1, 3) == []


def test_a_pattern_of_the_engine_means_nothing_in_a_prefix(tx: SqlTransaction) -> None:
    keys(tx, "an%x", "an_x", "an\\x", "an[x", "anax", "a*", "ünx", "ﷺ" * 64)
    for prefix in ("an%", "an_", "an\\", "an[", "a*", "ü", "ﷺ" * 64):
        assert len(found(tx, prefix)) == 1, prefix
    assert found(tx, "an") == ["an%x", "an_x", "an\\x", "an[x", "anax"]
    for nobody in ("%", "_", "\\", "*", "a%x", "an__", "an\\\\", "'; --", "ﷺ" * 65):
        assert found(tx, nobody) == [], nobody


def test_only_an_active_factor_is_one(tx: SqlTransaction) -> None:
    user, other = a_user(role="admin"), a_user()
    assert tx.users.add(user)
    assert tx.users.add(other)
    assert (made := tx.users.account(user.id))
    assert (made.role, made.active, made.mfa_enabled) == ("admin", True, False)
    assert (made.id, made.username, made.created_at) == (user.id, user.username, user.created_at)
    rows.enrol(tx, user)
    assert tx.users.account(user.id) == made
    rows.activated(tx, user)
    assert [account.mfa_enabled for account in tx.users.page("", 0, 9)] == [True, False]
    assert tx.users.account(new_id()) is None


def test_a_role_is_read_with_the_session(tx: SqlTransaction) -> None:
    user = a_user()
    assert tx.users.add(user)
    session = rows.a_session(user)
    tx.sessions.add(session)
    for role in ("admin", "user"):
        assert tx.users.set_role(user.id, role)
        live = tx.sessions.live(session.id, rows.NOW)
        assert live is not None
        assert live.role == role
    assert not tx.users.set_role(new_id(), "admin")
