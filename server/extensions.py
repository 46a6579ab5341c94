"""The ``x-`` extensions: a JSON Schema and one reader each."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from contract.extensions import Extension, Misfit, Registry
from domain.policy import (
    Assurance,
    Attempts,
    CountPolicy,
    FloodPolicy,
    GuessPolicy,
    PasswordPolicy,
    RateLimits,
    Sunset,
    TotpParameters,
)

_DURATION = {
    "title": "duration",
    "type": "string",
    "pattern": r"^P(?=[0-9T])(?:[0-9]+D)?(?:T(?=[0-9])(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+S)?)?$",
}
_MOMENT = {"title": "time (RFC 3339, in UTC)", "type": "string"}
# Added to a present time it must stay a time: the calendar of datetime ends with the year 9999.
_LONGEST = timedelta(days=3650)
_COUNT = {"type": "integer", "minimum": 1, "maximum": 1000}


def _closed(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _distinct(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "uniqueItems": True, "maxItems": 1000}


def _whole(minimum: int, maximum: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": minimum, "maximum": maximum}


def _says(description: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The schema with what it decides, in words: the catalogue is written from them."""
    return {**schema, "description": description, **more}


_GUESSES = _closed(
    {
        "free": _says("wrong guesses in a row before the first delay", _COUNT),
        "delay": _says("the first delay", _DURATION),
        "factor": _says("how many times as long each delay is as the one before", _whole(1, 10)),
        "max-delay": _says("the longest delay", _DURATION),
        # NIST 800-63B-4 section 3.2.2: no more than 100 consecutive failures.
        "lock-after": _says(
            "wrong guesses in a row that lock the factor; of `totp` needed, of others refused",
            _whole(1, 100),
        ),
        "account-free": _says(
            "of `password`: the same as `free`, for an account over all addresses", _COUNT
        ),
        "known-address-max-delay": _says(
            "of `password`: the longest delay for an address that the account has signed in from",
            _DURATION,
        ),
    },
    ["free", "delay", "factor", "max-delay"],
) | {"title": "budget that delays"}
_FLOOD = _closed(
    {
        "rate": _says("requests that are let in again in every `per`", _whole(1, 1_000_000)),
        "per": _says("the time of `rate`", _DURATION),
        "burst": _says("requests that may come at once", _whole(1, 1_000_000)),
    },
    ["rate", "per", "burst"],
) | {"title": "bucket"}
_COUNTED = _closed(
    {
        "max-wrong": _says("wrong guesses that end what they were made against", _COUNT),
        "max-open": _says("of `challenge`: how many a user can have open", _COUNT),
    },
    ["max-wrong"],
) | {"title": "budget that counts"}


def duration(value: str) -> timedelta:
    """An ISO 8601 duration of days, hours, minutes and seconds, within its bounds."""
    try:
        parsed = TypeAdapter(timedelta).validate_python(value)
    except ValueError:  # too many days for a timedelta
        parsed = timedelta.max
    if not timedelta(0) < parsed <= _LONGEST:
        raise Misfit(f"the duration must be longer than nothing, and at most {_LONGEST.days} days")
    return parsed


def _member(value: dict[str, Any], key: str, reader: Callable[[Any], Any]) -> Any:
    """What a reader makes of a member, None where there is none; a Misfit names the member."""
    try:
        return reader(value[key]) if key in value else None
    except Misfit as misfit:
        raise misfit.under(key) from None


def _read_assurance(value: dict[str, Any]) -> Assurance:
    return Assurance(value["level"], _member(value, "max-age", duration))


def _read_guesses(value: dict[str, Any]) -> GuessPolicy:
    policy = GuessPolicy(
        free=value["free"],
        delay=_member(value, "delay", duration),
        factor=value["factor"],
        max_delay=_member(value, "max-delay", duration),
        lock_after=value.get("lock-after"),
        account_free=value.get("account-free"),
        known_address_max_delay=_member(value, "known-address-max-delay", duration),
    )
    if policy.max_delay < policy.delay:
        raise Misfit("max-delay is shorter than delay", "max-delay")
    return policy


def _read_counts(value: dict[str, Any]) -> CountPolicy:
    return CountPolicy(value["max-wrong"], value.get("max-open"))


def _read_attempts(value: dict[str, Any]) -> Attempts:
    return Attempts(
        password=_member(value, "password", _read_guesses),
        totp=_member(value, "totp", _read_guesses),
        backup_code=_member(value, "backup-code", _read_guesses),
        enrolment=_member(value, "enrolment", _read_counts),
        challenge=_member(value, "challenge", _read_counts),
    )


