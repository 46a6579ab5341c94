"""4.6 Access and refresh tokens."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384

from tests.security.jwts import b64, claims, forged, head, signing_key, unb64, unsigned
from tests.security.refusals import refused, unchanged
from tests.security.site import PERIOD, Site, fresh_address
from tests.support.accounts import Account, ok
from tests.support.api import Reply

LIFE, LEEWAY = 600, 10
"""Seconds that an access token lives, and that two clocks may differ (design section 5)."""
REQUIRED = ("iss", "aud", "sub", "sid", "jti", "iat", "exp", "auth_time", "acr", "amr")


def refresh(account: Account, token: str | None = None) -> Reply:
    body = {"refresh_token": token or account.refresh_token}
    return account.api.post("/auth/refresh", json=body)


def good(site: Site, token: str) -> None:
    assert ok(site.api().get("/mfa/status", token=token)).data is not None


def no_good(site: Site, *tokens: str) -> None:
    """Each is refused as a token, not as anything else.

    They are sent as headers, past the books: half of a token stands in the reply with the whole.
    """
    for token in tokens:
        headers = {"Authorization": f"Bearer {token}"}
        reply = refused(site.api().get("/mfa/status", headers=headers), "invalid_token")
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def gone(site: Site, *accounts: Account) -> None:
    """Neither of their tokens is good for anything."""
    for account in accounts:
        no_good(site, account.token)
        refused(refresh(account), "invalid_token")


def es256(header: dict[str, Any], body: dict[str, Any], key: ec.EllipticCurvePrivateKey) -> str:
    return with_signature(header, body, jwt.get_algorithm_by_name("ES256").sign, key)


def with_signature(
    header: dict[str, Any], body: dict[str, Any], sign: Callable[..., bytes], *key: Any
) -> str:
    text = unsigned(header, body)
    return f"{text}.{b64(sign(text.encode(), *key))}"


def public_forms(key: ec.EllipticCurvePrivateKey) -> Iterator[bytes]:
    """A public key in the forms that a confused verifier might take for a shared secret."""
    public = key.public_key()
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER):
        yield public.public_bytes(encoding, info)
    yield public.public_bytes(serialization.Encoding.PEM, info).strip()
    point = serialization.PublicFormat.UncompressedPoint
    yield public.public_bytes(serialization.Encoding.X962, point)


def test_s59_an_unsigned_token_is_no_token(site: Site) -> None:
    """A token whose `alg` is "none" in any spelling, empty or missing is refused, without a
    signature and with the true one."""
    ann = site.user()
    signature = ann.token.split(".")[2]
    for alg in ("none", "None", "NONE", "nOnE", "", " none", None):
        header = {k: v for k, v in (head(ann.token) | {"alg": alg}).items() if v is not None}
        text = unsigned(header, claims(ann.token))
        no_good(site, f"{text}.", text, f"{text}.{signature}", f"{text}.{b64(b'x')}")
    good(site, ann.token)


def test_s60_only_our_signature_over_all_of_it_counts(site: Site) -> None:
    """A token is refused after a change of any byte of its claims or signature, without its
    signature, and under HMAC with an empty, a guessed or the public key."""
    ann = site.user()
    no_good(site, *tampered(ann.token), *hmac_signed(site, ann.token))
    good(site, forged(site, ann.token))
    good(site, ann.token)


def tampered(token: str) -> Iterator[str]:
    header, body, signature = token.split(".")
    for place in range(0, len(unb64(body)), 7):
        yield f"{header}.{b64(flipped(unb64(body), place))}.{signature}"
    for place in range(0, 64, 9):
        yield f"{header}.{body}.{b64(flipped(unb64(signature), place))}"
    yield from (f"{header}.{body}.", f"{header}.{body}", f"{header}..{signature}", token + ".x")
    yield f"{header}.{body}.{b64(bytes(64))}"  # r = s = 0, CVE-2022-21449
    yield f"{header}.{body}.{b64(unb64(signature)[:32])}"


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def hmac_signed(site: Site, token: str) -> Iterator[str]:
    key = signing_key(site, head(token)["kid"])
    for secret in (b"", b"secret", *public_forms(key)):
        for bits in (256, 384, 512):
            header = head(token) | {"alg": f"HS{bits}"}
            text = unsigned(header, claims(token))
            mac = hmac.new(secret, text.encode(), getattr(hashlib, f"sha{bits}"))
            yield f"{text}.{b64(mac.digest())}"
    yield from foreign(token, key)


def foreign(token: str, key: ec.EllipticCurvePrivateKey) -> Iterator[str]:
    """Another key under our name; our key under another algorithm or in another form."""
    header, body = head(token), claims(token)
    yield es256(header, body, ec.generate_private_key(ec.SECP256R1()))
    text = unsigned(header | {"alg": "ES384"}, body)
    r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(SHA384())))
    yield f"{text}.{b64(r.to_bytes(48, 'big') + s.to_bytes(48, 'big'))}"
    text = unsigned(header, body)
    yield f"{text}.{b64(key.sign(text.encode(), ec.ECDSA(SHA256())))}"  # DER, not JOSE


def test_s61_a_token_is_good_in_its_time_only(site: Site) -> None:
    """A token is good a second before its end and refused after ten seconds of leeway; one that
    was issued, or begins, further than the leeway in the future is refused."""
    ann = site.user()
    now = claims(ann.token)["iat"]
    for claim in ("iat", "nbf"):
        ahead = {"exp": now + LIFE, claim: now + LEEWAY}
        good(site, forged(site, ann.token, **ahead))
        no_good(site, forged(site, ann.token, **ahead | {claim: now + LEEWAY + 1}))
        no_good(site, forged(site, ann.token, **ahead | {claim: now + 3600, "exp": now + 4000}))
    no_good(site, forged(site, ann.token, exp=now + LIFE + 1))
    site.clock.advance(seconds=LIFE - 1)
    good(site, ann.token)
    site.clock.advance(seconds=LEEWAY + 2)
    no_good(site, ann.token)
    good(site, refresh(ann).data["access_token"])


def test_s62_each_kind_of_token_has_one_place(site: Site) -> None:
    """An access token, a refresh token, a challenge, a pending secret and a backup code are each
    refused in the place of the others and good in their own afterwards."""
    ann = site.member()
    pending = ann.set_up()["secret"]
    login, step_up = ann.begin()["challenge_id"], ok(ann.post("/auth/challenge")).data
    kinds = {
        "bearer": ann.token,
        "refresh": ann.refresh_token,
        "challenge": login,
        "step-up": step_up["challenge_id"],
        "secret": pending,
        "code": ann.backup_codes[0],
    }
    site.clock.advance(seconds=PERIOD)
    assert ann.phone is not None
    code = ann.phone.code_of(site.clock.step())
    with unchanged(site, ann):
        for kind, value in kinds.items():
            if kind != "bearer":
                no_good(site, value)
            if kind != "refresh":
                refused(refresh(ann, value), "invalid_token", "invalid_request")
            if kind != "challenge":
                refused(ann.finish(value, code), "invalid_challenge", "invalid_request")
            if kind != "code":
                body = {"code": value}
                refused(ann.post("/mfa/backup-codes/verify", json=body))
    good(site, ann.token)
    ok(ann.finish(step_up["challenge_id"], ann.code(), ann.token))
    site.clock.advance(seconds=PERIOD)
    ann.take(ok(ann.finish(login, ann.code())).data)
    ok(refresh(ann))


@pytest.mark.parametrize("claim", ["iss", "aud"])
def test_s63_issuer_and_audience_are_exactly_ours(site: Site, claim: str) -> None:
    """A well-signed token whose `iss` or `aud` is another, missing, a list with ours, a prefix or
    an extension of ours or in other case is refused."""
    ann = site.user()
    ours = claims(ann.token)[claim]
    others: list[Any] = ["https://evil.example", "", [ours], [ours, "x"], {ours: 1}, 1, True]
    others += [ours[:-1], ours + "/", ours + " ", ours.upper(), f"{ours},x"]
    no_good(site, forged(site, ann.token, **{claim: None}))
    no_good(site, *(forged(site, ann.token, **{claim: other}) for other in others))
    good(site, forged(site, ann.token, **{claim: ours}))


def test_s64_a_refresh_token_that_comes_twice_ends_its_session(site: Site) -> None:
    """A refresh token used a second time is refused, and its successor and the access tokens of
    the session die with it at once; other sessions do not."""
    ann = site.user()
    other, first = ann.another_device().sign_in(), ann.refresh_token
    ann.take(ok(refresh(ann)).data)
    good(site, ann.token)
    refused(refresh(ann, first), "invalid_token")
    gone(site, ann)
    for _ in range(3):
        other.take(ok(refresh(other)).data)
    good(site, other.token)


def log_out(site: Site, ann: Account) -> None:
    ok(ann.post("/auth/logout"))


def end_by_name(site: Site, ann: Account) -> None:
    session = claims(ann.token)["sid"]
    ok(ann.another_device().sign_in().delete(f"/auth/sessions/{session}"))


ENDINGS = {"logout": log_out, "by name": end_by_name}


@pytest.mark.parametrize("ending", ENDINGS)
def test_s65_a_session_that_has_ended_is_gone_at_once(site: Site, ending: str) -> None:
    """What ends a session ends its access and refresh token at once, on every worker: a logout,
    the end of a session by its ID; and, of the other sessions, a new password and a change of the
    second factor."""
    ann = site.member()
    site.clock.advance(seconds=PERIOD)
    other = ann.another_device().sign_in()
    site.clock.advance(seconds=PERIOD)
    ENDINGS[ending](site, ann)
    for _ in range(site.workers):
        gone(site, ann)
    good(site, other.token)
    ok(refresh(other))


def new_password(ann: Account) -> Reply:
    body = {"current_password": ann.password, "new_password": f"new {secrets.token_hex(8)}"}
    return ann.post("/auth/password", json=body)


def disable(ann: Account) -> Reply:
    return ann.post("/mfa/disable", json={"password": ann.password, "code": ann.code()})


def rotate(ann: Account) -> Reply:
    phone = ann.authenticator(ann.set_up()["secret"])
    return ann.post("/mfa/verify", json={"code": phone.code(ann.clock.now())})


CHANGES = {"password": new_password, "disable": disable, "rotation": rotate}


@pytest.mark.parametrize("change", CHANGES)
def test_s65_a_change_of_credentials_ends_the_other_sessions(site: Site, change: str) -> None:
    """A new password, a new second factor and none at all end every other session."""
    ann = site.member()
    others = [ann.another_device().sign_in()]
    site.clock.advance(seconds=PERIOD)
    others.append(ann.another_device().sign_in())
    site.clock.advance(seconds=PERIOD)
    ok(CHANGES[change](ann))
    gone(site, *others)
    good(site, ann.token)
    ok(refresh(ann))


PROOFS: dict[str, Callable[[Site], Account]] = {
    "pwd": lambda site: site.user(),
    "otp": lambda site: site.member().sign_in(),
    "backup code": lambda site: site.member().sign_in_with_backup_code(),
}


@pytest.mark.parametrize("proof", PROOFS)
def test_s66_a_renewal_is_no_authentication(site: Site, proof: str) -> None:
    """Renewed tokens report the same `amr`, `acr` and `auth_time`, however often renewed; they are
    no fresher where a fresh proof is asked for."""
    ann = PROOFS[proof](site)
    first, mfa_time = claims(ann.token), ann.get("/auth/session").data["mfa_time"]
    changing = {"iat", "exp", "jti"}
    for _ in range(3):
        site.clock.advance(minutes=5)
        ann.take(ok(refresh(ann)).data)
        said = claims(ann.token)
        assert {name for name in said if said[name] != first[name]} == changing
        assert ann.get("/auth/session").data["mfa_time"] == mfa_time
    refused(ann.post("/mfa/setup"), "insufficient_user_authentication")


@contextmanager
def trap() -> Iterator[tuple[str, socket.socket]]:
    """A URL that nobody should fetch, and the socket at which it would be noticed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/jwks.json", listener


