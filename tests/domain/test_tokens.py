from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm

from domain import tokens
from domain.errors import InvalidToken
from domain.keyring import LEEWAY, Fixed, Rota, Turns
from domain.records import Session
from domain.tokens import AccessTokens

NOW = datetime(2026, 11, 24, 9, 0, 7, 500_000, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
LIFETIME = timedelta(minutes=10)
SECONDS = int(NOW.timestamp())
SESSION = Session(
    id="1b4e28ba-2fa1-41d2-883f-0016d3cca427",
    user_id="7c9e6679-7425-40de-944b-e07fc1f90ae7",
    username="ann",
    acr="aal2",
    amr=("pwd", "otp", "mfa"),
    auth_time=NOW - timedelta(minutes=1),
    mfa_time=NOW,
    created_at=NOW,
    last_used_at=NOW,
    idle_until=NOW + timedelta(hours=1),
    expires_at=NOW + timedelta(hours=24),
)
GOOD = {
    "iss": "https://i.example",
    "aud": "countersign",
    "sub": SESSION.user_id,
    "sid": SESSION.id,
    "jti": "x",
    "iat": SECONDS,
    "exp": SECONDS + 600,
    "auth_time": SECONDS - 60,
    "acr": "aal2",
    "amr": ["pwd", "otp", "mfa"],
}
HEADER = {"typ": "at+jwt", "kid": "s1"}


def access_tokens(**changes: Any) -> AccessTokens:
    options: dict[str, Any] = {
        "keys": Fixed({"s1": KEY}, "s1"),
        "issuer": "https://i.example",
        "audience": "countersign",
        "lifetime": LIFETIME,
    }
    return AccessTokens(**(options | changes))


TOKENS = access_tokens()


def signed(claims: dict[str, Any], header: dict[str, Any] = HEADER, key: Any = KEY) -> str:
    """A token with a good signature over whatever is given."""
    return jwt.api_jws.encode(json.dumps(claims).encode(), key, "ES256", header)


def refused(token: str, now: datetime = NOW) -> bool:
    try:
        TOKENS.verify(token, now)
    except InvalidToken:
        return True
    return False


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_a_token_reports_its_session() -> None:
    claims = TOKENS.verify(TOKENS.issue(SESSION, NOW), NOW)
    assert (claims.user_id, claims.session_id) == (SESSION.user_id, SESSION.id)
    assert (claims.acr, claims.amr) == ("aal2", ("pwd", "otp", "mfa"))
    assert (claims.issued_at, claims.expires_at) == (SECONDS, SECONDS + 600)
    assert claims.auth_time == SECONDS - 60


def test_a_token_says_what_rfc_9068_asks_for_and_no_name() -> None:
    token = TOKENS.issue(SESSION, NOW)
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "typ": "at+jwt", "kid": "s1"}
    claims = jwt.decode(token, options={"verify_signature": False})
    assert set(claims) == set(GOOD)
    assert SESSION.username not in claims.values()


def test_no_two_tokens_have_the_same_id() -> None:
    made = {TOKENS.verify(TOKENS.issue(SESSION, NOW), NOW).token_id for _ in range(1000)}
    assert len(made) == 1000


def test_the_hand_made_token_of_these_tests_is_good() -> None:
    assert not refused(signed(GOOD))


@pytest.mark.parametrize("claim", sorted(GOOD))
def test_a_token_without_a_claim_is_refused(claim: str) -> None:
    assert refused(signed({name: value for name, value in GOOD.items() if name != claim}))


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("iss", "https://i.example/"),
        ("iss", "https://i.exampl"),
        ("iss", ["https://i.example"]),
        ("aud", ["countersign"]),
        ("aud", ["countersign", "other"]),
        ("aud", "counter"),
        ("aud", "countersign "),
        ("sub", 7),
        ("sub", None),
        ("sid", ["x"]),
        ("jti", 1),
        ("acr", 2),
        ("amr", "pwd"),
        ("amr", [1]),
        ("amr", None),
        ("exp", str(SECONDS + 600)),
        ("exp", SECONDS + 600.5),
        ("exp", True),
        ("exp", 10**30),
        ("exp", SECONDS + 601),
        ("exp", SECONDS - 1),
        ("exp", None),
        ("iat", str(SECONDS)),
        ("iat", SECONDS + 11),
        ("iat", -(10**30)),
        ("auth_time", "now"),
        ("auth_time", False),
        ("nbf", SECONDS + 11),
        ("nbf", "0"),
        ("nbf", None),
    ],
)
def test_a_claim_of_another_type_or_value_is_refused(claim: str, value: object) -> None:
    assert refused(signed({**GOOD, claim: value}))


