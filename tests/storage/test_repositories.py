"""Every sentence of ``domain.ports``, on every engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from storage.models import factors
from storage.repositories.base import values_of
from storage.store import SqlStore, SqlTransaction
from tests.storage.rows import (
    LATER,
    NOW,
    SOON,
    TOMORROW,
    a_challenge,
    a_factor,
    a_session,
    a_set,
    a_token,
    a_user,
    activated,
    digests,
    enrol,
    new_id,
)

MOMENT = timedelta(microseconds=1)


@pytest.fixture
def tx(store: SqlStore) -> Iterator[SqlTransaction]:
    with store.write() as transaction:
        yield transaction


@pytest.fixture
def user(tx: SqlTransaction):
    user = a_user()
    assert tx.users.add(user)
    return user


@pytest.fixture
def session(tx: SqlTransaction, user):
    session = a_session(user)
    tx.sessions.add(session)
    return session


class TestUsers:
    def test_a_user_comes_back_as_stored(self, tx, user) -> None:
        assert tx.users.get(user.id) == tx.users.by_key(user.username_key) == user

    def test_nobody_is_none(self, tx) -> None:
        assert tx.users.get(new_id()) is None
        assert tx.users.by_key("nobody") is None

    def test_a_taken_key_is_refused_and_the_transaction_goes_on(self, tx, user) -> None:
        assert not tx.users.add(a_user(username_key=user.username_key))
        assert [each.id for each in tx.users.page("", 0, 10)] == [user.id]

    def test_a_user_can_be_locked_for_an_act(self, tx, user) -> None:
        assert tx.users.lock(user.id) == user
        assert tx.users.lock(new_id()) is None

    def test_any_text_is_a_username(self, tx) -> None:
        odd = a_user(username="á🜚" * 5000 + "'\"\r\n", username_key="ﷺ" * 5000)
        assert tx.users.add(odd)
        assert tx.users.by_key(odd.username_key) == odd

    def test_a_password_is_replaced_only_where_it_is_the_one_seen(self, tx, user) -> None:
        assert tx.users.set_password(user.id, "hash", "new")
        assert not tx.users.set_password(user.id, "hash", "newer")
        assert tx.users.get(user.id).password_hash == "new"

    def test_a_user_is_deactivated_and_activated(self, tx, user) -> None:
        assert tx.users.set_active(user.id, False)
        assert not tx.users.get(user.id).active
        assert tx.users.set_active(user.id, True)
        assert tx.users.get(user.id) == user
        assert not tx.users.set_active(new_id(), True)


class TestSessions:
    def test_a_session_comes_back_as_stored(self, tx, session) -> None:
        assert tx.sessions.live(session.id, NOW) == session

    @pytest.mark.parametrize("limit", ["idle_until", "expires_at"])
    def test_a_session_lives_until_just_before_its_end(self, tx, user, limit) -> None:
        session = a_session(user, **{limit: SOON})
        tx.sessions.add(session)
        assert tx.sessions.live(session.id, SOON - MOMENT) == session
        assert tx.sessions.live(session.id, SOON) is None

    def test_a_deactivated_users_session_is_not_live(self, tx, user, session) -> None:
        tx.users.set_active(user.id, False)
        assert tx.sessions.live(session.id, NOW) is None
        assert tx.sessions.live_of(user.id, NOW) == []

    def test_live_sessions_come_newest_first_and_are_the_users_own(self, tx, user, session) -> None:
        other = a_user()
        tx.users.add(other)
        tx.sessions.add(a_session(other))
        same_instant, newer = a_session(user), a_session(user, created_at=NOW + MOMENT)
        for each in (newer, same_instant):
            tx.sessions.add(each)
        assert tx.sessions.live_of(user.id, NOW) == [newer, same_instant, session]

    def test_an_ended_session_cannot_be_used_renewed_or_raised(self, tx, session) -> None:
        assert tx.sessions.end(session.id, NOW)
        assert not tx.sessions.end(session.id, NOW)
        assert tx.sessions.live(session.id, NOW) is None
        assert not tx.sessions.renew(session.id, NOW, LATER)
        assert not tx.sessions.set_assurance(session.id, "aal2", ("pwd", "otp", "mfa"), NOW)

    def test_renewing_moves_the_idle_end_alone(self, tx, session) -> None:
        assert tx.sessions.renew(session.id, SOON, TOMORROW)
        expected = replace(session, last_used_at=SOON, idle_until=TOMORROW)
        assert tx.sessions.live(session.id, SOON) == expected

    def test_a_session_that_ran_out_cannot_be_renewed(self, tx, session) -> None:
        assert not tx.sessions.renew(session.id, LATER, TOMORROW)

    def test_assurance_is_set(self, tx, session) -> None:
        assert tx.sessions.set_assurance(session.id, "aal2", ("pwd", "otp", "mfa"), SOON)
        found = tx.sessions.live(session.id, SOON)
        assert (found.acr, found.amr, found.mfa_time) == ("aal2", ("pwd", "otp", "mfa"), SOON)
        assert tx.sessions.set_assurance(session.id, "aal1", ("pwd",), None)
        assert tx.sessions.live(session.id, SOON) == session

    def test_ending_all_spares_the_kept_one_and_other_users(self, tx, user, session) -> None:
        stranger = a_user()
        tx.users.add(stranger)
        foreign, second = a_session(stranger), a_session(user)
        tx.sessions.add(foreign)
        tx.sessions.add(second)
        assert tx.sessions.end_all(user.id, NOW, keep=session.id) == 1
        assert tx.sessions.live_of(user.id, NOW) == [session]
        assert tx.sessions.end_all(user.id, NOW) == 1
        assert tx.sessions.live(foreign.id, NOW) == foreign

    def test_the_sessions_longest_unused_give_way_and_other_users_keep_theirs(
        self, tx, user
    ) -> None:
        stranger = a_user()
        tx.users.add(stranger)
        foreign = a_session(stranger)
        unused, renewed, same_instant, newest = [
            a_session(user, created_at=NOW + n * MOMENT, last_used_at=NOW + used * MOMENT)
            for n, used in enumerate((0, 9, 3, 3))
        ]
        for each in (foreign, unused, renewed, same_instant, newest):
            tx.sessions.add(each)
        for keep, left in ((4, 4), (3, 3), (2, 2)):
            tx.sessions.evict(user.id, keep, NOW)
            assert len(tx.sessions.live_of(user.id, NOW)) == left
        assert tx.sessions.live_of(user.id, NOW) == [newest, renewed]
        assert tx.sessions.live(foreign.id, NOW) == foreign

    def test_what_has_ended_takes_no_place(self, tx, user, session) -> None:
        ended, ran_out = a_session(user), a_session(user, idle_until=SOON, last_used_at=SOON)
        for each in (ended, ran_out):
            tx.sessions.add(each)
        tx.sessions.end(ended.id, NOW)
        tx.sessions.evict(user.id, 1, SOON)
        assert tx.sessions.live_of(user.id, SOON) == [session]

    def test_a_refresh_token_is_spent_once(self, tx, session) -> None:
        token = a_token(session)
        tx.sessions.add_refresh_token(token)
        assert tx.sessions.refresh_token(token.digest) == token
        assert tx.sessions.spend_refresh_token(token.digest, SOON)
        assert not tx.sessions.spend_refresh_token(token.digest, LATER)
        assert tx.sessions.refresh_token(token.digest).used_at == SOON

    def test_superseding_spends_what_is_unspent(self, tx, session) -> None:
        spent, unspent = a_token(session), a_token(session)
        for token in (spent, unspent):
            tx.sessions.add_refresh_token(token)
        tx.sessions.spend_refresh_token(spent.digest, NOW)
        tx.sessions.supersede_refresh_tokens(session.id, SOON)
        assert tx.sessions.refresh_token(spent.digest).used_at == NOW
        assert not tx.sessions.spend_refresh_token(unspent.digest, SOON)


class TestChallenges:
    def test_a_challenge_is_spent_once(self, tx, user) -> None:
        challenge = a_challenge(user)
        tx.challenges.add(challenge)
        assert tx.challenges.get(challenge.digest) == challenge
        assert tx.challenges.spend(challenge.digest, NOW)
        assert not tx.challenges.spend(challenge.digest, NOW)
        assert tx.challenges.get(challenge.digest).used_at == NOW

    def test_an_expired_challenge_is_neither_charged_nor_spent(self, tx, user) -> None:
        challenge = a_challenge(user)
        tx.challenges.add(challenge)
        assert not tx.challenges.charge(challenge.digest, 5, SOON)
        assert not tx.challenges.spend(challenge.digest, SOON)

    def test_a_challenge_takes_so_many_guesses_and_no_more(self, tx, user) -> None:
        challenge = a_challenge(user)
        tx.challenges.add(challenge)
        answers = [tx.challenges.charge(challenge.digest, 5, NOW) for _ in range(7)]
        assert answers == [True] * 5 + [False] * 2
        assert tx.challenges.get(challenge.digest).wrong == 5

    def test_a_spent_challenge_is_not_charged(self, tx, user) -> None:
        challenge = a_challenge(user)
        tx.challenges.add(challenge)
        tx.challenges.spend(challenge.digest, NOW)
        assert not tx.challenges.charge(challenge.digest, 5, NOW)

    def test_eviction_keeps_the_newest_even_of_one_instant(self, tx, user) -> None:
        opened = [a_challenge(user) for _ in range(6)]
        for challenge in opened:
            tx.challenges.add(challenge)
        tx.challenges.evict(user.id, 5, NOW)
        kept = [tx.challenges.get(each.digest) is not None for each in opened]
        assert kept == [False] + [True] * 5

    def test_eviction_counts_only_open_login_challenges(self, tx, user, session) -> None:
        spent, step_up = a_challenge(user), a_challenge(user, session_id=session.id)
        expired = a_challenge(user, expires_at=NOW)
        kept = [a_challenge(user) for _ in range(2)]
        for challenge in (*kept, spent, step_up, expired):
            tx.challenges.add(challenge)
        tx.challenges.spend(spent.digest, NOW)
        tx.challenges.evict(user.id, 2, NOW)
        assert all(tx.challenges.get(each.digest) for each in (*kept, spent, step_up, expired))

    def test_voiding_a_session_spares_login_challenges(self, tx, user, session) -> None:
        login, step_up = a_challenge(user), a_challenge(user, session_id=session.id)
        for challenge in (login, step_up):
            tx.challenges.add(challenge)
        tx.challenges.void_session(session.id)
        assert tx.challenges.get(step_up.digest) is None
        assert tx.challenges.get(login.digest) == login

    def test_voiding_a_user_voids_everything_of_theirs_alone(self, tx, user, session) -> None:
        stranger = a_user()
        tx.users.add(stranger)
        theirs = [a_challenge(user), a_challenge(user, session_id=session.id)]
        foreign = a_challenge(stranger)
        for challenge in (*theirs, foreign):
            tx.challenges.add(challenge)
        tx.challenges.void_user(user.id)
        assert not any(tx.challenges.get(each.digest) for each in theirs)
        assert tx.challenges.get(foreign.digest) == foreign


class TestFactors:
    def test_a_pending_factor_is_no_active_one(self, tx, user) -> None:
        factor, codes, _ = enrol(tx, user)
        assert tx.factors.pending(user.id, NOW) == factor
        assert tx.factors.active(user.id) is None
        assert tx.backup_codes.of_factor(factor.id) == codes

    def test_a_pending_factor_runs_out(self, tx, user) -> None:
        factor, *_ = enrol(tx, user)
        assert tx.factors.pending(user.id, SOON) is None
        assert not tx.factors.charge_pending(factor.id, 5, SOON)
        assert not tx.factors.activate(factor.id, 1, SOON)

    def test_a_second_enrolment_replaces_the_first_with_its_codes(self, tx, user) -> None:
        first, first_codes, spendable = enrol(tx, user)
        second, *_ = enrol(tx, user)
        assert tx.factors.pending(user.id, NOW) == second
        assert not tx.factors.activate(first.id, 1, NOW)
        assert tx.backup_codes.of_factor(first.id) is None
        assert not tx.backup_codes.spend(first_codes.id, spendable[0], NOW)

    def test_wrong_codes_are_counted_on_the_enrolment(self, tx, user) -> None:
        factor, *_ = enrol(tx, user)
        answers = [tx.factors.charge_pending(factor.id, 5, NOW) for _ in range(6)]
        assert answers == [True] * 5 + [False]
        assert tx.factors.pending(user.id, NOW).wrong == 5

    def test_activating_spends_the_step_and_happens_once(self, tx, user) -> None:
        factor, codes, _ = enrol(tx, user)
        assert tx.factors.activate(factor.id, 7, NOW)
        assert not tx.factors.activate(factor.id, 8, NOW)
        active = tx.factors.active(user.id)
        assert (active.id, active.last_step, active.enabled_at) == (factor.id, 7, NOW)
        assert (active.pending, active.expires_at) == (False, None)
        assert tx.factors.pending(user.id, NOW) is None
        assert tx.backup_codes.of_factor(factor.id) == codes

    def test_a_rotation_replaces_the_old_factor_and_its_codes(self, tx, user) -> None:
        old, old_codes, spendable = activated(tx, user)
        new, *_ = enrol(tx, user)
        assert tx.factors.active(user.id).id == old.id
        assert tx.backup_codes.remaining(old_codes.id) == 10
        assert tx.factors.activate(new.id, 1, NOW)
        assert tx.factors.active(user.id).id == new.id
        assert not tx.factors.spend_step(old.id, 99, NOW)
        assert not tx.backup_codes.spend(old_codes.id, spendable[0], NOW)

    @pytest.mark.parametrize(("step", "now"), [(0, NOW), (1, SOON)])
    def test_an_activation_that_fails_leaves_the_old_factor(self, tx, user, step, now) -> None:
        old, old_codes, _ = activated(tx, user)
        new, *_ = enrol(tx, user)
        assert not tx.factors.activate(new.id, step, now)
        assert tx.factors.active(user.id).id == old.id
        assert tx.backup_codes.remaining(old_codes.id) == 10

    def test_a_step_is_spent_once_and_none_older_after_it(self, tx, user) -> None:
        factor, *_ = activated(tx, user)
        steps = [2, 2, 1, 5, 4, 6]
        answers = [tx.factors.spend_step(factor.id, step, NOW) for step in steps]
        assert answers == [True, False, False, True, False, True]

    def test_a_pending_factors_step_cannot_be_spent(self, tx, user) -> None:
        factor, *_ = enrol(tx, user)
        assert not tx.factors.spend_step(factor.id, 2, NOW)

    def test_a_step_may_be_beyond_32_bits(self, tx, user) -> None:
        factor, *_ = activated(tx, user)
        assert tx.factors.spend_step(factor.id, 2**40, NOW)
        assert tx.factors.active(user.id).last_step == 2**40

    def test_use_is_noted(self, tx, user) -> None:
        factor, *_ = activated(tx, user)
        tx.factors.touch(factor.id, SOON)
        assert tx.factors.active(user.id).last_used_at == SOON

    def test_a_secret_is_resealed_only_where_it_is_the_one_seen(self, tx, user) -> None:
        factor, *_ = activated(tx, user)
        assert tx.factors.reseal(factor.id, "sealed", "resealed")
        assert not tx.factors.reseal(factor.id, "sealed", "again")
        assert tx.factors.active(user.id).sealed_secret == "resealed"

    def test_deleting_all_leaves_nothing(self, tx, user) -> None:
        _, old_codes, _ = activated(tx, user)
        _, new_codes, _ = enrol(tx, user)
        assert tx.factors.delete_all(user.id) == 2
        assert tx.factors.delete_all(user.id) == 0
        assert tx.factors.active(user.id) is tx.factors.pending(user.id, NOW) is None
        for codes in (old_codes, new_codes):
            assert tx.backup_codes.of_factor(codes.factor_id) is None
            assert tx.backup_codes.remaining(codes.id) == 0


class TestBackupCodes:
    def test_a_code_is_spent_once(self, tx, user) -> None:
        _, codes, spendable = activated(tx, user)
        assert tx.backup_codes.spend(codes.id, spendable[3], NOW)
        assert not tx.backup_codes.spend(codes.id, spendable[3], NOW)
        assert tx.backup_codes.remaining(codes.id) == 9

    def test_a_code_of_another_set_is_not_spent(self, tx, user) -> None:
        _, codes, spendable = activated(tx, user)
        stranger = a_user()
        tx.users.add(stranger)
        _, foreign, _ = activated(tx, stranger)
        assert not tx.backup_codes.spend(foreign.id, spendable[0], NOW)
        assert tx.backup_codes.remaining(codes.id) == 10

    def test_replacing_takes_every_old_code_away(self, tx, user) -> None:
        factor, old, spendable = activated(tx, user)
        new, fresh = a_set(factor), digests()
        tx.backup_codes.replace(new, fresh)
        assert tx.backup_codes.of_factor(factor.id) == new
        assert tx.backup_codes.remaining(old.id) == 0
        assert not tx.backup_codes.spend(old.id, spendable[0], NOW)
        assert tx.backup_codes.spend(new.id, fresh[0], NOW)


class TestBudgets:
    def test_an_unknown_key_has_nothing_against_it(self, tx) -> None:
        budget = tx.budgets.get("totp:1")
        assert (budget.key, budget.count, budget.last_at) == ("totp:1", 0, None)

    def test_a_charge_counts_where_the_count_is_the_one_seen(self, tx) -> None:
        seen = [0, 0, 1, 3, 2]
        answers = [tx.budgets.charge("k", count, NOW) for count in seen]
        assert answers == [True, False, True, False, True]
        assert (tx.budgets.get("k").count, tx.budgets.get("k").last_at) == (3, NOW)

    def test_a_budget_that_was_looked_at_can_be_charged(self, tx) -> None:
        assert tx.budgets.charge("k", tx.budgets.get("k").count, NOW)
        assert tx.budgets.get("k").count == 1

    def test_a_cleared_budget_is_as_new(self, tx) -> None:
        tx.budgets.charge("k", 0, NOW)
        tx.budgets.charge("other", 0, NOW)
        tx.budgets.clear("k")
        assert tx.budgets.get("k").count == 0
        assert tx.budgets.get("other").count == 1
        assert not tx.budgets.charge("k", 1, NOW)
        assert tx.budgets.charge("k", 0, NOW)


class TestAddresses:
    def test_an_address_is_known_to_who_signed_in_from_it(self, tx, user) -> None:
        stranger = a_user()
        tx.users.add(stranger)
        assert not tx.addresses.known(user.id, "192.0.2.1")
        for now in (NOW, LATER):
            tx.addresses.remember(user.id, "192.0.2.1", now)
        assert tx.addresses.known(user.id, "192.0.2.1")
        assert not tx.addresses.known(user.id, "192.0.2.2")
        assert not tx.addresses.known(stranger.id, "192.0.2.1")


@pytest.mark.parametrize("pending", [True, False])
def test_at_most_one_factor_of_a_kind_whatever_is_written(tx, user, pending) -> None:
    connection = tx._connection
    connection.execute(insert(factors), values_of(a_factor(user, pending=pending)))
    with pytest.raises(IntegrityError):
        connection.execute(insert(factors), values_of(a_factor(user, pending=pending)))