def test_s67_no_key_is_taken_from_a_token(site: Site) -> None:
    """A token that brings its key (`jwk`, `jku`, `x5u`, `x5c`), or whose `kid` is a path, an
    injection, a number or ten kilobytes long, is refused, and nothing is fetched."""
    ann = site.user()
    own = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(own.public_key()))
    with trap() as (url, listener):
        brought = [{"jwk": jwk}, {"jku": url}, {"x5u": url}, {"x5c": ["MA=="]}, {"crit": ["b64"]}]
        for extra in brought:
            no_good(site, es256(head(ann.token) | extra, claims(ann.token), own))
            no_good(site, forged(site, ann.token, extra))
            no_good(site, es256(head(ann.token) | extra | {"kid": "x"}, claims(ann.token), own))
        for kid in odd_key_ids(site, ann.token):
            no_good(site, *(signed for signed in signed_under(ann.token, kid, own)))
            no_good(site, forged_under(site, ann.token, kid))
        with pytest.raises(BlockingIOError):
            listener.accept()
        socket.create_connection(listener.getsockname()).close()
        listener.setblocking(True)
        listener.accept()[0].close()  # the trap works
    good(site, ann.token)


def odd_key_ids(site: Site, token: str) -> list[Any]:
    kid = head(token)["kid"]
    paths = [
        "../../dev/null",
        "/dev/null",
        "../keys/signing-" + kid,
        f"../{kid}",
        str(site.key_dir),
    ]
    odd = ["' OR 1=1--", f"{kid}' --", kid + " ", kid + "\u0000", kid.upper(), "", "*", "%"]
    return [*paths, *odd, None, 0, True, [kid], {"kid": kid}, "A" * 10_240]


