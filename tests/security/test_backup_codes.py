"""Section 4.4: the codes on paper: how they are made, shown, kept and spent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import secrets
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.security.doors import FREE, Door, patient
from tests.security.refusals import names, refused, unchanged
from tests.security.site import Site, fresh_address
from tests.security.test_totp import CONNECTIONS, OPEN, ROUNDS, seasoned
from tests.support.accounts import Account, ok
from tests.support.api import Reply
from tests.support.doors import (
    ALPHABET,
    at_backup_codes,
    at_disable,
    at_login,
    at_step_up,
    wrong_backup_code,
)

PER_SET, LENGTH, LEAST_BITS = 10, 16, 64
CRITICAL = 61.098
"""The 0.999 quantile of chi-square with 31 degrees of freedom (32 characters)."""
PER_USER = 90
"""Sets that one user asks for at one address: no limit on floods is to be met here."""


def sets_of_codes(site: Site, number: int) -> Iterator[list[str]]:
    """The codes of so many setups. Each replaces the pending one of before, of a few users."""
    for done in range(number):
        if done % PER_USER == 0:
            ann = site.user()
            ann.api = site.api(address=fresh_address())
        yield ann.set_up()["backup_codes"]


def rejected_positions(codes: list[str]) -> set[int]:
    """The positions at which the characters are not evenly spread, at a level of 0.001."""
    expected = len(codes) / len(ALPHABET)
    counts = [Counter(code[position] for code in codes) for position in range(LENGTH)]
    return {
        position
        for position, count in enumerate(counts)
        if sum((count[c] - expected) ** 2 / expected for c in ALPHABET) > CRITICAL
    }


def codes_are_even(site: Site, sets: int = 60) -> None:
    """What S-36 promises of so many sets.

    Sixteen positions are judged, so that one in sixty sound samples is rejected somewhere: a
    position fails when a second, independent sample rejects it too.
    """
    samples = []
    for _ in range(2):
        listed = list(sets_of_codes(site, sets))
        assert {len(codes) for codes in listed} == {PER_SET}
        samples.append([code.replace("-", "") for codes in listed for code in codes])
        assert {len(code) for code in samples[-1]} == {LENGTH}
        assert set("".join(samples[-1])) <= set(ALPHABET)
        if not rejected_positions(samples[-1]):
            break
    everything = [code for sample in samples for code in sample]
    assert len(set(everything)) == len(everything)
    assert not set.intersection(*map(rejected_positions, samples))


def test_s36_codes_are_many_long_unique_and_even(site: Site) -> None:
    """Ten codes a set, of 80 bits, all different, and every character equally likely in every
    place (chi-square, 0.001)."""
    assert LENGTH * math.log2(len(ALPHABET)) >= LEAST_BITS
    codes_are_even(site)


@pytest.mark.full
def test_s36_codes_of_a_thousand_sets(site: Site) -> None:
    """The same of a thousand sets."""
    codes_are_even(site, 1000)


def test_an_uneven_alphabet_is_rejected() -> None:
    """Random codes pass; codes of a reduced or a slightly favoured alphabet do not."""

    def sample(alphabet: str) -> list[str]:
        return ["".join(secrets.choice(alphabet) for _ in range(LENGTH)) for _ in range(10_000)]

    sound = [rejected_positions(sample(ALPHABET)) for _ in range(2)]
    assert not set.intersection(*sound)
    assert len(rejected_positions(sample(ALPHABET[:-1]))) == LENGTH
    assert len(rejected_positions(sample(ALPHABET + ALPHABET[:16]))) == LENGTH


def spellings(code: str) -> list[str]:
    """The same code as people type it."""
    bare = code.replace("-", "")
    return [code, code.lower(), bare, code.replace("-", " ").replace("0", "O").replace("1", "l")]


def test_s37_a_backup_code_is_good_once(site: Site) -> None:
    """A backup code signs in once, however it is spelt; spent, random and empty ones do not."""
    ann = site.member()
    code = ann.backup_codes[0]
    first = ann.another_device().take(ok(at_login(ann, code)).data)
    for text in spellings(code):
        challenge = ann.begin()["challenge_id"]
        with unchanged(site, ann):
            refused(ann.finish(challenge, text), "invalid_code")
    assert first.get("/auth/session").status == 200
    for number in range(1, 5):
        ok(at_login(ann, spellings(ann.backup_codes[number])[number - 1]))
    challenge = ann.begin()["challenge_id"]
    with unchanged(site, ann):
        refused(ann.finish(challenge, wrong_backup_code()), "invalid_code")
        for text in (
            "",
            " " * 19,
            "-" * 19,
            code[:-1].replace("-", ""),
            f"{code}{code[0]}",
            f"{code}\n",
        ):
            refused(ann.finish(challenge, text), "invalid_request", "invalid_code")
    ok(ann.finish(challenge, ann.backup_codes[5]))


@pytest.mark.parametrize("door", [at_step_up, at_backup_codes, at_disable])
def test_s37_a_code_spent_at_login_is_spent_at_every_door(site: Site, door: Door) -> None:
    """What was spent at login is rejected at step-up, at the check of backup codes and at disable,
    where a fresh one is accepted."""
    ann = site.member()
    ok(at_login(ann, ann.backup_codes[0]))
    refused(door(ann, ann.backup_codes[0]), "invalid_code", "invalid_credentials")
    ok(door(ann, ann.backup_codes[1]))


def test_s38_of_twenty_at_once_one_gets_in(site: Site) -> None:
    """Of twenty simultaneous sign-ins with one backup code exactly one succeeds, in twenty
    rounds, and the count falls by one each.

    Design section 5 allows five open challenges, not twenty: each is given to four connections.
    """
    won, left = [], []
    for _ in range(ROUNDS):
        ann = site.member()
        challenges = [ann.begin()["challenge_id"] for _ in range(OPEN)]
        body = {"mfa_code": ann.backup_codes[0]}
        requests = [
            site.request("/auth/login", body | {"challenge_id": challenges[n % OPEN]})
            for n in range(CONNECTIONS)
        ]
        replies = Site(site.house).race(requests)
        assert {reply.status for reply in replies} <= {200, 401, 429}
        won.append(sum(reply.status == 200 for reply in replies))
        left.append(ann.status()["backup_codes_remaining"])
    assert won == [1] * ROUNDS
    assert left == [PER_SET - 1] * ROUNDS


def pairs_of_names() -> Iterator[tuple[str, str]]:
    """Names that a lookup by prefix, by folding or by id could take for each other."""
    some = secrets.token_hex(6)
    yield f"{some}@example.org", f"{some}@example.org.example.com"
    one = str(uuid.uuid4())
    yield one, one.replace("-", "")
    yield f"{some}%", f"{some}_"
    yield f"{some}'--", f"{some}''--"


def test_s39_another_user_s_backup_code_is_a_wrong_one(site: Site) -> None:
    """B's code does not finish A's sign-in, whatever they are called, and stays good for B."""
    for first, second in pairs_of_names():
        ann, ben = site.member(username=first), site.member(username=second)
        challenge = ann.begin()["challenge_id"]
        with unchanged(site, ann, ben):
            refused(ann.finish(challenge, ben.backup_codes[0]), "invalid_code")
            refused(at_backup_codes(ann, ben.backup_codes[1]), "invalid_code")
        ok(at_login(ben, ben.backup_codes[0]))
        ok(at_backup_codes(ben, ben.backup_codes[1]))
        ok(ann.finish(challenge, ann.backup_codes[0]))


def test_s39_a_user_named_by_another_s_id_has_codes_of_its_own(site: Site) -> None:
    """A name that is the id of another account opens nothing of that account."""
    ann = site.member()
    eve = site.member(username=ann.user_id)
    challenge = eve.begin()["challenge_id"]
    with unchanged(site, ann, eve):
        refused(eve.finish(challenge, ann.backup_codes[0]), "invalid_code")
    ok(eve.finish(challenge, eve.backup_codes[0]))
    ok(at_login(ann, ann.backup_codes[0]))


def test_s40_a_new_set_replaces_the_old_one_whole(site: Site) -> None:
    """After regeneration every code of the old set is rejected, and one of the new set works."""
    ann = site.member()
    old = ann.backup_codes
    new = ok(ann.post("/mfa/backup-codes/regenerate")).data["codes"]
    assert len(set(old) | set(new)) == 2 * PER_SET
    for code in old:
        reply = patient(ann, at_login, lambda one=code: one)  # type: ignore[misc]
        refused(reply, "invalid_code")
    ann.backup_codes = new
    reply = patient(ann, at_login, lambda: new[0])
    assert reply.status == 200
    assert ann.take(reply.data).status()["backup_codes_remaining"] == PER_SET - 1


def test_s41_codes_are_shown_once_and_then_only_counted(site: Site) -> None:
    """Codes stand in the reply that made them, which is not to be stored, and in no other."""
    ann = site.user()
    made = ok(ann.post("/mfa/setup"))
    codes = made.data["backup_codes"]
    phone = ann.authenticator(made.data["secret"])
    proof = {"code": phone.code(site.clock.now())}
    replies = [ok(ann.post("/mfa/verify", json=proof))]
    replies += [ann.post("/mfa/verify", json=proof), ann.get("/mfa/status")]
    ann.phone, ann.backup_codes, phone.last_step = phone, codes, site.clock.step()
    site.clock.advance(seconds=30)
    begun = ok(ann.post("/auth/login", json={"username": ann.username, "password": ann.password}))
    replies += [begun, ok(ann.finish(begun.data["challenge_id"], codes[0]))]
    replies += [
        ok(at_backup_codes(ann, codes[1])),
        ann.get("/mfa/status"),
        ann.get("/auth/session"),
    ]
    again = ok(ann.post("/mfa/backup-codes/regenerate"))
    assert not [code for code in codes for reply in [*replies, again] if shows(reply, code)]
    later = [ann.get("/mfa/status"), ann.get("/auth/sessions")]
    assert not [code for code in again.data["codes"] for reply in later if shows(reply, code)]
    for reply in (made, again):
        assert reply.headers["Cache-Control"] == "no-store"
        assert all(shows(reply, code) for code in reply.data.get("codes", codes))
    counted = {name for name in names(json.loads(later[0].content)) if "backup" in name}
    assert counted == {"backup_codes_remaining", "backup_codes_total", "backup_codes_low"}


def shows(reply: Reply, code: str) -> bool:
    text = reply.content.decode().upper() + str(reply.headers).upper()
    return code in text or code.replace("-", "") in text


def renew(account: Account) -> None:
    """Fresh tokens of the same session, as strong as it was."""
    body = {"refresh_token": account.refresh_token}
    account.take(ok(account.api.post("/auth/refresh", json=body)).data)


def test_s42_new_codes_need_a_second_factor_that_is_fresh(site: Site) -> None:
    """With a session whose second factor is older than 10 min regeneration is refused (RFC 9470),
    at 10 min it is not, and after a step-up it works again."""
    ann = site.member()
    site.clock.advance(minutes=9, seconds=30)  # on top of the 30 s since the enrolment
    renew(ann)
    ok(ann.post("/mfa/backup-codes/regenerate"))
    site.clock.advance(seconds=1)
    with unchanged(site, ann):
        reply = refused(ann.post("/mfa/backup-codes/regenerate"))
    assert (reply.status, reply.code) == (401, "insufficient_user_authentication")
    challenge = reply.headers["WWW-Authenticate"]
    assert 'error="insufficient_user_authentication"' in challenge
    assert "max_age=600" in challenge.replace('"', "")
    ok(ann.step_up().post("/mfa/backup-codes/regenerate"))


def test_s42_a_password_alone_makes_no_new_codes(site: Site) -> None:
    """A user without a second factor has none to make codes for, however fresh the password."""
    ann = site.user()
    refused(ann.post("/mfa/backup-codes/regenerate"), "insufficient_user_authentication")
    ok(ann.enrol().post("/mfa/backup-codes/regenerate"))


def test_s43_wrong_codes_use_none_up(site: Site) -> None:
    """Three wrong backup codes leave the count as it was; a right one takes one off."""
    ann = site.member()
    with unchanged(site, ann):
        for _ in range(3):
            refused(at_backup_codes(ann, wrong_backup_code()), "invalid_code")
        assert ann.status()["backup_codes_remaining"] == PER_SET
    assert ok(at_backup_codes(ann, ann.backup_codes[0])).data["backup_codes_remaining"] == 9
    assert ann.status()["backup_codes_remaining"] == PER_SET - 1


def forms(code: str) -> Iterator[str]:
    """Every form in which a code, or an unsalted hash of it, could lie about."""
    bare = code.replace("-", "")
    for text in (code, bare, code.lower(), bare.lower()):
        yield text
        yield base64.b64encode(text.encode()).decode().rstrip("=")
        for algorithm in ("md5", "sha1", "sha256"):
            digest = hashlib.new(algorithm, text.encode()).digest()
            yield digest.hex()
            yield base64.b64encode(digest).decode().rstrip("=")
            yield base64.urlsafe_b64encode(digest).decode().rstrip("=")


def traces(codes: list[str], text: str) -> list[str]:
    folded = text.casefold()
    return [form for code in codes for form in forms(code) if form.casefold() in folded]


def test_s44_neither_the_database_nor_the_logs_hold_a_code(site: Site) -> None:
    """No code stands in the database or the logs, plain or hashed without a salt; what is stored
    is PBKDF2 under a salt of the set's own, over an HMAC whose key is not in the database."""
    ann, ben = site.member(), site.member()
    ok(at_login(ann, ann.backup_codes[0]))
    refused(at_login(ann, ann.backup_codes[0]), "invalid_code")
    ok(at_backup_codes(ann, ann.backup_codes[1]))
    codes = ann.backup_codes + ben.backup_codes
    dump = site.dump()
    assert traces(codes, dump) == []
    assert traces(codes, site.logs()) == []
    salts = {row["salt"] for account in (ann, ben) for row in sets(site, account)}
    assert len(salts) == 2
    assert all(len(bytes.fromhex(salt)) >= 16 for salt in salts)
    for account in (ann, ben):
        (one,) = sets(site, account)
        pepper = pepper_of(site, one["pepper_id"])
        assert base64.b64encode(pepper).decode() not in dump
        assert stored(site, one["id"]) == {
            kept(c, pepper, one["salt"]) for c in account.backup_codes
        }


