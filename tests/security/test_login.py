"""4.1 The login flow and its challenge."""

from __future__ import annotations

import base64
import itertools
import json
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.security.jwts import claims
from tests.security.operations import protected
from tests.security.refusals import refused, unchanged
from tests.security.site import PERIOD, Site, fresh_address
from tests.support.accounts import Account, ok
from tests.support.api import Reply

TTL = 300
"""Seconds that a challenge lives (design section 5)."""
WRONG = 5
"""Wrong codes that a challenge takes (design section 3, policies.yaml)."""


def login(site: Site, **body: Any) -> Reply:
    return site.api().post("/auth/login", json=body)


def failures(site: Site, factor: str, account: Account) -> int:
    """What the budget of a factor counts."""
    rows = site.rows(
        "SELECT count FROM budgets WHERE key = :key", key=f"{factor}:{account.user_id}"
    )
    return sum(row["count"] for row in rows)


def test_s01_a_password_alone_yields_a_challenge_and_nothing_else(site: Site) -> None:
    """With MFA on, the right password is answered by a challenge alone: no token, no cookie, no
    profile, no secret and no code, in the body or in a header."""
    ann = site.member()
    step = site.clock.step()
    reply = ok(login(site, username=ann.username, password=ann.password))
    assert set(reply.json) == {"success", "message", "data"}
    assert set(reply.data) == {"mfa_required", "challenge_id", "expires_in", "methods"}
    assert "set-cookie" not in reply.headers
    assert ann.phone is not None
    said = reply.content.decode() + str(reply.headers)
    said = said.replace(reply.data["challenge_id"], "")
    codes = [ann.phone.code_of(step + shift) for shift in range(-2, 3)]
    known = [ann.user_id, ann.username, ann.password, ann.phone.secret, *ann.backup_codes, *codes]
    assert not [value for value in known if value in said]


def test_s02_the_right_code_finishes_the_challenge(site: Site) -> None:
    """The right code yields tokens whose `amr` is `pwd`, `otp` and `mfa` and whose `auth_time` is
    the present."""
    ann = site.member()
    data = ok(ann.finish(ann.begin()["challenge_id"], ann.code())).data
    assert set(data) == {"access_token", "refresh_token", "token_type", "expires_in"}
    said = claims(data["access_token"])
    assert said["amr"] == ["pwd", "otp", "mfa"]
    assert said["acr"] == "aal2"
    assert said["auth_time"] == said["iat"] == int(site.clock.now().timestamp())
    assert ok(site.api().get("/mfa/status", token=data["access_token"])).data["enabled"]


def test_s03_a_code_without_a_challenge_is_no_way_in(site: Site) -> None:
    """A TOTP code alone never gives a session: not with the username, not by itself, not as HTTP
    Basic, not with a challenge that was made up."""
    ann = site.member()
    code = ann.code()
    basic = base64.b64encode(f"{ann.username}:{code}".encode()).decode()
    made_up = secrets.token_urlsafe(32)
    with unchanged(site, ann):
        refused(login(site, username=ann.username, mfa_code=code), "invalid_request")
        refused(login(site, mfa_code=code), "invalid_request")
        refused(login(site, username=ann.username, password=code), "invalid_credentials")
        refused(login(site, challenge_id=made_up, mfa_code=code), "invalid_challenge")
        for path in ("/auth/login", "/auth/session", "/mfa/status"):
            method = "POST" if path == "/auth/login" else "GET"
            headers = {"Authorization": f"Basic {basic}"}
            refused(site.api().request(method, path, headers=headers))
    ok(ann.finish(ann.begin()["challenge_id"], code))


def test_s04_a_challenge_is_no_bearer_token(site: Site) -> None:
    """A challenge sent as a bearer token is answered 401 at every protected operation."""
    ann = site.member()
    challenge = ann.begin()["challenge_id"]
    with unchanged(site, ann):
        for door in protected(site):
            reply = refused(door.knock(site, token=challenge), "invalid_token")
            assert reply.status == 401, door
    ok(ann.get("/mfa/status"))
    ok(ann.finish(challenge, ann.code()))


def test_s05_a_challenge_is_good_once(site: Site) -> None:
    """A challenge that has yielded tokens yields none again, even with the next valid code."""
    ann = site.member()
    challenge = ann.begin()["challenge_id"]
    ok(ann.finish(challenge, ann.code()))
    site.clock.advance(seconds=PERIOD)
    code = ann.code()
    with unchanged(site, ann):
        refused(ann.finish(challenge, code), "invalid_challenge")
    ok(ann.finish(ann.begin()["challenge_id"], code))