@pytest.mark.parametrize(("seconds", "good"), [(0, 1), (599, 1), (609.4, 1), (609.5, 0), (611, 0)])
def test_a_token_ends_ten_seconds_after_its_expiry(seconds: float, good: int) -> None:
    token = TOKENS.issue(SESSION, NOW)
    assert refused(token, NOW + timedelta(seconds=seconds)) is not bool(good)


@pytest.mark.parametrize(("seconds", "good"), [(-10, 1), (-11, 0), (-3600, 0)])
def test_a_token_from_the_future_is_refused(seconds: float, good: int) -> None:
    token = TOKENS.issue(SESSION, NOW)
    assert refused(token, NOW + timedelta(seconds=seconds)) is not bool(good)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
def test_an_unsigned_token_is_refused(algorithm: str) -> None:
    header = {"alg": algorithm, **HEADER}
    assert refused(f"{encoded(header)}.{encoded(GOOD)}.")
    assert refused(f"{encoded(header)}.{encoded(GOOD)}")


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_the_public_key_is_no_shared_secret(digest: str) -> None:
    pem = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = {"alg": "HS" + digest[3:], **HEADER}
    message = f"{encoded(header)}.{encoded(GOOD)}"
    for key in (pem, b"", b"secret"):
        mac = base64.urlsafe_b64encode(hmac.digest(key, message.encode(), digest))
        assert refused(f"{message}.{mac.rstrip(b'=').decode()}")


def test_another_key_of_the_same_name_is_refused() -> None:
    assert refused(signed(GOOD, key=OTHER))


def test_another_algorithm_is_refused_even_with_a_key_of_ours() -> None:
    key = rsa.generate_private_key(65537, 2048)
    assert refused(jwt.encode(GOOD, key, "RS256", HEADER))


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "s1", "typ": None},
        {"kid": "s1", "typ": "JWT"},
        {"kid": "s1", "typ": "rt+jwt"},
        {"typ": "at+jwt"},
        {"typ": "at+jwt", "kid": "s2"},
        {"typ": "at+jwt", "kid": "../../dev/null"},
        {"typ": "at+jwt", "kid": "' OR 1=1--"},
        {"typ": "at+jwt", "kid": "k" * 10_000},
        {**HEADER, "jku": "https://evil.example/keys"},
        {**HEADER, "x5u": "https://evil.example/cert"},
        {**HEADER, "jwk": ECAlgorithm.to_jwk(OTHER.public_key(), as_dict=True)},
        {**HEADER, "crit": ["exp"]},
    ],
)
def test_a_header_that_is_not_of_our_making_is_refused(header: dict[str, Any]) -> None:
    assert refused(signed(GOOD, header))
    assert refused(signed(GOOD, header, OTHER))


def test_a_changed_token_is_refused() -> None:
    head, body, signature = TOKENS.issue(SESSION, NOW).split(".")
    raised = encoded({**GOOD, "sub": "another"})
    for token in (
        f"{head}.{raised}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body}.{signature}.{signature}",
    ):
        assert refused(token)


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "é.é.é",
        "\ud800",
        "Zk8Jr2QvY6tLxNw0Bc4HsEa9MfPdUi1G7oTmRyXqK3g",
        base64.urlsafe_b64encode(b"[" * 100_000).decode() + ".e30.x",
        base64.urlsafe_b64encode(b'{"alg":' + b"9" * 5000 + b"}").decode() + ".e30.x",
        base64.urlsafe_b64encode(b"\xff\xfe").decode() + ".e30.x",
    ],
)
def test_what_is_no_token_is_refused_and_never_an_error(token: str) -> None:
    assert refused(token)


