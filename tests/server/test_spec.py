"""Reading a spec as the server does: what follows from a mistake is told after the mistake."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import handlers.auth
from contract.diagnostics import SpecError
from domain.records import Session
from domain.services import Services
from server.spec import read
from tests.support.servers import ROOT


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "spec", tmp_path / "spec"))


def edited(spec: Path, file: str, old: str, new: str) -> list[str]:
    """The lines of the refusal after one edit."""
    path = spec / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SpecError) as raised:
        read(spec / "openapi.yaml")
    return str(raised.value).splitlines()


def line_of(spec: Path, file: str, text: str) -> int:
    lines = (spec / file).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


@pytest.mark.parametrize("name", ["verifyMFA", "verifyBackupCode", "setupMFA"])
def test_a_mistaken_operation_id_is_told_first_where_it_stands(spec: Path, name: str) -> None:
    lines = edited(spec, "paths/mfa.yaml", f"operationId: {name}", f"operationId: {name}x")
    line = line_of(spec, "paths/mfa.yaml", f"operationId: {name}x")
    assert lines[0].startswith(f"spec/paths/mfa.yaml:{line}:18: error: ")
    assert any("no operation is served by" in line for line in lines[1:])


def test_a_mistaken_link_is_told_where_it_stands(spec: Path) -> None:
    lines = edited(spec, "components/links.yaml", "operationId: verifyMFA", "operationId: verifyMF")
    line = line_of(spec, "components/links.yaml", "operationId: verifyMF")
    assert lines == [
        f"spec/components/links.yaml:{line}:16: error: no operation "
        '"verifyMF" (did you mean "verifyMFA"?)'
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "schemas/mfa.yaml",
            "{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){3}$",
            "{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){1}$",
            "40.0 bits of entropy",
        ),
        ("schemas/mfa.yaml", "digits: 6", "digits: 8", "a TOTP code, as the spec now makes them"),
        (
            "schemas/mfa.yaml",
            "{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){3}$",
            "{8}(?:-[0-9A-HJKMNP-TV-Z]{8}){3}$",
            "a backup code, as the spec now makes them",
        ),
        ("components/policies.yaml", "lock-after: 50", "lock-after: 101", "101"),
        ("components/policies.yaml", "max-delay: PT1H", "max-delay: PT1S", "shorter than delay"),
        ("components/policies.yaml", "max-delay: PT1H", "max-delay: PT0H", "longer than nothing"),
        ("paths/mfa.yaml", "      enrolment:\n", "      enrolmen:\n", "enrolmen"),
        ("schemas/auth.yaml", "  x-ttl: PT5M\n", "", '"x-ttl" is missing'),
        ("schemas/auth.yaml", "  x-password-policy: ", "  #", '"x-password-policy" is missing'),
        ("schemas/auth.yaml", "[common, username]", "[common, name]", '"name" is not one of'),
        ("schemas/auth.yaml", "[common, username]", "[common, common]", "non-unique"),
        ("schemas/mfa.yaml", "  x-low-threshold: 3\n", "", '"x-low-threshold" is missing'),
        ("schemas/mfa.yaml", "x-low-threshold: 3", "x-low-threshold: -1", "less than the minimum"),
        ("schemas/mfa.yaml", "x-low-threshold: 3", "x-low-threshold: 10", "would be low already"),
        (
            "paths/mfa.yaml",
            "    operationId: getMFAStatus\n    security:\n",
            "    operationId: getMFAStatus\n    security:\n      - {}\n",
            "get_mfa_status wants a session",
        ),
        (
            "components/headers.yaml",
            "enum: [nosniff]",
            "enum: [nosniff\u2013x]",
            "cannot stand in a header",
        ),
        (
            "paths/auth.yaml",
            "    operationId: login\n",
            "    operationId: login\n    x-assurance: {level: aal1}\n",
            "has no effect where a token is not mandatory",
        ),
        ("schemas/auth.yaml", "  x-ttl: PT5M\n", "  x-ttl: PT0S\n", "longer than nothing"),
        ("schemas/auth.yaml", "  x-ttl: PT24H\n", "  x-ttl: P3000000D\n", "at most 3650 days"),
        ("schemas/auth.yaml", "  x-ttl: PT24H\n", "  x-ttl: P9999999999D\n", "at most 3650 days"),
        ("components/policies.yaml", "max-delay: PT1H", "max-delay: P4000000D", "at most 3650"),
        ("components/policies.yaml", "per: PT1S", "per: PT0S", "longer than nothing"),
        ("paths/auth.yaml", "      operation:\n", "      operations:\n", 'mean "operation"'),
        (
            "paths/admin.yaml",
            '\n      address:\n        $ref: "../components/policies.yaml#/flood"\n',
            " {}\n",
            '"x-rate-limit": {} has less than 1 property',
        ),
        ("components/policies.yaml", "per: PT1S", "per: P3651D", "at most 3650"),
    ],
)
def test_a_policy_that_cannot_be_kept_to_is_refused(
    spec: Path, file: str, old: str, new: str, message: str
) -> None:
    lines = edited(spec, file, old, new)
    assert lines[0].startswith(f"spec/{file}:")
    assert any(message in line for line in lines), lines


@pytest.mark.parametrize(
    ("file", "value"),
    [
        ("schemas/auth.yaml", "x-ttl: PT5M"),
        ("schemas/mfa.yaml", "x-password-policy: {refuse: []}"),
        ("schemas/audit.yaml", "x-low-threshold: 3"),
    ],
)
def test_a_value_on_a_schema_that_nobody_asks_is_refused_where_it_stands(
    spec: Path, file: str, value: str
) -> None:
    """Below the first type, which is one of its own and of no schema that rules depend on."""
    lines = edited(spec, file, "  type: string\n", f"  type: string\n  {value}\n")
    line = line_of(spec, file, value)
    name = value.partition(":")[0]
    assert lines == [f'spec/{file}:{line}:3: error: "{name}" has no effect on this schema']


def test_a_password_that_nothing_refuses_needs_no_refusal(spec: Path) -> None:
    status = '      "409":\n        $ref: "../components/responses.yaml#/Conflict"\n'
    operation = "operationId: changePassword\n"
    path = spec / "paths" / "auth.yaml"
    before, name, after = path.read_text(encoding="utf-8").partition(operation)
    path.write_text(before + name + after.replace(status, "", 1), encoding="utf-8")
    lenient = spec / "schemas" / "auth.yaml"
    text = lenient.read_text(encoding="utf-8")
    with pytest.raises(SpecError, match="changePassword answers 409 password_refused"):
        read(spec / "openapi.yaml")
    policy = "{refuse: [common, username], words: [countersign]}"
    lenient.write_text(text.replace(policy, "{refuse: []}"), encoding="utf-8")
    operations = read(spec / "openapi.yaml").contract.operations
    assert "409" not in operations["changePassword"].responses


def test_a_secret_without_a_budget_is_refused_at_its_operation(spec: Path) -> None:
    budget = '      totp:\n        $ref: "../components/policies.yaml#/totp"\n'
    lines = edited(spec, "paths/auth.yaml", budget, "")
    line = line_of(spec, "paths/auth.yaml", "x-attempts:") + 1
    assert lines[0].startswith(f"spec/paths/auth.yaml:{line}:7: error: ")
    assert "names no budget totp" in lines[0]


def test_budgets_that_no_handler_would_charge_are_refused_where_they_stand(spec: Path) -> None:
    budget = '    x-attempts:\n      totp:\n        $ref: "../components/policies.yaml#/totp"\n'
    operation = "    operationId: getMFAStatus\n"
    lines = edited(spec, "paths/mfa.yaml", operation, budget + operation)
    line = line_of(spec, "paths/mfa.yaml", operation.strip()) - 3
    assert lines == [
        f'spec/paths/mfa.yaml:{line}:5: error: "x-attempts" has no effect:'
        ' the handler of getMFAStatus takes no "policy"'
    ]


def test_what_changes_something_names_its_event(spec: Path) -> None:
    lines = edited(spec, "paths/mfa.yaml", "    x-audit: mfa.setup\n", "")
    line = line_of(spec, "paths/mfa.yaml", "post:")
    assert lines == [
        f"spec/paths/mfa.yaml:{line}:3: error: setupMFA changes something"
        ' and names no event in "x-audit"'
    ]


def test_an_event_that_no_handler_would_record_is_refused_where_it_stands(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def logout(services: Services, session: Session) -> None:
        raise NotImplementedError

    logout.__module__ = handlers.auth.__name__  # as if it were the one there
    monkeypatch.setattr(handlers.auth, "logout", logout)
    with pytest.raises(SpecError) as raised:
        read(spec / "openapi.yaml")
    line = line_of(spec, "paths/auth.yaml", "operationId: logout")
    lines = (spec / "paths/auth.yaml").read_text(encoding="utf-8").splitlines()
    line = max(n for n, text in enumerate(lines[:line], 1) if "x-audit:" in text)
    assert str(raised.value) == (
        f'spec/paths/auth.yaml:{line}:5: error: "x-audit" has no effect:'
        ' the handler of logout takes no "trail"'
    )


def test_what_only_reads_names_no_event(spec: Path) -> None:
    operation = "    operationId: getMFAStatus\n"
    lines = edited(spec, "paths/mfa.yaml", operation, f"    x-audit: mfa.status\n{operation}")
    line = line_of(spec, "paths/mfa.yaml", "x-audit: mfa.status")
    assert lines == [
        f"spec/paths/mfa.yaml:{line}:5: error: getMFAStatus only reads:"
        ' its "x-audit" would never be written'
    ]


def test_a_flood_limit_needs_its_fields(spec: Path) -> None:
    header = '    RateLimit:\n      $ref: "headers.yaml#/RateLimit"\n'
    lines = edited(spec, "components/responses.yaml", header, "")
    assert any(
        "answers 429 too_many_requests" in line and 'the header "ratelimit" is not declared' in line
        for line in lines
    ), lines


@pytest.mark.parametrize("operation", ["registerUser", "login"])
def test_a_limit_of_accounts_where_nobody_need_be_signed_in_is_refused_where_it_stands(
    spec: Path, operation: str
) -> None:
    name = f"    operationId: {operation}\n"
    path = spec / "paths" / "auth.yaml"
    before, _, after = path.read_text(encoding="utf-8").partition(name)
    head, key, rest = before.rpartition("    x-rate-limit:\n")
    user = '      user:\n        $ref: "../components/policies.yaml#/costly"\n'
    path.write_text(head + key + user + rest + name + after, encoding="utf-8")
    line = head.count("\n") + 2
    with pytest.raises(SpecError) as raised:
        read(spec / "openapi.yaml")
    assert str(raised.value) == (
        f'spec/paths/auth.yaml:{line}:7: error: "user" has no effect where a token is not mandatory'
    )


@pytest.mark.parametrize("kind", ["address", "operation"])
def test_what_has_a_limit_answers_for_the_store_of_it(spec: Path, kind: str) -> None:
    """A silent Redis is a 503, of the signing keys too if they are counted."""
    name = "    operationId: getJWKS\n"
    limit = (
        f'    x-rate-limit:\n      {kind}:\n        $ref: "../components/policies.yaml#/flood"\n'
    )
    lines = edited(spec, "paths/meta.yaml", name, limit + name)
    assert any("429" in line for line in lines), lines
    status = '    responses:\n      "429":\n        $ref: "../components/responses.yaml#/TooManyRequests"\n'
    path = spec / "paths" / "meta.yaml"
    before, _, after = path.read_text(encoding="utf-8").partition(name)
    path.write_text(before + name + after.replace("    responses:\n", status, 1), encoding="utf-8")
    with pytest.raises(SpecError, match="getJWKS answers 503 unavailable"):
        read(spec / "openapi.yaml")


def test_a_flood_limit_can_be_left_out_where_429_is_declared_no_more(spec: Path) -> None:
    limit = (
        '    x-rate-limit:\n      address:\n        $ref: "../components/policies.yaml#/flood"\n'
    )
    operation = "    operationId: getMFAStatus\n"
    lines = edited(spec, "paths/mfa.yaml", limit + operation, operation)
    assert any("429" in line for line in lines), lines
    status = '      "429":\n        $ref: "../components/responses.yaml#/TooManyRequests"\n'
    text = (spec / "paths" / "mfa.yaml").read_text(encoding="utf-8")
    before, name, after = text.partition(operation)
    (spec / "paths" / "mfa.yaml").write_text(before + name + after.replace(status, "", 1))
    operations = read(spec / "openapi.yaml").contract.operations
    assert "429" not in operations["getMFAStatus"].responses


def test_a_spec_is_read_again_from_its_texts_whatever_became_of_its_files(tmp_path: Path) -> None:
    spec = shutil.copytree(ROOT / "spec", tmp_path / "spec")
    first = read(spec / "openapi.yaml")
    shutil.rmtree(spec)
    again = read(spec / "openapi.yaml", texts=first.bundle.texts)
    assert again.bundle == first.bundle
    assert again.contract.revision == first.contract.revision
    assert any("/workflows/" in file for file in first.bundle.texts)
    broken = {f: t for f, t in first.bundle.texts.items() if not f.endswith("schemas/mfa.yaml")}
    with pytest.raises(SpecError, match=r"schemas/mfa\.yaml"):
        read(spec / "openapi.yaml", texts=broken)
