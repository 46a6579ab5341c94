"""Operations that are to end: what their replies say of it, and the 410 from then on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from email.utils import format_datetime
from types import MappingProxyType
from urllib.parse import quote

from contract.bundle import Bundle
from contract.diagnostics import Diagnostic, SpecError, did_you_mean, error, in_order
from contract.enrich import with_headers
from contract.extensions import Registry
from contract.lint.lens import Lens
from contract.lint.lens import Operation as Written
from contract.operation import Operation
from contract.request import Request
from contract.schema import JSON
from contract.servers import base_path
from contract.view import Gate
from domain.errors import Gone
from domain.policy import Sunset
from domain.ports import Clock
from server.extensions import SUNSET

_TEXTS = MappingProxyType(
    {
        "Deprecation": "Since when the operation is deprecated (RFC 9745); `@0` where nobody says.",
        "Sunset": "When the operation ends (RFC 8594); it is a 410 from then on.",
        "Link": "What follows the operation (RFC 5829, section 3.6).",
    }
)


# -- what is said ----------------------------------------------------------------------------


def announced(bundle: Bundle, off: Collection[str] = ()) -> Bundle:
    """The bundle in which all replies of deprecated operations declare what they say of it.

    No link leads to the operations ``off``, which will not be served.
    """
    for operation in _operations(bundle).values():
        if operation.value.get("deprecated", False):
            sunset = SUNSET.read(operation.value.get(SUNSET.name, {}))
            headers = {
                name: _header(_TEXTS[name], value) for name, value in _said(bundle, sunset, off)
            }
            bundle = with_headers(bundle, operation.pointer, headers)
    return bundle


def _said(bundle: Bundle, sunset: Sunset, off: Collection[str]) -> Iterator[tuple[str, str]]:
    # RFC 9745 section 2.1: a date of structured fields, in seconds since 1970.
    yield "Deprecation", f"@{sunset.since.timestamp() if sunset.since else 0:.0f}"
    if sunset.until is not None:
        yield "Sunset", format_datetime(sunset.until, usegmt=True)
    target = _target(bundle, sunset.successor or "")
    if target is not None and sunset.successor not in off:
        yield "Link", f'<{target}>; rel="successor-version"'


def _target(bundle: Bundle, successor: str) -> str | None:
    """The URI path of a successor; None for an operation that is not there."""
    if successor.startswith("/"):
        return successor
    operation = _operations(bundle).get(successor)
    if operation is None:
        return None
    return quote(base_path(bundle.document) + operation.path, safe="/!$&'()*+,;=:@~")


def _header(text: str, value: str) -> JSON:
    schema = {"type": "string", "enum": [value], "example": value}
    return {"description": text, "required": True, "schema": schema}


def _operations(bundle: Bundle) -> dict[str, Written]:
    return {operation.name: operation for operation in Lens(bundle, Registry()).operations()}


# -- what does not fit -----------------------------------------------------------------------


def refuse_unfit(bundle: Bundle) -> None:
    """Raises SpecError with every ``x-sunset`` that contradicts the rest of the spec."""
    operations = _operations(bundle)
    faults = [
        fault
        for operation in operations.values()
        if SUNSET.name in operation.value
        for fault in _faults(bundle, operation, operations)
    ]
    if faults:
        raise SpecError(in_order(faults))


def _faults(
    bundle: Bundle, operation: Written, operations: Mapping[str, Written]
) -> Iterator[Diagnostic]:
    place = f"{operation.pointer}/{SUNSET.name}"
    if not operation.value.get("deprecated", False):
        sentence = f'"{SUNSET.name}" has no effect: {operation.name} is not deprecated'
        yield error(bundle.where(place, key=True), sentence)
    successor = operation.value[SUNSET.name].get("successor", "/")
    if not successor.startswith("/"):
        sentence = _unfit(successor, operation.name, operations)
        if sentence:
            yield error(bundle.where(f"{place}/successor"), f'"{SUNSET.name}": {sentence}')


def _unfit(successor: str, name: str, operations: Mapping[str, Written]) -> str:
    """Why an operation cannot be the successor of another; empty where it can."""
    if successor not in operations:
        return f'no operation "{successor}"{did_you_mean(successor, operations)}'
    if successor == name:
        return f"{name} cannot follow itself"
    if "{" in operations[successor].path:
        return f"the path of {successor} has parameters, and a link has none: give a path"
    return ""


# -- the end ---------------------------------------------------------------------------------


def ending(operations: Mapping[str, Operation], clock: Clock, onward: Gate) -> Gate:
    """A gate that refuses what has ended, and leaves the rest to the gate behind it.

    What has ended is answered as an unknown path is, without a count of the flood limit: the
    answer costs less than the count, and is the same while the limit's store is silent.
    """
    ends = {
        name: operation.extensions[SUNSET.name].until
        for name, operation in operations.items()
        if SUNSET.name in operation.extensions
    }
    ends = {name: end for name, end in ends.items() if end is not None}
    if not ends:
        return onward

    async def admit(request: Request) -> None:
        end = ends.get(request.operation.id)
        if end is not None and end <= clock.now():
            raise Gone
        await onward(request)

    return admit
