"""Signing up, in, on and out; the rules of challenges, sessions, tokens and password guesses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import BoundedSemaphore

import pytest
from argon2 import PasswordHasher

from domain import accounts, auth, sessions, tokens
from domain.errors import (
    FactorLocked,
    InvalidChallenge,
    InvalidCode,
    InvalidCredentials,
    InvalidRefreshToken,
    InvalidToken,
    MFANotEnabled,
    NotFound,
    PasswordRefused,
    Refusal,
    RegistrationClosed,
    TooManyAttempts,
    Unavailable,
    UsernameTaken,
)
from domain.passwords import Hasher, Passwords
from domain.records import Client
from domain.results import ChallengeIssued, TokenPair
from domain.services import Services
from tests.domain.world import (
    HOME,
    NOTHING_ASKED,
    POLICIES,
    STRANGER,
    Make,
    Person,
    SettableClock,
    a_trail,
    quick_passwords,
    register,
    services_on,
)
from tests.storage import databases

# Registration ------------------------------------------------------------------------------


def test_a_name_is_taken_in_every_spelling(services: Services, person: Make) -> None:
    person(username="Ann.Exämple")
    with pytest.raises(UsernameTaken):
        auth.register_user(services, a_trail(), "ANN.EXA\u0308MPLE", "kestrel over the weir")


def test_a_name_is_kept_as_it_was_given(services: Services) -> None:
    made = auth.register_user(services, a_trail(), "Ann.Exämple", "kestrel over the weir")
    assert made.username == "Ann.Exämple"


def test_a_common_password_is_refused(services: Services) -> None:
    with pytest.raises(PasswordRefused):
        auth.register_user(services, a_trail(), "ann", "qwertyuiop")


def test_closed_registration_takes_nobody_but_the_administrator(services: Services) -> None:
    closed = replace(services, registration_open=False)
    with pytest.raises(RegistrationClosed):
        auth.register_user(closed, a_trail(), "ann", "kestrel over the weir")
    assert accounts.create_user(closed, a_trail(), "ann", "kestrel over the weir").username == "ann"


# Signing in with a password ------------------------------------------------------------------


def test_without_mfa_a_password_gives_tokens_of_an_aal1_session(
    bob: Person, clock: SettableClock
) -> None:
    session = bob.session()
    assert (session.acr, session.amr, session.mfa_time) == ("aal1", ("pwd",), None)
    assert session.auth_time == clock.now()
    assert bob.tokens is not None
    assert bob.tokens.expires_in == 600


def test_with_mfa_a_password_gives_a_challenge_and_nothing_else(ann: Person) -> None:
    issued = ann.elsewhere().begin()
    assert isinstance(issued, ChallengeIssued)
    assert issued.methods == ("totp", "backup_code")
    assert issued.expires_in == 300


def test_a_challenge_offers_no_backup_code_where_none_is_left(ann: Person) -> None:
    for code in ann.codes:
        ann.verify_backup_code(code)
    issued = ann.elsewhere().begin()
    assert issued.methods == ("totp",)


def test_a_name_is_found_in_every_spelling(services: Services, person: Make) -> None:
    someone = person(username="Ann")
    someone.username = "ＡＮＮ"
    assert isinstance(someone.begin(), TokenPair)


def test_wrong_unknown_and_closed_get_one_answer(
    services: Services, clock: SettableClock, bob: Person, ann: Person, person: Make
) -> None:
    closed = person()
    accounts.deactivate(services, a_trail(), closed.username)
    answers = []
    for who, password in (
        (bob, "wrong"),
        (ann, "wrong"),
        (Person(services, clock, "nobody"), "wrong"),
        (closed, closed.password),
    ):
        with pytest.raises(InvalidCredentials) as caught:
            who.begin(password)
        answers.append((caught.value.status, caught.value.code, caught.value.wording))
    assert len(set(answers)) == 1


def test_the_same_work_is_done_for_everybody(
    services: Services, clock: SettableClock, store: object, person: Make
) -> None:
    known, closed = person(), person()
    accounts.deactivate(services, a_trail(), closed.username)
    worked: list[str] = []

    class Counting(Hasher):
        def verify(self, encoded: str, password: str) -> bool:
            worked.append("verify")
            return super().verify(encoded, password)

    passwords = quick_passwords()
    passwords._hasher = Counting(PasswordHasher(1, 8, 1), BoundedSemaphore())
    counted = replace(services, passwords=passwords)
    for username in (known.username, closed.username, "nobody at all"):
        worked.clear()
        with pytest.raises(InvalidCredentials):
            Person(counted, clock, username).begin("wrong")
        assert worked == ["verify"]


def test_a_stale_hash_is_renewed_at_sign_in(services: Services, bob: Person) -> None:
    stronger = replace(services, passwords=Passwords(2, time_cost=2, memory_cost=16, parallelism=1))
    replace(bob, services=stronger).sign_in()
    stored = accounts.find(services, bob.username).password_hash
    assert "m=16,t=2" in stored
    replace(bob, services=stronger).sign_in()
    assert accounts.find(services, bob.username).password_hash == stored


# Password guesses ----------------------------------------------------------------------------


def fail(someone: Person, times: int, client: Client = STRANGER) -> None:
    for _ in range(times):
        with pytest.raises(InvalidCredentials):
            someone.begin("wrong", client)


def test_ten_wrong_passwords_close_the_budget_for_a_known_and_an_unknown_name_alike(
    services: Services, clock: SettableClock, bob: Person
) -> None:
    for someone in (bob, Person(services, clock, "nobody")):
        fail(someone, 10)
        with pytest.raises(TooManyAttempts) as caught:
            someone.begin("wrong", STRANGER)
        assert caught.value.headers["Retry-After"] == "30"


def test_while_the_budget_is_closed_the_right_password_is_not_looked_at(
    bob: Person, clock: SettableClock
) -> None:
    fail(bob, 10)
    with pytest.raises(TooManyAttempts):
        bob.begin(client=STRANGER)
    clock.advance(seconds=30)
    assert isinstance(bob.begin(client=STRANGER), TokenPair)


def test_each_spelling_of_a_name_draws_on_one_budget(services: Services, person: Make) -> None:
    someone = person(username="strasse")
    for spelling in ("strasse", "STRASSE", "straße", "ｓtrasse", "Strasse"):
        fail(replace(someone, username=spelling), 2)
    with pytest.raises(TooManyAttempts):
        someone.begin("wrong", STRANGER)


def test_guesses_from_one_address_leave_the_others_alone(bob: Person) -> None:
    fail(bob, 10)
    assert isinstance(bob.begin(client=Client("203.0.113.77")), TokenPair)


def test_one_ipv6_network_is_one_address(bob: Person) -> None:
    for number in range(10):
        fail(bob, 1, Client(f"2001:db8:1:2::{number:x}"))
    with pytest.raises(TooManyAttempts):
        bob.begin("wrong", Client("2001:db8:1:2:ffff::1"))
    fail(bob, 1, Client("2001:db8:1:3::1"))


def test_many_addresses_meet_the_ceiling_of_the_account(bob: Person) -> None:
    for number in range(10):
        fail(bob, 10, Client(f"198.51.100.{number}"))
    with pytest.raises(TooManyAttempts):
        bob.begin("wrong", Client("198.51.100.200"))


def test_the_owner_s_address_never_waits_longer_than_thirty_seconds(
    bob: Person, clock: SettableClock
) -> None:
    """S-35: a stranger's thousand guesses from everywhere cost the owner half a minute."""
    guessed = 0
    while guessed < 1000:
        try:
            bob.begin("wrong", Client(f"198.51.{guessed // 250}.{guessed % 250}"))
        except InvalidCredentials:
            guessed += 1
        except TooManyAttempts as refusal:
            clock.advance(seconds=int(refusal.headers["Retry-After"]))
    with pytest.raises(TooManyAttempts) as caught:
        bob.begin(client=HOME)
    assert int(caught.value.headers["Retry-After"]) <= 30
    clock.advance(seconds=30)
    assert isinstance(bob.begin(client=HOME), TokenPair)


