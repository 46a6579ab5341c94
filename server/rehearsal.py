"""The rehearsal: whatever the server can answer is held against the spec before it serves.

An edit can be sound by itself and still promise what the rules do not keep: a property renamed, a
refusal's status taken away, a length that no token has. Each such reply would be withheld, one
request after the other, with a 500. All of it is known at start, so it is said at start.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from contract.body import oversize
from contract.check import Breach, breaches
from contract.compile import Contract
from contract.diagnostics import Diagnostic, Location, SpecError, error, in_order, warning
from contract.media import JSON_TYPE
from contract.operation import ORPHANS, Operation, ResponseRule, declared_as, rule_for
from contract.replies import (
    BARE,
    CHALLENGE,
    INVALID,
    MISSING_TOKEN,
    OVERLOADED,
    Reply,
    complete,
    encode,
    envelope,
    failure,
    malformed,
    refusal,
    retry_hint,
    success,
    turned_away,
)
from contract.request import Exchange
from contract.rules import MOST, Rules
from contract.violations import Violation, step
from domain.errors import Refusal
from domain.policy import Policies
from handlers.packing import pack
from server import bodies, places
from server.samples import RESULTS, Samples, refusals

_REQUEST_ID = "0123456789abcdef" * 2
_ITEM = re.compile(r"/[0-9]+(?=/|$)")
_SHARED = "/components/responses"
Named = tuple[str, Reply]
"""A reply with its status and, of a refusal, its code."""


def rehearse(contract: Contract, policies: Policies) -> None:
    """Raises SpecError with every reply that the spec would withhold, at the place that does."""
    unread = bodies.unread(contract)
    if unread:
        raise SpecError(in_order(unread))
    samples = samples_of(contract, policies)
    book = _Book(contract)
    for operation in contract.operations.values():
        declared = _declared(operation)
        try:
            for reply in replies(operation, policies, samples):
                book.hold(operation.id, reply, operation.responses, declared)
        except ValueError as fault:  # a username so long that no QR code holds it
            place = contract.bundle.where(f"{operation.pointer}/operationId", key=True)
            raise SpecError(
                [error(place, f"{operation.id} cannot always answer: {fault}")]
            ) from None
    shared = {status: f"{_SHARED}/{name}" for status, name in ORPHANS.items()}
    for who, (name, bare) in _orphans(contract.errors):
        complete = name, _completed(bare, contract.errors)
        book.hold(who, complete, contract.errors, {**shared, "": _SHARED})
    if book.faults:
        raise SpecError(book.diagnostics())


def unrehearsed(contract: Contract, operations: Iterable[str]) -> list[Diagnostic]:
    """A warning for each of these operations whose successes nobody has put down."""
    return [
        warning(
            contract.bundle.where(f"{contract.operations[name].pointer}/operationId"),
            f'"{name}" has no sample of its result in server/samples.py, so that none is rehearsed',
        )
        for name in operations
        if name not in RESULTS
    ]


def samples_of(contract: Contract, policies: Policies) -> Samples:
    """The results that operations of this contract can have."""
    return Samples(policies, bodies.usernames(contract), bodies.pages(contract))


def _declared(operation: Operation) -> dict[str, str]:
    """The pointer to each declared response by status, and under "" to all of them."""
    above = f"{operation.pointer}/responses"
    return {"": above} | {status: above + step(status) for status in operation.responses}


# -- replies ---------------------------------------------------------------------------------


def replies(operation: Operation, policies: Policies, samples: Samples) -> Iterator[Named]:
    """Everything that an operation can answer, as it would leave."""
    named = [
        *_successes(operation, samples),
        *(_refused(operation, refused) for refused in refusals(operation, policies)),
        *_of_the_contract(operation),
    ]
    for name, reply in named:
        yield name, _completed(reply, operation.responses)


def _successes(operation: Operation, samples: Samples) -> Iterator[Named]:
    prefix = envelope(operation.message) if operation.envelope else None
    for result in samples.of(operation.id):
        data = None if result is None else pack(result)
        if prefix is not None:
            body = success(prefix, data)
        else:
            body = b"" if data is None else encode(data)
        fields = [("Content-Type", JSON_TYPE)] if body else []
        yield str(operation.success), Reply(operation.success, fields, body)


def _refused(operation: Operation, refused: Refusal) -> Named:
    exchange = Exchange(operation.responses, _REQUEST_ID)
    reply = refusal(refused, exchange, mandatory=operation.security.mandatory)
    return f"{refused.status} {refused.code}", reply


def _of_the_contract(operation: Operation) -> Iterator[Named]:
    failed = partial(_failed, operation.responses)
    yield failed(400, "invalid_request", violations=_violations(operation, 1))
    yield failed(400, "invalid_request", violations=_violations(operation, MOST))
    if operation.security.mandatory:
        yield failed(401, "invalid_token", {CHALLENGE: BARE}, wording=MISSING_TOKEN)
        yield failed(401, "invalid_token", {CHALLENGE: INVALID}, wording=MISSING_TOKEN)
    if operation.body is not None:
        yield failed(413, "payload_too_large", violations=[oversize(operation.body.limit)])
        yield failed(415, "unsupported_media_type")
    yield failed(500, "internal_error")
    yield failed(500, "contract_violation")
    if (busy := rule_for(operation.responses, 503)) is not None:
        yield failed(503, "unavailable", retry_hint(busy), wording=OVERLOADED)


def _violations(operation: Operation, number: int) -> list[Violation]:
    """Any operation refuses a body or a query that it does not take."""
    found = [Violation("body", f"/code/{n}", "pattern", "is wrong") for n in range(number)]
    whole = Violation("query", "", "undeclared", "is wrong")
    members = [Violation(p.where, "", "type", "is wrong") for p in operation.parameters]
    return [*found, whole, *members]


def _orphans(rules: Mapping[str, ResponseRule]) -> Iterator[tuple[str, Named]]:
    """The replies that belong to no operation; without those that the root need not list."""
    failed, allow = partial(_failed, rules), {"Allow": "GET, HEAD, OPTIONS"}
    orphan = Exchange(rules, _REQUEST_ID)
    found = [
        ("an unknown path", failed(404, "not_found")),
        ("a method that a path lacks", failed(405, "method_not_allowed", allow)),
        ("OPTIONS", ("204", Reply(204, list(allow.items())))),
        ("what is no request", ("400 invalid_request", malformed(orphan))),
        ("a fault of the server's own", failed(500, "internal_error")),
        ("a fault of the server's own", failed(500, "contract_violation")),
        ("a connection too many", ("503 unavailable", turned_away(orphan))),
    ]
    return ((who, named) for who, named in found if str(named[1].status) in rules)


def _failed(
    rules: Mapping[str, ResponseRule],
    status: int,
    code: str,
    headers: Mapping[str, str] | None = None,
    violations: Iterable[Violation] = (),
    wording: str | None = None,
) -> Named:
    exchange = Exchange(rules, _REQUEST_ID)
    return f"{status} {code}", failure(exchange, status, code, headers, violations, wording)


def _completed(reply: Reply, rules: Mapping[str, ResponseRule]) -> Reply:
    rule = rule_for(rules, reply.status)
    headers = complete(reply, rule.constants if rule else (), _REQUEST_ID)
    return Reply(reply.status, headers, reply.body)


# -- breaches --------------------------------------------------------------------------------


class _Book:
    """The breaches, each once, with every reply that it spoils."""

    def __init__(self, contract: Contract) -> None:
        self._bundle = contract.bundle
        self.faults: dict[tuple[Location, str], dict[str, None]] = {}

    def hold(
        self,
        who: str,
        named: Named,
        rules: Mapping[str, ResponseRule],
        responses: Mapping[str, str],
    ) -> None:
        """Hold a reply against the rules; `responses` maps a status to the pointer to its own."""
        name, reply = named
        for breach in breaches(reply, rules):
            for told in self._told(breach, reply, rules, responses):
                self.faults.setdefault(told, {})[f"{who} answers {name}"] = None

    def diagnostics(self) -> list[Diagnostic]:
        return in_order(
            error(place, f"{_together(list(answers))}, but {sentence}")
            for (place, sentence), answers in self.faults.items()
        )

    def _told(
        self,
        breach: Breach,
        reply: Reply,
        rules: Mapping[str, ResponseRule],
        responses: Mapping[str, str],
    ) -> Iterator[tuple[Location, str]]:
        """The place that refuses the reply, and what it refuses."""
        rule = rule_for(rules, reply.status)
        if rule is None:
            yield self._where(responses[""]), "the spec declares no such status there"
            return
        pointer, response = places.resolved(self._bundle.document, _pointer(responses, reply))
        content = f"{pointer}/content"
        if breach.location == "header":
            yield self._header(breach, f"{pointer}/headers", response.get("headers", {}))
        elif breach.location == "media-type" or not rule.content:
            said = "it declares no JSON body" if reply.body else "there is no body"
            yield self._where(content), said
        else:
            schema, rule_of_body = f"{content}{step(JSON_TYPE)}/schema", rule.content[JSON_TYPE]
            yield from self._member(breach, schema, json.loads(reply.body), rule_of_body)

    def _header(
        self, breach: Breach, pointer: str, declared: Mapping[str, Any]
    ) -> tuple[Location, str]:
        name = next((name for name in declared if name.lower() == breach.pointer.lower()), None)
        if name is None:
            return self._where(pointer), f'the header "{breach.pointer}" is not declared'
        header, _ = places.resolved(self._bundle.document, f"{pointer}{step(name)}")
        if breach.keyword == "required":
            return self._where(f"{header}/required"), f'nothing sends the header "{name}"'
        place = self._where(f"{header}/schema/{breach.keyword}")
        return place, f'the header "{name}" breaks {breach.keyword}'

    def _member(
        self, breach: Breach, schema: str, body: Any, rules: Rules
    ) -> Iterator[tuple[Location, str]]:
        """A member that is refused, at the keyword that refuses it."""
        found = places.schemas(self._bundle.document, schema, breach.pointer, body)
        value, shown = _at(body, breach.pointer), _ITEM.sub("/*", breach.pointer)
        if breach.keyword == "additionalProperties":
            known = {name for _, part in found for name in part.get("properties", ())}
            place = self._where(places.holder(found, "properties"))
            # A name can be known to one branch of a oneOf and not to the one that is meant.
            for name in [name for name in value if name not in known] or value:
                yield place, f'"{shown}{step(name)}" is not declared'
            return
        subject = f'"{shown}"' if shown else "the body"
        for violation in rules.violations(body, "body"):
            if (violation.pointer, violation.keyword) == (breach.pointer, breach.keyword):
                place = self._where(_refusing(found, breach.keyword, violation.message))
                yield place, f"{subject} {_said(breach.keyword, value, violation.message)}"

    def _where(self, pointer: str) -> Location:
        return self._bundle.where(pointer, key=True)


def _refusing(found: list[places.Part], keyword: str, message: str) -> str:
    """The pointer to the keyword; of several `required` to the one with the name that lacks."""
    if keyword == "required":
        for pointer, part in found:
            if any(message == f'lacks "{name}"' for name in part.get("required", ())):
                return f"{pointer}/required"
    return places.holder(found, keyword)


def _said(keyword: str, value: Any, message: str) -> str:
    """What is wrong; of an enum the value too, which is the one to put back."""
    return f"can be {json.dumps(value)}, which is not listed" if keyword == "enum" else message


def _pointer(responses: Mapping[str, str], reply: Reply) -> str:
    """The pointer to the response that `rule_for` takes for a reply."""
    return responses[declared_as(responses, reply.status) or ""]


def _at(value: Any, pointer: str) -> Any:
    for token in pointer.split("/")[1:]:
        value = value[int(token)] if isinstance(value, list) else value[token]
    return value


def _together(answers: list[str]) -> str:
    return answers[0] + (f" (and {len(answers) - 1} more replies)" if len(answers) > 1 else "")
