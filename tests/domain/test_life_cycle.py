"""Set up, confirm, spend, exhaust, disable, and again, in every order that Hypothesis thinks of.

Whatever the order: no backup code twice, no time step twice nor an older after a newer, nothing
of a disabled or replaced factor is accepted, and a pending factor is no factor.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from domain.backup_codes import BackupCodes
from domain.errors import InvalidCode, MFANotEnabled, Refusal
from domain.keyring import Fixed
from domain.policy import Attempts, CountPolicy, OperationPolicy
from domain.results import TokenPair
from tests.domain.world import (
    BACKUP,
    OPERATIONS,
    PASSWORDS,
    POLICIES,
    TOTP,
    Person,
    SettableClock,
    phone_of,
    register,
    services_on,
)
from tests.storage import databases
from tests.support.authenticator import Authenticator

# Budgets have tests of their own; here they would only end a run early.
GENEROUS = Attempts(
    replace(PASSWORDS, free=10_000),
    replace(TOTP, free=10_000, lock_after=None),
    replace(BACKUP, free=10_000),
    CountPolicy(10_000),
    CountPolicy(10_000, 5),
)
UNHINDERED = replace(
    POLICIES,
    operations={
        name: OperationPolicy(policy.assurance, GENEROUS) for name, policy in OPERATIONS.items()
    },
)


class LifeCycle(RuleBasedStateMachine):
    """What ought to hold is written down here once more, without a database."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        store = self.stack.enter_context(databases.store_at(databases.sqlite_url(folder)))
        clock = SettableClock()
        codes = BackupCodes(UNHINDERED.backup_codes, Fixed({"p": bytes(32)}, "p"))
        services = services_on(store, clock, policies=UNHINDERED, backup_codes=codes)
        self.user: Person = register(services, clock).sign_in()
        self.clock = clock
        self.phone: Authenticator | None = None
        self.last_step = -1
        self.live: list[str] = []
        self.pending: Authenticator | None = None
        self.pending_codes: list[str] = []
        self.dead_codes: list[str] = []
        self.dead_phones: list[Authenticator] = []

    def teardown(self) -> None:
        self.stack.close()

    # What the model knows ------------------------------------------------------------------

    def step(self) -> int:
        return int(self.clock.now().timestamp()) // 30

    def window(self) -> set[str]:
        phone = self.phone
        return {phone.code(self.clock.now(), s) for s in (-1, 0, 1)} if phone else set()

    def fresh(self) -> None:
        """A session with an authentication of this moment."""
        self.user.sign_in(self.unspent())

    def unspent(self) -> str | None:
        """A code whose step is spent by the act that follows."""
        if self.phone is None:
            return None
        if self.step() <= self.last_step:
            self.clock.advance(seconds=30 * (self.last_step - self.step() + 1))
        self.last_step = self.step()
        return self.phone.code(self.clock.now())

    def bury(self) -> None:
        """The factor and its codes are dead from now on."""
        self.dead_codes += self.live
        if self.phone is not None:
            self.dead_phones.append(self.phone)
        self.phone, self.live, self.last_step = None, [], -1

    def refused(self, code: str) -> None:
        """No door opens for the code."""
        for door in (
            lambda: self.user.finish(self.user.challenge(), code),
            lambda: self.user.verify_backup_code(code),
            lambda: self.user.disable(code),
        ):
            with pytest.raises(Refusal):
                door()

    @initialize(enrolled=st.booleans())
    def begin(self, enrolled: bool) -> None:
        """Half of the runs begin with MFA on, or most of them would not get there in time."""
        if enrolled:
            self.set_up()
            self.prove()

    # What can happen -----------------------------------------------------------------------

    @rule(seconds=st.integers(1, 100))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)

    @rule()
    def set_up(self) -> None:
        self.fresh()
        enrolment = self.user.set_up()
        if self.pending is not None:
            self.dead_phones.append(self.pending)
            self.dead_codes += self.pending_codes
        self.pending, self.pending_codes = phone_of(enrolment), list(enrolment.backup_codes)

    @precondition(lambda self: self.pending is not None)
    @rule()
    def prove(self) -> None:
        self.fresh()
        if not self.user.status().pending:
            self.pending = None
            return
        assert self.pending is not None
        self.user.verify(self.pending.code(self.clock.now()))
        self.bury()
        self.phone, self.live, self.last_step = self.pending, self.pending_codes, self.step()
        self.pending = None

    @precondition(lambda self: self.phone is not None)
    @rule(steps=st.integers(-2, 2))
    def finish_with_totp(self, steps: int) -> None:
        assert self.phone is not None
        step, code = self.step() + steps, self.phone.code(self.clock.now(), steps)
        challenge = self.user.challenge()
        if abs(steps) <= 1 and step > self.last_step:
            self.user.tokens = self.user.finish(challenge, code)
            self.last_step = step
            self.refused(code)
        else:
            with pytest.raises(InvalidCode):
                self.user.finish(challenge, code)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), elsewhere=st.booleans())
    def spend_a_backup_code(self, data: st.DataObject, elsewhere: bool) -> None:
        code = data.draw(st.sampled_from(self.live))
        if elsewhere:
            self.fresh()
            self.user.verify_backup_code(code.lower())
        else:
            self.user.sign_in(code)
        self.live = [other for other in self.live if other != code]
        self.dead_codes.append(code)
        self.refused(code)

    @precondition(lambda self: self.phone is not None)
    @rule()
    def regenerate(self) -> None:
        self.fresh()
        self.dead_codes += self.live
        self.live = list(self.user.regenerate())

    @precondition(lambda self: self.phone is not None)
    @rule(with_backup_code=st.booleans())
    def disable(self, with_backup_code: bool) -> None:
        self.fresh()
        code = self.live[0] if with_backup_code and self.live else self.unspent()
        assert code is not None
        if not self.live or not with_backup_code:
            self.user.refresh()
        self.user.disable(code)
        self.bury()
        if self.pending is not None:
            self.dead_phones.append(self.pending)
            self.dead_codes += self.pending_codes
        self.pending = None

    @precondition(lambda self: self.dead_codes and self.phone is not None)
    @rule(data=st.data())
    def try_a_dead_backup_code(self, data: st.DataObject) -> None:
        self.fresh()
        self.refused(data.draw(st.sampled_from(self.dead_codes)))

    @precondition(lambda self: self.dead_phones and self.phone is not None)
    @rule(data=st.data())
    def try_a_dead_phone(self, data: st.DataObject) -> None:
        self.fresh()
        code = data.draw(st.sampled_from(self.dead_phones)).code(self.clock.now())
        if code not in self.window():
            self.refused(code)

    @precondition(lambda self: self.pending is not None)
    @rule()
    def try_the_pending_factor(self) -> None:
        self.fresh()
        assert self.pending is not None
        code = self.pending.code(self.clock.now())
        if self.phone is None:
            assert isinstance(self.user.elsewhere().begin(), TokenPair)
            for door in (self.user.disable, self.user.verify_backup_code):
                with pytest.raises(MFANotEnabled):
                    door(code)
        elif code not in self.window():
            self.refused(code)
            self.refused(self.pending_codes[0])

    @invariant()
    def the_status_is_what_the_model_says(self) -> None:
        with self.user.services.store.read() as tx:
            (user,) = tx.users.page("", 0, 2)
            factor = tx.factors.active(user.id)
            codes = factor and tx.backup_codes.of_factor(factor.id)
            left = tx.backup_codes.remaining(codes.id) if codes else 0
        assert (factor is not None) == (self.phone is not None)
        assert left == len(self.live)
        assert factor is None or factor.last_step == self.last_step


# Shrinking over a real database takes minutes, and a run of 25 steps can be read as it is.
LifeCycle.TestCase.settings = settings(
    phases=[Phase.generate],
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestLifeCycle = LifeCycle.TestCase
