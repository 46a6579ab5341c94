"""``countersign spec diff``: what it is given, what it exits with, and the version rule."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from contract.diff import Document, compare
from server.cli import main
from server.releases import STRICTER, against_release
from tests.contract.notes import plant
from tests.support.servers import ROOT

Run = Callable[..., Result]

WORDING = ("components/responses.yaml", "description: The request does not fit this document")
NARROWED = ("schemas/auth.yaml", "  minLength: 3\n  maxLength: 64\n")


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "spec", tmp_path / "spec"))


@pytest.fixture
def run(spec: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in the folder that holds the copy of the spec."""
    monkeypatch.chdir(spec.parent)
    monkeypatch.setenv("COUNTERSIGN_SPEC", "spec/openapi.yaml")
    return lambda *words: CliRunner().invoke(main, ["spec", "diff", *words])


def git(folder: Path, *words: str) -> None:
    name = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True)


def narrow(spec: Path) -> None:
    file, old = NARROWED
    plant(spec, file, old, old.replace("3", "4"))


def reword(spec: Path) -> None:
    file, old = WORDING
    plant(spec, file, old, f"{old} at all")


def version(spec: Path, number: str) -> None:
    plant(spec, "openapi.yaml", "  version: 0.2.0\n", f"  version: {number}\n")


# -- what is compared ------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{0}/openapi.yaml", "{0}", "bundle"])
def test_old_is_a_root_file_a_folder_or_a_bundle(form: str, spec: Path, run: Run) -> None:
    given = form.format(shutil.copytree(spec, spec.parent / "before" / "spec"))
    if form == "bundle":
        given = "bundle.json"
        Path(given).write_text(CliRunner().invoke(main, ["spec", "bundle"]).stdout)
    same = run(given)
    assert (same.exit_code, same.stdout) == (0, "0.2.0 to 0.2.0: 0 breaking, 0 compatible\n")
    narrow(spec)
    changed = run(given)
    lines = changed.stdout.splitlines()
    assert changed.exit_code == 1
    assert lines[0].startswith("spec/schemas/auth.yaml:7:3: breaking: request: minLength 3 became")
    assert lines[-1] == "0.2.0 to 0.2.0: 1 breaking, 1 compatible"


def test_old_and_new_are_git_revisions(spec: Path, run: Run) -> None:
    git(spec.parent, "init", "-q")
    git(spec.parent, "add", "spec")
    git(spec.parent, "commit", "-qm", "One")
    git(spec.parent, "tag", "one")
    narrow(spec)
    assert run("one").exit_code == 1
    git(spec.parent, "commit", "-qam", "Two")
    reword(spec)
    assert run("one", "HEAD").stdout.startswith("HEAD:spec/schemas/auth.yaml:7:3: breaking: ")
    backwards = run("HEAD", "one")
    assert backwards.stdout.startswith("one:spec/schemas/auth.yaml:7:3: breaking: response: ")
    later = run("HEAD")
    assert (later.exit_code, later.stdout.count(": breaking: ")) == (0, 0)
    assert "components/responses.yaml:4:3: compatible: response: description" in later.stdout


def test_a_changelog_has_what_consumers_notice(spec: Path, run: Run) -> None:
    old = shutil.copytree(spec, spec.parent / "old")
    assert run(str(old), "--changelog").output == "no change that consumers notice\n"
    narrow(spec)
    reword(spec)
    limited = "per: PT1S, burst: 500"
    plant(spec, "components/policies.yaml", limited, limited.replace("500", "400"))
    result = run(str(old), "--changelog")
    breaking, compatible = result.output.split("\n\n### Compatible\n\n")
    assert breaking == (
        "### Breaking\n\n"
        "- In a request: minLength 3 became 4 (`registerUser request /username`, "
        "`login request /username`)"
    )
    (flood,) = [line for line in compatible.splitlines() if "burst" in line]
    assert flood.endswith(" more)")
    assert "reworded" not in result.output
    assert result.exit_code == 1


def test_a_changelog_is_no_json(spec: Path, run: Run) -> None:
    assert run(str(spec), "--json", "--changelog").exit_code == 2


def test_what_is_gone_is_told_with_the_revision_it_was_in(spec: Path, run: Run) -> None:
    git(spec.parent, "init", "-q")
    git(spec.parent, "add", "spec")
    git(spec.parent, "commit", "-qm", "One")
    plant(spec, "openapi.yaml", '  /mfa/status:\n    $ref: "paths/mfa.yaml#/status"\n', "")
    found = run("HEAD")
    assert found.exit_code == 1
    assert found.stdout.startswith("HEAD:spec/paths/mfa.yaml:")
    assert ": breaking: the operation GET /mfa/status is gone (getMFAStatus)\n" in found.stdout


def test_json_says_the_same(spec: Path, run: Run) -> None:
    before = shutil.copytree(spec, spec.parent / "before")
    narrow(spec)
    found = run(str(before), "--json")
    told = json.loads(found.stdout)
    assert found.exit_code == 1
    assert (told["old"], told["new"]) == ("0.2.0", "0.2.0")
    assert [change["class"] for change in told["changes"]] == ["breaking", "compatible"]
    first = told["changes"][0]
    assert first["uses"] == ["registerUser request /username", "login request /username"]
    assert (first["file"], first["line"], first["column"]) == ("spec/schemas/auth.yaml", 7, 3)
    assert (first["direction"], first["side"], first["wording"]) == ("request", "new", False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "no git revision"),
        (["spec", "nowhere"], "no git revision"),
        (["--", "--output=x"], "no git revision"),
        (["notes.md"], "notes.md:1:1: error: "),
        (["broken/openapi.yaml"], "broken/openapi.yaml:"),
        ([], "give OLD"),
        (["spec", "--released"], "give OLD"),
    ],
)
def test_what_cannot_be_read_is_exit_status_2(
    words: list[str], said: str, spec: Path, run: Run
) -> None:
    Path("notes.md").write_text("# Notes\n")
    shutil.copytree(spec, "broken")
    plant(Path("broken"), "openapi.yaml", "paths/mfa.yaml#/status", "paths/mfa.yaml#/statu")
    found = run(*words)
    assert (found.exit_code, found.stdout) == (2, "")
    assert said in found.stderr
    assert not Path("x").exists()