def test_a_deep_payload_is_refused_and_never_an_error() -> None:
    deep = jwt.api_jws.encode(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, KEY, "ES256", HEADER)
    assert refused(deep)


def test_an_older_key_still_checks_and_a_removed_one_does_not() -> None:
    old = access_tokens(keys=Fixed({"s0": OTHER}, "s0")).issue(SESSION, NOW)
    both = access_tokens(keys=Fixed({"s0": OTHER, "s1": KEY}, "s1"))
    assert both.verify(old, NOW).session_id == SESSION.id
    assert refused(old)


class _Ring:
    """Signing keys that change, and that count how often one is looked for."""

    def __init__(self, **keys: Any) -> None:
        self.keys = keys
        self.coming: dict[str, Any] = {}
        self.sought: list[str] = []

    def all(self) -> dict[str, Any]:
        return self.keys

    def current(self) -> tuple[str, Any]:
        return max(self.keys), self.keys[max(self.keys)]

    def get(self, key_id: str) -> Any:
        if key_id not in self.keys:
            self.sought.append(key_id)
            if key_id in self.coming:
                self.keys = self.keys | self.coming
        return self.keys.get(key_id)


MADE = {"s0": NOW - timedelta(hours=1), "s1": NOW}
ROTA = Rota.of(timedelta(minutes=5), LIFETIME)


def turning(ring: _Ring) -> AccessTokens:
    return access_tokens(keys=Turns(ring, ROTA, MADE.__getitem__))


def key_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def shown(found: AccessTokens, now: datetime) -> list[str]:
    return [key["kid"] for key in found.jwks(now)["keys"]]


def test_a_token_of_a_key_that_is_not_known_yet_makes_the_ring_look_at_once() -> None:
    elsewhere = turning(_Ring(s0=OTHER, s1=KEY)).issue(SESSION, NOW + ROTA.notice)
    assert key_of(elsewhere) == "s1"
    ring = _Ring(s0=OTHER)
    here = turning(ring)
    with pytest.raises(InvalidToken):
        here.verify(elsewhere, NOW + ROTA.notice)
    ring.coming = {"s1": KEY}
    assert here.verify(elsewhere, NOW + ROTA.notice).session_id == SESSION.id
    assert ring.sought == ["s1", "s1"]


def test_only_a_token_of_our_making_makes_anybody_look() -> None:
    ring = _Ring(s0=OTHER)
    for header in ({"kid": "s9", "jku": "x"}, {"typ": "JWT", "kid": "s9"}, {}):
        forged = jwt.api_jws.encode(b"{}", KEY, "ES256", {"typ": "at+jwt", **header})
        with pytest.raises(InvalidToken):
            turning(ring).verify(forged, NOW)
    assert ring.sought == []
    with pytest.raises(InvalidToken):
        turning(ring).verify(signed(GOOD, HEADER | {"kid": "s9"}), NOW)
    assert ring.sought == ["s9"]


def test_a_key_is_shown_before_it_signs_and_the_old_one_as_long_as_its_tokens_live() -> None:
    found = turning(_Ring(s0=OTHER, s1=KEY))
    begins, tick = NOW + ROTA.notice, timedelta(microseconds=1)
    last = found.issue(SESSION, begins - tick)
    assert (key_of(last), shown(found, NOW)) == ("s0", ["s0", "s1"])
    assert key_of(found.issue(SESSION, begins)) == "s1"
    until = begins - tick + LIFETIME + LEEWAY
    assert shown(found, until) == ["s0", "s1"]
    assert shown(found, until + tick) == ["s1"]
    assert found.verify(last, begins + LIFETIME).session_id == SESSION.id


def test_a_retired_key_checks_nothing_however_fresh_the_token_says_it_is() -> None:
    """Whoever steals a retired key signs tokens of the present time with it."""
    found = turning(_Ring(s0=OTHER, s1=KEY))
    begins = NOW + ROTA.notice
    thief = access_tokens(keys=Fixed({"s0": OTHER}, "s0"))
    for late in (ROTA.overlap, timedelta(days=1)):
        now = begins + late
        with pytest.raises(InvalidToken):
            found.verify(thief.issue(SESSION, now), now)
        assert found.verify(found.issue(SESSION, now), now).session_id == SESSION.id
    now = begins + ROTA.overlap - timedelta(microseconds=1)
    assert found.verify(thief.issue(SESSION, now), now).session_id == SESSION.id