def test_a_stranger_without_the_password_touches_no_second_factor(
    ann: Person, clock: SettableClock
) -> None:
    fail(ann, 10)
    assert isinstance(ann.elsewhere().sign_in().tokens, TokenPair)


def test_success_clears_the_budget_of_the_password(bob: Person) -> None:
    fail(bob, 9, HOME)
    bob.begin()
    fail(bob, 9, HOME)
    assert isinstance(bob.begin(), TokenPair)


def test_an_address_is_known_only_after_a_whole_sign_in(ann: Person) -> None:
    """The password alone does not make a stranger's address a trusted one."""
    ann.begin(client=STRANGER)
    fail(ann, 10)
    for _ in range(3):
        with pytest.raises(TooManyAttempts):
            ann.begin("wrong", STRANGER)
    ann.clock.advance(seconds=30)
    fail(ann, 1)
    with pytest.raises(TooManyAttempts) as caught:
        ann.begin("wrong", STRANGER)
    assert caught.value.headers["Retry-After"] == "60"


# The challenge -------------------------------------------------------------------------------


def test_a_totp_code_finishes_a_challenge(ann: Person, clock: SettableClock) -> None:
    session = ann.elsewhere().sign_in().session()
    assert (session.acr, session.amr) == ("aal2", ("pwd", "otp", "mfa"))
    assert session.auth_time == session.mfa_time == clock.now()


def test_a_backup_code_finishes_a_challenge_and_is_no_otp(ann: Person) -> None:
    session = ann.elsewhere().sign_in(ann.codes[0]).session()
    assert (session.acr, session.amr) == ("aal2", ("pwd", "mfa"))


