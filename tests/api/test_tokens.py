"""Access tokens: what they say, and that nothing but our own signature over all of it is taken."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import uuid
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from domain import accounts, second_factor
from server import keys
from tests.api.calls import SPEC_OPERATIONS, Call, refresh
from tests.domain.world import a_trail
from tests.support.accounts import Account, ok
from tests.support.api import Reply
from tests.support.world import World

CLAIMS = {"iss", "aud", "sub", "sid", "jti", "iat", "exp", "auth_time", "acr", "amr"}
LIFE, LEEWAY = 600, 10
WITH_TOKEN = [n for n, operation in SPEC_OPERATIONS.items() if operation.security.mandatory]


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, not verified."""
    header, claims, _signature = token.split(".")
    head, body = (json.loads(base64.urlsafe_b64decode(p + "==")) for p in (header, claims))
    return head, body


def signing_key(world: World) -> tuple[str, ec.EllipticCurvePrivateKey]:
    ring = keys.load(world.settings.key_dir)
    return max(ring.signing), ring.signing[max(ring.signing)]


def forged(world: World, token: str, header: Any = None, **claims: Any) -> str:
    """The token with other claims (None: without it) or header, well signed by the server's key."""
    head, body = parts(token)
    body = {k: v for k, v in (body | claims).items() if v is not None}
    _, key = signing_key(world)
    return jwt.encode(body, key, "ES256", headers=head | (header or {}))


def no_good(reply: Reply) -> None:
    assert (reply.status, reply.code) == (401, "invalid_token"), reply.content
    assert reply.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def send(user: Account, token: str) -> Reply:
    return user.api.get("/auth/session", token=token)


# -- what they say ---------------------------------------------------------------------------


def test_a_token_of_a_password_says_exactly_what_it_is(world: World, user: Account) -> None:
    header, claims = parts(user.token)
    key_id, _ = signing_key(world)
    now = int(world.clock.now().timestamp())
    session = user.get("/auth/session").data
    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": key_id}
    assert set(claims) == CLAIMS
    assert (claims["iss"], claims["aud"]) == ("http://localhost:8080", "countersign")
    assert (claims["sub"], claims["sid"]) == (user.user_id, session["session_id"])
    assert (claims["iat"], claims["exp"], claims["auth_time"]) == (now, now + LIFE, now)
    assert (claims["acr"], claims["amr"]) == ("aal1", ["pwd"])


def test_a_totp_code_is_told_by_acr_and_amr(member: Account) -> None:
    _, claims = parts(member.sign_in().token)
    assert (claims["acr"], claims["amr"]) == ("aal2", ["pwd", "otp", "mfa"])


def test_a_backup_code_is_mfa_without_otp(member: Account) -> None:
    _, claims = parts(member.sign_in_with_backup_code().token)
    assert (claims["acr"], claims["amr"]) == ("aal2", ["pwd", "mfa"])


def test_a_refresh_reports_the_same_authentication(world: World, member: Account) -> None:
    _, before = parts(member.sign_in().token)
    world.clock.advance(minutes=5)
    _, after = parts(refresh(member).token)
    same = ("sub", "sid", "auth_time", "acr", "amr")
    assert [after[name] for name in same] == [before[name] for name in same]
    assert after["iat"] == before["iat"] + 300
    assert after["jti"] != before["jti"]


def test_the_published_key_verifies_the_token(world: World, user: Account) -> None:
    (published,) = world.api.get("/.well-known/jwks.json").json["keys"]
    key = jwt.PyJWK(published).key
    options = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(user.token, key, ["ES256"], audience="countersign", options=options)
    assert claims["sub"] == user.user_id
    assert "d" not in published


# -- time ------------------------------------------------------------------------------------


def test_a_token_lives_ten_minutes_and_ten_seconds_of_leeway(world: World, user: Account) -> None:
    world.clock.advance(seconds=LIFE + LEEWAY - 1)
    ok(send(user, user.token))
    world.clock.advance(seconds=1)
    no_good(send(user, user.token))


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_from_the_future_is_no_good(world: World, user: Account, claim: str) -> None:
    now = int(world.clock.now().timestamp())
    times = {"exp": now + LIFE, claim: now + LEEWAY}
    ok(send(user, forged(world, user.token, **times)))
    no_good(send(user, forged(world, user.token, **times | {claim: now + LEEWAY + 1})))


def test_a_token_that_would_live_longer_than_the_spec_says_is_no_good(
    world: World, user: Account
) -> None:
    _, claims = parts(user.token)
    no_good(send(user, forged(world, user.token, exp=claims["exp"] + 1)))


# -- signatures ------------------------------------------------------------------------------


def test_what_is_forged_here_would_be_taken_if_it_were_true(world: World, user: Account) -> None:
    """The control of every test below: an unchanged token, signed again, is good."""
    ok(send(user, forged(world, user.token)))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
