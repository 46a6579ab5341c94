"""What the handlers read from a request: the spec has to demand it, or they would fail on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from contract.compile import Contract
from contract.diagnostics import Diagnostic, error
from contract.media import JSON_TYPE
from contract.operation import Parameter
from contract.rules import Rules
from contract.schema import translate
from contract.violations import step
from server import places
from server.places import Part

_Names = frozenset[str]
READ: Mapping[str, tuple[_Names, ...]] = MappingProxyType(
    {
        "registerUser": (_Names({"username", "password"}),),
        "login": (_Names({"username", "password"}), _Names({"challenge_id", "mfa_code"})),
        "refreshTokens": (_Names({"refresh_token"}),),
        "changePassword": (_Names({"current_password", "new_password"}),),
        "verifyMFA": (_Names({"code"}),),
        "disableMFA": (_Names({"password", "code"}),),
        "verifyBackupCode": (_Names({"code"}),),
    }
)
"""The members that are read, all of them texts: one set for each form that a body can have."""
PAGED = ("listEvents", "listUsers", "listAuditEvents")
"""What takes a ``limit``, which is how many rows at most a page has."""
LONGEST_PAGE = 1000
"""Rows that are held in memory and checked at once, for whoever asks."""
_LONGEST = 64  # characters, where the spec names no length


def unread(contract: Contract) -> list[Diagnostic]:
    """An error for everything that is read and need not be there."""
    found = [fault for name in READ for fault in _faults(contract, name)]
    return found + [fault for name in PAGED for fault in _page_faults(contract, name)]


def pages(contract: Contract) -> dict[str, int]:
    """The longest page that each operation can be asked for; ``unread`` found no fault."""
    sizes = range(1, LONGEST_PAGE + 1)
    return {
        name: max(filter(_limit(contract, name).rules.admits, sizes), default=1) for name in PAGED
    }


def _limit(contract: Contract, name: str) -> Parameter:
    return next(p for p in contract.operations[name].parameters if p.name == "limit")


def _page_faults(contract: Contract, name: str) -> Iterator[Diagnostic]:
    limit, pointer = _limit(contract, name), f"{contract.operations[name].pointer}/parameters"
    wrong = {
        "be an integer": limit.type != "integer",
        "have a default, or be required": limit.default is None and not limit.required,
        "be 1 at least": any(map(limit.rules.admits, (0, -1))),
        f"be {LONGEST_PAGE} at most": any(map(limit.rules.admits, (LONGEST_PAGE + 1, 10**9))),
    }
    for rule in [rule for rule, broken in wrong.items() if broken]:
        place = contract.bundle.where(pointer, key=True)
        yield error(place, f'{name} reads pages by "limit": it has to {rule}')


def _faults(contract: Contract, name: str) -> Iterator[Diagnostic]:
    document, where = contract.document, contract.bundle.where
    pointer, body = places.resolved(document, f"{contract.operations[name].pointer}/requestBody")
    if not body.get("required", False):
        yield error(where(pointer, key=True), f"{name} reads a body: it has to be required")
    schema = f"{pointer}/content{step(JSON_TYPE)}/schema"
    for form in places.forms(document, schema):
        for place, sentence in _of_form(form, READ[name]):
            yield error(where(place, key=True), f"{name} {sentence}")
    for member in sorted(_Names.union(*READ[name])):
        found = places.schemas(document, schema, step(member))
        if not any(part.get("type") == "string" and not part.get("nullable") for _, part in found):
            yield error(
                where(found[-1][0], key=True), f'{name} reads "{member}": it has to be a string'
            )


def _of_form(form: list[Part], sets: tuple[_Names, ...]) -> Iterator[tuple[str, str]]:
    """What is wrong with one form of a body, whose names tell which set is read."""
    known = {name for _, part in form for name in part.get("properties", ())}
    demanded = {name for _, part in form for name in part.get("required", ())}
    read = max(sets, key=lambda names: len(names & known))
    place = places.holder(form, "required")
    for name in sorted(read - demanded):
        yield place, f'reads "{name}": it has to be required'
    for name in sorted(known & _Names.union(*sets) - read):
        yield place, f'tells a body by its names: "{name}" belongs to another form'


def usernames(contract: Contract) -> list[str]:
    """Names that can be registered, as short and as long as can be told; none where none can."""
    document = contract.document
    pointer, _ = places.resolved(
        document, f"{contract.operations['registerUser'].pointer}/requestBody"
    )
    found = places.schemas(document, f"{pointer}/content{step(JSON_TYPE)}/schema", "/username")
    rules = Rules(translate(found[0][1], document, "request"))
    least = max(part.get("minLength", 1) for _, part in found)
    most = min(part.get("maxLength", _LONGEST) for _, part in found)
    examples = [part["example"] for _, part in found if "example" in part]
    # In a URI and in JSON a character outside the BMP takes the most room.
    short, long = ["a" * least, *examples], ["\U0001f600" * most, "a" * most, *examples]
    chosen = (next(filter(rules.admits, names), None) for names in (short, long))
    return [name for name in dict.fromkeys(chosen) if name is not None]