@pytest.mark.parametrize("spell", [str.lower, lambda c: c.replace("-", ""), lambda c: f" {c} "])
def test_a_backup_code_is_taken_in_every_spelling_and_once(ann: Person, spell: object) -> None:
    code = ann.codes[0]
    ann.elsewhere().sign_in(spell(code))  # type: ignore[operator]
    for again in (code, code.lower(), code.replace("-", " ")):
        with pytest.raises(InvalidCode):
            ann.elsewhere().sign_in(again)


def test_spaces_and_hyphens_in_a_totp_code_do_not_make_it_another_code(ann: Person) -> None:
    code = ann.code()
    ann.elsewhere().sign_in(f"{code[:3]} {code[3:]}")
    for again in (code, f"{code[:3]}-{code[3:]}", f" {code}"):
        with pytest.raises(InvalidCode):
            ann.elsewhere().sign_in(again)


def test_a_challenge_is_used_up_by_its_success(ann: Person) -> None:
    challenge = ann.challenge()
    ann.finish(challenge, ann.code())
    with pytest.raises(InvalidChallenge):
        ann.finish(challenge, ann.code())


def test_a_code_sent_to_a_used_challenge_is_not_spent_nor_charged(ann: Person) -> None:
    challenge = ann.challenge()
    ann.finish(challenge, ann.code())
    code = ann.code()
    for _ in range(8):
        with pytest.raises(InvalidChallenge):
            ann.finish(challenge, code)
    ann.finish(ann.challenge(), code)


@pytest.mark.parametrize(("seconds", "alive"), [(299, True), (300, False), (301, False)])
def test_a_challenge_lives_for_five_minutes(
    ann: Person, clock: SettableClock, seconds: int, alive: bool
) -> None:
    challenge = ann.challenge()
    clock.advance(seconds=seconds)
    assert ann.phone is not None
    code = ann.phone.code(clock.now())
    if alive:
        ann.finish(challenge, code)
    else:
        with pytest.raises(InvalidChallenge):
            ann.finish(challenge, code)


def test_the_sixth_open_challenge_evicts_the_oldest(ann: Person) -> None:
    opened = [ann.challenge() for _ in range(6)]
    with pytest.raises(InvalidChallenge):
        ann.finish(opened[0], ann.code())
    for challenge in opened[1:]:
        ann.finish(challenge, ann.code())


def test_a_challenge_takes_five_wrong_codes_whatever_the_budgets_say(ann: Person) -> None:
    """Three codes of one kind and two of the other close neither budget."""
    challenge, wrong = ann.challenge(), "0000-0000-0000-0000"
    for code in (ann.wrong_code(), wrong, ann.wrong_code(), wrong, ann.wrong_code()):
        with pytest.raises(InvalidCode):
            ann.finish(challenge, code)
    with pytest.raises(InvalidChallenge):
        ann.finish(challenge, ann.code())
    ann.finish(ann.challenge(), ann.code())


def test_the_fifth_code_of_a_challenge_may_be_right(ann: Person) -> None:
    challenge = ann.challenge()
    for _ in range(4):
        with pytest.raises(InvalidCode):
            ann.finish(challenge, ann.wrong_code())
    assert ann.finish(challenge, ann.code())


def test_an_unknown_challenge_is_refused(ann: Person) -> None:
    for made_up in ("", "x", "A" * 43):
        with pytest.raises(InvalidChallenge):
            ann.finish(made_up, ann.code())


def test_a_challenge_is_no_bearer_token(ann: Person) -> None:
    challenge = ann.challenge()
    with pytest.raises(InvalidToken):
        sessions.authenticate(ann.services, challenge, NOTHING_ASKED)


def test_a_code_of_one_user_finishes_no_challenge_of_another(ann: Person, person: Make) -> None:
    """And stays good for its owner."""
    ben = person().sign_in().enrol()
    code, backup = ben.code(), ben.codes[0]
    for stolen in (code, backup):
        with pytest.raises(InvalidCode):
            ann.finish(ann.challenge(), stolen)
    ben.finish(ben.challenge(), code)
    ben.finish(ben.challenge(), backup)


@pytest.mark.parametrize("code", ["12345", "1234567", "abcdef", "7K2M-QX9D", "UUUU-UUUU-UUUU-UUUU"])
def test_what_has_no_shape_of_a_code_is_refused_and_charges_nothing(ann: Person, code: str) -> None:
    challenge = ann.challenge()
    for _ in range(20):
        with pytest.raises(InvalidCode):
            ann.finish(challenge, code)
    ann.finish(challenge, ann.code())


def test_a_code_is_accepted_once(ann: Person) -> None:
    code, first, second = ann.code(), ann.challenge(), ann.challenge()
    ann.finish(first, code)
    with pytest.raises(InvalidCode):
        ann.finish(second, code)


