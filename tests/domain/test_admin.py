from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from domain import accounts, admin, auth, sessions
from domain.errors import (
    FactorLocked,
    Forbidden,
    InsufficientAuthentication,
    InvalidChallenge,
    InvalidCredentials,
    InvalidRefreshToken,
    InvalidToken,
    NotFound,
    OwnAccount,
    Refusal,
)
from domain.policy import Assurance, OperationPolicy
from domain.ports import Transaction
from domain.records import AuditEvent, Session, User
from domain.services import Services
from tests.domain.world import (
    Make,
    Person,
    SettableClock,
    a_trail,
    register,
    services_on,
)
from tests.storage import databases

FOR_ADMINISTRATORS = OperationPolicy(Assurance("aal2"), role="admin")
NOBODY = str(uuid.UUID(int=0))
Act = Callable[..., None]
ON_OTHERS: list[Act] = [admin.deactivate_user, admin.reset_user_mfa]
ON_ANYBODY: list[Act] = [admin.reactivate_user, admin.end_user_sessions]
EVERY = [*ON_OTHERS, *ON_ANYBODY]


def give_role(services: Services, person: Person, role: str) -> None:
    """The role alone; the command line ends the sessions with it."""
    with services.store.write() as tx:
        assert tx.users.set_role(person.session().user_id, role)
        tx.commit()


def administrator(person: Make) -> Person:
    someone = person().sign_in().enrol()
    give_role(someone.services, someone, "admin")
    return someone


@pytest.fixture
def root(person: Make) -> Person:
    """An administrator who has given a second factor."""
    return administrator(person)


def do(act: Act, who: Person, to: str | Person, session: Session | None = None) -> None:
    user_id = to if isinstance(to, str) else to.session().user_id
    act(who.services, a_trail(), session or who.session(), user_id)


def admitted(person: Person) -> Session:
    assert person.tokens is not None
    token = person.tokens.access_token
    return sessions.authenticate(person.services, token, FOR_ADMINISTRATORS)


def shut_out(person: Person) -> None:
    """Neither of the tokens is good for anything."""
    with pytest.raises(InvalidToken):
        person.session()
    with pytest.raises(InvalidRefreshToken):
        person.refresh()


# The role --------------------------------------------------------------------------------------


def test_an_administrator_with_a_second_factor_is_admitted(root: Person) -> None:
    assert admitted(root).role == "admin"


def test_the_role_is_looked_at_before_the_assurance(ann: Person, bob: Person) -> None:
    for person in (ann, bob):
        with pytest.raises(Forbidden):
            admitted(person)
    give_role(bob.services, bob, "admin")
    with pytest.raises(InsufficientAuthentication):
        admitted(bob)


def test_a_role_that_is_taken_away_is_gone_at_once(root: Person) -> None:
    admitted(root)
    give_role(root.services, root, "user")
    with pytest.raises(Forbidden):
        admitted(root)
    give_role(root.services, root, "admin")
    assert admitted(root)


def test_the_role_is_read_in_the_query_that_is_made_anyway(root: Person) -> None:
    assert root.tokens is not None
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        admitted(root)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert len(statements) == 1, statements


def test_what_asks_for_no_role_is_open_to_every_role(root: Person, bob: Person) -> None:
    assert (root.session().role, bob.session().role) == ("admin", "user")


@pytest.mark.parametrize("act", EVERY)
def test_an_act_looks_at_the_role_once_more_under_its_locks(
    root: Person, ann: Person, act: Act
) -> None:
    session = admitted(root)
    give_role(root.services, root, "user")
    with pytest.raises(Forbidden):
        do(act, root, ann, session)
    assert ann.session()
    assert ann.status().enabled
    give_role(root.services, root, "admin")
    do(act, root, ann, session)


@pytest.mark.parametrize("act", EVERY)
def test_an_act_of_a_session_that_has_ended_meanwhile_changes_nothing(
    root: Person, ann: Person, act: Act
) -> None:
    session = admitted(root)
    auth.logout(root.services, a_trail(), session)
    with pytest.raises(InvalidToken):
        do(act, root, ann, session)
    assert ann.session()
    assert ann.status().enabled


# Finding ---------------------------------------------------------------------------------------


def names(services: Services, prefix: str = "", limit: int = 100) -> list[str]:
    """All names that begin with a prefix, page by page."""
    found: list[str] = []
    cursor = None
    while True:
        page = admin.list_users(services, prefix, limit, cursor)
        assert len(page.accounts) <= limit
        found += [account.username for account in page.accounts]
        if (cursor := page.next_cursor) is None:
            return found
        assert len(page.accounts) == limit


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 100])
def test_pages_of_every_size_hold_everybody_once_in_the_order_of_creation(
    services: Services, person: Make, limit: int
) -> None:
    made = [person().username for _ in range(5)]
    assert names(services, limit=limit) == made


def test_there_is_no_page_after_the_last(services: Services, person: Make) -> None:
    for _ in range(2):
        person()
    assert admin.list_users(services, None, 2, None).next_cursor is None
    cursor = admin.list_users(services, None, 1, None).next_cursor
    assert cursor is not None
    assert admin.list_users(services, None, 1, cursor).next_cursor is None
    assert admin.list_users(services, None, 1, "9" * 18).accounts == ()


