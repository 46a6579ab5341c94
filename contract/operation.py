"""What the spec says of an operation, compiled and frozen at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from contract.rules import Rules

ORPHANS: Mapping[str, str] = MappingProxyType(
    {
        "404": "NotFound",
        "405": "MethodNotAllowed",
        "204": "Options",
        "400": "BadRequest",
        "500": "InternalError",
        "503": "Unavailable",
    }
)
"""Replies that belong to no operation, by status: the names under which the root lists them."""
REQUIRED_ORPHANS = ("404", "405", "204")
"""Those that the root has to list. The others are for bytes that are no request, for a fault of the
server's own and for a connection too many; what is not listed is sent in a form that is built in.
"""

Where = Literal["query", "header", "path"]
Rule = TypeVar("Rule")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A scalar parameter. `argument` is its name as a Python argument."""

    name: str
    where: Where
    argument: str
    required: bool
    type: str
    rules: Rules
    default: Any = None


@dataclass(frozen=True, slots=True)
class BodyRule:
    """A JSON request body. `limit` is the bytes that are read of it: what fits is never longer."""

    required: bool
    rules: Rules
    limit: int


@dataclass(frozen=True, slots=True)
class HeaderRule:
    """A response header. `constant` is its value where the spec leaves no other."""

    name: str
    required: bool
    type: str
    rules: Rules
    constant: str | None = None


@dataclass(frozen=True, slots=True)
class ResponseRule:
    """What a reply of one status may hold.

    `content` maps a media type (JSON, all of them) to the rules of the body; it is empty where no
    body is declared. `headers` is keyed by lower-case name. `constants` are the required headers
    that have a single value, `required` the names that must be there. `wordings` holds the messages
    of the error examples, by the name of the example and by the code that it shows.
    """

    description: str
    content: Mapping[str, Rules]
    headers: Mapping[str, HeaderRule]
    constants: tuple[tuple[str, str], ...]
    required: tuple[str, ...]
    wordings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def message(self, code: str, wording: str | None = None) -> str:
        """What is said of an error: as the example `wording` has it, or that of its code."""
        said = self.wordings.get(wording) if wording else None
        return self.wordings.get(code, self.description) if said is None else said


@dataclass(frozen=True, slots=True)
class Security:
    """Whether a bearer token is asked for, and whether one must be there."""

    bearer: bool
    mandatory: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """`path` is the template below the base path, `method` in capitals.

    `stem` names the module and `function` the function of its handler. `success` is the one
    declared 2xx status, `message` its description, `envelope` whether its schema has `success`.
    `extensions` holds what the registered readers made of the `x-` keys.
    """

    id: str
    method: str
    path: str
    stem: str
    function: str
    security: Security
    body: BodyRule | None
    parameters: tuple[Parameter, ...]
    responses: Mapping[str, ResponseRule]
    success: int
    message: str
    envelope: bool
    extensions: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    pointer: str = ""


def rule_for(responses: Mapping[str, Rule], status: int) -> Rule | None:
    """What is kept for a status: under its own name, its class's (`4XX`), or as the default."""
    found = responses.get(str(status)) or responses.get(f"{status // 100}XX")
    return found or responses.get("default")


def declared_as(responses: Mapping[str, Any], status: int) -> str | None:
    """The key under which `rule_for` finds the rule of a status."""
    names = (str(status), f"{status // 100}XX", "default")
    return next((name for name in names if name in responses), None)
