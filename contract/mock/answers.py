"""What the operations of a spec answer where nothing serves them: its examples, prepared at start.

The default is the operation's success with its first example, or with a body put together from the
examples in its schema. A request can ask for something else (`contract.mock.preferences`):
`code` for another status that the operation declares, `example` for another of the examples that
are named there, and `dynamic=true` for a body drawn at random from the schema. What cannot be had
is ignored, and `Preference-Applied` claims only what was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import structlog

from contract.bundle import Bundle
from contract.compile import FIELD_VALUE, Contract
from contract.completeness import Handler
from contract.diagnostics import Diagnostic, SpecError, error, in_order
from contract.enrich import with_headers
from contract.mock.preferences import APPLIED, PREFER, applied, preferences
from contract.mock.values import JSON, Make, Source, Unmade, maker
from contract.operation import Operation, declared_as
from contract.replies import REQUEST_ID, Reply, encode
from contract.request import Request
from contract.schema import resolve, translate
from contract.violations import step

log = structlog.get_logger("contract")

HEADERS: Mapping[str, JSON] = {
    APPLIED: {
        "description": "The preferences of the request that this reply heeds (RFC 7240).",
        "schema": {"type": "string", "minLength": 1},
        "example": "code=409, example=username_taken",
    },
    # RFC 7240 section 2: a cache must not take one preference's reply for another's.
    "Vary": {
        "description": "What else than its URL a reply depends on.",
        "required": True,
        "schema": {"type": "string", "enum": [PREFER]},
        "example": PREFER,
    },
}
"""What replies made here carry besides what the spec says of them, as header objects."""
CODE, EXAMPLE, DYNAMIC = "code", "example", "dynamic"

_STATUSES = frozenset(map(str, range(200, 600)))
# The guard names the request.
_ELSEWHERE = frozenset({REQUEST_ID.lower()})


def declared(bundle: Bundle, operation: str) -> Bundle:
    """The bundle with HEADERS on every reply of an operation, given by its pointer."""
    return with_headers(bundle, operation, HEADERS)


@dataclass(frozen=True, slots=True)
class Body:
    """The bodies of a response: `named` as they are written, `first` the default.

    `built` says that the default is put together, so that nobody wrote its message.
    """

    media_type: str
    named: Mapping[str, Any]
    first: Any
    built: bool
    make: Make


@dataclass(frozen=True, slots=True)
class Prepared:
    """A declared response: the headers that it has to carry, and its body if it has one."""

    headers: tuple[tuple[str, str], ...]
    body: Body | None


class Answers:
    """The replies of operations. `mark` is what a reply claims where nothing was asked of it.

    Raises SpecError with every response that nothing fits.
    """

    def __init__(
        self, contract: Contract, operations: Iterable[Operation], mark: str | None = None
    ) -> None:
        self._mark = {} if mark is None else {mark: ""}
        self._random = Random()  # noqa: S311 - nobody relies on what is drawn
        preparing = _Preparing(contract)
        self._prepared = {each.id: preparing.responses(each) for each in operations}
        if preparing.problems:
            raise SpecError(in_order(preparing.problems))

    def handler(self, operation: Operation) -> Handler:
        """What stands in for the handler of an operation."""

        def answer(_services: Any, _request: Request) -> Reply:
            reply = self.reply(operation, _request)
            log.info("answered_from_examples", operation=operation.id, status=reply.status)
            return reply

        return answer

    def reply(self, operation: Operation, request: Request) -> Reply:
        """The reply to a request that fits the spec."""
        wanted, heeded = preferences(request.headers.all(PREFER)), dict[str, str]()
        status = _status(operation, wanted, heeded)
        prepared = self._prepared[operation.id][declared_as(operation.responses, status) or ""]
        reply = Reply(status, list(prepared.headers))
        if prepared.body is not None:
            value = self._value(prepared.body, wanted, heeded)
            reply.headers.append(("Content-Type", prepared.body.media_type))
            reply.body = encode(_with_request_id(value, request.request_id))
        if claimed := applied(heeded or self._mark):
            reply.headers.append((APPLIED, claimed))
        return reply

    def _value(self, body: Body, wanted: Mapping[str, str], heeded: dict[str, str]) -> Any:
        name = wanted.get(EXAMPLE, "")
        if name in body.named:
            heeded[EXAMPLE] = name
            return body.named[name]
        if wanted.get(DYNAMIC) == "true":
            try:
                drawn = body.make(Source(self._random, shown=False))
            except Unmade:
                return body.first
            heeded[DYNAMIC] = "true"
            return drawn
        return body.first

    def shown(self, operation: Operation) -> Iterator[Any]:
        """Every body that a success of the operation can show without drawing one."""
        body = self._prepared[operation.id][str(operation.success)].body
        if body is not None:
            yield from (body.first, *body.named.values())


def _status(operation: Operation, wanted: Mapping[str, str], heeded: dict[str, str]) -> int:
    code = wanted.get(CODE, "")
    if code not in _STATUSES or declared_as(operation.responses, int(code)) is None:
        return operation.success
    heeded[CODE] = code
    return int(code)


def _worded(prepared: Prepared, operation: Operation) -> Prepared:
    """The message of a success is the description of its response, unless an example has one."""
    body = prepared.body
    if body is None or not (body.built and operation.envelope):
        return prepared
    return replace(prepared, body=replace(body, first=body.first | {"message": operation.message}))


def _with_request_id(value: Any, request_id: str) -> Any:
    """An error names its request in the body as in the header."""
    fault = value.get("error") if isinstance(value, dict) else None
    if isinstance(fault, dict) and "request_id" in fault:
        return value | {"error": fault | {"request_id": request_id}}
    return value


class _Preparing:
    """Makes ready what the responses of operations show; what they share is made once."""

    def __init__(self, contract: Contract) -> None:
        self._bundle = contract.bundle
        self._document = contract.document
        self._bodies: dict[int, Body | None] = {}
        self.problems: list[Diagnostic] = []

    def responses(self, operation: Operation) -> dict[str, Prepared]:
        """By status as it is declared."""
        above = f"{operation.pointer}/responses"
        declared = resolve({"$ref": f"#{above}"}, self._document)
        found = {
            status: self._response(declared[status], f"{above}{step(status)}")
            for status in operation.responses
        }
        if not self.problems:
            success = str(operation.success)
            found[success] = _worded(found[success], operation)
        return found

    def _response(self, response: JSON, pointer: str) -> Prepared:
        response = resolve(response, self._document)
        headers = tuple(self._headers(response.get("headers", {}), f"{pointer}/headers"))
        for media_type, media in response.get("content", {}).items():
            return Prepared(headers, self._body(media_type, media, f"{pointer}/content"))
        return Prepared(headers, None)

    def _headers(self, headers: JSON, pointer: str) -> Iterator[tuple[str, str]]:
        """Those that have to be there and that nobody else sets."""
        for name, member in headers.items():
            header = resolve(member, self._document)
            if not header.get("required") or name.lower() in _ELSEWHERE:
                continue
            shown = {"example": header["example"]} if "example" in header else {}
            value = self._made(header["schema"], f"{pointer}{step(name)}", shown)
            text = value if isinstance(value, str) else encode(value).decode()
            if not FIELD_VALUE.fullmatch(text):
                self._refuse(f"{pointer}{step(name)}", "its example cannot stand in a header")
            yield name, text

    def _body(self, media_type: str, media: JSON, pointer: str) -> Body | None:
        if id(media) not in self._bodies:
            self._bodies[id(media)] = self._prepared(media_type, media, pointer)
        return self._bodies[id(media)]

    def _prepared(self, media_type: str, media: JSON, pointer: str) -> Body | None:
        examples = ((k, resolve(e, self._document)) for k, e in media.get("examples", {}).items())
        named = {name: example["value"] for name, example in examples if "value" in example}
        schema = media.get("schema", {})
        make = self._maker(schema)
        written = [*named.values(), *([media["example"]] if "example" in media else [])]
        first = written[0] if written else self._made(schema, pointer)
        return Body(media_type, named, first, not written, make)

    def _maker(self, schema: JSON, extra: JSON | None = None) -> Make:
        translated = translate(schema, self._document, "response", keep=("example",))
        return maker({"allOf": [translated, extra]} if extra else translated)

    def _made(self, schema: JSON, pointer: str, extra: JSON | None = None) -> Any:
        """The value that the examples in a schema add up to, the same at every start."""
        try:
            return self._maker(schema, extra)(Source(Random(0), shown=True))  # noqa: S311
        except Unmade:
            self._refuse(pointer, "no value could be put together that fits: write an example")
            return None

    def _refuse(self, pointer: str, message: str) -> None:
        self.problems.append(error(self._bundle.where(pointer, key=True), message))