def test_a_token_without_a_signature_is_no_good(user: Account, algorithm: str) -> None:
    header, claims = parts(user.token)
    unsigned = b64(json.dumps(header | {"alg": algorithm}).encode())
    unsigned += "." + b64(json.dumps(claims).encode())
    for signature in ("", b64(b"signature"), user.token.rpartition(".")[2]):
        reply = send(user, f"{unsigned}.{signature}")
        assert (reply.status, reply.code) == (401, "invalid_token")


def secrets_for_hmac(world: World) -> list[bytes]:
    _, key = signing_key(world)
    public = key.public_key()
    form = serialization.PublicFormat
    pem = public.public_bytes(serialization.Encoding.PEM, form.SubjectPublicKeyInfo)
    der = public.public_bytes(serialization.Encoding.DER, form.SubjectPublicKeyInfo)
    point = public.public_bytes(serialization.Encoding.X962, form.UncompressedPoint)
    jwks = world.api.get("/.well-known/jwks.json").content
    return [b"", b"secret", pem, pem.strip(), der, point, jwks]


@pytest.mark.parametrize("bits", [256, 384, 512])
def test_a_public_key_is_no_shared_secret(world: World, user: Account, bits: int) -> None:
    header, claims = parts(user.token)
    signed = b64(json.dumps(header | {"alg": f"HS{bits}"}).encode())
    signed += "." + b64(json.dumps(claims).encode())
    for secret in secrets_for_hmac(world):
        digest = hmac.new(secret, signed.encode(), getattr(hashlib, f"sha{bits}")).digest()
        no_good(send(user, f"{signed}.{b64(digest)}"))


def test_another_key_of_the_same_kind_is_no_good(user: Account) -> None:
    header, claims = parts(user.token)
    other = ec.generate_private_key(ec.SECP256R1())
    no_good(send(user, jwt.encode(claims, other, "ES256", headers=header)))


def test_a_changed_byte_breaks_the_signature(user: Account) -> None:
    for place in (10, len(user.token) // 2, len(user.token) - 10):
        letter = "A" if user.token[place] != "A" else "B"
        no_good(send(user, user.token[:place] + letter + user.token[place + 1 :]))


TRICKS: list[dict[str, Any]] = [
    {"kid": "../../../../dev/null"},
    {"kid": "' OR 1=1 --"},
    {"kid": ""},
    {"kid": "k" * 10_000},
    {"kid": 1},
    {"jku": "https://attacker.example/jwks.json"},
    {"x5u": "https://attacker.example/cert.pem"},
    {"crit": ["exp"]},
    {"typ": "JWT"},
    {"typ": "at+JWT "},
    {"typ": "application/at+jwt"},
    {"cty": "JWT"},
]


@pytest.mark.parametrize(
    "trick", TRICKS, ids=lambda t: "-".join(f"{k}={str(v)[:20]}" for k, v in t.items())
)
def test_a_header_that_we_do_not_write_is_no_good(
    world: World, user: Account, trick: dict[str, Any]
) -> None:
    header, claims = parts(user.token)
    no_good(send(user, signed(world, header | trick, claims)))


@pytest.mark.parametrize("name", ["kid", "typ"])
def test_a_header_without_what_we_write_is_no_good(world: World, user: Account, name: str) -> None:
    header, claims = parts(user.token)
    del header[name]
    no_good(send(user, signed(world, header, claims)))


def test_a_key_is_never_taken_from_the_token(user: Account) -> None:
    header, claims = parts(user.token)
    own = ec.generate_private_key(ec.SECP256R1())
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(own.public_key(), as_dict=True)
    for trick in ({"jwk": jwk}, {"jwk": jwk, "kid": "own"}):
        no_good(send(user, jwt.encode(claims, own, "ES256", headers=header | trick)))


def signed(world: World, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Any header at all, signed by the server's own key: a library would refuse some."""
    _, key = signing_key(world)
    text = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
    r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(SHA256())))
    return f"{text}.{b64(r.to_bytes(32) + s.to_bytes(32))}"


# -- claims ----------------------------------------------------------------------------------

WRONG_CLAIMS: list[dict[str, Any]] = [
    *({name: None} for name in sorted(CLAIMS)),
    *({"iss": value} for value in ("http://localhost", "http://localhost:8080/", "", 1)),
    {"iss": ["http://localhost:8080"]},
    *({"aud": value} for value in ("counter", "countersign ", "other", "", 1)),
    *({"aud": value} for value in (["countersign"], ["countersign", "other"], {"countersign": 1})),
    *({"exp": value} for value in ("soon", "9999999999", 1e11, True, [], {})),
    *({"iat": value} for value in ("now", True, [])),
    *({"auth_time": value} for value in ("now", 1.5, [])),
    *({"sub": value} for value in ("", 1, ["x"], str(uuid.UUID(int=7)))),
    *({"sid": value} for value in ("", 1, str(uuid.UUID(int=7)))),
    *({"acr": value} for value in (2, ["aal2"])),
    *({"amr": value} for value in ("pwd", [1], {"pwd": 1})),
    *({"nbf": value} for value in ("now", True, 1.5)),
    {"jti": 1},
]


