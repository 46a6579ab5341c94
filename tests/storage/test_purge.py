"""What a purge takes, what it leaves, and that it never takes more than it was asked to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from storage.models import metadata
from storage.purge import IN_FLIGHT
from storage.store import SqlStore, SqlTransaction
from tests.storage.databases import SEEDED
from tests.storage.rows import (
    LATER,
    NOW,
    SOON,
    TOMORROW,
    a_challenge,
    a_session,
    a_token,
    a_user,
    activated,
    enrol,
)

MOMENT = timedelta(microseconds=1)
PAST = LATER + IN_FLIGHT + MOMENT


@pytest.fixture
def tx(store: SqlStore) -> Iterator[SqlTransaction]:
    with store.write() as transaction:
        yield transaction


@pytest.fixture
def user(tx):
    user = a_user()
    tx.users.add(user)
    return user


def rows_in(tx: SqlTransaction, table: str) -> int:
    count = select(func.count()).select_from(metadata.tables[table])
    return int(tx._connection.execute(count).scalar_one())


def test_an_expired_challenge_goes_and_a_live_one_stays(tx, user) -> None:
    live, expired = a_challenge(user, expires_at=LATER), a_challenge(user)
    for challenge in (live, expired):
        tx.challenges.add(challenge)
    tx.challenges.spend(expired.digest, NOW)
    assert tx.purge(SOON, 10) == 1
    assert tx.challenges.get(live.digest) == live


def test_a_session_that_ran_out_goes_with_its_tokens(tx, user) -> None:
    session, live = a_session(user), a_session(user, idle_until=TOMORROW)
    tokens = [a_token(session), a_token(session), a_token(live)]
    for each in (session, live):
        tx.sessions.add(each)
    for token in tokens:
        tx.sessions.add_refresh_token(token)
    assert tx.purge(LATER + IN_FLIGHT - MOMENT, 10) == 0
    assert tx.purge(LATER + IN_FLIGHT, 10) == 3
    assert tx.sessions.live(live.id, LATER) == live
    found = [tx.sessions.refresh_token(token.digest) for token in tokens]
    assert found == [None, None, tokens[2]]


def test_a_spent_token_of_a_live_session_stays_to_betray_its_thief(tx, user) -> None:
    session = a_session(user, idle_until=TOMORROW)
    token = a_token(session)
    tx.sessions.add(session)
    tx.sessions.add_refresh_token(token)
    tx.sessions.spend_refresh_token(token.digest, NOW)
    assert tx.purge(LATER + IN_FLIGHT, 10) == 0
    assert tx.sessions.refresh_token(token.digest).used_at == NOW


@pytest.mark.parametrize("end", ["end", "end_all", "end_others", "evict"])
def test_a_session_that_ended_goes_with_its_tokens_when_no_request_can_hold_it(
    tx, user, end
) -> None:
    live = a_session(user, last_used_at=SOON)
    ended = a_session(user, idle_until=TOMORROW)
    for session in (live, ended):
        tx.sessions.add(session)
        tx.sessions.add_refresh_token(a_token(session))
    assert tx.purge(NOW + IN_FLIGHT, 10) == 0
    ENDINGS[end](tx, user, live, ended)
    gone = 2 if end == "end_all" else 1
    assert tx.purge(NOW + IN_FLIGHT - MOMENT, 10) == 0
    assert tx.purge(NOW + IN_FLIGHT, 10) == 2 * gone
    assert rows_in(tx, "sessions") == rows_in(tx, "refresh_tokens") == 2 - gone


ENDINGS = {
    "end": lambda tx, user, live, ended: tx.sessions.end(ended.id, NOW),
    "end_all": lambda tx, user, live, ended: tx.sessions.end_all(user.id, NOW),
    "end_others": lambda tx, user, live, ended: tx.sessions.end_all(user.id, NOW, live.id),
    "evict": lambda tx, user, live, ended: tx.sessions.evict(user.id, 1, NOW),
}


def test_a_session_waits_for_its_step_up_challenge(tx, user) -> None:
    session = a_session(user)
    tx.sessions.add(session)
    tx.challenges.add(a_challenge(user, session_id=session.id, expires_at=PAST))
    assert tx.purge(PAST - MOMENT, 10) == 0
    assert tx.purge(PAST, 10) == 2
    assert rows_in(tx, "sessions") == rows_in(tx, "challenges") == 0


def test_an_expired_enrolment_goes_with_its_codes_and_an_active_factor_stays(tx, user) -> None:
    active, active_codes, _ = activated(tx, user)
    enrol(tx, user)
    assert tx.purge(SOON, 10) == 1
    assert tx.factors.active(user.id).id == active.id
    assert rows_in(tx, "backup_codes") == tx.backup_codes.remaining(active_codes.id) == 10


def test_only_password_failures_are_forgotten_with_time(tx, user) -> None:
    keys = ["password:a", "password:a:192.0.2.1", f"totp:{user.id}", f"backup-code:{user.id}"]
    activated(tx, user)
    for key in keys:
        tx.budgets.charge(key, 0, NOW)
    assert tx.purge(TOMORROW - timedelta(seconds=1), 10) == 0
    assert tx.purge(TOMORROW, 10) == 2
    assert [tx.budgets.get(key).count for key in keys] == [0, 0, 1, 1]


def test_failures_with_a_factor_are_forgotten_with_the_factor_alone(tx, user) -> None:
    activated(tx, user)
    stranger, newcomer = a_user(), a_user()
    for each in (stranger, newcomer):
        tx.users.add(each)
    enrol(tx, newcomer)
    keys = [f"{kind}:{each.id}" for each in (user, newcomer, stranger) for kind in FACTORS]
    for key in keys:
        tx.budgets.charge(key, 0, NOW)
    assert tx.purge(TOMORROW - timedelta(seconds=1), 10) == 1  # the enrolment
    assert tx.purge(TOMORROW, 10) == 4
    tx.budgets.charge(keys[-1], 0, TOMORROW)
    assert tx.purge(TOMORROW, 10) == 0
    assert [tx.budgets.get(key).count for key in keys] == [1, 1, 0, 0, 0, 1]


FACTORS = ("totp", "backup-code")


def test_an_address_is_forgotten_after_a_year_without_a_sign_in(tx, user) -> None:
    for address in ("192.0.2.1", "192.0.2.2"):
        tx.addresses.remember(user.id, address, NOW)
    year = NOW + timedelta(days=365)
    tx.addresses.remember(user.id, "192.0.2.1", NOW + MOMENT)
    assert tx.purge(year - MOMENT, 10) == 0
    assert tx.purge(year, 10) == 1
    assert tx.addresses.known(user.id, "192.0.2.1")
    assert not tx.addresses.known(user.id, "192.0.2.2")


def test_a_user_s_latest_addresses_are_known_and_no_more(tx, user) -> None:
    stranger = a_user()
    tx.users.add(stranger)
    tx.addresses.remember(stranger.id, "192.0.2.1", NOW)
    for number in (1, 2, 3, 1):
        tx.addresses.remember(user.id, f"192.0.2.{number}", NOW + rows_in(tx, "addresses") * MOMENT)
    tx.addresses.evict(user.id, 2)
    assert [tx.addresses.known(user.id, f"192.0.2.{n}") for n in (1, 2, 3)] == [True, False, True]
    assert tx.addresses.known(stranger.id, "192.0.2.1")


def test_a_purge_is_bounded_in_every_table(tx, user) -> None:
    for _ in range(5):
        session = a_session(user)
        tx.sessions.add(session)
        tx.challenges.add(a_challenge(user))
        for _ in range(2):
            tx.sessions.add_refresh_token(a_token(session))
    assert tx.purge(PAST, 3) <= 3 * 5
    assert rows_in(tx, "challenges") == 2
    assert rows_in(tx, "refresh_tokens") == 7
    rounds = 1
    while tx.purge(PAST, 3):
        rounds += 1
        assert rounds < 10
    assert rows_in(tx, "sessions") == rows_in(tx, "refresh_tokens") == 0


def test_deleting_a_user_would_leave_no_orphan(tx, user) -> None:
    session = a_session(user)
    tx.sessions.add(session)
    tx.sessions.add_refresh_token(a_token(session))
    tx.challenges.add(a_challenge(user, session_id=session.id))
    activated(tx, user)
    tx.addresses.remember(user.id, "192.0.2.1", NOW)
    tx._connection.execute(metadata.tables["users"].delete())
    assert {name for name in metadata.tables if rows_in(tx, name)} == set(SEEDED)
