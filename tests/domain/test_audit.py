"""What acts leave behind: which row, when, and when none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, replace
from typing import Any

import pytest

from domain import accounts, audit, auth
from domain.audit import Trail, audited
from domain.chain import Chain
from domain.errors import (
    FactorLocked,
    InvalidChallenge,
    InvalidCode,
    InvalidCredentials,
    InvalidRefreshToken,
    MFANotEnabled,
    NoPendingEnrollment,
    NotFound,
    PasswordRefused,
    Refusal,
    RegistrationClosed,
    TooManyAttempts,
    Unavailable,
    UsernameTaken,
)
from domain.records import AuditEvent
from domain.results import ChallengeIssued
from domain.services import Services
from storage.transaction import SqlTransaction
from tests.domain.world import (
    HOME,
    PASSWORD,
    STRANGER,
    Make,
    Person,
    SettableClock,
    a_trail,
    phone_of,
)

LIMIT = 1000


def rows(services: Services) -> list[AuditEvent]:
    """Everything in the trail, the oldest first."""
    return list(reversed(audit.list_all(services, limit=LIMIT).events))


@contextmanager
def leaving(services: Services) -> Iterator[list[AuditEvent]]:
    """The rows that the block leaves behind, when it has ended."""
    before, new = len(rows(services)), list[AuditEvent]()
    yield new
    new += rows(services)[before:]


def told_to(services: Services) -> tuple[Services, list[AuditEvent]]:
    """The services with a log that the test reads."""
    told: list[AuditEvent] = []
    return replace(services, chain=Chain(services.chain.keys, told.append)), told


def ends(found: list[AuditEvent]) -> list[tuple[str, str | None, str | None]]:
    return [(event.result, event.reason, event.factor) for event in found]


# -- successes ---------------------------------------------------------------------------------


def test_a_sign_in_with_a_password_leaves_its_session(services: Services, bob: Person) -> None:
    session = bob.session()
    (registered, signed_in) = rows(services)
    assert registered.user_id == signed_in.user_id == session.user_id
    assert (registered.result, registered.factor, registered.session_id) == ("success", None, None)
    assert (signed_in.result, signed_in.factor) == ("success", audit.PASSWORD)
    assert (signed_in.session_id, signed_in.address) == (session.id, HOME.address)
    assert (signed_in.actor_id, signed_in.reason) == (None, None)
    assert signed_in.event == "a.test"
    assert signed_in.request_id


def test_a_sign_in_with_two_factors_leaves_both_steps(ann: Person) -> None:
    elsewhere = ann.elsewhere()
    with leaving(ann.services) as new:
        elsewhere.sign_in()
    first, second = new
    assert (first.factor, first.session_id) == (audit.PASSWORD, None)
    assert (second.factor, second.session_id) == ("totp", elsewhere.session().id)
    assert {event.user_id for event in new} == {ann.session().user_id}
    assert {event.address for event in new} == {elsewhere.client.address}


def test_a_sign_in_with_a_backup_code_names_it(ann: Person) -> None:
    with leaving(ann.services) as new:
        ann.elsewhere().sign_in(ann.codes[0])
    assert ends(new)[-1] == ("success", None, "backup_code")


Deed = Callable[[Person], object]
DEEDS: dict[str, tuple[Deed, str | None]] = {
    "refresh": (Person.refresh, audit.REFRESH_TOKEN),
    "set up": (Person.set_up, None),
    "challenge": (
        lambda p: auth.create_challenge(p.services, a_trail(), p.session()),
        None,
    ),
    "regenerate": (Person.regenerate, None),
    "verify a backup code": (lambda p: p.verify_backup_code(p.codes[0]), "backup_code"),
    "disable with a code": (lambda p: p.disable(p.code()), "totp"),
    "disable with a backup code": (lambda p: p.disable(p.codes[0]), "backup_code"),
    "change the password": (lambda p: p.change_password("heron under the bridge"), "password"),
    "sign out": (lambda p: auth.logout(p.services, a_trail(), p.session()), None),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_an_act_in_a_session_leaves_one_row(ann: Person, deed: str) -> None:
    act, factor = DEEDS[deed]
    session = ann.session()
    with leaving(ann.services) as new:
        act(ann)
    (event,) = new
    assert (event.user_id, event.session_id) == (session.user_id, session.id)
    assert ends(new) == [("success", None, factor)]


def test_turning_mfa_on_leaves_two_rows(bob: Person) -> None:
    with leaving(bob.services) as new:
        bob.enrol()
    assert ends(new) == [("success", None, None), ("success", None, "totp")]


def test_a_step_up_belongs_to_the_session_that_it_raises(ann: Person) -> None:
    session = ann.session()
    with leaving(ann.services) as new:
        ann.step_up(ann.code())
    assert [event.session_id for event in new] == [session.id, session.id]


def test_the_session_that_was_ended_is_named_and_not_the_one_that_ended_it(bob: Person) -> None:
    other = bob.elsewhere().sign_in().session()
    with leaving(bob.services) as new:
        auth.end_session(bob.services, a_trail(), bob.session(), other.id)
    assert [event.session_id for event in new] == [other.id]


ABOVE: dict[str, Callable[[Services, Trail, str], None]] = {
    "deactivate": accounts.deactivate,
    "activate": accounts.activate,
    "reset": accounts.reset_mfa,
    "promote": accounts.promote,
    "demote": accounts.demote,
    "password": lambda *given: accounts.set_password(*given, "heron under the bridge"),
}


@pytest.mark.parametrize("act", ABOVE)
def test_what_the_command_line_does_names_it_as_the_actor(bob: Person, act: str) -> None:
    user_id = bob.session().user_id
    with leaving(bob.services) as new:
        ABOVE[act](bob.services, Trail("a.test", actor_id=audit.COMMAND_LINE), bob.username)
    (event,) = new
    assert (event.user_id, event.actor_id, event.address) == (user_id, audit.COMMAND_LINE, None)


# -- refusals ----------------------------------------------------------------------------------


def test_a_wrong_password_leaves_a_row_of_its_own(bob: Person) -> None:
    with leaving(bob.services) as new, pytest.raises(InvalidCredentials):
        bob.begin("not the password", STRANGER)
    (event,) = new
    assert ends(new) == [("failure", "invalid_credentials", audit.PASSWORD)]
    assert (event.user_id, event.session_id) == (bob.session().user_id, None)
    assert event.address == STRANGER.address


def test_of_an_unknown_name_there_is_a_row_without_the_name(
    services: Services, clock: SettableClock
) -> None:
    typed = "hunter2 which is a password"
    nobody = Person(services, clock, typed)
    with leaving(services) as new, pytest.raises(InvalidCredentials):
        nobody.begin()
    assert ends(new) == [("failure", "invalid_credentials", audit.PASSWORD)]
    assert new[0].user_id is None
    assert typed not in str(astuple(new[0]))
    assert PASSWORD not in str(astuple(new[0]))


def test_a_wrong_code_at_login_leaves_whose_it_was(ann: Person) -> None:
    challenge = ann.challenge()
    with leaving(ann.services) as new, pytest.raises(InvalidCode):
        ann.finish(challenge, ann.wrong_code())
    assert ends(new) == [("failure", "invalid_code", "totp")]
    assert new[0].user_id == ann.session().user_id


def test_a_dead_challenge_leaves_whose_it_was_and_an_unknown_one_nothing(ann: Person) -> None:
    challenge = ann.challenge()
    ann.finish(challenge, ann.code())
    with leaving(ann.services) as new, pytest.raises(InvalidChallenge):
        ann.finish(challenge, ann.code())
    assert ends(new) == [("failure", "invalid_challenge", "totp")]
    with leaving(ann.services) as new, pytest.raises(InvalidChallenge):
        ann.finish("A" * 43, ann.code())
    assert new == []


REFUSED: dict[str, tuple[Deed, type[Refusal], str | None]] = {
    "backup code": (lambda p: p.verify_backup_code("0" * 16), InvalidCode, "backup_code"),
    "password": (lambda p: p.change_password("a heron", "wrong"), InvalidCredentials, "password"),
    "common password": (lambda p: p.change_password("qwertyuiop"), PasswordRefused, None),
    "enrolment": (lambda p: p.verify("000000"), NoPendingEnrollment, None),
    "unknown session": (
        lambda p: auth.end_session(p.services, a_trail(), p.session(), "x"),
        NotFound,
        None,
    ),
    "disable": (lambda p: p.disable(p.wrong_code()), InvalidCredentials, None),
}


@pytest.mark.parametrize("deed", REFUSED)
def test_a_refused_act_in_a_session_leaves_a_row(ann: Person, deed: str) -> None:
    act, refusal, factor = REFUSED[deed]
    session = ann.session()
    with leaving(ann.services) as new, pytest.raises(refusal):
        act(ann)
    assert ends(new) == [("failure", refusal.code, factor)]
    assert (new[0].user_id, new[0].session_id) == (session.user_id, session.id)


def test_a_step_up_without_mfa_leaves_a_row(bob: Person) -> None:
    with leaving(bob.services) as new, pytest.raises(MFANotEnabled):
        auth.create_challenge(bob.services, a_trail(), bob.session())
    assert ends(new) == [("failure", "mfa_not_enabled", None)]


def test_which_part_of_a_refused_removal_was_wrong_is_not_told(ann: Person) -> None:
    """The holder of a stolen session reads the events, and would learn the password by guessing."""
    with leaving(ann.services) as new:
        with pytest.raises(InvalidCredentials):
            ann.disable(ann.code(), "not the password")
        with pytest.raises(InvalidCredentials):
            ann.disable(ann.wrong_code())
    assert len({ends([event])[0] for event in new}) == 1
    assert len(new) == 2


def test_nobody_known_and_nothing_looked_at_leaves_no_row_but_a_line(services: Services) -> None:
    telling, told = told_to(services)
    accounts.create_user(services, a_trail(), "ann", PASSWORD)
    closed = replace(telling, registration_open=False)
    tries: list[tuple[Callable[[], Any], type[Refusal]]] = [
        (lambda: auth.register_user(telling, a_trail(), "ANN", PASSWORD), UsernameTaken),
        (lambda: auth.register_user(telling, a_trail(), "x", "qwertyuiop"), PasswordRefused),
        (lambda: auth.register_user(closed, a_trail(), "x", PASSWORD), RegistrationClosed),
        (lambda: auth.refresh_tokens(telling, a_trail(), "A" * 43), InvalidRefreshToken),
    ]
    for act, refusal in tries:
        with leaving(services) as new, pytest.raises(refusal):
            act()
        assert new == []
    assert [event.reason for event in told] == [refusal.code for _, refusal in tries]
    assert {event.number for event in told} == {0}


def test_a_closed_budget_looks_at_nothing_and_leaves_a_line_alone(
    services: Services, bob: Person
) -> None:
    stranger = replace(bob, client=STRANGER)
    for _ in range(10):
        with pytest.raises(InvalidCredentials):
            stranger.begin("not the password")
    stranger.services, told = told_to(services)
    with leaving(services) as new, pytest.raises(TooManyAttempts):
        stranger.begin()
    assert new == []
    assert ends(told) == [("failure", "too_many_attempts", audit.PASSWORD)]


def test_a_locked_factor_looks_at_nothing_and_leaves_a_line_alone(
    services: Services, clock: SettableClock, ann: Person
) -> None:
    while True:
        with leaving(services) as new, pytest.raises((InvalidCode, FactorLocked)) as refused:
            ann.finish(ann.challenge(), ann.wrong_code())
        if refused.type is FactorLocked:
            break
        assert ends(new)[-1] == ("failure", "invalid_code", "totp")
        clock.advance(hours=2)
    assert ends(new) == [("success", None, audit.PASSWORD)]


def test_a_token_that_comes_twice_leaves_that_its_session_was_ended(bob: Person) -> None:
    assert bob.tokens is not None
    old, session = bob.tokens.refresh_token, bob.session()
    bob.refresh()
    bob.services, told = told_to(bob.services)
    with leaving(bob.services) as new, pytest.raises(InvalidRefreshToken):
        auth.refresh_tokens(bob.services, a_trail(), old)
    assert ends(new) == [("failure", audit.REUSE, audit.REFRESH_TOKEN)]
    assert (new[0].user_id, new[0].session_id) == (session.user_id, session.id)
    assert told == new
    with leaving(bob.services) as new, pytest.raises(InvalidRefreshToken):
        auth.refresh_tokens(bob.services, a_trail(), old)
    assert ends(new) == [("failure", "invalid_token", audit.REFRESH_TOKEN)]


# -- rows, lines and transactions --------------------------------------------------------------


def failing(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """The commits after the first ``after`` of them find no database."""
    commit, count = SqlTransaction.commit, iter(range(LIMIT))

    def failing_commit(tx: SqlTransaction) -> None:
        if next(count) >= after:
            raise Unavailable
        commit(tx)

    monkeypatch.setattr(SqlTransaction, "commit", failing_commit)


def test_a_success_that_is_rolled_back_leaves_neither_row_nor_line(
    bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob.services, told = told_to(bob.services)
    with leaving(bob.services) as new, monkeypatch.context() as patch:
        failing(patch, after=1)  # the charge of the guess is kept
        with pytest.raises(Unavailable):
            bob.begin()
    assert new == []
    assert told == []
    with leaving(bob.services) as new:
        bob.begin()
    assert ends(new) == [("success", None, audit.PASSWORD)]
    assert told == new


def test_without_the_row_of_a_refusal_the_answer_is_that_nobody_answers(
    bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob.services, told = told_to(bob.services)
    with leaving(bob.services) as new, monkeypatch.context() as patch:
        failing(patch, after=1)
        with pytest.raises(Unavailable):
            bob.begin("not the password")
    assert (new, told) == ([], [])


def test_without_its_row_there_is_no_token(bob: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_moves(*_: object) -> bool:
        return False

    with leaving(bob.services) as new, monkeypatch.context() as patch:
        patch.setattr("storage.repositories.audit.Audit.append", nothing_moves)
        with pytest.raises(Unavailable):
            bob.begin()
    assert new == []
    assert len(auth.list_sessions(bob.services, bob.session()).sessions) == 1


def test_a_line_is_the_row_and_comes_when_the_row_is_there(services: Services) -> None:
    seen: list[bool] = []

    def tell(event: AuditEvent) -> None:
        seen.append(event in rows(services))

    telling = replace(services, chain=Chain(services.chain.keys, tell))
    auth.register_user(telling, a_trail(), "ann", PASSWORD)
    nobody = {"username": "ann", "password": "not the password"}
    policy = services.policies.operations["login"]
    with pytest.raises(InvalidCredentials):
        auth.login(telling, a_trail(), nobody, HOME, policy, None)
    assert seen == [True, True]


def test_an_act_that_records_nothing_is_found(services: Services) -> None:
    @audited
    def forgetful(services: Services, trail: Trail) -> None:
        with services.store.write() as tx:
            tx.commit()

    @audited
    def careful(services: Services, trail: Trail) -> None:
        with services.store.write() as tx:
            trail.record(services, tx)
            tx.commit()

    with pytest.raises(RuntimeError, match=r"a\.test changed something and recorded nothing"):
        forgetful(services, a_trail())
    careful(services, a_trail())


def test_the_times_of_the_trail_follow_its_numbers(services: Services, bob: Person) -> None:
    """The clock is asked while the head is locked, and not when the act began."""
    bob.clock.advance(seconds=5)

    @audited
    def slow(services: Services, trail: Trail, during: Callable[[], object]) -> None:
        during()
        with services.store.write() as tx:
            trail.record(services, tx)
            tx.commit()

    def overtaken() -> None:
        bob.clock.advance(seconds=5)
        bob.begin()

    slow(services, a_trail(), overtaken)
    times = [event.at for event in rows(services)]
    assert times == sorted(times)


# -- reading -----------------------------------------------------------------------------------


def test_users_see_their_own_events_page_by_page(person: Make) -> None:
    bob, eve = person().sign_in(), person().sign_in()
    for who in (bob, eve, bob, eve, bob):
        who.elsewhere().sign_in()
    session, seen, cursor = bob.session(), list[str | None](), None
    while True:
        page = audit.list_own(bob.services, session, limit=2, cursor=cursor)
        assert 0 < len(page.events) <= 2
        seen += [event.request_id for event in page.events]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    own = [event for event in rows(bob.services) if event.user_id == session.user_id]
    assert seen == [event.request_id for event in reversed(own)]
    assert len(seen) == 5


def test_a_full_last_page_has_no_next_one(bob: Person) -> None:
    assert audit.list_own(bob.services, bob.session(), limit=2, cursor=None).next_cursor is None
    assert audit.list_own(bob.services, bob.session(), limit=1, cursor=None).next_cursor == "2"


def test_an_unknown_cursor_gives_what_is_older(bob: Person) -> None:
    for cursor, count in (("9" * 18, 2), ("2", 1), ("1", 0)):
        page = audit.list_own(bob.services, bob.session(), limit=20, cursor=cursor)
        assert (len(page.events), page.next_cursor) == (count, None)


def test_of_an_administrator_a_user_sees_the_act_alone(person: Make) -> None:
    bob, root = person().sign_in(), person().sign_in().session()

    @audited
    def act(services: Services, trail: Trail) -> None:
        trail.by(root, bob.session().user_id)
        with services.store.write() as tx:
            trail.record(services, tx)
            tx.commit()

    act(bob.services, a_trail("mfa.reset"))
    newest, *older = audit.list_own(bob.services, bob.session(), limit=9, cursor=None).events
    assert (newest.event, newest.by_administrator) == ("mfa.reset", True)
    assert (newest.address, newest.session_id, newest.request_id) == (None, None, None)
    assert [event.by_administrator for event in older] == [False, False]
    assert all(event.address for event in older)
    (kept,) = audit.list_all(bob.services, limit=1).events
    assert (kept.actor_id, kept.session_id, kept.address) == (root.user_id, root.id, HOME.address)


def test_everybody_s_events_can_be_searched(ann: Person, bob: Person) -> None:
    with pytest.raises(InvalidCredentials):
        bob.begin("not the password")
    user_id, services = bob.session().user_id, bob.services
    everything = audit.list_all(services, limit=LIMIT).events
    own = audit.list_all(services, limit=LIMIT, user_id=user_id).events
    assert set(own) == {event for event in everything if event.user_id == user_id}
    assert 0 < len(own) < len(everything)
    assert len(audit.list_all(services, limit=LIMIT, result="failure").events) == 1
    assert audit.list_all(services, limit=LIMIT, user_id=user_id, event="no.such").events == ()
    assert audit.list_all(services, limit=LIMIT, event="a.test").events == everything


def test_no_secret_of_a_whole_life_gets_into_the_trail(clock: SettableClock, person: Make) -> None:
    ann = person(username="ann.typed.by.hand").sign_in()
    enrolment = ann.set_up()
    ann.phone, ann.codes = phone_of(enrolment), list(enrolment.backup_codes)
    first = ann.phone.code(clock.now())
    ann.verify(first)
    begun = ann.begin()
    assert isinstance(begun, ChallengeIssued)
    wrong, right = ann.wrong_code(), ann.next_code()
    with pytest.raises(InvalidCode):
        ann.finish(begun.challenge_id, wrong)
    ann.tokens = ann.finish(begun.challenge_id, right)
    ann.refresh()
    ann.verify_backup_code(ann.codes[0])
    assert ann.tokens is not None
    text = " ".join(str(astuple(replace(event, at=clock.now()))) for event in rows(ann.services))
    secrets = [
        *(ann.username, ann.password, enrolment.secret, first, wrong, right, begun.challenge_id),
        *(ann.tokens.access_token, ann.tokens.refresh_token, *enrolment.backup_codes),
    ]
    hidden = [
        secret
        for secret in secrets
        if f"'{secret}'" in text or (len(secret) > 6 and secret in text)
    ]
    assert hidden == []
    assert ann.session().user_id in text