def test_s06_a_challenge_lives_five_minutes(site: Site) -> None:
    """Two seconds before its five minutes are over a challenge is good; one second after them it
    is refused, in the words that an unknown one is refused in."""
    ann, bob = site.member(), site.member()
    early = ann.begin()["challenge_id"]
    site.clock.advance(seconds=TTL - 2)
    ok(ann.finish(early, ann.code()))
    late = bob.begin()["challenge_id"]
    site.clock.advance(seconds=TTL + 1)
    with unchanged(site, bob):
        reply = refused(bob.finish(late, bob.code()), "invalid_challenge")
    unknown = refused(bob.finish(secrets.token_urlsafe(32), bob.code()), "invalid_challenge")
    assert without_ids(reply) == without_ids(unknown)


def test_s07_a_challenge_belongs_to_its_user(site: Site) -> None:
    """Another user's code does not finish a challenge; the failure is counted for the owner of
    the challenge, and the code stays good for its own user."""
    ann, bob = site.member(), site.member()
    code = bob.code()
    challenge = ann.begin()["challenge_id"]
    with unchanged(site, ann, bob):
        refused(ann.finish(challenge, code), "invalid_code")
    assert failures(site, "totp", ann) == 1
    assert failures(site, "totp", bob) == 0
    ok(bob.finish(bob.begin()["challenge_id"], code))
    ok(ann.finish(challenge, ann.code()))


def test_s08_challenges_cannot_be_guessed(site: Site) -> None:
    """A thousand challenges are all different, of 256 random bits, without a common prefix, in no
    order of time and no UUIDs. The rank correlation with time stays under 0.15: chance alone
    exceeds 0.1 once in 600 runs, 0.15 never, and a counter or a clock has 1."""
    number = 1000
    members = [site.member() for _ in range(10)]
    clients = [site.api(address=fresh_address()) for _ in members]

    def challenge(turn: int) -> str:
        who = members[turn % 10]
        body = {"username": who.username, "password": who.password}
        return str(ok(clients[turn % 10].post("/auth/login", json=body)).data["challenge_id"])

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(challenge, range(number)))
    look_random(found)


def look_random(found: list[str]) -> None:
    """Assert that opaque values in the order of their making tell nothing of each other."""
    number = len(found)
    assert len(set(found)) == number
    assert {len(value) for value in found} == {43}
    raw = [base64.urlsafe_b64decode(value + "=") for value in found]
    assert {len(data) for data in raw} == {32}
    assert abs(rank_correlation(found)) < 0.15
    assert abs(rank_correlation([value[::-1] for value in found])) < 0.15
    for place in range(32):
        # Of 256 values a thousand draws meet about 251; a constant or a clock meets few.
        assert len({data[place] for data in raw}) > 200, place


def rank_correlation(values: list[Any]) -> float:
    """Spearman's, of values (all different) with their order."""
    number = len(values)
    ranks = sorted(range(number), key=lambda index: values[index])
    squares = sum((rank - index) ** 2 for rank, index in enumerate(ranks))
    return 1 - 6 * squares / (number * (number**2 - 1))


