"""Section 4.2: which six digits are a second factor, when, and how often."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import count
from statistics import median
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from tests.security.doors import elsewhere
from tests.security.phones import Phone
from tests.security.refusals import refused, unchanged
from tests.security.site import PERIOD, Site
from tests.support.accounts import Account, ok
from tests.support.api import Reply
from tests.support.doors import at_login

ROUNDS, CONNECTIONS, OPEN = 20, 20, 5
"""Of the races; a user has at most ``OPEN`` challenges, so that each is raced for."""


def phone_in(uri: str) -> Phone:
    """The phone that has scanned this URI and knows nothing else."""
    fields = {name: values[0] for name, values in parse_qs(urlsplit(uri).query).items()}
    shown = int(fields["digits"]), int(fields["period"]), fields["algorithm"]
    return Phone(fields["secret"], *shown)


def phone_of(account: Account) -> Phone:
    assert isinstance(account.phone, Phone)
    return account.phone


def seasoned(site: Site, **fields: Any) -> Account:
    """A member whose last code is so long ago that none of the window is spent."""
    member = site.member(**fields)
    site.clock.advance(seconds=3 * PERIOD)
    return member


def present_code(site: Site, account: Account) -> str:
    return phone_of(account).code_of(site.clock.step())


def test_s14_what_setup_shows_is_what_the_server_accepts(site: Site) -> None:
    """The secret has 160 bits, and the URI's issuer, account and parameters are the true ones.

    The phone knows the URI alone. Codes after other parameters are the rejected twins.
    """
    name = f"ann.o'neil+x&y=z/{time.time_ns()}@exämple.org"
    ann = site.user(username=name)
    setup = ann.set_up()
    parts = urlsplit(setup["otpauth_uri"])
    fields = {key: value[0] for key, value in parse_qs(parts.query).items()}
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert parts.path == f"/Countersign:{quote(name, safe='')}"
    assert unquote(parts.path) == f"/Countersign:{name}"
    assert fields["issuer"] == "Countersign"
    assert fields["secret"] == setup["secret"]
    assert len(setup["secret"]) >= 32
    assert set(setup["secret"]) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    shown = {key: fields[key] for key in ("algorithm", "digits", "period")}
    assert shown == {"algorithm": "SHA1", "digits": "6", "period": "30"}
    assert shown == {key: str(setup[key]) for key in shown}
    now = site.clock.now()
    for other in (Phone(setup["secret"], 6, 60), Phone(setup["secret"], 6, 30, "SHA256")):
        refused(ann.post("/mfa/verify", json={"code": other.code(now)}), "invalid_code")
    phone = phone_in(setup["otpauth_uri"])
    ok(ann.post("/mfa/verify", json={"code": phone.code(now)}))
    ann.phone, phone.last_step = phone, site.clock.step()
    site.clock.advance(seconds=PERIOD)
    ok(at_login(ann, ann.code()))


def test_s14_no_secret_is_made_twice(site: Site) -> None:
    """Secrets of different users, and of one user's enrolments, differ."""
    users = [site.user() for _ in range(3)]
    secrets = [user.set_up()["secret"] for user in users for _ in range(5)]
    assert len(set(secrets)) == len(secrets)


@pytest.mark.parametrize("start", ["0", "00"])
def test_s15_a_code_that_begins_with_zero_is_a_string_of_six_digits(site: Site, start: str) -> None:
    """A code with leading zeros is accepted as it is, and neither shortened nor as a number."""
    ann = seasoned(site)
    phone = phone_of(ann)
    step = next(n for n in count(site.clock.step() + 1) if phone.code_of(n).startswith(start))
    site.clock.to(datetime.fromtimestamp(step * PERIOD + 7, UTC))
    code = phone.code_of(step)
    challenge = ann.begin()["challenge_id"]
    # Spaces are no part of a code, but let the short form through the schema.
    for text in (code.lstrip("0"), int(code), f"0o{code}", code.lstrip("0").rjust(len(code))):
        with unchanged(site, ann):
            body = {"challenge_id": challenge, "mfa_code": text}
            refused(ann.api.post("/auth/login", json=body), "invalid_request", "invalid_code")
    assert ann.api.post("/auth/login", json=body | {"mfa_code": int(code)}).status == 400
    ok(ann.finish(challenge, code))