# -- the version rule ------------------------------------------------------------------------


def test_the_shipped_version_follows_the_last_release() -> None:
    found = against_release(ROOT / "spec" / "openapi.yaml")
    assert found.misfit() is None
    assert found.changes


def test_the_last_release_is_what_clients_were_built_on() -> None:
    """What the next version breaks is known: refusals that the flood limit and roles brought."""
    release = Document(ROOT / "spec" / "released" / "0.1.0.json", "old")
    new = Document(ROOT / "spec" / "openapi.yaml", "new")
    breaking = {c.message for c in compare(release, new, STRICTER) if c.kind == "breaking"}
    assert "the status 429 is new" in breaking
    assert any(message.startswith('enum gains "forbidden"') for message in breaking)
    assert compare(release, release, STRICTER) == []


def test_a_version_that_moved_enough_passes_in_one_line(run: Run) -> None:
    found = run("--released")
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith("0.1.0 to 0.2.0: ")
    assert found.stdout.count("\n") == 1


@pytest.mark.parametrize("number", ["0.1.0", "0.1.1", "0.3.0", "0.2.1", "0.0.9"])
def test_a_wrong_version_is_refused_where_it_stands(number: str, spec: Path, run: Run) -> None:
    version(spec, number)
    found = run("--released")
    assert found.exit_code == 1
    assert found.stderr.startswith(f"spec/openapi.yaml:4:12: error: {number} cannot follow 0.1.0")
    assert ": breaking: " in found.stdout


@pytest.mark.parametrize(
    ("edit", "right", "wrong"),
    [(narrow, "0.3.0", "0.2.1"), (reword, "0.2.1", "0.2.0"), (None, "0.2.0", "0.1.9")],
)
def test_the_next_version_follows_from_the_changes(
    edit: Callable[[Path], None] | None, right: str, wrong: str, spec: Path, run: Run
) -> None:
    bundle = CliRunner().invoke(main, ["spec", "bundle"]).stdout
    (spec / "released" / "0.2.0.json").write_text(bundle, encoding="utf-8")
    if edit:
        edit(spec)
    if wrong != "0.2.0":
        version(spec, wrong)
    assert run("--released").exit_code == 1
    plant(spec, "openapi.yaml", f"  version: {wrong}\n", f"  version: {right}\n")
    assert run("--released").exit_code == 0


def test_releases_are_ordered_by_number(spec: Path, run: Run) -> None:
    bundle = json.loads(CliRunner().invoke(main, ["spec", "bundle"]).stdout)
    for number in ("0.9.0", "0.10.0"):
        bundle["info"]["version"] = number
        (spec / "released" / f"{number}.json").write_text(json.dumps(bundle), encoding="utf-8")
    version(spec, "0.10.0")
    assert run("--released").stdout == "0.10.0 to 0.10.0: 0 breaking, 0 compatible\n"


@pytest.mark.parametrize(
    ("file", "said"), [("9.9.9.json", "says that it is 0.1.0"), ("last.json", "not a semantic")]
)
def test_a_release_under_a_wrong_name_is_refused(
    file: str, said: str, spec: Path, run: Run
) -> None:
    shutil.copy(spec / "released" / "0.1.0.json", spec / "released" / file)
    found = run("--released")
    assert (found.exit_code, found.stdout) == (2, "")
    assert said in found.stderr


def test_no_release_to_compare_with_is_said(spec: Path, run: Run) -> None:
    shutil.rmtree(spec / "released")
    found = run("--released")
    assert (found.exit_code, found.stdout) == (2, "")
    assert "holds no released version" in found.stderr


# -- extensions that refuse ------------------------------------------------------------------

AAL2 = {"level": "aal2", "max-age": "PT10M"}


@pytest.mark.parametrize(
    ("name", "looser", "stricter"),
    [
        ("x-assurance", None, AAL2),
        ("x-assurance", {"level": "aal2"}, AAL2),
        ("x-assurance", AAL2, {"level": "aal2", "max-age": "PT5M"}),
        ("x-assurance", {"level": "aal1", "max-age": "PT10M"}, AAL2),
        ("x-assurance", {"level": "highest", "max-age": "PT10M"}, AAL2),
        ("x-role", None, "admin"),
    ],
)
def test_stricter_breaks_and_looser_does_not(name: str, looser: object, stricter: object) -> None:
    assert STRICTER[name](looser, stricter)
    assert not STRICTER[name](stricter, looser)


def test_what_cannot_be_ordered_breaks() -> None:
    assert STRICTER["x-role"]("admin", "auditor")
    assert STRICTER["x-assurance"](AAL2, {"level": "aal1", "max-age": "PT1M"})
    assert STRICTER["x-assurance"](AAL2, {"level": "aal9"})
    assert STRICTER["x-assurance"](AAL2, "aal2")


def test_the_same_in_other_words_is_no_stricter() -> None:
    assert not STRICTER["x-assurance"](AAL2, {"level": "aal2", "max-age": "PT600S"})
