"""What follows from a spec is written into its bundle, and nowhere else."""

from __future__ import annotations

from copy import deepcopy

import pytest

from contract.bundle import Bundle, load
from contract.compile import compile_contract, revision_of
from contract.enrich import with_headers
from server.extensions import registry
from tests.support.servers import ROOT

STATUS = "/paths/~1mfa~1status/get"
FIELD = {
    "description": "Planted.",
    "required": True,
    "schema": {"type": "string", "enum": ["yes"]},
}


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return load(ROOT / "spec" / "openapi.yaml", registry(), links="later")


def test_a_header_on_one_operation_is_on_all_its_replies_and_on_no_others(shipped: Bundle) -> None:
    before = deepcopy(shipped.document)
    contract = compile_contract(with_headers(shipped, STATUS, {"X-Planted": FIELD}), registry())
    for name, operation in contract.operations.items():
        for status, rule in operation.responses.items():
            carries = ("X-Planted", "yes") in rule.constants
            assert carries is (name == "getMFAStatus"), (name, status)
    assert shipped.document == before


def test_a_header_that_a_reply_declares_itself_stays_as_it_is(shipped: Bundle) -> None:
    bundle = with_headers(shipped, STATUS, {"Cache-Control": FIELD})
    responses = bundle.document["paths"]["/mfa/status"]["get"]["responses"]
    assert all("yes" not in str(response) for response in responses.values())


def test_places_of_a_shared_reply_are_still_found(shipped: Bundle) -> None:
    bundle = with_headers(shipped, STATUS, {"X-Planted": FIELD})
    where = bundle.where(f"{STATUS}/responses/401/headers/WWW-Authenticate", key=True)
    assert where == shipped.where(
        "/components/responses/Unauthorized/headers/WWW-Authenticate", key=True
    )
    assert where.file.endswith("components/responses.yaml")


def test_the_revision_is_that_of_the_document(shipped: Bundle) -> None:
    planted = with_headers(shipped, STATUS, {"X-Planted": FIELD})
    contract = compile_contract(shipped, registry())
    assert contract.revision == revision_of(deepcopy(shipped.document))
    assert compile_contract(planted, registry()).revision != contract.revision