def test_s16_one_step_each_way_is_accepted_and_no_more(site: Site) -> None:
    """Of the codes of T-2 to T+2 those of T-1, T and T+1 are accepted (the decision is ADR 0001)."""
    accounts = {steps: site.member() for steps in range(-2, 3)}
    site.clock.advance(seconds=5 * PERIOD)
    site.clock.to_phase(15)
    for steps, ann in accounts.items():
        code = phone_of(ann).code_of(site.clock.step() + steps)
        challenge = ann.begin()["challenge_id"]
        if abs(steps) == 2:
            with unchanged(site, ann):
                refused(ann.finish(challenge, code), "invalid_code")
        else:
            ok(ann.finish(challenge, code))


def test_s16_a_code_lives_for_ninety_seconds(site: Site) -> None:
    """A code is good from 30 s before its step to 60 s after its beginning, to the moment."""
    early, late, too_late = (site.member() for _ in range(3))
    step = site.clock.step() + 5
    start = step * PERIOD

    def at(offset: float, ann: Account) -> Reply:
        site.clock.to(datetime.fromtimestamp(start + offset, UTC))
        return at_login(ann, phone_of(ann).code_of(step))

    refused(at(-30.001, early), "invalid_code")
    ok(at(-30, early))
    ok(at(59.999, late))
    refused(at(60, too_late), "invalid_code")


def test_s17_a_code_is_good_once(site: Site) -> None:
    """The same code is rejected at a second sign-in in its own step; the first session stays."""
    ann = seasoned(site)
    code = present_code(site, ann)
    first = ann.another_device().take(ok(at_login(ann, code)).data)
    challenge = ann.begin()["challenge_id"]
    with unchanged(site, ann):
        refused(ann.finish(challenge, code), "invalid_code")
    assert first.get("/auth/session").data["acr"] == "aal2"
    ok(ann.finish(challenge, phone_of(ann).code_of(site.clock.step() + 1)))


def test_s18_a_spent_code_stays_spent_while_its_window_lasts(site: Site) -> None:
    """A replay a step later, from elsewhere, with a challenge older than the first use, fails."""
    ann = seasoned(site)
    thief = elsewhere(site, ann)
    step = site.clock.step()
    code = phone_of(ann).code_of(step)
    waiting, fresh = thief.begin()["challenge_id"], thief.begin()["challenge_id"]
    ok(at_login(ann, code))
    site.clock.advance(seconds=PERIOD)
    with unchanged(site, ann):
        refused(thief.finish(waiting, code), "invalid_code")
    ok(thief.finish(fresh, phone_of(ann).code_of(step + 1)))


def test_s18_no_older_step_is_accepted_after_a_newer_one(site: Site) -> None:
    """The code of the step before is rejected once that of the present step was used."""
    ann, twin = seasoned(site), seasoned(site)
    step = site.clock.step()
    ok(at_login(ann, phone_of(ann).code_of(step)))
    refused(at_login(ann, phone_of(ann).code_of(step - 1)), "invalid_code")
    ok(at_login(twin, phone_of(twin).code_of(step - 1)))


def one_wins(site: Site, codes: Callable[[Account], list[str]]) -> None:
    """Race one code on all open challenges, round after round: one success each, over all."""
    won = []
    for _ in range(ROUNDS):
        ann = seasoned(site)
        challenges = [ann.begin()["challenge_id"] for _ in range(OPEN)]
        requests = [
            site.request("/auth/login", {"challenge_id": challenges[n % OPEN], "mfa_code": code})
            for n, code in enumerate(codes(ann))
        ]
        replies = Site(site.house).race(requests)
        assert {reply.status for reply in replies} <= {200, 401, 429}
        won.append(sum(reply.status == 200 for reply in replies))
    assert won == [1] * ROUNDS


