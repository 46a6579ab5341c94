"""4.5 Enrolment and removal of a second factor."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.security.jwts import claims
from tests.security.operations import Door, protected
from tests.security.refusals import names, refused, unchanged
from tests.security.site import PERIOD, Site
from tests.support.accounts import Account, ok
from tests.support.api import Reply
from tests.support.ledger import Ledger

FRESH = 600
"""Seconds that a password or a second factor is fresh for a change of factors (PT10M)."""
PENDING = 600
"""Seconds that an enrolment waits to be proven."""
CLAIMS = {"iss", "aud", "sub", "sid", "jti", "iat", "exp", "auth_time", "acr", "amr"}
"""What an access token says (design section 5)."""


def renew(account: Account) -> Account:
    body = {"refresh_token": account.refresh_token}
    return account.take(ok(account.api.post("/auth/refresh", json=body)).data)


def grow_old(site: Site, account: Account) -> Account:
    """Let a session's last proof get older than fresh; its tokens stay good."""
    site.clock.advance(seconds=FRESH - 60)
    renew(account)
    site.clock.advance(seconds=61)
    return account


def patiently(site: Site, act: Callable[[], Reply]) -> Reply:
    """What an act is answered once no budget is closed any more."""
    reply = act()
    while reply.status == 429:
        site.clock.advance(seconds=int(reply.headers["Retry-After"]))
        reply = act()
    return reply


def doors_of_mfa(site: Site) -> list[Door]:
    found = [door for door in protected(site) if door.path.startswith("/mfa/")]
    assert len(found) >= 6
    return found


def test_s47_nothing_of_mfa_answers_a_stranger(site: Site) -> None:
    """Every operation under /mfa/ is 401 with `WWW-Authenticate: Bearer` without a token, and with
    one that has expired."""
    ann = site.user()
    for door in doors_of_mfa(site):
        assert door.knock(site, token=ann.token).status in (200, 401, 409)
        reply = refused(door.knock(site), "invalid_token")
        assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Bearer")
    ok(ann.get("/mfa/status"))
    site.clock.advance(minutes=11)
    for door in doors_of_mfa(site):
        reply = refused(door.knock(site, token=ann.token), "invalid_token")
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def insufficient(reply: Reply, level: str) -> None:
    """RFC 9470 section 3: the level and the age that would do."""
    refused(reply, "insufficient_user_authentication")
    assert reply.status == 401
    fields = dict(re.findall(r'(\w+)="([^"]*)"', reply.headers["WWW-Authenticate"]))
    assert fields["error"] == "insufficient_user_authentication"
    assert (fields["acr_values"], fields["max_age"]) == (level, str(FRESH))


def test_s48_a_rotation_needs_a_fresh_second_factor(site: Site) -> None:
    """With MFA on, a new enrolment needs a second factor not older than ten minutes, a renewed
    token is no fresher; the old secret and codes are good until the new code is proven, and never
    after."""
    ann = grow_old(site, site.member())
    with unchanged(site, ann):
        insufficient(ann.post("/mfa/setup"), "aal2")
    ann.step_up()
    setup = ann.set_up()
    old, spare = ann.phone, ann.backup_codes.pop()
    site.clock.advance(seconds=PERIOD)
    ann.another_device().sign_in()
    ok(ann.finish(ann.begin()["challenge_id"], ann.backup_codes.pop()))
    with unchanged(site, ann):
        wrong = {"code": ann.authenticator(setup["secret"]).wrong(site.clock.now())}
        refused(ann.post("/mfa/verify", json=wrong), "invalid_code")
    ann.phone = ann.authenticator(setup["secret"])
    ok(ann.post("/mfa/verify", json={"code": ann.code()}))
    site.clock.advance(seconds=2 * PERIOD)
    assert old is not None
    challenge = ann.begin()["challenge_id"]
    with unchanged(site, ann):
        refused(ann.finish(challenge, old.code_of(site.clock.step())), "invalid_code")
        refused(ann.finish(challenge, spare), "invalid_code")
    ok(ann.finish(challenge, ann.code()))