def _delaying(value: dict[str, Any]) -> frozenset[str]:
    """A budget that can delay answers 429; one that only counts ends what it counts on."""
    return frozenset({"429"} if any("free" in budget for budget in value.values()) else ())


def _read_flood(value: dict[str, Any]) -> FloodPolicy:
    return FloodPolicy(
        rate=value["rate"],
        per=_member(value, "per", duration),
        burst=value["burst"],
    )


def _read_rate_limit(value: dict[str, Any]) -> RateLimits:
    return RateLimits(
        address=_member(value, "address", _read_flood),
        user=_member(value, "user", _read_flood),
        operation=_member(value, "operation", _read_flood),
    )


_TIME = "%Y-%m-%dT%H:%M:%SZ"
_TARGET = re.compile(
    # RFC 3986 section 3.3: what begins with two slashes is an address of another server.
    r"[a-z][A-Za-z0-9]*|/(?!/)(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*"
)


def _time(value: str) -> datetime:
    """A time in UTC (RFC 3339), in whole seconds, for no header tells less."""
    try:
        parsed = datetime.strptime(value, _TIME).replace(tzinfo=UTC)
    except ValueError:
        parsed = None
    if parsed is None or f"{parsed:{_TIME}}" != value:
        raise Misfit("a time is in UTC and in whole seconds, as in 2027-01-31T00:00:00Z")
    return parsed


def _target(value: str) -> str:
    if not _TARGET.fullmatch(value):
        raise Misfit("what follows is an operationId, or a path that begins with one slash")
    return value


def _read_sunset(value: dict[str, Any]) -> Sunset:
    sunset = Sunset(
        since=_member(value, "since", _time),
        until=_member(value, "until", _time),
        successor=_member(value, "successor", _target),
    )
    if sunset.since and sunset.until and sunset.until < sunset.since:
        raise Misfit("until is before since", "until")
    return sunset


def _read_totp(value: dict[str, Any]) -> TotpParameters:
    return TotpParameters(
        algorithm=value["algorithm"],
        digits=value["digits"],
        period=value["period"],
        window=value["window"],
        secret_bytes=value["secret-bytes"],
    )


def _read_passwords(value: dict[str, Any]) -> PasswordPolicy:
    return PasswordPolicy(
        common="common" in value["refuse"],
        username="username" in value["refuse"],
        words=tuple(value.get("words", ())),
    )