def test_s19_twenty_at_once_with_one_code_make_one_session(site: Site) -> None:
    """Of twenty simultaneous sign-ins with one code exactly one succeeds, in twenty rounds.

    Design section 5 allows five open challenges, not twenty: each is given to four connections.
    """
    one_wins(site, lambda ann: [present_code(site, ann)] * CONNECTIONS)


def test_s20_another_user_s_code_is_a_wrong_code(site: Site) -> None:
    """B's code does not finish A's sign-in, and stays good for B."""
    ann, ben = seasoned(site), seasoned(site)
    code = present_code(site, ben)
    challenge = ann.begin()["challenge_id"]
    with unchanged(site, ann, ben):
        refused(ann.finish(challenge, code), "invalid_code")
    ok(at_login(ben, code))
    ok(ann.finish(challenge, present_code(site, ann)))


SPELLINGS: dict[str, Callable[[str], str]] = {
    "a space before": lambda c: f" {c}",
    "a space behind": lambda c: f"{c} ",
    "a space within": lambda c: f"{c[:3]} {c[3:]}",
    "a hyphen within": lambda c: f"{c[:3]}-{c[3:]}",
    "a tab before": lambda c: f"\t{c}",
    "a newline behind": lambda c: f"{c}\n",
    "spaces between all": lambda c: " ".join(c),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_s21_another_spelling_is_the_same_code(site: Site, name: str) -> None:
    """A spent code is rejected however it is spelt; a fresh one in that spelling is accepted
    once, with the same step spent, or is a 400."""
    ann, fresh = seasoned(site), seasoned(site)
    code = present_code(site, ann)
    ok(at_login(ann, code))
    challenge = ann.begin()["challenge_id"]
    with unchanged(site, ann):
        refused(ann.finish(challenge, SPELLINGS[name](code)))
    code = present_code(site, fresh)
    first = at_login(fresh, SPELLINGS[name](code))
    again = at_login(fresh, code)
    if first.status == 200:
        refused(again, "invalid_code")
    else:
        assert refused(first, "invalid_request").status == 400
        ok(again)


OTHER_DIGITS = {
    "Arabic-Indic": 0x660,
    "Extended Arabic-Indic": 0x6F0,
    "Devanagari": 0x966,
    "Bengali": 0x9E6,
    "full-width": 0xFF10,
    "mathematical bold": 0x1D7CE,
}


@pytest.mark.parametrize("script", OTHER_DIGITS)
def test_s22_only_ascii_digits_are_digits(site: Site, script: str) -> None:
    """The right code in the digits of another script is a 400 and costs nothing."""
    ann = seasoned(site)
    code = present_code(site, ann)
    foreign = "".join(chr(OTHER_DIGITS[script] + int(digit)) for digit in code)
    assert foreign.isdigit()
    challenge = ann.begin()["challenge_id"]
    with unchanged(site, ann):
        for text in (foreign, foreign[0] + code[1:], code[:5] + foreign[5]):
            assert refused(ann.finish(challenge, text), "invalid_request").status == 400
    ok(ann.finish(challenge, code))


def test_s22_superscripts_are_no_digits(site: Site) -> None:
    """What ``str.isdigit`` takes for a digit and ``int`` does not is a 400 and no crash."""
    ann = seasoned(site)
    assert "²".isdigit()
    challenge = ann.begin()["challenge_id"]
    with unchanged(site, ann):
        assert refused(ann.finish(challenge, "²" * 6), "invalid_request").status == 400
    ok(at_login(ann, present_code(site, ann)))


def test_s23_a_code_of_another_type_is_never_read_as_the_string(site: Site) -> None:
    """A number, a boolean, an array or an object in place of the code is a 400."""
    ann = seasoned(site)
    code = present_code(site, ann)
    challenge = ann.begin()["challenge_id"]
    others: list[Any] = [int(code), float(code), True, False, [code], [[code]], {"$ne": 1}]
    others += [{"": code}, {"$gt": ""}, [{"mfa_code": code}], [], {}, {"mfa_code": {"a": [code]}}]
    with unchanged(site, ann):
        for other in others:
            body = {"challenge_id": challenge, "mfa_code": other}
            reply = refused(ann.api.post("/auth/login", json=body), "invalid_request")
            assert reply.status == 400
    ok(ann.finish(challenge, code))


LENGTHS: dict[str, Callable[[str], str]] = {
    "one digit": lambda c: c[:1],
    "five digits": lambda c: c[:5],
    "seven digits": lambda c: f"{c}0",
    "seven digits, the last six right": lambda c: f"0{c}",
    "eight digits": lambda c: f"00{c}",
    "twice the code": lambda c: c * 2,
    "1 000 digits": lambda c: c + "0" * 994,
    "1 000 000 digits": lambda c: c + "0" * 999_994,
}


@pytest.mark.parametrize("name", LENGTHS)
def test_s24_a_code_has_six_digits_and_no_other_number(site: Site, name: str) -> None:
    """Any other number of digits is rejected, and costs no guess."""
    ann = seasoned(site)
    code = present_code(site, ann)
    challenge = ann.begin()["challenge_id"]
    with unchanged(site, ann):
        for _ in range(6):
            refused(ann.finish(challenge, LENGTHS[name](code)))
    ok(ann.finish(challenge, code))


def test_s24_a_long_code_takes_no_longer_than_a_wrong_one(site: Site) -> None:
    """The median time of a refusal is within 100 ms of that of the simplest request.

    Twenty of each, interleaved on one connection, so that a busy machine slows both; the best of
    three attempts counts.
    """
    ann = seasoned(site)
    challenge = ann.begin()["challenge_id"]
    bodies = [
        {"challenge_id": challenge, "mfa_code": text} for text in ("1", "1" * 1000, "1" * 1_000_000)
    ]
    assert min(delay(site, bodies) for _ in range(3)) < 0.1


def delay(site: Site, bodies: list[dict[str, str]]) -> float:
    """The most seconds by which the median of one of the requests exceeds that of a plain one."""
    api = site.api(0)
    times: dict[int, list[float]] = {}
    for _ in range(20):
        for number, body in enumerate([{}, *bodies]):
            start = time.perf_counter()
            assert 400 <= api.post("/auth/login", json=body).status < 500
            times.setdefault(number, []).append(time.perf_counter() - start)
    base, *others = (median(values) for values in times.values())
    return max(others) - base


def test_s25_only_the_server_s_clock_counts(site: Site) -> None:
    """A code of twenty steps ago stays wrong whatever time the client names, in header or body."""
    ann = seasoned(site)
    site.clock.advance(seconds=20 * PERIOD)
    then = site.clock.step() - 20
    old, date = phone_of(ann).code_of(then), datetime.fromtimestamp(then * PERIOD, UTC)
    challenge = ann.begin()["challenge_id"]
    body = {"challenge_id": challenge, "mfa_code": old}
    with unchanged(site, ann):
        headers = {"Date": format_datetime(date, usegmt=True), "X-Timestamp": date.isoformat()}
        refused(ann.api.post("/auth/login", json=body, headers=headers), "invalid_code")
        for name in ("timestamp", "time", "counter"):
            claim = body | {name: then * PERIOD}
            assert refused(ann.api.post("/auth/login", json=claim), "invalid_request").status == 400
    claim = body | {"mfa_code": present_code(site, ann)}
    ok(ann.api.post("/auth/login", json=claim, headers=headers))