def test_s49_a_wrong_code_turns_nothing_on(site: Site) -> None:
    """A wrong code at enrolment leaves MFA off; the right one turns it on."""
    ann = site.user()
    phone = ann.authenticator(ann.set_up()["secret"])
    with unchanged(site, ann):
        wrong = {"code": phone.wrong(site.clock.now())}
        refused(ann.post("/mfa/verify", json=wrong), "invalid_code")
    assert (ann.status()["enabled"], ann.status()["pending"]) == (False, True)
    assert "access_token" in ann.begin()
    ok(ann.post("/mfa/verify", json={"code": phone.code_of(site.clock.step())}))
    assert (ann.status()["enabled"], ann.status()["pending"]) == (True, False)
    assert "challenge_id" in ann.begin()


def test_s50_an_enrolment_waits_ten_minutes(site: Site) -> None:
    """An enrolment is proven two seconds before its ten minutes are over; one second after them
    its right code is refused and a new setup is needed."""
    ann, bob = site.user(), site.user()
    phone, late = (each.authenticator(each.set_up()["secret"]) for each in (ann, bob))
    site.clock.advance(seconds=PENDING - 2)
    ok(ann.post("/mfa/verify", json={"code": phone.code_of(site.clock.step())}))
    site.clock.advance(seconds=3)
    code = {"code": late.code_of(site.clock.step())}
    with unchanged(site, ann):
        assert refused(bob.post("/mfa/verify", json=code), "no_pending_enrollment").status == 409
    assert not bob.status()["pending"]
    assert not bob.status()["enabled"]
    assert bob.sign_in().enrol().status()["enabled"]


def test_s51_a_second_setup_replaces_the_first(site: Site) -> None:
    """Of two setups in a row the first secret is refused and the second is accepted, backup codes
    likewise."""
    ann = site.user()
    setups = [ann.set_up() for _ in range(2)]
    first, second = (ann.authenticator(setup["secret"]) for setup in setups)
    assert first.secret != second.secret
    step = site.clock.step()
    with unchanged(site, ann):
        refused(ann.post("/mfa/verify", json={"code": first.code_of(step)}), "invalid_code")
    ok(ann.post("/mfa/verify", json={"code": second.code_of(step)}))
    challenge = ann.begin()["challenge_id"]
    refused(ann.finish(challenge, setups[0]["backup_codes"][0]), "invalid_code")
    ok(ann.finish(challenge, setups[1]["backup_codes"][0]))


def test_s52_disabling_takes_password_and_factor_together(site: Site) -> None:
    """MFA is turned off by the password and a code together and by nothing less: not an empty
    request, not null, not one of the two, not one of them wrong; the wrong ones are answered in
    the same words."""
    ann = site.member()
    code, password, wrong = ann.code(), ann.password, ann.wrong_code()
    bodies: list[Any] = [None, {}, {"password": None, "code": None}]
    bodies += [{"password": password}, {"code": code}, {"password": "", "code": code}]
    bodies += [{"password": password, "code": ""}, {"password": password, "code": None}]
    with unchanged(site, ann):
        assert refused(ann.post("/mfa/disable")).status in (400, 415)
        for body in bodies:
            content = b"null" if body is None else None
            headers = {"Content-Type": "application/json"}
            reply = ann.post("/mfa/disable", json=body, content=content, headers=headers)
            assert refused(reply, "invalid_request").status == 400, body
            assert ann.status()["enabled"]
        pairs = [(password, wrong), ("not it at all", code), ("not it at all", wrong)]
        said = set()
        for given, shown in pairs:
            reply = ann.post("/mfa/disable", json={"password": given, "code": shown})
            refused(reply, "invalid_credentials")
            said.add((reply.status, reply.json["message"], reply.headers["WWW-Authenticate"]))
            assert ann.status()["enabled"]
        assert len(said) == 1
    ok(ann.post("/mfa/disable", json={"password": password, "code": code}))
    assert not ann.status()["enabled"]


