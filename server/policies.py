"""The policies that the ``x-`` extensions and the schemas of a spec add up to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from contract.bundle import Bundle
from contract.compile import Contract
from contract.diagnostics import Location, SpecError, error, in_order
from contract.operation import Operation
from contract.rules import Rules
from contract.schema import translate
from contract.violations import step
from domain.backup_codes import alphabets
from domain.policy import (
    Attempts,
    BackupCodeFormat,
    Lifetimes,
    OperationPolicy,
    Policies,
    RateLimits,
)
from domain.policy_checks import PolicyFaults, check
from server.extensions import (
    ASSURANCE,
    ATTEMPTS,
    AUDIT,
    LOW_THRESHOLD,
    PASSWORDS,
    RATE_LIMIT,
    ROLE,
    TOTP,
    TTL,
)
from server.keyring import cached_for

_SCHEMAS = "/components/schemas"
_CODES = ("BackupCodeList", "properties", "codes")
_FIRST_CODES = ("MFASetupResponse", "properties", "backup_codes")
_PLACES: dict[str, tuple[str, ...]] = {
    "totp": ("MFASetupResponse", TOTP.name),
    "backup_codes.pattern": (*_CODES, "items", "pattern"),
    "backup_codes.count": (*_CODES, "minItems"),
    "backup_codes.enrolment_count": (*_FIRST_CODES, "minItems"),
    "backup_codes.low": ("BackupCodesLow", LOW_THRESHOLD.name),
    "lifetimes.challenge": ("LoginChallenge", TTL.name),
    "lifetimes.access_token": ("AccessToken", TTL.name),
    "lifetimes.refresh_token": ("RefreshToken", TTL.name),
    "lifetimes.session": ("Session", TTL.name),
    "lifetimes.enrolment": ("MFASetupResponse", TTL.name),
    "passwords": ("NewPassword", PASSWORDS.name),
    "most_sessions": ("SessionList", "properties", "sessions", "maxItems"),
}
"""Where in the schemas each policy is said; those of operations are said at the operation."""
_TAKERS = {
    ("MFAVerifyRequest", "code"): ("TOTP code",),
    ("DisableMFARequest", "code"): ("TOTP code", "backup code"),
    ("ChallengeLogin", "mfa_code"): ("TOTP code", "backup code"),
    ("BackupCodeVerifyRequest", "code"): ("backup code",),
}
"""The members of requests that take a code, and the kinds that each has to let through."""


def build(contract: Contract, bundle: Bundle) -> Policies:
    """Everything the spec decides for the rules.

    Raises SpecError at file:line:column where a value the rules need is missing, cannot be kept
    to, or contradicts another one.
    """
    schemas = _Schemas(bundle)
    policies = Policies(
        totp=TOTP.read(schemas.at("totp")),
        backup_codes=BackupCodeFormat(
            pattern=schemas.at("backup_codes.pattern"),
            count=schemas.at("backup_codes.count"),
            enrolment_count=schemas.at("backup_codes.enrolment_count"),
            low=LOW_THRESHOLD.read(schemas.at("backup_codes.low")),
        ),
        lifetimes=Lifetimes(
            **{
                field.name: TTL.read(schemas.at(f"lifetimes.{field.name}"))
                for field in fields(Lifetimes)
            }
        ),
        passwords=PASSWORDS.read(schemas.at("passwords")),
        most_sessions=schemas.at("most_sessions"),
        operations=MappingProxyType(
            {name: _operation_policy(operation) for name, operation in contract.operations.items()}
        ),
        key_set_age=cached_for(contract),
    )
    _refuse_faults(policies, contract, schemas)
    _refuse_idle_extensions(contract)
    _refuse_unnamed_events(contract)
    _refuse_unfit_patterns(policies, schemas)
    _refuse_idle_values(schemas)
    return policies


def _operation_policy(operation: Operation) -> OperationPolicy:
    return OperationPolicy(
        assurance=operation.extensions.get(ASSURANCE.name),
        attempts=operation.extensions.get(ATTEMPTS.name, Attempts()),
        audit=operation.extensions.get(AUDIT.name),
        role=operation.extensions.get(ROLE.name),
    )


def _refuse_faults(policies: Policies, contract: Contract, schemas: _Schemas) -> None:
    try:
        check(policies)
    except PolicyFaults as found:
        faults = [
            error(_place(place, contract, schemas), sentence) for place, sentence in found.faults
        ]
        raise SpecError(in_order(faults)) from None


def _place(place: str, contract: Contract, schemas: _Schemas) -> Location:
    if place in _PLACES:
        return schemas.where(place)
    operation = contract.operations.get(place.removeprefix("operations."))
    if operation is None:
        return contract.bundle.where("/paths", key=True)
    return contract.bundle.where(f"{operation.pointer}/{ATTEMPTS.name}")


def _refuse_idle_extensions(contract: Contract) -> None:
    """Where nobody has to be signed in there is no session to look at, and no account to count."""
    faults = [
        error(
            contract.bundle.where(f"{operation.pointer}/{'/'.join(keys)}", key=True),
            f'"{keys[-1]}" has no effect where a token is not mandatory',
        )
        for operation in contract.operations.values()
        for keys in _of_the_caller(operation)
        if not operation.security.mandatory
    ]
    if faults:
        raise SpecError(in_order(faults))


def _of_the_caller(operation: Operation) -> Iterator[tuple[str, ...]]:
    """The keys that lead to what an operation asks of whoever is signed in."""
    for extension in (ASSURANCE, ROLE):
        if extension.name in operation.extensions:
            yield (extension.name,)
    limits: RateLimits | None = operation.extensions.get(RATE_LIMIT.name)
    if limits is not None and limits.user is not None:
        yield RATE_LIMIT.name, "user"


def _refuse_unnamed_events(contract: Contract) -> None:
    """What changes something leaves an event behind, and what only reads leaves none."""
    faults = [
        error(contract.bundle.where(pointer, key=True), sentence)
        for operation in contract.operations.values()
        for pointer, sentence in _misnamed_event(operation)
    ]
    if faults:
        raise SpecError(in_order(faults))


def _misnamed_event(operation: Operation) -> Iterator[tuple[str, str]]:
    named, reads = AUDIT.name in operation.extensions, operation.method == "GET"
    if named and reads:
        sentence = f'{operation.id} only reads: its "{AUDIT.name}" would never be written'
        yield f"{operation.pointer}/{AUDIT.name}", sentence
    elif not named and not reads:
        sentence = f'{operation.id} changes something and names no event in "{AUDIT.name}"'
        yield operation.pointer, sentence


def _refuse_unfit_patterns(policies: Policies, schemas: _Schemas) -> None:
    """A code that the server makes has to pass the schemas of the requests that take it."""
    samples = {
        "TOTP code": "0" * policies.totp.digits,
        "backup code": "".join(each[0] for each in alphabets(policies.backup_codes.pattern)),
    }
    faults = [
        error(place, f"a {kind}, as the spec now makes them, does not pass this schema")
        for place, rules, kinds in schemas.takers()
        for kind in kinds
        if not rules.admits(samples[kind])
    ]
    first, pointer = schemas.find(*_FIRST_CODES, "items", "pattern")
    if first != policies.backup_codes.pattern:
        place = schemas.bundle.where(pointer)
        faults.append(error(place, "differs from the pattern of BackupCodeList.codes"))
    if faults:
        raise SpecError(in_order(faults))


def _refuse_idle_values(schemas: _Schemas) -> None:
    """A value where nobody reads it would change nothing."""
    faults = [
        error(schemas.bundle.where(pointer, key=True), f'"{name}" has no effect on this schema')
        for name, pointer in schemas.idle()
    ]
    if faults:
        raise SpecError(in_order(faults))


class _Schemas:
    """Looks values up in the bundle's schemas by name, following references."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def at(self, place: str) -> Any:
        """What the spec says of one of ``_PLACES``."""
        return self.find(*_PLACES[place])[0]

    def where(self, place: str) -> Location:
        return self.bundle.where(self.find(*_PLACES[place])[1])

    def takers(self) -> Iterator[tuple[Location, Rules, tuple[str, ...]]]:
        """The place and the rules of every member that takes a code, and the kinds it takes."""
        for (name, member), kinds in _TAKERS.items():
            schema, pointer = self.find(name, "properties", member)
            compiled = Rules(translate(schema, self.bundle.document, "request"))
            yield self.bundle.where(f"{pointer}/pattern"), compiled, kinds

    def idle(self) -> Iterator[tuple[str, str]]:
        """Name and pointer of every key of ours on a schema that is none of ``_PLACES``."""
        read = {self.find(*path)[1] for path in _PLACES.values()}
        names = {path[-1] for path in _PLACES.values() if path[-1].startswith("x-")}
        for pointer in _pointers(self.bundle.document, ""):
            above, _, name = pointer.rpartition("/")
            if name in names and pointer not in read and not above.endswith("/properties"):
                yield name, pointer

    def find(self, *path: str) -> tuple[Any, str]:
        """A value and its pointer in the bundle."""
        node, pointer = self.bundle.document["components"]["schemas"], _SCHEMAS
        for key in path:
            if key not in node:
                place = self.bundle.where(pointer, key=True)
                raise SpecError([error(place, f'"{key}" is missing, and rules depend on it')])
            node, pointer = self._follow(node[key], f"{pointer}/{key}")
        return node, pointer

    def _follow(self, node: Any, pointer: str) -> tuple[Any, str]:
        while isinstance(node, dict) and "$ref" in node:
            pointer = node["$ref"][1:]
            node = self.bundle.document
            for key in pointer[1:].split("/"):
                node = node[key]
        return node, pointer


def _pointers(node: Any, pointer: str) -> Iterator[str]:
    """The pointer to every key below a node."""
    for key, child in node.items() if isinstance(node, dict) else ():
        below = f"{pointer}{step(key)}"
        yield below
        yield from _pointers(child, below)
    for number, child in enumerate(node) if isinstance(node, list) else ():
        yield from _pointers(child, f"{pointer}/{number}")