def test_traces_of_a_code_are_found() -> None:
    code = wrong_backup_code()
    assert traces([code], "nothing here " + wrong_backup_code()) == []
    for form in forms(code):
        assert traces([code], f"a dump with {form} in it")
        assert traces([code], f"a dump with {form.upper()} in it")


def sets(site: Site, account: Account) -> list[dict[str, str]]:
    return site.rows(
        "SELECT c.id, c.salt, c.pepper_id FROM code_sets c JOIN factors f ON f.id = c.factor_id"
        " WHERE f.user_id = :user AND NOT f.pending",
        user=account.user_id,
    )


def stored(site: Site, set_id: str) -> set[str]:
    found = site.rows("SELECT digest FROM backup_codes WHERE set_id = :id", id=set_id)
    return {row["digest"] for row in found}


def pepper_of(site: Site, key_id: str) -> bytes:
    """The pepper's bytes as the key directory keeps them."""
    return base64.b64decode((site.key_dir / f"pepper-{key_id}.key").read_bytes())


def kept(code: str, pepper: bytes, salt: str) -> str:
    """The stored form, written once more after design section 5."""
    keyed = hmac.new(pepper, code.replace("-", "").encode(), "sha256").digest()
    return hashlib.pbkdf2_hmac("sha256", keyed, bytes.fromhex(salt), 1000).hex()