def signed_under(token: str, kid: Any, own: ec.EllipticCurvePrivateKey) -> Iterator[str]:
    """With a key of the attacker's, and with the empty key that /dev/null would give."""
    header = head(token) | {"kid": kid}
    yield es256(header, claims(token), own)
    text = unsigned(header | {"alg": "HS256"}, claims(token))
    yield f"{text}.{b64(hmac.new(b'', text.encode(), hashlib.sha256).digest())}"


def forged_under(site: Site, token: str, kid: Any) -> str:
    key = signing_key(site, head(token)["kid"])
    return es256(head(token) | {"kid": kid}, claims(token), key)


def test_s68_a_token_says_what_it_must_and_no_more(site: Site) -> None:
    """A token says `iss`, `sub`, `aud`, `exp`, `iat`, `jti` and how the user signed in, lives ten
    minutes, holds no name, address, secret or code, and of a thousand no two have one `jti`."""
    ann = site.member(username=f"ann.{secrets.token_hex(4)}@example.org")
    said = claims(ann.token)
    assert set(said) == set(REQUIRED)
    assert head(ann.token) == {"alg": "ES256", "typ": "at+jwt", "kid": head(ann.token)["kid"]}
    assert said["exp"] - said["iat"] == LIFE <= 15 * 60
    assert ann.phone is not None
    text = json.dumps(said) + json.dumps(head(ann.token))
    known = [ann.username, "@", ann.password, ann.phone.secret, *ann.backup_codes, site.address]
    assert not [value for value in known if value in text]
    with ThreadPoolExecutor(4) as pool:
        many = [t for chain in pool.map(renewals, [site] * 10, [100] * 10) for t in chain]
    assert len({claims(token)["jti"] for token in many}) == len(many) == 1000


