"""What the README and its pages claim is carried out here, from their own text."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.diagnostics import SpecError
from server import spec
from server.cli import main
from server.settings import Settings
from tests.support.accounts import RealClock, register
from tests.support.api import over_http
from tests.support.servers import ROOT, ServerProcess, serving
from tests.support.world import World, world_in

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").rglob("*.md"))),
)


def fenced(text: str, language: str) -> list[str]:
    """The code blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def needs(tool: str, package: str) -> None:
    """Skip where a tool is missing, except in CI, where its absence is a failure."""
    if shutil.which(tool) is None:
        reason = f"{tool} is not installed (Debian: apt-get install {package})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


# -- the first screen ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("readme")) as process:
        yield process


def walk_through(
    server: ServerProcess, folder: Path, username: str, change: Callable[[str], str] = str
) -> subprocess.CompletedProcess[str]:
    """The README's walkthrough as it stands but for the name and ``change``."""
    needs("oathtool", "oathtool")
    needs("curl", "curl")
    (script,) = fenced(README, "bash")
    assert script.count('"username":"ann"') == 1
    script = change(script.replace('"username":"ann"', f'"username":"{username}"'))
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={"PATH": os.environ["PATH"], "BASE": server.url},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_walkthrough_ends_with_nine_backup_codes(server: ServerProcess, tmp_path: Path) -> None:
    result = walk_through(server, tmp_path, "walker")
    assert result.returncode == 0, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    assert '"backup_codes_remaining":9,"backup_codes_total":10' in lines[-1]
    assert '"enabled":true' in lines[-1]
    assert (tmp_path / "qr.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_a_walkthrough_that_spends_a_code_twice_fails(
    server: ServerProcess, tmp_path: Path
) -> None:
    def spend_it_early(script: str) -> str:
        changed = re.sub(r"(?m)^CODE=.*$", "CODE=$BACKUP_CODE", script)
        assert changed != script
        return changed

    result = walk_through(server, tmp_path, "spender", spend_it_early)
    assert result.returncode != 0
    assert "MFA enabled successfully" in result.stdout
    assert "error: 401" in result.stderr
    assert "backup_codes_remaining" not in result.stdout


def test_the_walkthrough_fits_the_first_screen() -> None:
    first_screen = "\n".join(README.splitlines()[:40])
    (script,) = fenced(README, "bash")
    assert script in first_screen + "\n"
    assert "make run" in first_screen
    assert "make test" in first_screen


def test_the_qr_code_holds_the_otpauth_uri(server: ServerProcess, tmp_path: Path) -> None:
    needs("zbarimg", "zbar-tools")
    with httpx.Client(base_url=server.url, timeout=30) as client:
        account = register(over_http(client), RealClock(), username="ann.o'neil+x@exämple.org")
        setup = account.sign_in().set_up()
    kind, _, picture = setup["qr_code"].partition(",")
    assert kind == "data:image/png;base64"
    file = tmp_path / "qr.png"
    file.write_bytes(base64.b64decode(picture, validate=True))
    read = subprocess.run(
        ["zbarimg", "--quiet", "--raw", str(file)], capture_output=True, text=True, check=True
    )
    assert read.stdout.rstrip("\n") == setup["otpauth_uri"]
    assert setup["secret"] in setup["otpauth_uri"]


# -- the worked examples ---------------------------------------------------------------------


def apply_diff(diff: str, folder: Path) -> None:
    """Apply a unified diff by its text alone, wherever its lines now stand."""
    name = re.search(r"^\+\+\+ b/(.*)$", diff, re.MULTILINE)
    assert name
    file = folder / name[1]
    text = file.read_text(encoding="utf-8")
    for hunk in re.split(r"^@@.*$\n", diff, flags=re.MULTILINE)[1:]:
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if not line.startswith("+"))
        new = "".join(line[1:] for line in lines if not line.startswith("-"))
        assert text.count(old) == 1, f"the README's diff does not apply:\n{old}"
        assert old != new
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def edited_world(tmp_path: Path, number: int | None) -> World:
    """A server whose spec is the shipped one after one of the README's edits (None: as it is)."""
    shutil.copytree(ROOT / "spec", tmp_path / "spec")
    if number is not None:
        apply_diff(fenced(README, "diff")[number], tmp_path)
    return world_in(tmp_path, spec=tmp_path / "spec" / "openapi.yaml")


@pytest.mark.parametrize(("edit", "number"), [(None, 10), (0, 12)])
def test_more_backup_codes_by_edit(tmp_path: Path, edit: int | None, number: int) -> None:
    account = edited_world(tmp_path, edit).account().sign_in().enrol()
    assert len(account.backup_codes) == number
    assert account.status()["backup_codes_total"] == number
    assert len(account.post("/mfa/backup-codes/regenerate").data["codes"]) == number


