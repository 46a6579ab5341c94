"""Every body that this layer writes: the envelope of a success and the envelope of an error."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contract.media import JSON_TYPE
from contract.violations import Invalid, Violation

REQUEST_ID = "X-Request-ID"
CHALLENGE = "WWW-Authenticate"
BARE = "Bearer"
INVALID = 'Bearer error="invalid_token"'
INSUFFICIENT = 'Bearer error="insufficient_user_authentication"'

_MESSAGES = {
    "invalid_request": "The request is not valid",
    "invalid_token": "A bearer token is needed",
    "not_found": "Not found",
    "method_not_allowed": "The path does not have this method",
    "payload_too_large": "The body is too large",
    "unsupported_media_type": "The body has to be application/json without an encoding",
    "unavailable": "Too many requests are waiting; try again",
    "internal_error": "The server could not answer",
    "contract_violation": "The server's answer broke its own contract and was withheld",
}
# What only the guard says: the id is ours and never the client's.
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", REQUEST_ID.lower()})
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


@dataclass(slots=True)
class Reply:
    """A whole reply. Header names are compared without case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""

    def value(self, name: str) -> str | None:
        """The first value of a header, or None."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


class Refused(Exception):
    """A request that this layer refuses itself. `code` has its message in this module."""

    def __init__(
        self,
        status: int,
        code: str,
        headers: Mapping[str, str] | None = None,
        violations: Iterable[Violation] = (),
    ) -> None:
        self.status = status
        self.code = code
        self.headers: Mapping[str, str] = headers or {}
        self.violations = tuple(violations)
        super().__init__(code)

    def reply(self, request_id: str) -> Reply:
        return failure(self.status, self.code, request_id, self.headers, self.violations)


@dataclass(frozen=True, slots=True)
class _Prefix:
    """The part of a success that is the same each time, encoded once."""

    plain: bytes
    with_data: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "with_data", self.plain[:-1] + b',"data":')


def encode(value: Any) -> bytes:
    """Compact JSON in UTF-8. Raises ValueError for what JSON does not have, as NaN."""
    return _encoder.encode(value).encode("utf-8")


def envelope(message: str) -> _Prefix:
    """The success envelope of an operation, for `success`."""
    return _Prefix(encode({"success": True, "message": message}))


def success(prefix: _Prefix, data: Any) -> bytes:
    """The body of a success; without `data` where there is none."""
    return prefix.plain if data is None else prefix.with_data + encode(data) + b"}"


def failure(
    status: int,
    code: str,
    request_id: str,
    headers: Mapping[str, str] | None = None,
    violations: Iterable[Violation] = (),
    message: str | None = None,
) -> Reply:
    """An error reply. `message` is needed where the code is not one of this layer's own."""
    error = {
        "code": code,
        "details": [violation.as_dict() for violation in violations],
        "request_id": request_id,
    }
    body = {"success": False, "message": message or _MESSAGES[code], "error": error}
    fields = [("Content-Type", JSON_TYPE), *(headers or {}).items()]
    return Reply(status, fields, encode(body))


def refusal(refused: Any, request_id: str, *, mandatory: bool) -> Reply:
    """The reply to a refusal of the rules: `status`, `code`, `message` and `headers` are its own.

    A 401 that brings no challenge gets one. Where a token is `mandatory` this one was good, and a
    code or password was not; no client must take that for a dead token.
    """
    headers = dict(refused.headers)
    if refused.status == 401:
        headers.setdefault(CHALLENGE, INSUFFICIENT if mandatory else BARE)
    return failure(refused.status, refused.code, request_id, headers, message=refused.message)


def complete(
    reply: Reply, constants: Iterable[tuple[str, str]], request_id: str
) -> list[tuple[str, str]]:
    """The headers of a reply with its request's id and those that have one value only."""
    headers = [(name, value) for name, value in reply.headers if name.lower() not in _FRAMING]
    headers.append((REQUEST_ID, request_id))
    sent = {name.lower() for name, _ in headers}
    return headers + [(name, value) for name, value in constants if name.lower() not in sent]


def invalid(exc: Invalid, request_id: str) -> Reply:
    """The 400 that lists what is wrong with a request."""
    return failure(400, "invalid_request", request_id, violations=exc.violations)


def last_resort(code: str, request_id: str) -> Reply:
    """The 500 sent where the spec does not admit the one it should declare, or declares none."""
    hardened = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return failure(500, code, request_id, hardened)


def bad_request_bytes() -> bytes:
    """A whole HTTP/1.1 message for bytes that are no request at all; the connection ends."""
    malformed = Violation("header", "", "http", "is not an HTTP/1.1 request")
    request_id = uuid.uuid4().hex
    reply = failure(400, "invalid_request", request_id, violations=[malformed])
    return _message("400 Bad Request", reply, request_id)


def unavailable_bytes(retry_after: int) -> bytes:
    """A whole HTTP/1.1 message for a connection that is one too many; it ends.

    `retry_after` is in seconds.
    """
    request_id = uuid.uuid4().hex
    reply = failure(503, "unavailable", request_id, {"Retry-After": str(retry_after)})
    return _message("503 Service Unavailable", reply, request_id)


def _message(status: str, reply: Reply, request_id: str) -> bytes:
    fields = [
        *reply.headers,
        (REQUEST_ID, request_id),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
        ("Content-Length", str(len(reply.body))),
        ("Connection", "close"),
    ]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + reply.body
