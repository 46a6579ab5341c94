"""One request as the contract sees it, and what has become of it so far."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contract.operation import Operation, ResponseRule
    from contract.replies import Reply

RawHeaders = Iterable[tuple[bytes, bytes]]


class Headers:
    """Header fields by name, whatever its case. Values are text as Latin-1 has it."""

    __slots__ = ("_fields",)

    def __init__(self, raw: RawHeaders) -> None:
        self._fields: dict[str, list[str]] = {}
        for name, value in raw:
            self._fields.setdefault(name.decode("latin-1").lower(), []).append(
                value.decode("latin-1")
            )

    def first(self, name: str) -> str | None:
        """The first value, or None where the field is absent."""
        values = self._fields.get(name.lower())
        return values[0] if values else None

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(self._fields.get(name.lower(), ()))

    def items(self) -> Iterable[tuple[str, list[str]]]:
        """Lower-case names with all their values."""
        return self._fields.items()

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._fields


@dataclass(slots=True)
class Request:
    """What hooks are told of a request. `client` is the peer's address, "" if unknown."""

    method: str
    path: str
    headers: Headers
    client: str
    request_id: str
    operation: Operation
    token: str | None = None


@dataclass(slots=True)
class Exchange:
    """A request on its way through the layers; each adds what it learned.

    `rules` are those of the operation's replies, or of the replies that have no operation. `body`
    is None where none was sent. `unread` says that the peer announced a body that nobody read, so
    that the connection cannot be used again. `exempt` replies are not held against the spec. `reply`
    is what a layer of ours answered; it is handed back here and not as ASGI messages.
    """

    rules: Mapping[str, ResponseRule]
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    operation: Operation | None = None
    request: Request | None = None
    segments: Mapping[str, str | None] = field(default_factory=dict)
    query: bytes = b""
    body: bytes | None = None
    unread: bool = False
    exempt: bool = False
    reply: Reply | None = None
    values: dict[str, Any] = field(default_factory=dict)
