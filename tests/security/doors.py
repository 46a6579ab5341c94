"""What the doors do to a user who knocks too often, and the numbers of it."""

from __future__ import annotations

from collections.abc import Callable

from tests.security.refusals import refused
from tests.security.site import Site, fresh_address
from tests.support.accounts import Account
from tests.support.api import Reply
from tests.support.doors import at_login

FREE, LOCK, PASSWORD_FREE, ACCOUNT_FREE = 5, 50, 10, 100
"""Of components/policies.yaml, written once more: the rows are about these numbers."""
BUDGETS = {"totp": FREE, "backup-code": FREE, "password": PASSWORD_FREE}

Door = Callable[[Account, str], Reply]


def elsewhere(site: Site, account: Account, address: str = "") -> Account:
    """The same user with the same session, at another address."""
    other = account.another_device()
    other.api = site.api(address=address or fresh_address())
    other.token, other.refresh_token = account.token, account.refresh_token
    return other


def delayed(reply: Reply, budget: str, at_most: int) -> int:
    """The seconds to wait, told by a 429 of this budget in all its fields."""
    refused(reply, "too_many_attempts")
    seconds = int(reply.headers["Retry-After"])
    assert reply.status == 429
    assert 0 < seconds <= at_most
    assert reply.headers["RateLimit"] == f'"{budget}";r=0;t={seconds}'
    assert reply.headers["RateLimit-Policy"].startswith(f'"{budget}";q={BUDGETS[budget]}')
    return seconds


def use_up(account: Account, door: Door = at_login) -> None:
    """Spend the free guesses of the authenticator."""
    for _ in range(FREE):
        refused(door(account, account.wrong_code()), "invalid_code", "invalid_credentials")


def patient(account: Account, door: Door, code: Callable[[], str]) -> Reply:
    """The reply to a code once every delay before it is waited out."""
    reply = door(account, code())
    if reply.status == 429:
        account.clock.advance(seconds=int(reply.headers["Retry-After"]))
        reply = door(account, code())
    assert reply.status != 429
    return reply