@pytest.mark.parametrize("kind", ["totp", "backup code"])
def test_s53_nothing_of_a_former_enrolment_is_good(site: Site, kind: str) -> None:
    """Disabled and enrolled again, an account has another secret, and every code of the former
    enrolment is refused: its TOTP codes, the code that proved it, its backup codes."""
    ann = site.user()
    setup = ann.set_up()
    former = ann.phone = ann.authenticator(setup["secret"])
    proof = ann.code()
    ok(ann.post("/mfa/verify", json={"code": proof}))
    site.clock.advance(seconds=PERIOD)
    ok(ann.post("/mfa/disable", json={"password": ann.password, "code": ann.code()}))
    ann.enrol()
    site.clock.advance(seconds=PERIOD)
    assert ann.phone.secret != former.secret
    assert not set(setup["backup_codes"]) & set(ann.backup_codes)
    old = [proof, former.code_of(site.clock.step())] if kind == "totp" else setup["backup_codes"]
    for code in old:
        reply = patiently(site, lambda code=code: ann.finish(ann.begin()["challenge_id"], code))
        refused(reply, "invalid_code")
    right = ann.code() if kind == "totp" else ann.backup_codes.pop()
    ok(patiently(site, lambda: ann.finish(ann.begin()["challenge_id"], right)))


def test_s54_an_old_session_enrols_nobody(site: Site) -> None:
    """A stolen session whose password is older than ten minutes starts no enrolment, renewed or
    not; who gives the password again does."""
    ann = grow_old(site, site.user())
    with unchanged(site, ann):
        insufficient(ann.post("/mfa/setup"), "aal1")
        code = {"code": "123456"}
        refused(ann.post("/mfa/verify", json=code), "no_pending_enrollment")
    insufficient(renew(ann).post("/mfa/setup"), "aal1")
    assert not ann.status()["pending"]
    assert ann.sign_in().enrol().status()["enabled"]


def test_s55_half_a_login_changes_no_factor(site: Site) -> None:
    """Who has only a challenge starts, proves, removes and renews no factor, wherever the
    challenge is put: as a bearer token, in the body, in the query, in a cookie."""
    ann = site.member()
    challenge = ann.begin()["challenge_id"]
    with unchanged(site, ann):
        for door in doors_of_mfa(site):
            for options in places_for(challenge, door):
                reply = refused(door.knock(site, **options), "invalid_token")
                assert reply.status == 401, (door, options)
    ok(ann.finish(challenge, ann.code()))
    ok(ann.post("/mfa/setup"))
    ok(ann.post("/mfa/backup-codes/regenerate"))


def places_for(challenge: str, door: Door) -> list[dict[str, Any]]:
    """The options of requests that show a challenge in place of a session."""
    shown = {"challenge_id": challenge}
    cookie = "; ".join(f"{name}={challenge}" for name in ("challenge_id", "session", "token"))
    places: list[dict[str, Any]] = [
        {"token": challenge},
        {"params": shown},
        {"params": {"access_token": challenge}},
        {"headers": {"Cookie": cookie}},
        {"headers": {"X-Challenge-Id": challenge}},
    ]
    if door.method != "GET":
        places += [{"json": (door.body or {}) | shown}, {"json": shown}]
    return places