def test_no_older_step_is_accepted_after_a_newer_one(ann: Person, clock: SettableClock) -> None:
    assert ann.phone is not None
    clock.advance(seconds=90)
    older, newer = ann.phone.code(clock.now(), -1), ann.phone.code(clock.now(), 1)
    ann.finish(ann.challenge(), newer)
    for spent in (newer, older, ann.phone.code(clock.now())):
        with pytest.raises(InvalidCode):
            ann.finish(ann.challenge(), spent)
    clock.advance(seconds=60)
    ann.finish(ann.challenge(), ann.phone.code(clock.now()))


@pytest.mark.parametrize(("steps", "good"), [(-2, False), (-1, True), (1, True), (2, False)])
def test_the_window_is_one_step_either_way(
    ann: Person, clock: SettableClock, steps: int, good: bool
) -> None:
    assert ann.phone is not None
    clock.advance(seconds=300)
    code = ann.phone.code(clock.now(), steps)
    if good:
        ann.finish(ann.challenge(), code)
    else:
        with pytest.raises(InvalidCode):
            ann.finish(ann.challenge(), code)


def together(someone: Person, code: str) -> list[str]:
    """Two threads send one code to a challenge each; the names of what they got."""
    challenges, barrier = [someone.challenge(), someone.challenge()], threading.Barrier(2)

    def finish(challenge: str) -> str:
        barrier.wait()
        try:
            return type(someone.finish(challenge, code)).__name__
        except Refusal as refusal:
            return type(refusal).__name__

    with ThreadPoolExecutor(2) as pool:
        return sorted(pool.map(finish, challenges))


def test_two_threads_with_one_code_make_one_session(ann: Person) -> None:
    for code in (*ann.codes[:5], *(None,) * 5):
        assert together(ann, code or ann.code()) == ["InvalidCode", "TokenPair"]
    assert len(auth.list_sessions(ann.services, ann.session()).sessions) == 11


# Guesses at the second factor ----------------------------------------------------------------


def exhaust(someone: Person, code: str, times: int = 5) -> None:
    for _ in range(times):
        with pytest.raises(InvalidCode):
            someone.finish(someone.challenge(), code)


def test_five_wrong_codes_over_any_challenges_close_the_budget(
    ann: Person, clock: SettableClock
) -> None:
    exhaust(ann, ann.wrong_code())
    with pytest.raises(TooManyAttempts) as caught:
        ann.finish(ann.challenge(), ann.next_code())
    assert caught.value.headers["Retry-After"] == "30"
    clock.advance(seconds=30)
    ann.finish(ann.challenge(), ann.code())


def test_a_closed_budget_is_told_before_the_state_of_the_challenge(ann: Person) -> None:
    spent = ann.challenge()
    ann.finish(spent, ann.code())
    exhaust(ann, ann.wrong_code())
    with pytest.raises(TooManyAttempts):
        ann.finish(spent, ann.wrong_code())


def test_a_closed_totp_budget_leaves_backup_codes_alone_and_the_other_way(ann: Person) -> None:
    exhaust(ann, ann.wrong_code())
    ann.finish(ann.challenge(), ann.codes[0])
    exhaust(ann, "0000-0000-0000-0000")
    with pytest.raises(TooManyAttempts):
        ann.finish(ann.challenge(), ann.codes[1])
    ann.clock.advance(seconds=1)
    ann.finish(ann.challenge(), ann.code())


def test_success_clears_the_budget_of_its_own_kind_alone(ann: Person) -> None:
    wrong_backup = "0000-0000-0000-0000"
    for _ in range(3):
        exhaust(ann, ann.wrong_code(), 4)
        ann.finish(ann.challenge(), ann.code())
    exhaust(ann, wrong_backup, 4)
    ann.finish(ann.challenge(), ann.code())
    exhaust(ann, wrong_backup, 1)
    with pytest.raises(TooManyAttempts):
        ann.finish(ann.challenge(), wrong_backup)


def test_a_backup_code_does_not_shorten_a_delay(ann: Person) -> None:
    exhaust(ann, ann.wrong_code())
    ann.finish(ann.challenge(), ann.codes[0])
    with pytest.raises(TooManyAttempts):
        ann.finish(ann.challenge(), ann.wrong_code())


def lock(someone: Person) -> int:
    """Guess with all patience until the factor is locked; how many guesses were looked at."""
    guessed = 0
    while True:
        try:
            someone.finish(someone.challenge(), someone.wrong_code())
        except InvalidCode:
            guessed += 1
        except TooManyAttempts as refusal:
            someone.clock.advance(seconds=int(refusal.headers["Retry-After"]))
        except FactorLocked:
            return guessed


def test_fifty_wrong_codes_in_a_row_lock_the_factor_and_a_backup_code_unlocks_it(
    ann: Person, clock: SettableClock
) -> None:
    assert lock(ann) == 50
    clock.advance(days=365)
    with pytest.raises(FactorLocked):
        ann.finish(ann.challenge(), ann.code())
    ann.finish(ann.challenge(), ann.codes[0])
    ann.finish(ann.challenge(), ann.code())