def test_who_comes_later_is_on_a_later_page(services: Services, person: Make) -> None:
    first, second = person().username, person().username
    cursor = admin.list_users(services, None, 1, None).next_cursor
    third = person().username
    page = admin.list_users(services, None, 100, cursor)
    assert [account.username for account in page.accounts] == [second, third]
    assert first not in {second, third}


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("str", ["Straße", "strand"]),
        ("STRASSE", ["Straße"]),
        ("ｓｔｒａｎ", ["strand"]),
        ("an%", ["an%x"]),
        ("an_", ["an_x"]),
        ("an\\", ["an\\x"]),
        ("an", ["an%x", "an_x", "an\\x", "anax"]),
        ("anax", ["anax"]),
        ("anaxx", []),
        ("nax", []),
        ("%", []),
        ("_n", []),
        ("'", []),
    ],
)
def test_a_name_is_found_by_how_it_begins_and_no_character_means_another(
    services: Services, person: Make, prefix: str, found: list[str]
) -> None:
    for name in ("Straße", "strand", "an%x", "an_x", "an\\x", "anax"):
        person(username=name)
    assert names(services, prefix, 2) == found


def test_an_account_is_told_as_it_is(root: Person, ann: Person, bob: Person) -> None:
    bob.set_up()  # pending is not on
    for person, role, enabled in ((root, "admin", True), (ann, "user", True), (bob, "user", False)):
        account = admin.get_user(root.services, person.session().user_id)
        assert (account.username, account.role) == (person.username, role)
        assert (account.active, account.mfa_enabled) == (True, enabled)
        assert account in admin.list_users(root.services, None, 100, None).accounts
    with pytest.raises(NotFound):
        admin.get_user(root.services, NOBODY)


