"""Every body that this layer writes: the envelope of a success and the envelope of an error."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from contract.media import JSON_TYPE
from contract.operation import ResponseRule, rule_for
from contract.request import Exchange
from contract.violations import Invalid, Violation

REQUEST_ID = "X-Request-ID"
CHALLENGE = "WWW-Authenticate"
BARE = "Bearer"
INVALID = 'Bearer error="invalid_token"'
INSUFFICIENT = 'Bearer error="insufficient_user_authentication"'
RETRY, RETRY_SECONDS = "Retry-After", 1

MISSING_TOKEN = "missing_token"  # noqa: S105 - the name of an example
OVERLOADED = "overloaded"
"""Wordings of this layer: what it says where the code alone does not tell."""

# Where the root lists no reply that belongs to no operation.
_HARDENED = (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"))
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
    """A request that this layer refuses itself, in the words of the spec."""

    def __init__(
        self,
        status: int,
        code: str,
        headers: Mapping[str, str] | None = None,
        violations: Iterable[Violation] = (),
        wording: str | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.headers: Mapping[str, str] = headers or {}
        self.violations = tuple(violations)
        self.wording = wording
        super().__init__(code)

    def reply(self, exchange: Exchange) -> Reply:
        said = (self.headers, self.violations, self.wording)
        return failure(exchange, self.status, self.code, *said)


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
    exchange: Exchange,
    status: int,
    code: str,
    headers: Mapping[str, str] | None = None,
    violations: Iterable[Violation] = (),
    wording: str | None = None,
) -> Reply:
    """An error reply. Its message is the one that the rule of its status has for it."""
    error = {
        "code": code,
        "details": [violation.as_dict() for violation in violations],
        "request_id": exchange.request_id,
    }
    rule = rule_for(exchange.rules, status)
    message = rule.message(code, wording) if rule else in_words(code)
    fields = [("Content-Type", JSON_TYPE), *(headers or {}).items()]
    return Reply(status, fields, encode({"success": False, "message": message, "error": error}))


def read_failure(value: Any) -> tuple[str, str] | None:
    """Code and message of an error's envelope; None where the value is none."""
    match value:
        case {"message": str(message), "error": {"code": str(code)}}:
            return code, message.strip()
    return None


def in_words(code: str) -> str:
    """What is said where no spec can be asked: `not_found` -> `Not found`."""
    return code.replace("_", " ").capitalize()


def refusal(refused: Any, exchange: Exchange, *, mandatory: bool) -> Reply:
    """The reply to a refusal of the rules: `status`, `code`, `wording` and `headers` are its own.

    A 401 that brings no challenge gets one. Where a token is `mandatory` this one was good, and a
    code or password was not; no client must take that for a dead token.
    """
    headers = dict(refused.headers)
    if refused.status == 401:
        headers.setdefault(CHALLENGE, INSUFFICIENT if mandatory else BARE)
    return failure(exchange, refused.status, refused.code, headers, wording=refused.wording)


def complete(
    reply: Reply, constants: Iterable[tuple[str, str]], request_id: str
) -> list[tuple[str, str]]:
    """The headers of a reply with its request's id and those that have one value only."""
    headers = [(name, value) for name, value in reply.headers if name.lower() not in _FRAMING]
    headers.append((REQUEST_ID, request_id))
    sent = {name.lower() for name, _ in headers}
    return headers + [(name, value) for name, value in constants if name.lower() not in sent]


def invalid(exc: Invalid, exchange: Exchange) -> Reply:
    """The 400 that lists what is wrong with a request."""
    return failure(exchange, 400, "invalid_request", violations=exc.violations)


# -- replies without an operation --------------------------------------------------------------


def last_resort(orphan: Exchange, code: str) -> Reply:
    """The 500 sent where the spec does not admit the one it should declare, or declares none."""
    return _whole(orphan, failure(orphan, 500, code))


def malformed(orphan: Exchange) -> Reply:
    """The 400 to bytes that are no request at all."""
    wrong = Violation("header", "", "http", "is not an HTTP/1.1 request")
    return _whole(orphan, failure(orphan, 400, "invalid_request", violations=[wrong]))


def turned_away(orphan: Exchange) -> Reply:
    """The 503 to a connection that is one too many."""
    hint = retry_hint(rule_for(orphan.rules, 503))
    return _whole(orphan, failure(orphan, 503, "unavailable", hint, wording=OVERLOADED))


def retry_hint(rule: ResponseRule | None) -> dict[str, str]:
    """When to try again, where the spec lets it be said."""
    unsaid = rule is not None and RETRY.lower() not in rule.headers
    return {} if unsaid else {RETRY: str(RETRY_SECONDS)}


def _whole(orphan: Exchange, reply: Reply) -> Reply:
    rule = rule_for(orphan.rules, reply.status)
    reply.headers = complete(reply, rule.constants if rule else _HARDENED, orphan.request_id)
    return reply


class ConnectionReplies:
    """Whole HTTP/1.1 messages after which a connection ends, made once.

    `errors` are the rules of the root's replies. Each message has a request id of its own.
    """

    def __init__(self, errors: Mapping[str, ResponseRule]) -> None:
        self._id = uuid.uuid4().hex
        self._malformed = _message(malformed(Exchange(errors, self._id)))
        self._turned_away = _message(turned_away(Exchange(errors, self._id)))

    def malformed(self) -> bytes:
        """For bytes that are no request."""
        return self._named(self._malformed)

    def turned_away(self) -> bytes:
        """For a connection that is one too many."""
        return self._named(self._turned_away)

    def _named(self, message: bytes) -> bytes:
        return message.replace(self._id.encode("ascii"), uuid.uuid4().hex.encode("ascii"))


def _message(reply: Reply) -> bytes:
    length = ("Content-Length", str(len(reply.body)))
    fields = [*reply.headers, length, ("Connection", "close")]
    status = f"{reply.status} {HTTPStatus(reply.status).phrase}"
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + reply.body
