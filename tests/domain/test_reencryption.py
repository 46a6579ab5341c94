"""Every secret under the newest key, beside whoever uses them, and which keys can go then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest

from domain import reencryption
from domain.keyring import Fixed, key_print
from domain.reencryption import Reencryption
from domain.sealing import Sealer
from domain.services import Services
from tests.domain.world import KnownKeys, Make, Person

KEYS = {"k1": bytes(range(32)), "k2": b"2" * 32}


def keeping(**rings: Fixed[bytes]) -> KnownKeys:
    kept = KnownKeys()
    kept.rings = MappingProxyType({**KnownKeys.rings, **rings})
    return kept


@pytest.fixture
def rotated(services: Services) -> Services:
    """The same services after a rotation of the encryption key."""
    ring = Fixed(KEYS, "k2")
    return replace(services, sealer=Sealer(ring), keys=keeping(encryption=ring))


def envelopes(services: Services) -> Mapping[str, str]:
    with services.store.read() as tx:
        return dict(tx.keys.sealed_otherwise("none", "", 1000))


def people(person: Make, number: int) -> list[Person]:
    return [person().sign_in().enrol() for _ in range(number)]


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_every_secret_moves_in_batches_pending_ones_too(
    rotated: Services, person: Make, batch: int
) -> None:
    everybody = people(person, 3)
    everybody[0].set_up()
    before = envelopes(rotated)
    assert len(before) == 4
    assert reencryption.reencrypt(rotated, batch) == Reencryption(4, 0)
    after = envelopes(rotated)
    assert after.keys() == before.keys()
    assert all(sealed.startswith("k2.") for sealed in after.values())
    for each in everybody:
        replace(each, services=rotated).elsewhere().sign_in()


def test_a_second_run_finds_nothing_to_do(rotated: Services, person: Make) -> None:
    people(person, 2)
    reencryption.reencrypt(rotated)
    before = envelopes(rotated)
    assert reencryption.reencrypt(rotated) == Reencryption(0, 0)
    assert envelopes(rotated) == before


def test_nothing_moves_where_nothing_was_rotated(services: Services, person: Make) -> None:
    people(person, 2)
    before = envelopes(services)
    assert reencryption.reencrypt(services) == Reencryption(0, 0)
    assert envelopes(services) == before


def test_a_secret_that_changes_meanwhile_is_left_as_it_has_become(
    rotated: Services, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner signs in between the reading and the storing, which re-encrypts on its own."""
    used: list[str] = []
    store = reencryption._store

    def late(services: Services, renewed: list[reencryption.Renewed]) -> int:
        if not used:
            replace(ann, services=rotated).elsewhere().sign_in()
            used.extend(envelopes(rotated).values())
        return store(services, renewed)

    monkeypatch.setattr(reencryption, "_store", late)
    assert reencryption.reencrypt(rotated) == Reencryption(0, 0)
    assert list(envelopes(rotated).values()) == used


def test_a_secret_that_does_not_open_is_left_and_does_not_stop_the_others(
    rotated: Services, person: Make
) -> None:
    people(person, 3)
    spoilt, sealed = next(iter(envelopes(rotated).items()))
    with rotated.store.write() as tx:
        assert tx.factors.reseal(spoilt, sealed, "lost.AAAA")
        tx.commit()
    assert reencryption.reencrypt(rotated, 1) == Reencryption(2, 1)
    assert envelopes(rotated)[spoilt] == "lost.AAAA"


def known(services: Services, *names: tuple[str, str]) -> None:
    with services.store.write() as tx:
        for kind, key_id in names:
            tx.keys.register(key_print(kind, key_id, b"x" * 32))
        tx.commit()


def prints(services: Services) -> set[tuple[str, str]]:
    with services.store.read() as tx:
        return {(each.kind, each.id) for each in tx.keys.prints()}


def test_an_old_key_is_released_when_no_row_needs_it(rotated: Services, ann: Person) -> None:
    known(rotated, ("encryption", "k1"), ("encryption", "k2"), ("pepper", "k1"))
    assert reencryption.release(rotated, "encryption") == []
    reencryption.reencrypt(rotated)
    assert reencryption.release(rotated, "encryption") == ["k1"]
    assert prints(rotated) == {("encryption", "k2"), ("pepper", "k1")}


def test_the_newest_key_stays_known_though_nothing_was_made_with_it(rotated: Services) -> None:
    known(rotated, ("encryption", "k1"), ("encryption", "k2"))
    assert reencryption.release(rotated, "encryption") == ["k1"]
    assert prints(rotated) == {("encryption", "k2")}


def test_a_key_that_was_lost_and_is_not_needed_is_missed_no_longer(rotated: Services) -> None:
    known(rotated, ("encryption", "gone"), ("encryption", "k2"))
    assert reencryption.release(rotated, "encryption") == ["k1"]
    assert prints(rotated) == {("encryption", "k2")}


def test_a_pepper_is_needed_as_long_as_a_set_of_codes_is(rotated: Services, ann: Person) -> None:
    peppers = Fixed({"p1": bytes(32), "p2": b"2" * 32}, "p2")
    services = replace(rotated, keys=keeping(pepper=peppers))
    known(services, ("pepper", "p1"), ("pepper", "p2"))
    assert reencryption.release(services, "pepper") == []
    with services.store.write() as tx:
        tx.factors.delete_all(ann.session().user_id)
        tx.commit()
    assert reencryption.release(services, "pepper") == ["p1"]


def test_an_audit_key_is_needed_as_long_as_an_event_is_sealed_with_it(
    rotated: Services, ann: Person
) -> None:
    chain = Fixed({"a1": bytes(32), "a0": b"0" * 32, "a2": b"2" * 32}, "a2")
    services = replace(rotated, keys=keeping(audit=chain))
    assert reencryption.release(services, "audit") == ["a0"]