@pytest.mark.parametrize(
    "make",
    [
        lambda n, _: n.to_bytes(32, "big"),
        lambda n, rest: n.to_bytes(8, "big") + rest[8:],
        lambda n, rest: b"fixed" + rest[5:],
        lambda n, rest: rest[:24] + (n * 1000).to_bytes(8, "big"),
        lambda n, rest: rest[:16],
    ],
    ids=["a counter", "a clock before", "a prefix", "a clock behind", "short"],
)
def test_what_could_be_guessed_is_noticed(make: Callable[[int, bytes], bytes]) -> None:
    def value(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    look_random([value(secrets.token_bytes(32)) for _ in range(1000)])
    with pytest.raises(AssertionError):
        look_random([value(make(n, secrets.token_bytes(32))) for n in range(1000)])


def test_s09_without_mfa_a_password_yields_tokens(site: Site) -> None:
    """Without MFA the password yields tokens at once, whose `amr` is `pwd` and nothing more."""
    ann = site.account()
    data = ok(login(site, username=ann.username, password=ann.password)).data
    assert set(data) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert claims(data["access_token"])["amr"] == ["pwd"]
    assert claims(data["access_token"])["acr"] == "aal1"
    with unchanged(site, ann):
        wrong = ann.password + "x"
        refused(login(site, username=ann.username, password=wrong), "invalid_credentials")


def test_s10_a_challenge_dies_of_five_wrong_codes(site: Site) -> None:
    """After five wrong codes the right one is refused on the same challenge: 429 while the
    account's budget is closed, and invalid when it has opened. A new challenge takes it."""
    ann = site.member()
    challenge = ann.begin()["challenge_id"]
    with unchanged(site, ann):
        for _ in range(WRONG):
            refused(ann.finish(challenge, ann.wrong_code()), "invalid_code")
        throttled = refused(ann.finish(challenge, ann.code()), "too_many_attempts")
        assert throttled.status == 429
        site.clock.advance(seconds=int(throttled.headers["Retry-After"]))
        refused(ann.finish(challenge, ann.code()), "invalid_challenge")
    ok(ann.finish(ann.begin()["challenge_id"], ann.code()))


def test_s10_a_challenge_takes_the_right_code_after_four_wrong_ones(site: Site) -> None:
    """The twin: after four wrong codes the right one finishes the challenge."""
    ann = site.member()
    challenge = ann.begin()["challenge_id"]
    for _ in range(WRONG - 1):
        refused(ann.finish(challenge, ann.wrong_code()), "invalid_code")
    ok(ann.finish(challenge, ann.code()))


def test_s11_a_pending_enrolment_changes_no_login(site: Site) -> None:
    """Before it is proven an enrolment locks nobody out and lets nobody in: the password alone
    still signs in, and a code of the pending secret finishes nothing."""
    ann = site.user()
    pending = ann.authenticator(ann.set_up()["secret"])
    assert "access_token" in ann.begin()
    with unchanged(site, ann):
        code = pending.code_of(site.clock.step())
        refused(ann.finish(secrets.token_urlsafe(32), code), "invalid_challenge")
        refused(ann.post("/auth/challenge"), "mfa_not_enabled")
    bob = site.member().step_up()
    rotation = bob.authenticator(bob.set_up()["secret"])
    challenge = bob.begin()["challenge_id"]
    site.clock.advance(seconds=PERIOD)  # into a step that no code has spent
    with unchanged(site, bob):
        refused(bob.finish(challenge, rotation.code_of(site.clock.step())), "invalid_code")
    ok(bob.finish(challenge, bob.code()))
    ok(ann.post("/mfa/verify", json={"code": pending.code_of(site.clock.step())}))
    assert "challenge_id" in ann.begin()


def test_s12_a_wrong_password_tells_nothing_of_the_account(site: Site) -> None:
    """A wrong password is answered in the same words for a user with MFA, for one without and for
    nobody, and opens no challenge for any."""
    ann, bob = site.account(), site.member()
    names = [ann.username, bob.username, f"nobody.{secrets.token_hex(6)}"]
    with unchanged(site, ann, bob):
        replies = [
            refused(login(site, username=name, password="wrong enough"), "invalid_credentials")
            for name in names
        ]
    first, second, third = map(without_ids, replies)
    assert first == second == third
    assert "access_token" in ann.begin()
    assert "challenge_id" in bob.begin()


def without_ids(reply: Reply) -> tuple[int, Any, dict[str, str]]:
    """A reply but for what names the request and its time."""
    document = json.loads(reply.content)
    assert document["error"].pop("request_id") == reply.headers["x-request-id"]
    kept = {k: v for k, v in reply.headers.items() if k not in ("x-request-id", "date")}
    return reply.status, document, kept


NOT_SAID = object()
ODD_CODES = [NOT_SAID, None, "", " ", "null", "000000", "undefined"]


def test_s13_no_odd_value_passes_for_a_code(site: Site) -> None:
    """A code that is missing, null, empty, blank, "null", "000000" or "undefined" is refused and
    never an error of the server, as is an empty body; then the right code is taken."""
    ann = site.member()
    challenge = ann.begin()["challenge_id"]
    assert ann.phone is not None
    while "000000" in {ann.phone.code_of(site.clock.step() + n) for n in (-1, 0, 1)}:
        site.clock.advance(seconds=PERIOD)
    with unchanged(site, ann):
        for odd, extra in itertools.product(ODD_CODES, [{}, {"username": ann.username}]):
            code = {} if odd is NOT_SAID else {"mfa_code": odd}
            refused(login(site, challenge_id=challenge, **code, **extra))
        refused(login(site))
        refused(site.api().post("/auth/login"))
    assert failures(site, "totp", ann) == 1, "only 000000 has the shape of a code"
    ok(ann.finish(challenge, ann.code()))