def test_s45_a_backup_code_is_a_second_factor_but_no_otp(site: Site) -> None:
    """A session by backup code has `mfa` in its `amr` and not `otp`; one by TOTP has both.

    The contract gives login's reply tokens and nothing else, so that the codes left are told by
    /mfa/status and by the check of backup codes. The audit trail names the factor.
    """
    ann = seasoned(site)
    other = ann.another_device().take(ok(at_login(ann, ann.backup_codes[0])).data)
    session = other.get("/auth/session").data
    assert set(session["amr"]) == {"pwd", "mfa"}
    assert session["acr"] == "aal2"
    assert claims(other.token)["amr"] == session["amr"]
    assert other.status()["backup_codes_remaining"] == PER_SET - 1
    left = ok(at_backup_codes(other, ann.backup_codes[1])).data
    assert left == {"backup_codes_remaining": PER_SET - 2, "backup_codes_low": False}
    twin = ann.another_device().sign_in().get("/auth/session").data
    assert set(twin["amr"]) == {"pwd", "otp", "mfa"}
    assert recorded_factor(site, session["session_id"]) == "backup_code"
    assert recorded_factor(site, twin["session_id"]) == "totp"


def recorded_factor(site: Site, session_id: str) -> str:
    """The factor that opened a session, by the audit trail."""
    (row,) = site.rows(
        "SELECT factor, result FROM audit_events WHERE session_id = :session"
        " AND event = 'session.opened'",
        session=session_id,
    )
    assert row["result"] == "success"
    return str(row["factor"])


def claims(token: str) -> dict[str, object]:
    """What a JWT says, unverified."""
    payload = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def test_s46_the_last_code_is_the_last(site: Site) -> None:
    """With no code left random ones are rejected, no new set appears by itself, and TOTP works."""
    ann = seasoned(site)
    for code in ann.backup_codes[:-1]:
        ok(at_backup_codes(ann, code))
    status = ann.status()
    assert (status["backup_codes_remaining"], status["backup_codes_low"]) == (1, True)
    assert ann.begin()["methods"] == ["totp", "backup_code"]
    ok(at_login(ann, ann.backup_codes[-1]))
    challenge = ann.begin()
    assert challenge["methods"] == ["totp"]
    with unchanged(site, ann):
        tries = [ann.finish(challenge["challenge_id"], wrong_backup_code()) for _ in range(20)]
        assert {refused(reply).status for reply in tries} == {401, 429}
        assert sum(reply.status == 401 for reply in tries) == FREE
    status = ann.status()
    assert (status["backup_codes_remaining"], status["backup_codes_total"]) == (0, PER_SET)
    ok(at_login(ann, ann.code()))
