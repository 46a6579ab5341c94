"""The ``x-`` extensions: a JSON Schema and one reader each, and the policies they add up to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter

from contract.bundle import Bundle
from contract.compile import Contract
from contract.diagnostics import Diagnostic, SpecError
from contract.extensions import Extension, Registry
from domain.policy import (
    Assurance,
    Attempts,
    BackupCodeFormat,
    CountPolicy,
    GuessPolicy,
    Lifetimes,
    OperationPolicy,
    Policies,
    TotpParameters,
)

_DURATION = {
    "type": "string",
    "pattern": r"^P(?=[0-9T])(?:[0-9]+D)?(?:T(?=[0-9])(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+S)?)?$",
}
_COUNT = {"type": "integer", "minimum": 1, "maximum": 1000}


def _closed(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


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
_COUNTED = _closed({"max-wrong": _COUNT, "max-open": _COUNT}, ["max-wrong"])


def duration(value: str) -> timedelta:
    """An ISO 8601 duration of days, hours, minutes and seconds, longer than nothing."""
    parsed = TypeAdapter(timedelta).validate_python(value)
    if parsed <= timedelta(0):
        raise ValueError("the duration must be longer than nothing")
    return parsed


def _read_assurance(value: dict[str, Any]) -> Assurance:
    return Assurance(value["level"], duration(value["max-age"]) if "max-age" in value else None)


def _read_guesses(value: dict[str, Any]) -> GuessPolicy:
    known = value.get("known-address-max-delay")
    policy = GuessPolicy(
        free=value["free"],
        delay=duration(value["delay"]),
        factor=value["factor"],
        max_delay=duration(value["max-delay"]),
        lock_after=value.get("lock-after"),
        account_free=value.get("account-free"),
        known_address_max_delay=duration(known) if known else None,
    )
    if policy.max_delay < policy.delay:
        raise ValueError("max-delay is shorter than delay")
    return policy


def _read_attempts(value: dict[str, Any]) -> Attempts:
    guesses = {
        name.replace("-", "_"): _read_guesses(value[name])
        for name in ("password", "totp", "backup-code")
        if name in value
    }
    counted = {
        name: CountPolicy(value[name]["max-wrong"], value[name].get("max-open"))
        for name in ("enrolment", "challenge")
        if name in value
    }
    return Attempts(**guesses, **counted)


def _delaying(value: dict[str, Any]) -> frozenset[str]:
    """A budget that can delay answers 429; one that only counts ends what it counts on."""
    return frozenset({"429"} if any("free" in budget for budget in value.values()) else ())


def _read_totp(value: dict[str, Any]) -> TotpParameters:
    return TotpParameters(
        algorithm=value["algorithm"],
        digits=value["digits"],
        period=value["period"],
        window=value["window"],
        secret_bytes=value["secret-bytes"],
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


def registry() -> Registry:
    """Every extension that the spec may carry."""
    extensions = Registry()
    for extension in (ASSURANCE, ATTEMPTS, TTL, TOTP):
        extensions.register(extension)
    return extensions


_SCHEMAS = "/components/schemas"


def build(contract: Contract, bundle: Bundle) -> Policies:
    """Everything the spec decides for the rules.

    Raises SpecError at file:line:column where a value the rules need is missing or where two
    values contradict each other.
    """
    spec = _Spec(bundle)
    return Policies(
        totp=spec.read(TOTP, "MFASetupResponse"),
        backup_codes=BackupCodeFormat(
            pattern=spec.value("BackupCodeList", "properties", "codes", "items", "pattern"),
            count=spec.value("BackupCodeList", "properties", "codes", "minItems"),
        ),
        lifetimes=Lifetimes(
            challenge=spec.read(TTL, "LoginChallenge"),
            access_token=spec.read(TTL, "AccessToken"),
            refresh_token=spec.read(TTL, "RefreshToken"),
            session=spec.read(TTL, "Session"),
            enrolment=spec.read(TTL, "MFASetupResponse"),
        ),
        operations={
            name: OperationPolicy(
                assurance=operation.extensions.get(ASSURANCE.name),
                attempts=operation.extensions.get(ATTEMPTS.name, Attempts()),
            )
            for name, operation in contract.operations.items()
        },
    )


class _Spec:
    """Looks values up in the bundle's schemas by name, following references."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def read(self, extension: Extension, schema: str) -> Any:
        return extension.read(self.value(schema, extension.name))

    def value(self, *path: str) -> Any:
        return self.find(*path)[0]

    def find(self, *path: str) -> tuple[Any, str]:
        """A value and its pointer in the bundle."""
        node, pointer = self._bundle.document["components"]["schemas"], _SCHEMAS
        for step in path:
            if step not in node:
                raise self.error(pointer, f'"{step}" is missing, and rules depend on it')
            node, pointer = self._follow(node[step], f"{pointer}/{step}")
        return node, pointer

    def _follow(self, node: Any, pointer: str) -> tuple[Any, str]:
        while isinstance(node, dict) and "$ref" in node:
            pointer = node["$ref"][1:]
            node = self._bundle.document
            for step in pointer[1:].split("/"):
                node = node[step]
        return node, pointer

    def error(self, pointer: str, message: str) -> SpecError:
        return SpecError([Diagnostic(self._bundle.where(pointer), "error", message)])