@pytest.mark.parametrize(
    "claims", WRONG_CLAIMS, ids=lambda c: "-".join(f"{k}={v}" for k, v in c.items())
)
def test_every_claim_is_required_and_typed(
    world: World, user: Account, claims: dict[str, Any]
) -> None:
    header, body = parts(user.token)
    body = {k: v for k, v in (body | claims).items() if v is not None}
    no_good(send(user, signed(world, header, body)))


def test_a_token_cannot_raise_its_own_assurance(world: World, user: Account) -> None:
    """Even a signed claim is only a report: the session row decides."""
    token = forged(world, user.token, acr="aal2", amr=["pwd", "otp", "mfa"])
    reply = user.api.post("/mfa/backup-codes/regenerate", token=token)
    assert (reply.status, reply.code) == (401, "insufficient_user_authentication")


def test_a_token_of_one_user_does_not_open_another_ones_session(
    world: World, user: Account
) -> None:
    other = world.account().sign_in()
    _, claims = parts(other.token)
    no_good(send(user, forged(world, user.token, sid=claims["sid"])))


# -- kinds of token --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def holder(world: World) -> Account:
    """Signed in with MFA; what it sends is refused before anything changes."""
    return world.account().sign_in().enrol()


@pytest.mark.parametrize("operation", WITH_TOKEN)
def test_only_an_access_token_is_a_bearer_token(holder: Account, operation: str) -> None:
    call = Call(SPEC_OPERATIONS[operation], holder, segment=str(uuid.uuid4()))
    challenge = holder.begin()["challenge_id"]
    for token in (challenge, holder.refresh_token, "x", "a.b.c", "a.b.c.d.e"):
        no_good(call.send(token=token))


@pytest.mark.parametrize("operation", WITH_TOKEN)
@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        ("", "Bearer"),
        ("Bearer", "Bearer"),
        ("Basic dXNlcjpwYXNz", "Bearer"),
        ("Token {}", "Bearer"),
        ("{}", "Bearer"),
        ("Bearer {} {}", 'Bearer error="invalid_token"'),
    ],
)
def test_without_a_token_the_challenge_is_bare_and_what_is_none_is_called_invalid(
    holder: Account, operation: str, header: str, challenge: str
) -> None:
    call = Call(SPEC_OPERATIONS[operation], holder, segment=str(uuid.uuid4()))
    headers = {"Authorization": header.format(holder.token, holder.token)} if header else {}
    reply = call.send(token=None, headers=headers)
    assert (reply.status, reply.code) == (401, "invalid_token")
    assert reply.headers["WWW-Authenticate"] == challenge


def test_a_token_is_not_taken_from_a_cookie_or_the_query(
    user: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"Cookie": f"access_token={user.token}"}
    assert user.api.get("/mfa/status", headers=headers).status == 401
    # The client of the tests logs the URL that it asks for; the server must not.
    monkeypatch.setattr(logging.getLogger("httpx"), "disabled", True)
    reply = user.api.get("/mfa/status", params={"access_token": user.token})
    assert reply.status == 401
    assert user.token.encode() not in reply.content


def test_an_access_token_is_no_refresh_token_and_no_challenge(member: Account) -> None:
    body = {"refresh_token": member.token}
    assert member.api.post("/auth/refresh", json=body).status == 400
    reply = member.api.post("/auth/refresh", json={"refresh_token": member.begin()["challenge_id"]})
    assert (reply.status, reply.code) == (401, "invalid_token")
    reply = member.finish(member.refresh_token, member.code())
    assert (reply.status, reply.code) == (401, "invalid_challenge")


def test_a_session_that_ends_while_its_step_up_is_finished_gets_no_tokens(
    world: World, member: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent = {"refresh_token": member.refresh_token}
    refresh(member)
    challenge = ok(member.post("/auth/challenge")).data["challenge_id"]
    prove = second_factor.prove

    def slowly(*given: Any) -> Any:
        elsewhere = world.api_from("192.0.2.2")
        assert elsewhere.post("/auth/refresh", json=spent).status == 401  # a theft: it ends
        return prove(*given)

    monkeypatch.setattr(second_factor, "prove", slowly)
    no_good(member.finish(challenge, member.code(), member.token))
    no_good(member.get("/auth/session"))


# -- accounts that are closed ----------------------------------------------------------------


def test_a_deactivated_user_has_no_way_left(world: World, member: Account) -> None:
    challenge = member.begin()["challenge_id"]
    accounts.deactivate(world.services, a_trail(), member.username)
    no_good(send(member, member.token))
    reply = member.api.post("/auth/refresh", json={"refresh_token": member.refresh_token})
    assert (reply.status, reply.code) == (401, "invalid_token")
    reply = member.finish(challenge, member.code())
    assert (reply.status, reply.code) == (401, "invalid_challenge")
    body = {"username": member.username, "password": member.password}
    reply = member.api.post("/auth/login", json=body)
    assert (reply.status, reply.code) == (401, "invalid_credentials")