def test_s56_each_secret_is_shown_once(site: Site) -> None:
    """In a whole life of an account, from registration to the end, a secret stands in the reply
    of its setup alone and backup codes in the reply that made them; no password, no hash, no code
    and nothing of another account stands anywhere; tokens say their ten claims and no more."""
    book = Ledger()
    bob = site.member()
    ann = live(site, site.account(site.api(ledger=book)))
    assert book.leaks() == []
    texts = [text for _, text in book.replies]
    assert len(texts) > 20
    assert not [text for text in texts if "argon2" in text.lower()]
    assert bob.phone is not None
    others = [bob.username, bob.user_id, bob.password, bob.phone.secret, bob.token]
    others += [*bob.backup_codes, bob.begin()["challenge_id"]]
    assert not [text for text in texts for value in others if value in text]
    handed = [label for label, text in book.replies if '"secret"' in text or "otpauth" in text]
    assert set(handed) == {"POST /mfa/setup"}
    tokens = {t for text in texts for t in re.findall(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", text)}
    assert len(tokens) > 3
    assert all(set(claims(token)) == CLAIMS for token in tokens)
    assert {claims(token)["sub"] for token in tokens} == {ann.user_id}


def live(site: Site, ann: Account) -> Account:
    """From the first sign-in to the last, through every operation, mistakes included."""
    ann.sign_in().enrol()
    refused(ann.finish(ann.begin()["challenge_id"], ann.wrong_code()), "invalid_code")
    wrong = {"username": ann.username, "password": ann.password[::-1]}
    refused(ann.api.post("/auth/login", json=wrong), "invalid_credentials")
    site.clock.advance(seconds=PERIOD)
    renew(ann.another_device().sign_in())
    ann.sign_in_with_backup_code()
    refused(ann.api.post("/auth/register", json={"username": ann.username, "password": "x" * 20}))
    ann.step_up().enrol()
    ann.backup_codes = ok(ann.post("/mfa/backup-codes/regenerate")).data["codes"]
    ok(ann.post("/mfa/backup-codes/verify", json={"code": ann.backup_codes.pop()}))
    for path in ("/auth/session", "/auth/sessions", "/auth/events", "/mfa/status"):
        ok(ann.get(path))
    ok(ann.api.get("/.well-known/jwks.json"))
    changed = {"current_password": ann.password, "new_password": ann.password + " more"}
    ok(ann.post("/auth/password", json=changed))
    ann.password = changed["new_password"]
    site.clock.advance(seconds=PERIOD)
    body = {"password": ann.password, "code": ann.wrong_code()}
    refused(ann.post("/mfa/disable", json=body), "invalid_credentials")
    ok(ann.post("/mfa/disable", json=body | {"code": ann.code()}))
    ok(ann.post("/auth/logout"))
    refused(ann.get("/auth/session"), "invalid_token")
    return ann


def test_what_is_shown_twice_is_noticed(site: Site) -> None:
    book = Ledger()
    ann = site.account(site.api(ledger=book)).sign_in()
    secret = ann.set_up()["secret"]
    assert book.leaks() == []
    book.received("GET /mfa/status", "200", f'{{"data": {{"key": "{secret}"}}}}'.encode())
    assert len(book.leaks()) == 1
    assert "secret" in set(names({"data": [{"secret": secret}]}))


def test_s57_turning_mfa_on_ends_the_other_sessions(site: Site) -> None:
    """Who turns MFA on in one session ends every other: their access and refresh tokens are
    refused at once, and the present session goes on."""
    ann = site.user()
    other, third = ann.another_device().sign_in(), ann.another_device().sign_in()
    ok(other.get("/auth/session"))
    renew(third)
    ann.enrol()
    with unchanged(site, ann):
        for lost in (other, third):
            refused(lost.get("/auth/session"), "invalid_token")
            body = {"refresh_token": lost.refresh_token}
            refused(lost.api.post("/auth/refresh", json=body), "invalid_token")
    assert ok(ann.get("/auth/session")).data["acr"] == "aal2"
    ok(renew(ann).get("/auth/session"))


def test_s58_a_challenge_does_not_outlive_its_factor(site: Site) -> None:
    """A challenge that was open when MFA was turned off is finished by nothing, even when MFA is
    on again; a new login is needed."""
    ann = site.member()
    challenge, spare = ann.begin()["challenge_id"], ann.backup_codes[0]
    ok(ann.post("/mfa/disable", json={"password": ann.password, "code": ann.code()}))
    site.clock.advance(seconds=PERIOD)
    with unchanged(site, ann):
        refused(ann.finish(challenge, ann.code()), "invalid_challenge")
        refused(ann.finish(challenge, spare), "invalid_challenge")
    assert claims(ann.begin()["access_token"])["amr"] == ["pwd"]
    ann.enrol()
    site.clock.advance(seconds=PERIOD)
    with unchanged(site, ann):
        refused(ann.finish(challenge, ann.code()), "invalid_challenge")
    site.clock.advance(seconds=PERIOD)
    ok(ann.finish(ann.begin()["challenge_id"], ann.code()))