def test_an_administrator_s_reset_forgets_the_lock(ann: Person, services: Services) -> None:
    lock(ann)
    accounts.reset_mfa(services, a_trail(), ann.username)
    again = replace(ann).sign_in().enrol()
    again.elsewhere().sign_in()


# Step-up -------------------------------------------------------------------------------------


def test_a_step_up_moves_the_second_factor_s_time_and_nothing_else(
    ann: Person, clock: SettableClock
) -> None:
    before = ann.session()
    clock.advance(minutes=5)
    ann.step_up(ann.code())
    after = ann.session()
    assert (after.id, after.auth_time, after.amr) == (before.id, before.auth_time, before.amr)
    assert after.mfa_time == clock.now()


def test_a_step_up_supersedes_the_refresh_token(ann: Person) -> None:
    old = replace(ann)
    ann.step_up(ann.code())
    ann.refresh()
    with pytest.raises(InvalidRefreshToken):
        old.refresh()


def test_a_step_up_with_a_backup_code_adds_no_otp(ann: Person) -> None:
    other = ann.elsewhere().sign_in(ann.codes[0])
    other.step_up(ann.codes[1])
    assert other.session().amr == ("pwd", "mfa")
    other.step_up(ann.code())
    assert other.session().amr == ("pwd", "otp", "mfa")
    other.step_up(ann.codes[2])
    assert other.session().amr == ("pwd", "otp", "mfa")


def test_a_step_up_is_finished_by_its_own_session_alone(ann: Person) -> None:
    other = ann.elsewhere().sign_in()
    issued = auth.create_challenge(ann.services, a_trail(), ann.session())
    code = ann.code()
    for session in (None, other.session()):
        with pytest.raises(InvalidChallenge):
            ann.finish(issued.challenge_id, code, session)
    ann.finish(issued.challenge_id, code, ann.session())


def test_a_session_has_one_step_up_challenge_counted_apart_from_logins(ann: Person) -> None:
    logins = [ann.challenge() for _ in range(5)]
    first = auth.create_challenge(ann.services, a_trail(), ann.session())
    second = auth.create_challenge(ann.services, a_trail(), ann.session())
    with pytest.raises(InvalidChallenge):
        ann.finish(first.challenge_id, ann.code(), ann.session())
    ann.finish(second.challenge_id, ann.code(), ann.session())
    for challenge in logins:
        ann.finish(challenge, ann.code())


def test_login_challenges_do_not_evict_a_step_up(ann: Person) -> None:
    issued = auth.create_challenge(ann.services, a_trail(), ann.session())
    for _ in range(6):
        ann.challenge()
    ann.finish(issued.challenge_id, ann.code(), ann.session())


def test_a_step_up_dies_with_its_session(ann: Person) -> None:
    other = ann.elsewhere().sign_in()
    session = other.session()
    issued = auth.create_challenge(ann.services, a_trail(), session)
    auth.logout(ann.services, a_trail(), session)
    with pytest.raises(InvalidChallenge):
        ann.finish(issued.challenge_id, ann.code(), session)


def test_without_mfa_there_is_no_step_up(bob: Person) -> None:
    with pytest.raises(MFANotEnabled):
        auth.create_challenge(bob.services, a_trail(), bob.session())


# Refresh -------------------------------------------------------------------------------------


def test_a_refresh_keeps_the_assurance_and_its_times(ann: Person, clock: SettableClock) -> None:
    before = ann.session()
    clock.advance(minutes=30)
    after = ann.refresh().session()
    assert (after.acr, after.amr) == (before.acr, before.amr)
    assert (after.auth_time, after.mfa_time) == (before.auth_time, before.mfa_time)


def test_a_reused_refresh_token_ends_the_session_for_both(bob: Person) -> None:
    thief = replace(bob)
    bob.refresh()
    with pytest.raises(InvalidRefreshToken):
        thief.refresh()
    with pytest.raises(InvalidRefreshToken):
        bob.refresh()
    with pytest.raises(InvalidToken):
        bob.session()


def test_a_reuse_waits_for_nobody_who_is_finishing_a_challenge() -> None:
    """Whoever takes a challenge takes the session next; the reverse order would be a deadlock."""
    clock = SettableClock()
    with databases.postgres_database() as url, databases.store_at(url) as store:
        ann = register(services_on(store, clock), clock).sign_in().enrol()
        thief = replace(ann)
        ann.refresh()
        issued = auth.create_challenge(ann.services, a_trail(), ann.session())
        with store.write() as tx:
            assert tx.challenges.charge(tokens.digest(issued.challenge_id), 5, clock.now())
            with pytest.raises(InvalidRefreshToken):
                thief.refresh()
        with pytest.raises(InvalidToken):
            ann.session()


