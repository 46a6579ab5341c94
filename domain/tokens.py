"""Access tokens (RFC 9068) and the opaque random tokens: the pure mechanism."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from jwt.algorithms import ECAlgorithm
from jwt.types import Options

from domain.errors import InvalidToken
from domain.keyring import LEEWAY, SigningKeys
from domain.records import Session
from domain.timestamps import numeric_date

# One algorithm, fixed by the server and never taken from a token (RFC 8725 section 3.1).
ALGORITHM = "ES256"
TYPE = "at+jwt"
LEEWAY_SECONDS = int(LEEWAY.total_seconds())
OPAQUE_BYTES = 32
# Tokens whose signature need not be checked again: a client sends the same one for ten minutes.
REMEMBERED = 4096

_TEXTS = ("iss", "aud", "sub", "sid", "jti", "acr")
_NUMBERS = ("iat", "exp", "auth_time")
# The checks against time and audience are made here: PyJWT's read the system's clock, and let an
# audience in a list pass.
_OPTIONS: Options = {
    "require": [*_TEXTS, *_NUMBERS, "amr"],
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good access token says; the session row has the last word."""

    user_id: str
    session_id: str
    token_id: str
    acr: str
    amr: tuple[str, ...]
    auth_time: int
    issued_at: int
    not_before: int
    expires_at: int


class _UnknownKey(Exception):
    """Carries the id of a key that a token names and nobody knows."""


@dataclass(frozen=True, slots=True)
class _Verifier:
    """What is made of one set of keys; ``read`` remembers the tokens that passed."""

    keys: Mapping[str, EllipticCurvePrivateKey]
    public: Mapping[str, EllipticCurvePublicKey]
    read: Callable[[str], tuple[str, Claims]]


class AccessTokens:
    """Signs and checks access tokens with P-256 keys, each in its turn.

    Tokens are issued for ``lifetime``. Those of up to ``longest`` are good, for one issued before
    the lifetime was shortened keeps its own; without it ``lifetime`` is the longest.
    """

    def __init__(
        self,
        keys: SigningKeys[EllipticCurvePrivateKey],
        issuer: str,
        audience: str,
        lifetime: timedelta,
        longest: timedelta | None = None,
    ) -> None:
        if not all(isinstance(key.curve, SECP256R1) for key in keys.all().values()):
            raise ValueError("signing keys are P-256")
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._lifetime = int(lifetime.total_seconds())
        self._longest = int((longest or lifetime).total_seconds())
        self._verifier = self._verifier_of(keys.all())

    @property
    def lifetime(self) -> int:
        """Life of an access token in seconds."""
        return self._lifetime

    def issue(self, session: Session, now: datetime) -> str:
        """A signed access token that reports the session as it is."""
        issued_at = numeric_date(now)
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": session.user_id,
            "sid": session.id,
            "jti": str(uuid.uuid4()),
            "iat": issued_at,
            "exp": issued_at + self._lifetime,
            "auth_time": numeric_date(session.auth_time),
            "acr": session.acr,
            "amr": list(session.amr),
        }
        key_id, key = self._keys.signing(now)
        return jwt.encode(claims, key, ALGORITHM, {"typ": TYPE, "kid": key_id})

    def verify(self, token: str, now: datetime) -> Claims:
        """The claims of a token that is good now; else :class:`InvalidToken`."""
        key_id, claims = self._authentic(token)
        if key_id not in self._keys.published(now) or not self._timely(claims, numeric_date(now)):
            raise InvalidToken
        return claims

    def _authentic(self, token: str) -> tuple[str, Claims]:
        """What a key of ours has signed, whenever that was, and the id of the key."""
        try:
            return self._present().read(token)
        except _UnknownKey as unknown:
            # Another process may sign with a key that this one has not read yet.
            if self._keys.find(unknown.args[0]):
                return self._authentic(token)
        raise InvalidToken

    def _present(self) -> _Verifier:
        keys = self._keys.all()
        if self._verifier.keys is not keys:
            self._verifier = self._verifier_of(keys)
        return self._verifier

    def _verifier_of(self, keys: Mapping[str, EllipticCurvePrivateKey]) -> _Verifier:
        public = {key_id: key.public_key() for key_id, key in keys.items()}
        # Only what passed is remembered, whole token by whole token, and only what never changes:
        # time and turn are looked at anew, and another set of keys is another verifier.
        read = lru_cache(REMEMBERED)(partial(self._read, public))
        return _Verifier(keys, public, read)

    def _read(self, public: Mapping[str, EllipticCurvePublicKey], token: str) -> tuple[str, Claims]:
        try:
            key_id = _key_id(token)
            if key_id not in public:
                raise _UnknownKey(key_id)
            claims = jwt.decode(token, public[key_id], [ALGORITHM], options=_OPTIONS)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise InvalidToken from None
        if not self._well_formed(claims):
            raise InvalidToken
        return key_id, _claims(claims)

    def _well_formed(self, claims: dict[str, Any]) -> bool:
        """Types as we write them; issuer and audience exactly ours, no list that contains it."""
        amr = claims["amr"]
        return (
            all(isinstance(claims[name], str) for name in _TEXTS)
            and all(type(claims[name]) is int for name in _NUMBERS)
            and type(claims.get("nbf", 0)) is int
            and isinstance(amr, list)
            and all(isinstance(method, str) for method in amr)
            and claims["iss"] == self._issuer
            and claims["aud"] == self._audience
        )

    def _timely(self, claims: Claims, now: int) -> bool:
        return (
            max(claims.not_before, claims.issued_at) <= now + LEEWAY_SECONDS
            and now < claims.expires_at + LEEWAY_SECONDS
            and 0 < claims.expires_at - claims.issued_at <= self._longest
        )

    def jwks(self, now: datetime) -> dict[str, Any]:
        """The public keys as a JWK Set (RFC 7517): those that sign, will sign and still verify."""
        public = self._present().public
        published = [key_id for key_id in self._keys.published(now) if key_id in public]
        return {"keys": [_jwk(key_id, public[key_id]) for key_id in published]}


def _key_id(token: str) -> str:
    """The id of the key that the header names.

    A header with anything but the three names that we write (``jwk``, ``jku``, ``x5u``, ``crit``)
    is not of our making: a key is never taken from a token.
    """
    header = jwt.get_unverified_header(token)
    key_id = header.get("kid")
    ours = {"alg": ALGORITHM, "typ": TYPE, "kid": key_id}
    if header != ours or not isinstance(key_id, str):
        raise InvalidToken
    return key_id


def _claims(claims: dict[str, Any]) -> Claims:
    return Claims(
        user_id=claims["sub"],
        session_id=claims["sid"],
        token_id=claims["jti"],
        acr=claims["acr"],
        amr=tuple(claims["amr"]),
        auth_time=claims["auth_time"],
        issued_at=claims["iat"],
        not_before=claims.get("nbf", claims["iat"]),
        expires_at=claims["exp"],
    )


def _jwk(key_id: str, key: EllipticCurvePublicKey) -> dict[str, Any]:
    numbers: dict[str, Any] = ECAlgorithm.to_jwk(key, as_dict=True)
    return {**numbers, "kid": key_id, "use": "sig", "alg": ALGORITHM}


def new_opaque() -> str:
    """A token of 256 random bits: 43 characters of base64url."""
    return secrets.token_urlsafe(OPAQUE_BYTES)


def digest(opaque: str) -> str:
    """The stored form of an opaque token, as hex; its length makes a plain hash enough."""
    return hashlib.sha256(opaque.encode()).hexdigest()