@pytest.mark.parametrize(("edit", "seconds"), [(None, 300), (1, 120)])
def test_a_shorter_challenge_by_edit(tmp_path: Path, edit: int | None, seconds: int) -> None:
    world = edited_world(tmp_path, edit)
    account = world.account().sign_in().enrol()
    challenge = account.begin()
    assert challenge["expires_in"] == seconds
    world.clock.advance(seconds=seconds + 1)
    reply = account.finish(challenge["challenge_id"], account.code())
    assert (reply.status, reply.code) == (401, "invalid_challenge")
    in_time = account.begin()
    world.clock.advance(seconds=seconds - 1)
    assert account.finish(in_time["challenge_id"], account.code()).status == 200


@pytest.mark.parametrize(("edit", "free"), [(None, 5), (2, 3)])
def test_a_stricter_budget_by_edit(tmp_path: Path, edit: int | None, free: int) -> None:
    account = edited_world(tmp_path, edit).account().sign_in().enrol()
    challenge = account.begin()["challenge_id"]
    for _ in range(free):
        assert account.finish(challenge, account.wrong_code()).code == "invalid_code"
    refused = account.finish(challenge, account.code())
    assert (refused.status, refused.code) == (429, "too_many_attempts")
    assert refused.headers["Retry-After"] == "30"
    assert refused.headers["RateLimit"] == '"totp";r=0;t=30'


# -- tables ----------------------------------------------------------------------------------


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading of the README, without its head."""
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def test_the_settings_table_is_the_settings() -> None:
    shown = {name.strip("`"): default for name, default, _ in rows("Settings")}
    fields = Settings.model_fields
    assert set(shown) == {f"COUNTERSIGN_{name.upper()}" for name in fields}
    for name, field in fields.items():
        default = f"`{field.default}`" if field.default not in (None, ()) else "none"
        assert shown[f"COUNTERSIGN_{name.upper()}"] == default


def commands(group: Any, prefix: str) -> Iterator[str]:
    for name, inner in group.commands.items():
        if hasattr(inner, "commands"):
            yield from commands(inner, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}"


def test_the_command_table_is_the_command_line() -> None:
    shown = [cell.strip("`") for cell, _ in rows("Command line")]
    known = list(commands(main, "countersign"))
    assert sorted(re.match(r"[a-z -]+[a-z]", line)[0] for line in shown) == sorted(known)  # type: ignore[index]


def test_every_dependency_has_its_reason() -> None:
    said_by_python = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = said_by_python["project"]
    more = (project["optional-dependencies"], said_by_python["dependency-groups"])
    listed = [
        *project["dependencies"],
        *(e for each in more for extra in each.values() for e in extra),
    ]
    listed += json.loads((ROOT / "tests/workflows/package.json").read_text())["devDependencies"]
    names = {re.match(r"[@A-Za-z0-9/-]+", entry)[0].lower() for entry in listed}  # type: ignore[index]
    section = README.partition("\n## Dependencies")[2].partition("\n## ")[0].lower()
    said = set(re.findall(r"[@a-z0-9/-]+", section))
    assert names - said == set()


# -- pages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    written_by_bench = ROOT / "docs" / "benchmarks.md"
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not target.startswith("https://"):
            path = (ROOT / page).parent / target
            assert path == written_by_bench or path.exists(), target


SLIPS = {
    "spec/paths/auth.yaml": [
        ("    parameters:", "    parametrs:"),
        ("{level: highest", "{level: aal3"),
    ],
    "spec/components/policies.yaml": [("totp:        {free: 5", "totp:        {free: three")],
    "spec/schemas/mfa.yaml": [("minItems: 10", "minItems: 12")],
}


def test_the_errors_shown_to_authors_are_the_errors_they_get(tmp_path: Path) -> None:
    shown = fenced_lines((ROOT / "docs" / "spec-authors.md").read_text(encoding="utf-8"))
    said = []
    for name, edits in SLIPS.items():
        for old, new in edits:
            said += lint_after(tmp_path, name, old, new)
    assert sorted(map(unplaced, shown)) == sorted(map(unplaced, said))


def fenced_lines(page: str) -> list[str]:
    return [line.strip() for line in page.splitlines() if ": error: " in line]


def lint_after(tmp_path: Path, name: str, old: str, new: str) -> list[str]:
    """What the lint says of the shipped spec after one edit."""
    shutil.rmtree(tmp_path / "spec", ignore_errors=True)
    shutil.copytree(ROOT / "spec", tmp_path / "spec")
    file = tmp_path / name
    file.write_text(file.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SpecError) as refused:
        spec.read(tmp_path / "spec" / "openapi.yaml", examples="error")
    return [line for line in str(refused.value).splitlines() if ": error: " in line]


def unplaced(line: str) -> str:
    """A diagnostic without line and column, which move with every edit of the spec."""
    return re.sub(r":\d+:\d+:", ":", line)
