"""Each keyword of a request is broken once by a request made from the spec, and refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from contract.lint.lens import Lens
from contract.media import JSON_TYPE
from contract.violations import step
from server import places
from tests.api.calls import SPEC, ready
from tests.report.evidence import Evidence, Key, Outcome
from tests.report.recorder import RECORDER
from tests.support.world import World

DOCUMENT = SPEC.bundle.document
LENS = Lens(SPEC.bundle, SPEC.registry)
OPERATIONS = {operation.name: operation for operation in LENS.operations()}
BREAKABLE = [key for key, breakable in Evidence(SPEC.bundle).requests.items() if breakable]
BEYOND = {"minimum": -1, "maximum": 1}


@pytest.fixture
def evidence(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[tuple[Key, Outcome]]]:
    """What the requests of one test show; it goes into the books of the run as well."""
    books, shown = RECORDER.evidence, set[tuple[Key, Outcome]]()
    with monkeypatch.context() as patch:
        patch.setattr(RECORDER, "evidence", shown)
        yield shown
    books |= shown


@pytest.mark.parametrize("operation", sorted({key.operation for key in BREAKABLE}))
def test_a_request_that_breaks_a_keyword_is_refused_for_it(
    world: World, evidence: set[tuple[Key, Outcome]], operation: str
) -> None:
    call = ready(world, operation)
    for wrong in [*wrong_bodies(operation), *wrong_parameters(operation)]:
        segment = quote(wrong.pop("segment", call.segment), safe="")
        reply = replace(call, segment=segment).send(**wrong)
        assert (reply.status, reply.code) == (400, "invalid_request"), wrong
    broken = {key for key, outcome in evidence if outcome == "broken"}
    assert {key for key in BREAKABLE if key.operation == operation} - broken == set()


def wrong_bodies(operation: str) -> Iterator[dict[str, Any]]:
    """What to send in place of a good body: for each of its forms the examples, one part wrong."""
    if "requestBody" not in OPERATIONS[operation].value:
        return
    yield {"json": None}
    yield {"json": [1]}
    yield {"json": {"undeclared": 1}}
    body = LENS.member(OPERATIONS[operation].found, "requestBody", "content", JSON_TYPE, "schema")
    for form in places.forms(DOCUMENT, body.pointer):
        members = {
            name: places.resolved(DOCUMENT, f"{pointer}/properties{step(name)}")[1]
            for pointer, schema in form
            for name in schema.get("properties", ())
        }
        good = {name: schema["example"] for name, schema in members.items()}
        yield {"json": good | {"undeclared": 1}}
        for name, schema in members.items():
            yield {"json": {other: good[other] for other in good if other != name}}
            yield from (
                {"json": good | {name: value}} for value in [[1], *wrong_values(schema, "0")]
            )


def wrong_parameters(operation: str) -> Iterator[dict[str, Any]]:
    for parameter in OPERATIONS[operation].parameters:
        schema = LENS.member(parameter, "schema").value
        name, where = parameter.value["name"], parameter.value["in"]
        for value in map(str, wrong_values(schema, "9")):
            if where == "path":
                yield {"segment": value}
            else:
                yield {"params" if where == "query" else "headers": {name: value}}
        if parameter.value.get("required") and where != "path":
            yield {"params": {}}


def wrong_values(schema: dict[str, Any], filler: str) -> Iterator[Any]:
    """Values that break one keyword of a scalar at least, and together all of them.

    The ledger takes what a body holds for a secret, so what a URL holds is made of another filler.
    """
    if schema["type"] == "string":
        least, most = schema.get("minLength", 0), schema["maxLength"]
        yield filler * (most + 1)
        if least > 0:
            yield filler * (least - 1)
        if schema.keys() & {"pattern", "enum"}:
            yield "\x7f" * max(least, 1)
    else:
        yield "no such value"
        yield from (schema[bound] + by for bound, by in BEYOND.items() if bound in schema)
