"""A spec without some of its operations is what it had been if nobody had written them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contract.bundle import Bundle, load
from contract.compile import Contract, compile_contract
from contract.diagnostics import Diagnostic
from contract.extensions import Registry
from contract.lint import lint
from contract.operation import ORPHANS
from contract.prune import without
from server.extensions import registry
from tests.contract.lab.stage import Lab, contract
from tests.contract.notes import copy, plant
from tests.support.servers import ROOT

WHOLE = contract()


def lab_without(*operations: str) -> Contract:
    return compile_contract(without(WHOLE.bundle, operations), Registry())


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return load(ROOT / "spec" / "openapi.yaml", registry())


def names(bundle: Bundle, section: str) -> set[str]:
    return set(bundle.document["components"].get(section, ()))


def _of_flow(diagnostic: Diagnostic) -> bool:
    return diagnostic.location.file.startswith("spec/workflows/")


def links(bundle: Bundle, path: str, method: str, status: str) -> Any:
    return bundle.document["paths"][path][method]["responses"][status].get("links")


# -- the document ----------------------------------------------------------------------------


def test_what_only_the_dropped_needed_goes_with_them(shipped: Bundle) -> None:
    left = without(shipped, {"regenerateBackupCodes"})
    assert "/mfa/backup-codes/regenerate" not in left.document["paths"]
    assert names(shipped, "schemas") - names(left, "schemas") == {"BackupCodeList"}
    assert names(shipped, "links") - names(left, "links") == {"SpendBackupCode"}
    assert names(shipped, "responses") == names(left, "responses")


def test_what_others_need_as_well_stays(shipped: Bundle) -> None:
    left = without(shipped, {"verifyMFA"})
    assert names(shipped, "schemas") - names(left, "schemas") == {"MFAVerifyRequest"}
    assert "MFA" in {tag["name"] for tag in left.document["tags"]}


def test_links_to_the_dropped_go_and_others_stay(shipped: Bundle) -> None:
    assert set(links(shipped, "/mfa/setup", "post", "200")) == {"ConfirmEnrolment"}
    assert links(without(shipped, {"verifyMFA"}), "/mfa/setup", "post", "200") is None
    left = without(shipped, {"verifyBackupCode"})
    assert set(links(left, "/mfa/setup", "post", "200")) == {"ConfirmEnrolment"}


def test_a_tag_goes_with_its_last_operation(shipped: Bundle) -> None:
    admin = {
        operation["operationId"]
        for path, item in shipped.document["paths"].items()
        for operation in item.values()
        if path.startswith("/admin")
    }
    assert len(admin) > 1
    for dropped, told in ((admin, False), (set(sorted(admin)[1:]), True)):
        tags = {tag["name"] for tag in without(shipped, dropped).document["tags"]}
        assert ("Admin" in tags) is told


@pytest.mark.parametrize("spared", ["getJWKS", "registerUser", "listAuditEvents", "setupMFA"])
def test_the_rest_is_a_sound_spec(shipped: Bundle, spared: str) -> None:
    """Nothing is left that leads nowhere, and nothing that nothing refers to."""
    everything = compile_contract(shipped, registry()).operations
    left = without(shipped, everything.keys() - {spared})
    # The files beside it are read again, and those of workflows still speak of what is gone.
    assert [d for found in lint(left, registry(), "error") for d in found if not _of_flow(d)] == []
    assert set(compile_contract(left, registry()).operations) == {spared}


def test_nothing_at_all_is_left_of_a_spec_without_operations(shipped: Bundle) -> None:
    everything = compile_contract(shipped, registry()).operations
    left = without(shipped, everything)
    assert left.document["paths"] == {}
    assert names(left, "responses") == {*ORPHANS.values(), "Gone"}
    assert names(left, "links") == names(left, "securitySchemes") == set()


def test_what_nothing_referred_to_keeps_what_it_needs(tmp_path: Path) -> None:
    files = copy(tmp_path, ROOT / "spec")
    own = "  headers:\n    Own:\n      description: Own.\n      schema:\n"
    schema = '        $ref: "schemas/mfa.yaml#/BackupCodeList"\n'
    plant(files, "openapi.yaml", "components:\n", f"components:\n{own}{schema}")
    bundle = load(files / "openapi.yaml", registry())
    left = without(bundle, {"regenerateBackupCodes"})
    assert "Own" in names(left, "headers")
    assert {"BackupCodeList", "BackupCode"} <= names(left, "schemas")


def test_the_bundle_that_is_given_stays_as_it_is(shipped: Bundle) -> None:
    before = deepcopy(shipped.document)
    without(shipped, {"registerUser", "verifyMFA"})
    assert shipped.document == before
    assert without(shipped, ()).document == before


# -- served ----------------------------------------------------------------------------------


def test_a_path_that_has_other_methods_names_those_that_are_left() -> None:
    lab = Lab(lab_without("createThing"))
    answer = lab.call("POST", "/things", {"name": "bolt"})
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.header("allow") == "GET, HEAD, OPTIONS"
    assert lab.call("OPTIONS", "/things").header("allow") == "GET, HEAD, OPTIONS"
    assert lab.call("GET", "/things").status == 200


def test_a_path_whose_last_method_went_is_unknown() -> None:
    lab = Lab(lab_without("getPlain", "latestThing"))
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        assert lab.call(method, "/plain").status == 404
    # What is left of the spec has this path too, as a template.
    assert lab.call("GET", "/things/latest").status == 200
    assert lab.stage.calls == [("getThing", {"thing_id": "latest"})]


def test_what_connexion_finds_and_what_is_served_have_to_agree() -> None:
    less = without(WHOLE.bundle, {"createThing"})
    with pytest.raises(RuntimeError, match="disagree"):
        Lab(replace(WHOLE, bundle=less))