def renewals(site: Site, number: int) -> list[str]:
    """Access tokens of one session, renewed one after the other."""
    api = site.api(address=fresh_address())
    who = site.account(api).sign_in()
    return [who.take(ok(refresh(who)).data).token for _ in range(number)]


def test_s69_every_claim_is_required(site: Site) -> None:
    """A well-signed token without `exp`, without `sub`, without any other of its claims or with one
    of another type is refused, as is one whose `typ` is missing or not that of an access token."""
    ann = site.user()
    no_good(site, *(forged(site, ann.token, **{name: None}) for name in REQUIRED))
    for name in REQUIRED:
        for odd in ({}, True, [1]):
            no_good(site, forged(site, ann.token, **{name: odd}))
    for name in ("exp", "iat", "auth_time"):
        no_good(site, forged(site, ann.token, **{name: str(claims(ann.token)[name])}))
    kinds = [None, "JWT", "jwt", "at+JWT", "rt+jwt", "application/at+jwt", 1]
    no_good(site, *(forged(site, ann.token, {"typ": kind}) for kind in kinds))
    good(site, forged(site, ann.token))


def deactivate(site: Site, ann: Account) -> None:
    site.command("user", "deactivate", ann.username)


def delete(site: Site, ann: Account) -> None:
    site.rows("DELETE FROM users WHERE id = :id", id=ann.user_id)


def deactivate_from_afar(site: Site, ann: Account) -> None:
    ok(site.administrator().post(f"/admin/users/{ann.user_id}/deactivate"))


REMOVALS = {
    "deactivated": deactivate,
    "deactivated by an administrator": deactivate_from_afar,
    "deleted": delete,
}


@pytest.mark.parametrize("removal", REMOVALS)
def test_s70_who_is_deactivated_is_out_at_once(site: Site, removal: str) -> None:
    """A user who is deactivated or deleted is out at once: access and refresh token, open
    challenge, step-up and password are all refused, the password in the words for a wrong one."""
    ann, bob = site.member(), site.member()
    challenge = ann.begin()["challenge_id"]
    step_up = ok(ann.post("/auth/challenge")).data["challenge_id"]
    good(site, ann.token)
    REMOVALS[removal](site, ann)
    for _ in range(site.workers):
        gone(site, ann)
        refused(ann.finish(challenge, ann.code()), "invalid_challenge")
        refused(ann.finish(step_up, ann.code(), ann.token))
        body = {"username": ann.username, "password": ann.password}
        refused(ann.api.post("/auth/login", json=body), "invalid_credentials")
        site.clock.advance(seconds=PERIOD)
    sessions = site.rows("SELECT ended_at FROM sessions WHERE user_id = :id", id=ann.user_id)
    assert all(row["ended_at"] is not None for row in sessions)
    good(site, bob.token)
    ok(bob.finish(bob.begin()["challenge_id"], bob.code()))
