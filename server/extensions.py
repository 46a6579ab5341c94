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
    "type": "string",
    "pattern": r"^P(?=[0-9T])(?:[0-9]+D)?(?:T(?=[0-9])(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+S)?)?$",
}
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


_GUESSES = _closed(
    {
        "free": _COUNT,
        "delay": _DURATION,
        "factor": {"type": "integer", "minimum": 1, "maximum": 10},
        "max-delay": _DURATION,
        # NIST 800-63B-4 section 3.2.2: no more than 100 consecutive failures.
        "lock-after": {"type": "integer", "minimum": 1, "maximum": 100},
        "account-free": _COUNT,
        "known-address-max-delay": _DURATION,
    },
    ["free", "delay", "factor", "max-delay"],
)
_FLOOD = _closed(
    {
        "rate": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
        "per": _DURATION,
        "burst": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
    },
    ["rate", "per", "burst"],
)
_COUNTED = _closed({"max-wrong": _COUNT, "max-open": _COUNT}, ["max-wrong"])


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
    schema=_closed(
        {"level": {"enum": ["aal1", "aal2", "highest"]}, "max-age": _DURATION}, ["level"]
    ),
    read=_read_assurance,
)
ATTEMPTS = Extension(
    name="x-attempts",
    where=frozenset({"operation"}),
    schema=_closed(
        {
            "password": _GUESSES,
            "totp": _GUESSES,
            "backup-code": _GUESSES,
            "enrolment": _COUNTED,
            "challenge": _COUNTED,
        },
        [],
    ),
    read=_read_attempts,
    statuses=_delaying,
)
RATE_LIMIT = Extension(
    name="x-rate-limit",
    where=frozenset({"operation"}),
    schema={
        **_closed({"address": _FLOOD, "user": _FLOOD, "operation": _FLOOD}, []),
        "minProperties": 1,
    },
    read=_read_rate_limit,
    statuses=lambda _value: frozenset({"429"}),
)
AUDIT = Extension(
    name="x-audit",
    where=frozenset({"operation"}),
    schema={"type": "string", "pattern": r"^[a-z_]+(?:\.[a-z_]+)+$", "maxLength": 64},
    read=str,
)
ROLE = Extension(
    name="x-role",
    where=frozenset({"operation"}),
    schema={"enum": ["admin"]},
    read=str,
    statuses=lambda _value: frozenset({"403"}),
)
FEATURE = Extension(
    name="x-feature",
    where=frozenset({"operation"}),
    schema={"type": "string", "pattern": "^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$", "maxLength": 64},
    read=str,
)
SUNSET = Extension(
    name="x-sunset",
    where=frozenset({"operation"}),
    schema=_closed({name: {"type": "string"} for name in ("since", "until", "successor")}, []),
    read=_read_sunset,
    statuses=lambda value: frozenset({"410"} if "until" in value else ()),
)
TTL = Extension(name="x-ttl", where=frozenset({"schema"}), schema=_DURATION, read=duration)
TOTP = Extension(
    name="x-totp",
    where=frozenset({"schema"}),
    schema=_closed(
        {
            "algorithm": {"enum": ["SHA1", "SHA256", "SHA512"]},
            "digits": {"type": "integer", "minimum": 6, "maximum": 8},
            "period": {"type": "integer", "minimum": 15, "maximum": 120},
            "window": {"type": "integer", "minimum": 0, "maximum": 2},
            # RFC 4226 section 4, R6: at least 128 bits, 160 recommended.
            "secret-bytes": {"type": "integer", "minimum": 16, "maximum": 64},
        },
        ["algorithm", "digits", "period", "window", "secret-bytes"],
    ),
    read=_read_totp,
)
PASSWORDS = Extension(
    name="x-password-policy",
    where=frozenset({"schema"}),
    schema=_closed(
        {
            "refuse": _distinct({"enum": ["common", "username"]}),
            "words": _distinct({"type": "string", "minLength": 1, "maxLength": 1024}),
        },
        ["refuse"],
    ),
    read=_read_passwords,
)
LOW_THRESHOLD = Extension(
    name="x-low-threshold",
    where=frozenset({"schema"}),
    schema={"type": "integer", "minimum": 0, "maximum": 1000},
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