@pytest.mark.parametrize(("minutes", "alive"), [(59, True), (60, False)])
def test_a_session_that_is_not_renewed_for_an_hour_has_ended(
    bob: Person, clock: SettableClock, minutes: int, alive: bool
) -> None:
    clock.advance(minutes=minutes)
    if alive:
        bob.refresh()
    else:
        with pytest.raises(InvalidRefreshToken):
            bob.refresh()


def test_a_session_ends_after_a_day_however_often_it_is_renewed(
    bob: Person, clock: SettableClock
) -> None:
    for _ in range(47):
        clock.advance(minutes=30)
        bob.refresh()
    assert auth.get_session(bob.services, bob.session()).expires_at == bob.session().expires_at
    clock.advance(minutes=30)
    with pytest.raises(InvalidRefreshToken):
        bob.refresh()


@pytest.mark.parametrize("token", ["", "x", "A" * 43])
def test_an_unknown_refresh_token_is_refused(services: Services, token: str) -> None:
    with pytest.raises(InvalidRefreshToken):
        auth.refresh_tokens(services, a_trail(), token)


def test_an_access_token_does_not_refresh(bob: Person) -> None:
    assert bob.tokens is not None
    with pytest.raises(InvalidRefreshToken):
        auth.refresh_tokens(bob.services, a_trail(), bob.tokens.access_token)
    with pytest.raises(InvalidToken):
        sessions.authenticate(bob.services, bob.tokens.refresh_token, NOTHING_ASKED)


# Sessions ------------------------------------------------------------------------------------


def test_logout_is_immediate(bob: Person) -> None:
    session = bob.session()
    auth.logout(bob.services, a_trail(), session)
    with pytest.raises(InvalidToken):
        bob.session()
    with pytest.raises(InvalidRefreshToken):
        bob.refresh()
    auth.logout(bob.services, a_trail(), session)


def test_an_expired_access_token_is_refused_while_the_session_lives(
    bob: Person, clock: SettableClock
) -> None:
    clock.advance(minutes=11)
    with pytest.raises(InvalidToken):
        bob.session()
    assert bob.refresh().session()


def test_sessions_are_listed_newest_first_and_the_present_one_is_marked(
    bob: Person, clock: SettableClock
) -> None:
    clock.advance(minutes=1)
    other = bob.elsewhere().sign_in()
    listed = auth.list_sessions(bob.services, bob.session()).sessions
    assert [s.session_id for s in listed] == [other.session().id, bob.session().id]
    assert [s.current for s in listed] == [False, True]
    assert [s.user_agent for s in listed] == ["Safari", "Firefox"]
    assert listed[0].created_at == clock.now()


def test_sessions_beyond_what_the_spec_allows_end_the_longest_unused_first(
    services: Services, bob: Person, clock: SettableClock
) -> None:
    few = replace(bob, services=replace(services, policies=replace(POLICIES, most_sessions=2)))
    clock.advance(minutes=1)
    second = replace(few).sign_in()
    clock.advance(minutes=1)
    few.refresh()
    third = replace(few).sign_in()
    listed = auth.list_sessions(few.services, few.session()).sessions
    assert [each.session_id for each in listed] == [third.session().id, few.session().id]
    with pytest.raises(InvalidToken):
        second.session()
    with pytest.raises(InvalidRefreshToken):
        second.refresh()


@pytest.mark.parametrize("most", [1, 2])
def test_the_newest_session_stays_though_the_clock_was_put_back(
    services: Services, bob: Person, clock: SettableClock, most: int
) -> None:
    few = replace(bob, services=replace(services, policies=replace(POLICIES, most_sessions=most)))
    few.sign_in()
    clock.advance(minutes=-1)
    few.sign_in()
    assert len(auth.list_sessions(few.services, few.session()).sessions) == most


def test_no_more_sessions_are_shown_than_the_spec_allows_now(
    services: Services, bob: Person
) -> None:
    for _ in range(2):
        bob.sign_in()
    fewer = replace(services, policies=replace(POLICIES, most_sessions=2))
    shown = auth.list_sessions(fewer, bob.session()).sessions
    assert [each.current for each in shown] == [True, False]


def test_a_long_user_agent_is_cut(bob: Person) -> None:
    bob.client = Client("192.0.2.10", "x" * 10_000)
    assert bob.sign_in().session().user_agent == "x" * 256


def test_a_session_without_an_address_or_agent_is_as_good(bob: Person) -> None:
    bob.client = Client()
    assert bob.sign_in().session().user_agent is None


def test_a_user_ends_a_session_of_their_own(bob: Person) -> None:
    other = bob.elsewhere().sign_in()
    auth.end_session(bob.services, a_trail(), bob.session(), other.session().id)
    with pytest.raises(InvalidToken):
        other.session()
    assert bob.session()


def test_another_user_s_session_is_not_found_and_lives_on(bob: Person, ann: Person) -> None:
    for unknown in (ann.session().id, "7c9e6679-7425-40de-944b-e07fc1f90ae7"):
        with pytest.raises(NotFound):
            auth.end_session(bob.services, a_trail(), bob.session(), unknown)
    assert ann.session()


