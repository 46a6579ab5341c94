"""A feature that is switched off is as if the spec had never had it."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.diagnostics import SpecError
from server.spec import read
from tests.contract.notes import copy, plant
from tests.support.servers import ROOT
from tests.support.world import World, settings_in, world_in

SHIPPED = ROOT / "spec" / "openapi.yaml"
ADMIN = {
    *("listUsers", "getUser", "deactivateUser", "reactivateUser", "endUserSessions"),
    *("resetUserMFA", "listAuditEvents"),
}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A server without the features that are shipped."""
    folder = tmp_path_factory.mktemp("bare")
    return world_in(folder, features_off="administration, registration")


def test_its_operations_are_no_paths_any_more(bare: World, world: World) -> None:
    for path in ("/auth/register", "/admin/users", "/admin/users/x/deactivate", "/admin/audit"):
        assert world.api.post(path, json={}).status != 404
        for method in ("GET", "POST", "DELETE", "OPTIONS"):
            reply = bare.api.request(method, path)
            assert (reply.status, reply.code) == (404, "not_found")


def test_its_operations_are_in_no_document(bare: World) -> None:
    document = bare.api.get("/openapi.json").json
    assert not [path for path in document["paths"] if path.startswith("/admin")]
    assert "/auth/register" not in document["paths"]
    assert "UserAccount" not in document["components"]["schemas"]
    explained = {each["operation"] for each in bare.api.get("/docs/explained.json").json}
    assert explained
    assert explained.isdisjoint({*ADMIN, "registerUser"})


def test_a_workflow_that_needs_it_is_not_listed(bare: World, world: World) -> None:
    ours, theirs = (
        {each["file"] for each in w.api.get("/docs/workflows.json").json} for w in (bare, world)
    )
    assert theirs - ours == {"workflows/enrolment.arazzo.yaml"}
    assert ours


def test_the_rest_is_served(bare: World) -> None:
    assert bare.api.get("/health/ready").status == 200
    assert bare.api.get("/auth/session").status == 401


def test_readiness_names_the_contract_that_is_left(bare: World, world: World) -> None:
    revisions = {w.api.get("/health/ready").data["revision"] for w in (bare, world)}
    assert len(revisions) == 2


def test_the_rules_still_know_what_the_spec_says_of_it() -> None:
    """The command line does what these operations do, under the same names."""
    reading = read(SHIPPED, features_off={"administration"})
    assert reading.contract.operations.keys().isdisjoint(ADMIN)
    assert reading.policies.operations["resetUserMFA"].audit == "mfa.reset"
    assert reading.contract.bundle.off == ADMIN


@pytest.mark.parametrize("features", [{"administratio"}, {"registration", "Administration"}])
def test_a_feature_that_no_operation_has_is_refused_with_those_there_are(
    features: set[str],
) -> None:
    with pytest.raises(SpecError) as refusal:
        read(SHIPPED, features_off=features)
    lines = SHIPPED.read_text("utf-8").splitlines()
    assert str(refusal.value) == (
        f"spec/openapi.yaml:{lines.index('paths:') + 1}:1: error: COUNTERSIGN_FEATURES_OFF names"
        " a feature that no operation has; there are: administration, registration"
    )


def test_a_mistake_in_what_is_switched_off_is_told_all_the_same(tmp_path: Path) -> None:
    spec = copy(tmp_path, SHIPPED.parent)
    plant(spec, "paths/auth.yaml", "operationId: registerUser", "operationId: registerUsr")
    with pytest.raises(SpecError, match='"registerUsr" has no handler'):
        read(spec / "openapi.yaml", features_off={"registration"})


def test_whatever_the_rules_need_can_be_switched_off(tmp_path: Path) -> None:
    """Budgets that the rules depend on stand on operations that this server is without."""
    spec = copy(tmp_path, SHIPPED.parent)
    for name in ("disableMFA", "verifyBackupCode"):
        operation = f"    operationId: {name}\n"
        plant(spec, "paths/mfa.yaml", operation, f"    x-feature: lost-phone\n{operation}")
    world = world_in(tmp_path, spec=spec / "openapi.yaml", features_off="lost-phone")
    account = world.account().sign_in().enrol().sign_in()
    assert account.post("/mfa/disable", json={}).status == 404
    assert account.status()["enabled"] is True


@pytest.mark.parametrize("value", ["Registration", "", "step_up", "-up", 1])
def test_a_feature_has_a_plain_name(tmp_path: Path, value: object) -> None:
    spec = copy(tmp_path, SHIPPED.parent)
    plant(spec, "paths/auth.yaml", "x-feature: registration", f'x-feature: "{value}"')
    with pytest.raises(SpecError, match='"x-feature": '):
        read(spec / "openapi.yaml")


def test_the_setting_lists_features_between_commas(tmp_path: Path) -> None:
    given = {"": (), "one": ("one",), " one , two,": ("one", "two")}
    for value, features in given.items():
        assert settings_in(tmp_path, features_off=value).features_off == features