ASSURANCE = Extension(
    name="x-assurance",
    where=frozenset({"operation"}),
    schema=_says(
        "How well the session must be authenticated (NIST 800-63B-4, RFC 9470); a 401 "
        "`insufficient_user_authentication` otherwise.",
        _closed(
            {
                "level": _says(
                    "`aal1`: a password; `aal2`: two factors; `highest`: two where the account has "
                    "MFA, else the password",
                    {"enum": ["aal1", "aal2", "highest"]},
                ),
                "max-age": _says("how long ago at most", _DURATION),
            },
            ["level"],
        ),
    ),
    read=_read_assurance,
)
ATTEMPTS = Extension(
    name="x-attempts",
    where=frozenset({"operation"}),
    schema=_says(
        "The guess budgets of the secrets that the operation takes. They are charged before a guess "
        "is looked at, and counted once for each user and factor, whichever operation is asked.",
        _closed(
            {
                "password": _says("of the account's password", _GUESSES),
                "totp": _says("of the authenticator's codes", _GUESSES),
                "backup-code": _says("of backup codes", _GUESSES),
                "enrolment": _says("of a pending enrolment", _COUNTED),
                "challenge": _says("of a login challenge", _COUNTED),
            },
            [],
        ),
    ),
    read=_read_attempts,
    statuses=_delaying,
)
RATE_LIMIT = Extension(
    name="x-rate-limit",
    where=frozenset({"operation"}),
    schema=_says(
        "Flood limits: how many requests are let in at all. One at least; a 429 "
        "`too_many_requests` beyond it.",
        _closed(
            {
                "address": _says(
                    "of a client address, over all operations with the same values", _FLOOD
                ),
                "user": _says("of an account, over all operations with the same values", _FLOOD),
                "operation": _says("of this operation, whoever asks", _FLOOD),
            },
            [],
        ),
        minProperties=1,
    ),
    read=_read_rate_limit,
    statuses=lambda _value: frozenset({"429"}),
)
AUDIT = Extension(
    name="x-audit",
    where=frozenset({"operation"}),
    schema=_says(
        "The name of the event that the operation leaves in the audit trail, done or refused. Every "
        "operation but a GET has one.",
        {"type": "string", "pattern": r"^[a-z_]+(?:\.[a-z_]+)+$", "maxLength": 64},
    ),
    read=str,
)
ROLE = Extension(
    name="x-role",
    where=frozenset({"operation"}),
    schema=_says(
        "The role that the caller needs; a 403 otherwise, before the assurance is looked at.",
        {"enum": ["admin"]},
    ),
    read=str,
    statuses=lambda _value: frozenset({"403"}),
)
FEATURE = Extension(
    name="x-feature",
    where=frozenset({"operation"}),
    schema=_says(
        "The feature that the operation belongs to. `COUNTERSIGN_FEATURES_OFF` leaves all operations "
        "of a feature out: of the router, of `/openapi.json` and of `/docs`.",
        {"type": "string", "pattern": "^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$", "maxLength": 64},
    ),
    read=str,
)
SUNSET = Extension(
    name="x-sunset",
    where=frozenset({"operation"}),
    schema=_says(
        "Since when a `deprecated` operation is that, until when it is served and what takes its "
        "place. Every reply says so in `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and `Link`; "
        "after `until` it is a 410 `gone`.",
        _closed(
            {
                "since": _says("when it was deprecated; without it, already", _MOMENT),
                "until": _says("when it ends; without it, never", _MOMENT),
                "successor": _says(
                    "the operationId, or the path, of what takes its place", {"type": "string"}
                ),
            },
            [],
        ),
        examples=[
            {
                "since": "2027-01-01T00:00:00Z",
                "until": "2027-06-30T00:00:00Z",
                "successor": "getSession",
            }
        ],
    ),
    read=_read_sunset,
    statuses=lambda value: frozenset({"410"} if "until" in value else ()),
)
TTL = Extension(
    name="x-ttl",
    where=frozenset({"schema"}),
    schema=_says(
        "How long what the schema describes lives. On `AccessToken`, `RefreshToken` (the idle life "
        "of a session), `Session` (its absolute life), `LoginChallenge` and `MFASetupResponse` (a "
        "pending enrolment); all five are needed.",
        _DURATION,
    ),
    read=duration,
)
TOTP = Extension(
    name="x-totp",
    where=frozenset({"schema"}),
    schema=_says(
        "The parameters of new enrolments (RFC 6238), on `MFASetupResponse`. They are stored with "
        "each enrolment, so that an edit never breaks an old one.",
        _closed(
            {
                "algorithm": _says("the hash", {"enum": ["SHA1", "SHA256", "SHA512"]}),
                "digits": _says("of a code", _whole(6, 8)),
                "period": _says("seconds of a time step", _whole(15, 120)),
                "window": _says("time steps each way in which a code is taken", _whole(0, 2)),
                # RFC 4226 section 4, R6: at least 128 bits, 160 recommended.
                "secret-bytes": _says("length of the shared secret", _whole(16, 64)),
            },
            ["algorithm", "digits", "period", "window", "secret-bytes"],
        ),
    ),
    read=_read_totp,
)
PASSWORDS = Extension(
    name="x-password-policy",
    where=frozenset({"schema"}),
    schema=_says(
        "What a new password must not be, on `NewPassword`; a 409 `password_refused` otherwise. "
        "There are no rules of composition: NIST 800-63B-4 section 3.1.1.2 forbids them.",
        _closed(
            {
                "refuse": _says(
                    "`common`: a password of the list of common ones; `username`: the name itself",
                    _distinct({"enum": ["common", "username"]}),
                ),
                "words": _says(
                    "words that it must not be either, such as the name of the service",
                    _distinct({"type": "string", "minLength": 1, "maxLength": 1024}),
                ),
            },
            ["refuse"],
        ),
    ),
    read=_read_passwords,
)
LOW_THRESHOLD = Extension(
    name="x-low-threshold",
    where=frozenset({"schema"}),
    schema=_says(
        "How many backup codes are left where `backup_codes_low` begins to be true, on "
        "`BackupCodesLow`.",
        _whole(0, 1000),
    ),
    read=int,
)


def registry() -> Registry:
    """Every extension that the spec may carry."""
    extensions = Registry()
    for extension in (
        *(ASSURANCE, ATTEMPTS, RATE_LIMIT, AUDIT, ROLE, FEATURE, SUNSET),
        *(TTL, TOTP, PASSWORDS, LOW_THRESHOLD),
    ):
        extensions.register(extension)
    return extensions