def test_a_token_that_passed_does_not_outlive_its_key() -> None:
    ring = _Ring(s0=OTHER, s1=KEY)
    found = turning(ring)
    token = found.issue(SESSION, NOW)
    assert found.verify(token, NOW).session_id == SESSION.id
    ring.keys = {"s1": KEY}
    with pytest.raises(InvalidToken):
        found.verify(token, NOW)


def test_another_key_under_the_same_id_does_not_check_what_passed() -> None:
    ring = _Ring(s0=OTHER)
    found = turning(ring)
    token = found.issue(SESSION, NOW)
    assert found.verify(token, NOW).session_id == SESSION.id
    ring.keys = {"s0": KEY}
    with pytest.raises(InvalidToken):
        found.verify(token, NOW)


class _Counted:
    """Counts how often a signature is checked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.checks = 0
        self._decode = jwt.decode
        monkeypatch.setattr(jwt, "decode", self)

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.checks += 1
        return self._decode(*args, **options)


def test_a_good_token_is_checked_once_and_its_time_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = _Counted(monkeypatch)
    checker = access_tokens()
    token = checker.issue(SESSION, NOW)
    assert checker.verify(token, NOW) == checker.verify(token, NOW + LIFETIME)
    for late in (LIFETIME + timedelta(seconds=10), timedelta(days=1), timedelta(seconds=-11)):
        with pytest.raises(InvalidToken):
            checker.verify(token, NOW + late)
    assert counted.checks == 1


def test_a_remembered_token_does_not_vouch_for_one_that_looks_like_it() -> None:
    checker = access_tokens()
    token = checker.issue(SESSION, NOW)
    checker.verify(token, NOW)
    head, body, signature = token.split(".")
    last = "A" if signature[-1] != "A" else "Q"
    for forged in (f"{head}.{body}.{signature[:-1]}{last}", f"{head}.{body}.", f"{token}="):
        with pytest.raises(InvalidToken):
            checker.verify(forged, NOW)


def test_a_bad_token_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = _Counted(monkeypatch)
    checker = access_tokens()
    bad = jwt.encode({**GOOD, "iss": "https://other.example"}, KEY, "ES256", HEADER)
    for _ in range(2):
        with pytest.raises(InvalidToken):
            checker.verify(bad, NOW)
    assert counted.checks == 2


def test_no_more_tokens_are_remembered_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "REMEMBERED", 2)
    counted = _Counted(monkeypatch)
    checker = access_tokens()
    first, *others = [checker.issue(SESSION, NOW) for _ in range(3)]
    for token in (first, *others, first):
        checker.verify(token, NOW)
    assert counted.checks == 4


def test_the_published_keys_check_the_tokens_and_hold_no_private_part() -> None:
    published = access_tokens(keys=Fixed({"s0": OTHER, "s1": KEY}, "s1")).jwks(NOW)["keys"]
    assert [key["kid"] for key in published] == ["s0", "s1"]
    assert all(
        set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"} and len(key["x"]) == 43
        for key in published
    )
    public = jwt.PyJWK(published[1]).key
    claims = jwt.decode(
        TOKENS.issue(SESSION, NOW),
        public,
        ["ES256"],
        options={"verify_exp": False, "verify_iat": False},
        audience="countersign",
    )
    assert claims["sid"] == SESSION.id


def test_a_curve_of_another_size_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="P-256"):
        access_tokens(keys=Fixed({"s1": ec.generate_private_key(ec.SECP384R1())}, "s1"))


def test_opaque_tokens_are_256_random_bits() -> None:
    made = {tokens.new_opaque() for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(base64.urlsafe_b64decode(token + "=")) == 32 for token in made)
    assert len({token[:4] for token in made}) > 990


def test_an_opaque_token_is_stored_as_its_sha_256() -> None:
    assert tokens.digest("x") == hashlib.sha256(b"x").hexdigest()