def test_a_session_that_has_ended_is_not_found(bob: Person) -> None:
    other = bob.elsewhere().sign_in().session()
    auth.end_session(bob.services, a_trail(), bob.session(), other.id)
    with pytest.raises(NotFound):
        auth.end_session(bob.services, a_trail(), bob.session(), other.id)


def test_the_session_says_when_it_ends_unless_it_is_renewed(bob: Person) -> None:
    view = auth.get_session(bob.services, bob.session())
    assert view.expires_at == bob.session().idle_until
    assert (view.acr, view.amr, view.username) == ("aal1", ("pwd",), bob.username)


def test_a_token_of_other_keys_is_no_token(bob: Person, clock: SettableClock) -> None:
    foreign = services_on(bob.services.store, clock)  # type: ignore[arg-type]
    with pytest.raises(InvalidToken):
        replace(bob, services=foreign).session()


# Changing the password -------------------------------------------------------------------------


def test_a_new_password_replaces_the_old(bob: Person) -> None:
    bob.change_password("heron under the bridge")
    with pytest.raises(InvalidCredentials):
        bob.begin()
    bob.begin("heron under the bridge")


def test_a_change_ends_the_other_sessions_and_every_challenge(ann: Person) -> None:
    other, challenge = ann.elsewhere().sign_in(), ann.challenge()
    step_up = auth.create_challenge(ann.services, a_trail(), ann.session())
    ann.change_password("heron under the bridge")
    assert ann.session()
    with pytest.raises(InvalidToken):
        other.session()
    with pytest.raises(InvalidRefreshToken):
        other.refresh()
    with pytest.raises(InvalidChallenge):
        ann.finish(challenge, ann.code())
    with pytest.raises(InvalidChallenge):
        ann.finish(step_up.challenge_id, ann.code(), ann.session())


def test_a_wrong_current_password_changes_nothing_and_counts_with_the_login_s(
    bob: Person,
) -> None:
    for _ in range(5):
        with pytest.raises(InvalidCredentials):
            bob.change_password("heron under the bridge", "wrong")
    fail(bob, 5, HOME)
    with pytest.raises(TooManyAttempts):
        bob.change_password("heron under the bridge")
    with pytest.raises(TooManyAttempts):
        bob.begin()


@pytest.mark.parametrize("new", ["qwertyuiop", "the user itself"])
def test_a_new_password_that_is_no_good_is_refused_and_charges_nothing(
    bob: Person, new: str
) -> None:
    for _ in range(12):
        with pytest.raises(PasswordRefused):
            bob.change_password(bob.username.upper() if new == "the user itself" else new)
    bob.change_password("heron under the bridge")


# Administration --------------------------------------------------------------------------------


def test_a_closed_account_is_closed_everywhere(services: Services, ann: Person) -> None:
    session, challenge = ann.session(), ann.challenge()
    accounts.deactivate(services, a_trail(), ann.username)
    with pytest.raises(InvalidToken):
        ann.session()
    with pytest.raises(InvalidRefreshToken):
        ann.refresh()
    with pytest.raises(InvalidChallenge):
        ann.finish(challenge, ann.code())
    with pytest.raises(InvalidCredentials):
        ann.begin()
    with pytest.raises(InvalidToken):
        auth.create_challenge(services, a_trail(), session)
    accounts.activate(services, a_trail(), ann.username)
    ann.elsewhere().sign_in()
    with pytest.raises(InvalidToken):
        ann.session()


def test_a_password_set_for_a_user_ends_their_sessions_and_keeps_their_factor(
    services: Services, ann: Person
) -> None:
    fail(ann, 10)
    accounts.set_password(services, a_trail(), ann.username.upper(), "heron under the bridge")
    with pytest.raises(InvalidToken):
        ann.session()
    assert isinstance(ann.begin("heron under the bridge", Client("203.0.113.9")), ChallengeIssued)


def test_a_common_password_is_refused_to_the_administrator_too(
    services: Services, bob: Person
) -> None:
    with pytest.raises(PasswordRefused):
        accounts.set_password(services, a_trail(), bob.username, "qwertyuiop")


@pytest.mark.parametrize("act", [accounts.deactivate, accounts.activate, accounts.reset_mfa])
def test_an_unknown_account_is_not_found(services: Services, act: object) -> None:
    with pytest.raises(NotFound):
        act(services, a_trail(), "nobody")  # type: ignore[operator]
    with pytest.raises(NotFound):
        accounts.set_password(services, a_trail(), "nobody", "heron under the bridge")


def test_accounts_are_listed_in_the_order_of_creation(services: Services, person: Make) -> None:
    made = [person().username for _ in range(3)]
    assert [user.username for user in accounts.list_accounts(services)] == made


# What was read may have changed by the time of the spend -----------------------------------------


