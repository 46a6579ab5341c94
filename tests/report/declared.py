"""What the spec declares and the server can send: the cells, the error codes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from contract.compile import Contract
from contract.operation import ORPHANS, REQUIRED_ORPHANS
from contract.replies import Reply
from contract.schema import JSON, resolve
from server.rehearsal import replies as replies_of
from server.rehearsal import samples_of
from server.spec import Reading
from tests.report.recorder import NOBODY

Cell = tuple[str, str, str]
"""Operation, status and media type."""
Code = tuple[str, str, str]
"""Operation, status and error code."""


def cells(document: JSON) -> set[Cell]:
    """Every cell of a bundle, and those of requests that belong to no operation.

    What is listed beside these is for bytes that are no request, for connections too many and for
    faults outside every operation.
    """
    shared = document["components"]["responses"]
    declared = {NOBODY: {status: shared[ORPHANS[status]] for status in REQUIRED_ORPHANS}} | {
        operation["operationId"]: operation["responses"]
        for item in document["paths"].values()
        for operation in item.values()
    }
    return {
        (name, status, media_type)
        for name, responses in declared.items()
        for status, response in responses.items()
        for media_type in resolve(response, document).get("content", {NOBODY: None})
    }


def codes(replies: Iterable[tuple[str, Reply]]) -> set[Code]:
    """Every error code among the replies of operations, and of those that belong to none."""
    return {
        (name, str(reply.status), _code(reply)) for name, reply in replies if reply.status >= 400
    } | set(_of_no_operation())


def rehearsed(reading: Reading) -> Iterator[tuple[str, Reply]]:
    """Every operation with one of each of the replies that the rehearsal at start knows of it."""
    contract, policies = reading.contract, reading.policies
    samples = samples_of(contract, policies)
    for name, operation in contract.operations.items():
        for _, reply in replies_of(operation, policies, samples):
            yield name, reply


def listed(contract: Contract) -> list[str]:
    """The codes that the spec lists."""
    return list(
        contract.document["components"]["schemas"]["ErrorBody"]["properties"]["code"]["enum"]
    )


def _of_no_operation() -> Iterator[Code]:
    yield NOBODY, "404", "not_found"
    yield NOBODY, "405", "method_not_allowed"


def _code(reply: Reply) -> str:
    return str(json.loads(reply.body)["error"]["code"])