def test_every_account_is_listed_whatever_the_size_of_a_batch(
    services: Services, person: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [person().username for _ in range(4)]
    for size in (1, 2, 3, 4, 5):
        monkeypatch.setattr(accounts, "BATCH", size)
        assert [account.username for account in accounts.list_accounts(services)] == made


# Whom it is done to ----------------------------------------------------------------------------


@pytest.mark.parametrize("act", EVERY)
def test_nobody_is_not_found(root: Person, act: Act) -> None:
    with pytest.raises(NotFound):
        do(act, root, NOBODY)


@pytest.mark.parametrize("act", ON_OTHERS)
def test_it_is_not_done_to_ones_own_account(root: Person, ann: Person, act: Act) -> None:
    with pytest.raises(OwnAccount):
        do(act, root, root)
    assert admitted(root)
    assert root.status().enabled
    do(act, root, ann)
    with pytest.raises(InvalidToken):
        ann.session()


def test_another_administrator_is_no_exception(person: Make, root: Person) -> None:
    other = administrator(person)
    do(admin.deactivate_user, root, other)
    shut_out(other)


def test_ones_own_sessions_may_be_ended(root: Person) -> None:
    elsewhere = root.elsewhere().sign_in()
    do(admin.end_user_sessions, root, root)
    shut_out(root)
    shut_out(elsewhere)
    assert root.sign_in().session()


# What is done ----------------------------------------------------------------------------------


def test_a_deactivated_user_is_out_at_once_and_a_reactivated_one_signs_in_anew(
    root: Person, ann: Person
) -> None:
    user_id, challenge = ann.session().user_id, ann.challenge()
    step_up = auth.create_challenge(ann.services, a_trail(), ann.session()).challenge_id
    session = ann.session()
    for _ in range(2):  # twice is no different
        do(admin.deactivate_user, root, user_id)
        shut_out(ann)
        for password in (ann.password, "not the password"):
            with pytest.raises(InvalidCredentials):
                ann.begin(password)
        for each in (challenge, step_up):
            with pytest.raises(InvalidChallenge):
                ann.finish(each, ann.code(), session)
    do(admin.reactivate_user, root, user_id)
    shut_out(ann)
    for each in (challenge, step_up):
        with pytest.raises(InvalidChallenge):
            ann.finish(each, ann.code(), session)
    assert ann.elsewhere().sign_in().status().enabled


def test_reactivating_whoever_is_active_changes_nothing(root: Person, ann: Person) -> None:
    challenge = ann.challenge()
    do(admin.reactivate_user, root, ann)
    assert ann.session()
    assert ann.finish(challenge, ann.code())


def test_a_closed_account_whose_sessions_were_left_gets_none_of_them_back(
    root: Person, ann: Person
) -> None:
    user_id = ann.session().user_id
    with root.services.store.write() as tx:
        tx.users.set_active(user_id, False)
        tx.commit()
    do(admin.reactivate_user, root, user_id)
    shut_out(ann)


def test_ending_sessions_ends_all_of_one_user_and_challenges_too(
    root: Person, ann: Person, bob: Person
) -> None:
    elsewhere, challenge = ann.elsewhere().sign_in(), ann.challenge()
    do(admin.end_user_sessions, root, ann)
    shut_out(ann)
    shut_out(elsewhere)
    with pytest.raises(InvalidChallenge):
        ann.finish(challenge, ann.code())
    assert bob.session()
    assert ann.sign_in().status().enabled


def lock(person: Person) -> None:
    """Wrong codes until the factor is locked; the clock moves past every delay."""
    for _ in range(50):
        try:
            person.finish(person.challenge(), person.wrong_code())
        except Refusal:
            person.clock.advance(hours=1, seconds=1)
    with pytest.raises(FactorLocked):
        person.finish(person.challenge(), person.code())


def test_a_reset_takes_the_factor_its_codes_its_lock_and_the_sessions(
    root: Person, ann: Person
) -> None:
    user_id, codes = ann.session().user_id, list(ann.codes)
    lock(ann)
    challenge = ann.challenge()
    for _ in range(2):  # twice is no different
        do(admin.reset_user_mfa, root.sign_in(), user_id)
        shut_out(ann)
    for code in (ann.code(), codes[0]):
        with pytest.raises(InvalidChallenge):
            ann.finish(challenge, code)
    assert not ann.sign_in().status().enabled
    ann.enrol()
    ann.sign_in()
    with pytest.raises(Refusal):
        ann.verify_backup_code(codes[0])


def test_a_reset_takes_what_is_pending_too(root: Person, bob: Person) -> None:
    user_id, enrolment = bob.session().user_id, bob.set_up()
    do(admin.reset_user_mfa, root, user_id)
    assert not bob.sign_in().status().pending
    assert enrolment.secret != bob.set_up().secret


# What is left behind ---------------------------------------------------------------------------


def events(services: Services) -> list[AuditEvent]:
    return list(admin.list_audit_events(services, 100, None, None, "a.test").events)


def last(services: Services) -> tuple[str, str | None, str | None, str | None, str | None]:
    newest = events(services)[0]
    return newest.result, newest.reason, newest.user_id, newest.actor_id, newest.session_id


@pytest.mark.parametrize("act", EVERY)
def test_an_act_says_who_did_it_to_whom(root: Person, ann: Person, act: Act) -> None:
    me, them = root.session(), ann.session().user_id
    do(act, root, them)
    assert last(root.services) == ("success", None, them, me.user_id, me.id)


@pytest.mark.parametrize("act", ON_OTHERS)
def test_a_refusal_says_who_wanted_it(root: Person, act: Act) -> None:
    me = root.session()
    with pytest.raises(OwnAccount):
        do(act, root, me.user_id)
    assert last(root.services) == ("failure", "own_account", me.user_id, me.user_id, me.id)


@pytest.mark.parametrize("act", EVERY)
def test_an_id_that_nobody_has_is_not_kept(root: Person, act: Act) -> None:
    me = root.session()
    with pytest.raises(NotFound):
        do(act, root, NOBODY)
    assert last(root.services) == ("failure", "not_found", None, me.user_id, me.id)


# Two at once -----------------------------------------------------------------------------------

ROUNDS = 20


@pytest.fixture(params=databases.ENGINES)
def busy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Services]:
    if request.param == "sqlite":
        with databases.store_at(databases.sqlite_url(tmp_path)) as store:
            yield services_on(store, SettableClock())
    else:
        with databases.postgres_database() as url, databases.store_at(url) as store:
            yield services_on(store, SettableClock())


def a_pair(services: Services) -> list[Person]:
    clock = services.clock
    assert isinstance(clock, SettableClock)
    return [administrator(lambda: register(services, clock)) for _ in range(2)]


def closing_each_other(pair: list[Person]) -> int:
    """How many of two administrators are left who close each other's accounts at once."""
    gate = threading.Barrier(2)
    made = [person.session() for person in pair]

    def close(index: int) -> None:
        gate.wait(10)
        with suppress(InvalidToken):
            do(admin.deactivate_user, pair[index], made[1 - index].user_id, made[index])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(close, range(2)))
    with pair[0].services.store.read() as tx:
        return sum(user.active for session in made if (user := tx.users.get(session.user_id)))


def test_of_two_administrators_who_close_each_other_s_accounts_one_is_left(
    busy: Services,
) -> None:
    pair = a_pair(busy)
    for _ in range(ROUNDS):
        assert closing_each_other(pair) == 1
        pair = revived(pair)


def revived(pair: list[Person]) -> list[Person]:
    store = pair[0].services.store
    with store.write() as tx:
        for user in tx.users.page("", 0, 100):
            tx.users.set_active(user.id, True)
        tx.commit()
    return [person.sign_in() for person in pair]


def test_a_lock_of_the_other_alone_would_be_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL; the writers of SQLite come one after the other anyway."""

    def one(tx: Transaction, _session: Session, user_id: str) -> User | None:
        return tx.users.lock(user_id)

    monkeypatch.setattr(admin, "_locked", one)
    left = []
    with databases.postgres_database() as url, databases.store_at(url) as store:
        pair = a_pair(services_on(store, SettableClock()))
        for _ in range(ROUNDS):
            left.append(closing_each_other(pair))
            pair = revived(pair)
    assert min(left) == 0