class Interrupted:
    """Does the same work as ``inner``, after something else has happened, once."""

    def __init__(self, inner: object, name: str, meanwhile: Callable[[], object]) -> None:
        self._inner, self._name, self._meanwhile = inner, name, [meanwhile]

    def __getattr__(self, name: str) -> object:
        if name == self._name and self._meanwhile:
            self._meanwhile.pop()()
        return getattr(self._inner, name)


def slow_password(someone: Person, meanwhile: Callable[[], object]) -> Person:
    """The same user, whose password takes so long to check that something happens meanwhile."""
    inner = someone.services.passwords

    class Slow:
        @contextmanager
        def place(self) -> Iterator[object]:
            with inner.place() as hasher:
                yield Interrupted(hasher, "verify", meanwhile)

        def __getattr__(self, name: str) -> object:
            return getattr(inner, name)

    return replace(someone, services=replace(someone.services, passwords=Slow()))  # type: ignore[arg-type]


def slow_code(someone: Person, meanwhile: Callable[[], object]) -> Person:
    """The same user, whose TOTP secret takes so long to open that something happens meanwhile."""
    sealer = Interrupted(someone.services.sealer, "open", meanwhile)
    return replace(someone, services=replace(someone.services, sealer=sealer))  # type: ignore[arg-type]


@pytest.mark.parametrize("event", ["password changed", "account closed", "password set"])
def test_a_login_overtaken_by_a_change_of_the_account_opens_nothing(
    bob: Person, event: str
) -> None:
    meanwhile = {
        "password changed": lambda: bob.change_password("heron under the bridge"),
        "account closed": lambda: accounts.deactivate(bob.services, a_trail(), bob.username),
        "password set": lambda: accounts.set_password(
            bob.services, a_trail(), bob.username, "a heron's nest"
        ),
    }[event]
    with pytest.raises(InvalidCredentials):
        slow_password(bob.elsewhere(), meanwhile).begin()


def test_a_password_change_overtaken_by_another_changes_nothing(bob: Person) -> None:
    def change() -> None:
        bob.change_password("heron under the bridge")

    with pytest.raises(InvalidCredentials):
        slow_password(replace(bob), change).change_password("a third one of them")
    assert bob.begin("heron under the bridge")


def test_a_password_change_of_a_session_that_ended_meanwhile_changes_nothing(bob: Person) -> None:
    session = bob.session()
    slow = slow_password(replace(bob), lambda: auth.logout(bob.services, a_trail(), session))
    with pytest.raises(InvalidToken):
        slow.change_password("heron under the bridge")
    assert bob.begin()


@pytest.mark.parametrize(
    ("event", "refusal"),
    [("rotated", InvalidCode), ("password", InvalidChallenge), ("disabled", InvalidCode)],
)
def test_a_challenge_overtaken_by_a_change_of_the_account_gives_no_tokens(
    ann: Person, event: str, refusal: type[Refusal]
) -> None:
    meanwhile = {
        "rotated": ann.enrol,
        "password": lambda: ann.change_password("heron under the bridge"),
        "disabled": lambda: ann.disable(ann.codes[0]),
    }[event]
    challenge, code = ann.challenge(), ann.code()
    with pytest.raises(refusal):
        slow_code(ann.elsewhere(), meanwhile).finish(challenge, code)
    assert len(auth.list_sessions(ann.services, ann.session()).sessions) == 1


def test_a_challenge_of_an_account_that_is_closed_meanwhile_gives_no_tokens(ann: Person) -> None:
    slow = slow_code(
        ann.elsewhere(), lambda: accounts.deactivate(ann.services, a_trail(), ann.username)
    )
    with pytest.raises(InvalidChallenge):
        slow.finish(ann.challenge(), ann.code())


def test_a_backup_code_overtaken_by_new_ones_is_refused(ann: Person) -> None:
    codes = Interrupted(ann.services.backup_codes, "digest", ann.regenerate)
    old = ann.codes[0]
    slow = replace(ann, services=replace(ann.services, backup_codes=codes))  # type: ignore[arg-type]
    with pytest.raises(InvalidCode):
        slow.verify_backup_code(old)


def test_disabling_is_overtaken_by_nothing(ann: Person) -> None:
    """A rotation, or a new password, between the check of the code and the spend."""
    with pytest.raises(InvalidCredentials):
        slow_code(replace(ann), ann.enrol).disable(ann.code())
    assert ann.status().enabled
    change = slow_code(replace(ann), lambda: ann.change_password("heron under the bridge"))
    with pytest.raises(InvalidCredentials):
        change.disable(ann.code())
    assert ann.status().enabled


def test_who_is_turned_away_for_lack_of_room_is_charged_nothing(bob: Person) -> None:
    """A flood of hashes must not close the budget of those whom it keeps out."""
    full = replace(bob.services, passwords=quick_passwords(1, waiting=0))
    kept_out = replace(bob.elsewhere(), services=full)
    with full.passwords.place():
        for _ in range(12):
            with pytest.raises(Unavailable):
                kept_out.begin()
    assert kept_out.begin()
