"""What the database knows of keys, on every engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from domain.keyring import KeyPrint
from storage.store import SqlStore, SqlTransaction
from tests.storage.rows import a_factor, a_set, a_user, digests, new_id

PEPPER = KeyPrint("pepper", "p1", "00ff")


@pytest.fixture
def tx(store: SqlStore) -> Iterator[SqlTransaction]:
    with store.write() as transaction:
        yield transaction


def sealed(tx: SqlTransaction, envelope: str, **fields: object) -> str:
    """The id of a new factor with this envelope."""
    user = a_user()
    assert tx.users.add(user)
    factor = a_factor(user, sealed_secret=envelope, **fields)
    tx.factors.put_pending(factor, a_set(factor, pepper_id="p1"), digests(1))
    return factor.id


def test_a_fingerprint_is_kept_as_it_was_first_stored(tx: SqlTransaction) -> None:
    assert tx.keys.register(PEPPER)
    assert not tx.keys.register(replace(PEPPER, fingerprint="ee"))
    assert tx.keys.prints() == [PEPPER]


def test_kinds_and_ids_are_kept_apart_and_in_order(tx: SqlTransaction) -> None:
    others = [KeyPrint("audit", "p1", "1"), KeyPrint("pepper", "p0", "2"), PEPPER]
    for each in reversed(others):
        assert tx.keys.register(each)
    assert tx.keys.prints() == others


def test_a_fingerprint_can_be_forgotten(tx: SqlTransaction) -> None:
    tx.keys.register(PEPPER)
    assert not tx.keys.forget("audit", "p1")
    assert not tx.keys.forget("pepper", "p2")
    assert tx.keys.forget("pepper", "p1")
    assert tx.keys.prints() == []


def test_the_rows_say_which_keys_they_need(tx: SqlTransaction) -> None:
    sealed(tx, "k1.AAAA")
    assert [tx.keys.needed("encryption", key_id) for key_id in ("k1", "k", "k1.", "K1", "k%")] == [
        *(True, False, False, False, False)
    ]
    assert [tx.keys.needed("pepper", key_id) for key_id in ("p1", "p", "k1")] == [
        *(True, False, False)
    ]
    assert not tx.keys.needed("audit", "k1")


def test_what_is_sealed_otherwise_comes_in_pages(tx: SqlTransaction) -> None:
    old = sorted(sealed(tx, f"k1.{number}") for number in range(5))
    for number in range(3):
        sealed(tx, f"k10.{number}")
    assert tx.keys.count_otherwise("k10") == 5
    assert tx.keys.count_otherwise("k1") == 3
    first = tx.keys.sealed_otherwise("k10", "", 3)
    rest = tx.keys.sealed_otherwise("k10", first[-1][0], 3)
    assert [factor_id for factor_id, _ in [*first, *rest]] == old
    assert all(envelope.startswith("k1.") for _, envelope in first)
    assert tx.keys.sealed_otherwise("k10", old[-1], 3) == []


def test_active_factors_are_walked_too(tx: SqlTransaction) -> None:
    user = a_user()
    assert tx.users.add(user)
    active = a_factor(user, sealed_secret="k1.A")
    tx.factors.put_pending(active, a_set(active), digests(1))
    assert tx.factors.activate(active.id, 1, active.created_at)
    pending = a_factor(user, id=new_id(), sealed_secret="k1.B")
    tx.factors.put_pending(pending, a_set(pending), digests(1))
    found = dict(tx.keys.sealed_otherwise("k2", "", 10))
    assert found == {active.id: "k1.A", pending.id: "k1.B"}
