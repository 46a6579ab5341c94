from __future__ import annotations

import threading
import time

import pytest

from domain.errors import Unavailable
from domain.passwords import Hasher, Passwords, common_passwords, refused
from domain.policy import PasswordPolicy
from tests.domain.world import POLICIES, quick_passwords

COMMON = PasswordPolicy(common=True, username=False)
USERNAME = PasswordPolicy(common=False, username=True)


def hasher_of(passwords: Passwords) -> Hasher:
    """A hasher that outlives its place, which only a test may keep."""
    with passwords.place() as hasher:
        return hasher


def test_a_hash_is_of_its_own_password_alone() -> None:
    passwords = hasher_of(quick_passwords())
    encoded = passwords.hash("kestrel over the weir")
    assert passwords.verify(encoded, "kestrel over the weir")
    assert not passwords.verify(encoded, "kestrel over the wei")
    assert not passwords.verify(encoded, "Kestrel over the weir")
    assert not passwords.verify(encoded, " kestrel over the weir")
    assert passwords.hash("kestrel over the weir") != encoded


def test_a_long_password_counts_to_its_last_character() -> None:
    passwords = hasher_of(quick_passwords())
    encoded = passwords.hash("é" * 1023 + "x")
    assert passwords.verify(encoded, "é" * 1023 + "x")
    assert not passwords.verify(encoded, "é" * 1023 + "y")


def test_the_hash_is_argon2id_with_the_given_cost() -> None:
    passwords = Passwords(1, time_cost=2, memory_cost=64, parallelism=2)
    assert passwords.hash("kestrel over the weir").startswith("$argon2id$v=19$m=64,t=2,p=2$")


def test_the_defaults_are_those_of_rfc_9106() -> None:
    assert Passwords(1).hash("x").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_a_hash_of_another_cost_is_stale() -> None:
    encoded = Passwords(1, time_cost=2, memory_cost=8, parallelism=1).hash("x")
    hasher = hasher_of(quick_passwords())
    assert hasher.stale(encoded)
    assert not hasher.stale(hasher.hash("x"))


def test_nobody_is_checked_at_the_cost_of_somebody() -> None:
    hasher = hasher_of(Passwords(1, time_cost=2, memory_cost=64, parallelism=1))
    assert not hasher.stale(hasher._nobody)
    hasher.verify_nobody("wrong")


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "Password",
        "PASSWORD1",
        "ｐａｓｓｗｏｒｄ",
        "12345678",
        "1234567890",
        "qwertyuiop",
        "iloveyou",
        "Summer2025!",
        "letmein123",
        "aaaaaaaa" if "aaaaaaaa" in common_passwords() else "11111111",
    ],
)
def test_a_common_password_is_refused_however_written(password: str) -> None:
    assert refused(COMMON, password, "ann")
    assert not refused(USERNAME, password, "ann")


def test_the_username_is_no_password() -> None:
    name = "ann.o'neil@example.org"
    assert refused(USERNAME, "Ann.O'Neil@Example.org", name)
    assert not refused(USERNAME, f"{name} too", name)
    assert not refused(COMMON, name, name)


def test_a_word_of_the_service_is_no_password_and_may_be_part_of_one() -> None:
    policy = PasswordPolicy(common=False, username=False, words=("Countersign",))
    assert refused(policy, "countersign", "ann")
    assert refused(policy, "ＣＯＵＮＴＥＲＳＩＧＮ", "ann")
    assert not refused(policy, "countersign1", "ann")
    assert not refused(policy, "password", "password")


def test_a_policy_that_refuses_nothing_says_so() -> None:
    lenient = PasswordPolicy(common=False, username=False)
    assert not lenient.refuses
    assert not refused(lenient, "password", "password")
    words = PasswordPolicy(common=False, username=False, words=("countersign",))
    assert all(policy.refuses for policy in (COMMON, USERNAME, words))


@pytest.mark.parametrize("password", ["correct horse battery staple", "kestrel over the weir"])
def test_a_password_of_ones_own_is_not_refused(password: str) -> None:
    assert not refused(POLICIES.passwords, password, "ann")


def test_the_list_is_long_enough() -> None:
    """ASVS 5.0 6.2.4 asks for the 3000 most common ones that the length rule lets through."""
    assert len(common_passwords()) >= 3000
    assert all(len(password) >= 8 for password in common_passwords())


class Gate:
    """Stands in for the hasher and holds every hash until it is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.inside = self.most = 0
        self._lock = threading.Lock()

    def hash(self, password: str) -> str:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.open.wait(5)
        with self._lock:
            self.inside -= 1
        return "hash"


def crowd(passwords: Passwords, size: int) -> tuple[list[threading.Thread], list[str]]:
    outcomes: list[str] = []

    def one() -> None:
        try:
            outcomes.append(passwords.hash("x"))
        except Unavailable:
            outcomes.append("unavailable")

    threads = [threading.Thread(target=one) for _ in range(size)]
    for thread in threads:
        thread.start()
    return threads, outcomes


def wait_until(condition: object) -> None:
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.005)


def test_no_more_hashes_run_at_once_than_allowed_and_the_queue_is_bounded() -> None:
    passwords, gate = quick_passwords(2, waiting=3), Gate()
    passwords._hasher._hasher = gate  # type: ignore[assignment]
    threads, outcomes = crowd(passwords, 9)
    wait_until(lambda: gate.inside == 2 and outcomes.count("unavailable") == 4)
    assert (gate.inside, outcomes) == (2, ["unavailable"] * 4)
    gate.open.set()
    for thread in threads:
        thread.join(5)
    assert gate.most == 2
    assert sorted(outcomes) == ["hash"] * 5 + ["unavailable"] * 4


def test_a_wait_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.passwords.LONGEST_WAIT_SECONDS", 0.05)
    passwords, gate = quick_passwords(1), Gate()
    passwords._hasher._hasher = gate  # type: ignore[assignment]
    threads, outcomes = crowd(passwords, 3)
    wait_until(lambda: len(outcomes) == 2)
    gate.open.set()
    for thread in threads:
        thread.join(5)
    assert sorted(outcomes) == ["hash", "unavailable", "unavailable"]


def test_a_failure_gives_its_place_back() -> None:
    passwords = quick_passwords(1, waiting=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), passwords.place():
            raise ZeroDivisionError
    assert passwords.hash("x")


def test_who_is_turned_away_is_told_when_the_queue_has_moved_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("domain.passwords.LONGEST_WAIT_SECONDS", 0.05)
    passwords = quick_passwords(1, waiting=1)
    with passwords.place() as hasher, hasher._turn():
        with pytest.raises(Unavailable) as waited_in_vain:
            passwords.hash("x")
        with passwords.place(), pytest.raises(Unavailable) as without_a_place:
            passwords.hash("x")
    for turned_away in (waited_in_vain, without_a_place):
        assert turned_away.value.headers["Retry-After"] == "4"
