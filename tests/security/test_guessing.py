"""Section 4.3: how often anybody can guess, wherever, however fast and from however many places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice

import httpx
import pytest

from tests.e2e.wire import Line, api_over
from tests.security.doors import (
    ACCOUNT_FREE,
    FREE,
    LOCK,
    PASSWORD_FREE,
    Door,
    delayed,
    elsewhere,
    patient,
    use_up,
)
from tests.security.refusals import refused
from tests.security.site import Site, fresh_address
from tests.support.accounts import Account, ok
from tests.support.api import Api, Reply
from tests.support.doors import at_backup_codes, at_disable, at_login, at_step_up, wrong_backup_code

BURST, BURSTS = 60, 10
LONGEST_PASSWORD_DELAY = 900
LONGEST_KNOWN_DELAY = 30
FORWARDING = ("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP")

Headers = Callable[[int], Mapping[str, str]]


def no_headers(_number: int) -> Mapping[str, str]:
    return {}


def forged(number: int) -> Mapping[str, str]:
    """Another client each time, for whoever believes forwarding headers."""
    address = f"203.0.113.{number % 250}"
    return dict.fromkeys(FORWARDING, address) | {"Forwarded": f"for={address}"}


def post(account: Account, headers: Mapping[str, str], **body: str) -> Reply:
    return account.api.post("/auth/login", json=body, headers=headers)


def guess_through_challenges(account: Account, rounds: int, headers: Headers) -> list[str]:
    """Sign in, guess three times, drop the challenge, and again; the code of each refusal."""
    codes = []
    for number in range(rounds):
        fields = headers(number)
        begun = post(account, fields, username=account.username, password=account.password)
        challenge = ok(begun).data["challenge_id"]
        for _ in range(3):
            code = account.wrong_code()
            codes.append(refused(post(account, fields, challenge_id=challenge, mfa_code=code)).code)
    return codes


def challenges_buy_no_guess(site: Site, rounds: int = 100, headers: Headers = no_headers) -> None:
    """What S-26 promises, whatever headers the guesser sends."""
    ann = site.member()
    codes: list[str] = []
    for start in range(0, rounds, 25):  # no address sends more at once than floods are made of
        mallory = elsewhere(site, ann)
        codes += guess_through_challenges(mallory, 25, lambda n, first=start: headers(first + n))
    assert codes == ["invalid_code"] * FREE + ["too_many_attempts"] * (3 * rounds - FREE)
    right = ann.code()
    site.clock.advance(seconds=delayed(at_login(ann, right), "totp", 30))
    ok(at_login(ann, right))


def test_s26_neither_a_new_challenge_nor_a_new_sign_in_buys_a_guess(site: Site) -> None:
    """Of 300 wrong codes on 100 challenges five are looked at; the rest is 429, whatever it is."""
    challenges_buy_no_guess(site)


def test_s27_at_the_limit_the_right_code_waits_as_long_as_retry_after_says(site: Site) -> None:
    """The right code is a 429 with Retry-After until that time is over, and accepted then."""
    ann = site.member()
    use_up(ann)
    challenge, right = ann.begin()["challenge_id"], ann.code()
    seconds = delayed(ann.finish(challenge, right), "totp", 30)
    site.clock.advance(seconds=seconds - 0.5)
    assert delayed(ann.finish(challenge, right), "totp", 30) == 1
    site.clock.advance(seconds=0.5)
    ok(ann.finish(challenge, right))


def guess_until_locked(account: Account, most: int = 2 * LOCK) -> int:
    """Wrong codes, every delay waited out, until the factor is locked; how many were looked at."""
    for number in range(most):
        if patient(account, at_login, account.wrong_code).code == "factor_locked":
            return number
    raise AssertionError(f"{most} wrong codes in a row were looked at")


def test_s28_wrong_codes_end_in_a_lock_that_only_recovery_opens(site: Site) -> None:
    """Fifty wrong codes in a row are looked at, however long one waits; then a backup code helps.

    The row allows 100; design section 5 says 50.
    """
    ann = site.member()
    assert guess_until_locked(ann) == recorded(site, ann) == LOCK
    for _ in range(2):
        refused(at_login(ann, ann.code()), "factor_locked")
        site.clock.advance(days=30)
    ann.sign_in_with_backup_code()
    site.clock.advance(seconds=30)
    ok(at_login(ann, ann.code()))


def test_s29_every_door_draws_on_the_one_budget_of_the_code_s_kind(site: Site) -> None:
    """Login, step-up and disable share one TOTP budget; with them the check of backup codes
    shares that of backup codes; neither budget closes the other."""
    ann = site.member()
    for door in (at_login, at_login, at_step_up, at_step_up, at_disable):
        refused(door(ann, ann.wrong_code()), "invalid_code", "invalid_credentials")
    right = ann.code()
    for door in (at_login, at_step_up, at_disable):
        delayed(door(ann, right), "totp", 30)
    for door in (at_login, at_step_up, at_backup_codes, at_backup_codes, at_disable):
        refused(door(ann, wrong_backup_code()), "invalid_code", "invalid_credentials")
    for door in (at_login, at_step_up, at_backup_codes, at_disable):
        delayed(door(ann, ann.backup_codes[0]), "backup-code", 30)
    site.clock.advance(seconds=30)
    ok(at_step_up(ann, ann.code()))
    ok(at_login(ann, ann.backup_codes[0]))


def test_s29_a_closed_authenticator_does_not_close_the_backup_codes(site: Site) -> None:
    """A right backup code is accepted at every door while the TOTP factor is delayed, and while
    it is locked."""
    for door in (at_login, at_step_up, at_backup_codes, at_disable):
        ann = site.member()
        use_up(ann)
        ok(door(ann, ann.backup_codes[0]))
    ann = site.member()
    guess_until_locked(ann)
    ok(at_login(ann, ann.backup_codes[0]))


def looked_at(account: Account, door: Door, code: Callable[[], str], times: int = 50) -> int:
    """How many of so many wrong codes got another answer than 429, which comes last."""
    replies = [refused(door(account, code())) for _ in range(times)]
    evaluated = sum(reply.status != 429 for reply in replies)
    assert [reply.status == 429 for reply in replies] == [False] * evaluated + [True] * (
        times - evaluated
    )
    return evaluated


@pytest.mark.parametrize(
    ("door", "kind"),
    [(at_disable, "totp"), (at_disable, "backup-code"), (at_backup_codes, "backup-code")],
    ids=["disable with a TOTP code", "disable with a backup code", "check of backup codes"],
)
def test_s30_a_session_buys_no_guess_of_a_code(site: Site, door: Door, kind: str) -> None:
    """Of fifty wrong codes in a session five are looked at; the right one waits like them."""
    ann = site.member()
    wrong = wrong_backup_code if kind == "backup-code" else ann.wrong_code
    right = ann.backup_codes[0] if kind == "backup-code" else ann.code()
    assert looked_at(ann, door, wrong) == FREE
    site.clock.advance(seconds=delayed(door(ann, right), kind, 30))
    ok(door(ann, right))


def test_s30_a_session_buys_no_guess_of_the_password(site: Site) -> None:
    """Of fifty wrong passwords at disable ten are looked at; the right one waits like them."""
    ann = site.member()

    def disable(account: Account, password: str) -> Reply:
        body = {"password": password, "code": account.backup_codes[0]}
        return account.post("/mfa/disable", json=body)

    assert looked_at(ann, disable, lambda: "not the password") == PASSWORD_FREE
    seconds = delayed(disable(ann, ann.password), "password", 30)
    site.clock.advance(seconds=seconds)
    ok(disable(ann, ann.password))


def test_s30_an_enrolment_takes_five_wrong_codes_and_then_none(site: Site) -> None:
    """After five wrong codes at /mfa/verify the enrolment is gone, the right code with it.

    Design section 5: these are counted on the enrolment and touch no other budget.
    """
    ann = site.member()
    phone = type(ann.phone)(ann.set_up()["secret"])  # type: ignore[misc]
    wrong = {"code": phone.wrong(site.clock.now())}
    replies = [refused(ann.post("/mfa/verify", json=wrong)).code for _ in range(50)]
    assert replies == ["invalid_code"] * FREE + ["no_pending_enrollment"] * (50 - FREE)
    right = {"code": phone.code(site.clock.now())}
    refused(ann.post("/mfa/verify", json=right), "no_pending_enrollment")
    ok(at_login(ann, ann.code()))
    ann.enrol()


def test_s30_where_no_secret_is_asked_for_none_can_be_guessed(site: Site) -> None:
    """regenerateBackupCodes takes no code: fifty requests with one are a 400, without one it works.

    What protects it is the age of the session's second factor (S-42).
    """
    ann = site.member()
    for _ in range(50):
        body = {"code": ann.wrong_code(), "password": ann.password}
        assert refused(ann.post("/mfa/backup-codes/regenerate", json=body)).status == 400
    ok(ann.post("/mfa/backup-codes/regenerate"))


def try_password(api: Api, username: str, password: str, headers: Mapping[str, str]) -> Reply:
    body = {"username": username, "password": password}
    return api.post("/auth/login", json=body, headers=headers)


def wrong_passwords(
    api: Api, username: str, times: int, headers: Headers = no_headers
) -> list[Reply]:
    return [refused(try_password(api, username, f"wrong {n}", headers(n))) for n in range(times)]


def shown(reply: Reply) -> tuple[object, ...]:
    """What a reply tells, but for the id of the request."""
    return reply.status, reply.code, reply.headers.get("Retry-After"), reply.json["message"]


def passwords_are_throttled(site: Site, times: int = 200, headers: Headers = no_headers) -> None:
    """What S-31 promises, whatever headers the guesser sends."""
    ann, neighbour = site.account(), site.account()
    names = (ann.username, f"nobody.{ann.username}")
    known, unknown = (
        wrong_passwords(site.api(address=fresh_address()), n, times, headers) for n in names
    )
    assert [shown(reply) for reply in known] == [shown(reply) for reply in unknown]
    codes = [reply.code for reply in known]
    wanted = ["invalid_credentials"] * PASSWORD_FREE
    assert codes == wanted + ["too_many_attempts"] * (times - PASSWORD_FREE)
    delayed(known[-1], "password", 30)
    neighbour.sign_in()
    ann.sign_in()  # at another address than that of the guesses


def test_s31_passwords_are_throttled_alike_for_users_and_for_nobody(site: Site) -> None:
    """Of 200 wrong passwords ten are looked at, be there such a user or not; nobody else waits."""
    passwords_are_throttled(site)


def test_s31_the_right_password_waits_where_the_wrong_ones_came_from(site: Site) -> None:
    """At a throttled address the right password is a 429 until Retry-After is over."""
    ann, api = site.account(), site.api(address=fresh_address())
    wrong_passwords(api, ann.username, PASSWORD_FREE)
    right = ann.username, ann.password, no_headers(0)
    site.clock.advance(seconds=delayed(try_password(api, *right), "password", 30))
    ok(try_password(api, *right))


def test_s32_a_success_clears_the_budget_of_its_factor(site: Site) -> None:
    """Four wrong codes and a right one, twice, for each factor: the right ones are accepted."""
    ann = site.member()
    for _ in range(2):
        for _ in range(FREE - 1):
            refused(at_login(ann, ann.wrong_code()), "invalid_code")
            refused(at_login(ann, wrong_backup_code()), "invalid_code")
        ok(at_login(ann, ann.code()))
        ok(at_login(ann, ann.backup_codes.pop()))


def wrong_codes(account: Account) -> Iterator[str]:
    """Different codes, none of them right for hours around the present."""
    assert account.phone is not None
    step = int(account.clock.now().timestamp()) // account.phone.period
    near = {account.phone.code_of(step + n) for n in range(-3, 4)}
    return (code for n in range(10**6) if (code := f"{n:06}") not in near)


def burst(site: Site, ann: Account) -> list[httpx.Request]:
    """Sixty wrong codes for four endpoints in turn, three of which take TOTP codes here."""
    challenges = [ann.begin()["challenge_id"] for _ in range(FREE)]
    step_up = ok(ann.post("/auth/challenge")).data["challenge_id"]
    requests = []
    for number, code in enumerate(islice(wrong_codes(ann), BURST // 4 * 4)):
        challenge = challenges[number // 4 % len(challenges)]
        bodies: list[tuple[str, dict[str, str], str | None]] = [
            ("/auth/login", {"challenge_id": challenge, "mfa_code": code}, None),
            ("/auth/login", {"challenge_id": step_up, "mfa_code": code}, ann.token),
            ("/mfa/disable", {"password": ann.password, "code": code}, ann.token),
            ("/mfa/backup-codes/verify", {"code": wrong_backup_code()}, ann.token),
        ]
        path, body, token = bodies[number % 4]
        requests.append(site.request(path, body, token))
    return requests


def evaluated(replies: list[Reply]) -> tuple[int, int]:
    """How many TOTP codes and backup codes of a burst were looked at, by the answers."""
    codes = [refused(reply).code for reply in replies]
    wrong = [code in ("invalid_code", "invalid_credentials") for code in codes]
    assert set(codes) <= {"invalid_code", "invalid_credentials", "too_many_attempts"}, Counter(
        codes
    )
    backup = sum(wrong[3::4])
    return sum(wrong) - backup, backup


def recorded(site: Site, account: Account) -> int:
    """How many wrong codes of the user were looked at, by the audit trail.

    A refused removal of the factor does not tell there which part was wrong; here the password
    was right.
    """
    rows = site.rows(
        "SELECT count(*) AS number FROM audit_events WHERE user_id = :user"
        " AND result = 'failure' AND reason IN ('invalid_code', 'invalid_credentials')",
        user=account.user_id,
    )
    return int(rows[0]["number"])


def bursts_keep_to_the_budget(site: Site, rounds: int = BURSTS) -> None:
    """What S-33 promises, over all rounds."""
    counts = []
    for _ in range(rounds):
        ann = site.member()
        replies = Site(site.house).race(burst(site, ann))
        counts.append(evaluated(replies))
        assert recorded(site, ann) == sum(counts[-1])
        right = ann.code()
        last = [door(ann, right) for door in (at_login, at_step_up, at_disable)]
        last.append(at_backup_codes(ann, ann.backup_codes[0]))
        assert {refused(reply).code for reply in last} == {"too_many_attempts"}, counts
        site.clock.advance(seconds=30)
        ok(at_login(ann, ann.code()))
        ok(at_login(ann, ann.backup_codes[0]))
    assert all(0 < totp <= FREE and 0 < backup <= FREE for totp, backup in counts), counts


def test_s33_sixty_guesses_at_once_are_looked_at_no_further_than_the_budget(site: Site) -> None:
    """Of sixty wrong codes at once, over four endpoints, five of each kind are looked at in each
    of ten rounds, and the right code, placed last, fails until the delay is over."""
    bursts_keep_to_the_budget(site)


def test_s34_a_forged_address_buys_no_guess(site: Site) -> None:
    """With another forwarding header each time S-26 and S-31 hold as before; the audit trail has
    the address of the connection, and what those headers say is stored nowhere."""
    before = newest_event(site)
    challenges_buy_no_guess(site, 25, forged)
    passwords_are_throttled(site, 50, forged)
    rows = site.rows("SELECT address FROM audit_events WHERE number > :before", before=before)
    assert len(rows) > FREE + PASSWORD_FREE
    assert all(row["address"].startswith("127.") for row in rows)
    assert "203.0.113." not in site.dump()


def newest_event(site: Site) -> int:
    rows = site.rows("SELECT max(number) AS number FROM audit_events")
    return int(rows[0]["number"] or 0)


@contextmanager
def stranger_at(site: Site, number: int) -> Iterator[Api]:
    """A client at an address that nobody has used, on one connection to one worker."""
    with Line(site.server(number % site.workers), fresh_address()) as line:
        yield api_over(line)


def flood_of_wrong_passwords(site: Site, username: str) -> Counter[str]:
    """A thousand wrong passwords, ten from each of a hundred addresses; the codes of refusal."""
    codes: Counter[str] = Counter()
    for number in range(100):
        with stranger_at(site, number) as api:
            codes.update(reply.code for reply in wrong_passwords(api, username, PASSWORD_FREE))
    return codes


def guess_on(site: Site, username: str, rounds: int = 6) -> None:
    """More wrong passwords, each from another address and once the delay is over."""
    for number in range(rounds):
        with stranger_at(site, number) as api:
            reply = try_password(api, username, "wrong", {})
            seconds = delayed(reply, "password", LONGEST_PASSWORD_DELAY)
            assert seconds == min(30 * 2**number, LONGEST_PASSWORD_DELAY)
            site.clock.advance(seconds=seconds)
            refused(try_password(api, username, "wrong", {}), "invalid_credentials")


def test_s35_strangers_guesses_keep_the_owner_out_for_seconds_only(site: Site) -> None:
    """After 1000 wrong passwords from 100 addresses, of which 100 are looked at, and more after
    each delay, the owner signs in within 30 s at an address of before, within 15 min elsewhere,
    and has all guesses of a code."""
    ann = site.member()
    stranger = elsewhere(site, ann)
    codes = flood_of_wrong_passwords(site, ann.username)
    assert codes["invalid_credentials"] == ACCOUNT_FREE
    assert codes["too_many_attempts"] == 1000 - ACCOUNT_FREE
    guess_on(site, ann.username)
    budgets = site.rows("SELECT count FROM budgets WHERE key = :key", key=f"totp:{ann.user_id}")
    assert budgets == []
    right = ann.username, ann.password, no_headers(0)
    away = delayed(try_password(stranger.api, *right), "password", LONGEST_PASSWORD_DELAY)
    assert away > LONGEST_KNOWN_DELAY
    reply = try_password(ann.api, *right)
    if reply.status == 429:
        seconds = delayed(reply, "password", LONGEST_KNOWN_DELAY)
        site.clock.advance(seconds=seconds)
    for _ in range(FREE - 1):
        refused(at_login(ann, ann.wrong_code()), "invalid_code")
    ok(at_login(ann, ann.code()))
    site.clock.advance(seconds=away)
    ok(try_password(stranger.api, *right))


def test_s35_an_address_alone_proves_nothing(site: Site) -> None:
    """From the owner's own address wrong passwords are throttled as from any other."""
    ann = site.member()
    replies = wrong_passwords(site.api(address=site.address), ann.username, 2 * PASSWORD_FREE)
    assert sum(reply.status == 401 for reply in replies) == PASSWORD_FREE
    delayed(replies[-1], "password", LONGEST_KNOWN_DELAY)
    stranger = site.api(address=fresh_address())
    ok(try_password(stranger, ann.username, ann.password, no_headers(0)))
