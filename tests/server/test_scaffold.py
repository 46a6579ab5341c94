"""`spec stub` writes what is missing, leaves alone what is there, and says what is left to do."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from contract.diagnostics import SpecError
from server import scaffold, spec
from tests.contract.notes import plant
from tests.support.servers import ROOT, environment, serving
from tests.support.specs import ahead
from tests.support.world import SHIPPED, reading_of


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> scaffold.Plan:
    folder = tmp_path_factory.mktemp("ahead")
    root = ahead(Path(shutil.copytree(ROOT / "spec", folder / "spec")))
    return scaffold.plan(spec.read(root, unimplemented="warning"))


def file(plan: scaffold.Plan, path: str) -> scaffold.File:
    return next(each for each in plan.files if each.path == path)


def test_a_noun_gets_its_files_and_an_old_one_is_added_to(plan: scaffold.Plan) -> None:
    assert {each.path: each.before is None for each in plan.files} == {
        "handlers/devices.py": True,
        "domain/devices.py": True,
        "tests/api/test_devices.py": True,
        "handlers/mfa.py": False,
        "domain/mfa.py": False,
        "tests/api/test_mfa.py": False,
    }


def test_a_handler_takes_what_its_operation_gives(plan: scaffold.Plan) -> None:
    handler = file(plan, "handlers/devices.py").after
    assert "services: Services" in handler
    for name in (
        *("trail: Trail", "body: dict[str, Any]", "session: Session"),
        *("policy: OperationPolicy", "device_id: str", ") -> dict[str, Any]:"),
    ):
        assert name in handler
    assert "def get_hint(services: Services, long: bool | None) -> None:\n    mfa.get_hint(" in (
        file(plan, "handlers/mfa.py").after
    )


def test_nothing_that_is_there_is_lost_or_moved(plan: scaffold.Plan) -> None:
    for each in plan.files:
        kept = iter(each.after.splitlines())
        assert all(line in kept for line in (each.before or "").splitlines()), each.path


def test_what_only_people_know_is_listed(plan: scaffold.Plan) -> None:
    told = "\n".join(plan.by_hand)
    for line in (
        "domain/results.py: a class for what renameDevice answers",
        "handlers/packing.py: the packer of that class, for renameDevice",
        "server/samples.py: renameDevice in RESULTS",
        "server/bodies.py: renameDevice in READ",
        "server/samples.py: getHint in RESULTS",
    ):
        assert line in told
    assert "what getHint answers" not in told


def test_where_nothing_is_missing_nothing_is_written() -> None:
    assert scaffold.plan(reading_of(SHIPPED)) == scaffold.Plan([], [])


def test_what_somebody_wrote_before_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The act comes first to those who work from the inside out."""
    for folder in ("handlers", "domain", "tests/api"):
        (tmp_path / folder).mkdir(parents=True)
    act = "def rename_device(name: str) -> str:\n    return name\n"
    (tmp_path / "domain" / "devices.py").write_text(act, encoding="utf-8")
    monkeypatch.setattr(scaffold, "PROJECT", tmp_path)
    root = ahead(Path(shutil.copytree(ROOT / "spec", tmp_path / "spec")))
    plan = scaffold.plan(spec.read(root, unimplemented="warning"))
    assert file(plan, "domain/devices.py").after == act


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: long", "name: session", 'the parameter "session" of "getHint" has a name that is'),
        ("name: long", "name: mfa", '"mfa" of "getHint" would hide what its handler calls'),
        ("Id: getHint", "Id: mfa", '"mfa" of "mfa" would hide what its handler calls'),
        ("Id: getHint", "Id: import", 'of "import" cannot be called "import" in Python'),
    ],
)
def test_a_name_that_python_cannot_take_is_told_at_its_operation(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    root = ahead(Path(shutil.copytree(ROOT / "spec", tmp_path / "spec")))
    paths = root.parent / "paths" / "mfa.yaml"
    plant(root.parent, "paths/mfa.yaml", old, new)
    lines = paths.read_text(encoding="utf-8").splitlines()
    number = next(n for n, line in enumerate(lines, 1) if "Get a hint" in line) + 1
    with pytest.raises(SpecError) as refusal:
        scaffold.plan(spec.read(root, unimplemented="warning"))
    (told,) = str(refusal.value).splitlines()
    assert told.startswith(f"spec/paths/mfa.yaml:{number}:18: error: ")
    assert message in told


def test_a_paths_file_that_no_module_can_be_called_after_is_told(tmp_path: Path) -> None:
    root = ahead(Path(shutil.copytree(ROOT / "spec", tmp_path / "spec")))
    (root.parent / "paths" / "devices.yaml").rename(root.parent / "paths" / "two-words.yaml")
    plant(root.parent, "openapi.yaml", "paths/devices.yaml", "paths/two-words.yaml")
    with pytest.raises(SpecError, match='renameDevice" cannot be called "two-words" in Python'):
        scaffold.plan(spec.read(root, unimplemented="warning"))


def test_a_parameter_that_no_argument_can_be_called_after_is_listed(tmp_path: Path) -> None:
    root = ahead(Path(shutil.copytree(ROOT / "spec", tmp_path / "spec")))
    plant(root.parent, "paths/mfa.yaml", "name: long", "name: as-long-as")
    plan = scaffold.plan(spec.read(root, unimplemented="warning"))
    told = 'getHint: no argument can be called "as-long-as", so it is not read'
    assert told in plan.by_hand


def test_without_ruff_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaffold.sys, "executable", "/bin/false")
    with pytest.raises(scaffold.Unwritable, match="ruff is needed"):
        scaffold._formatted("handlers/x.py", "x = 1\n")


class Copy:
    """The project in another folder, as its author has it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("contract", "domain", "handlers", "server", "storage", "spec", "tests"):
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        shutil.copy(ROOT / "pyproject.toml", folder)

    @property
    def env(self) -> dict[str, str]:
        settings = {"COUNTERSIGN_SPEC": str(self.folder / "spec" / "openapi.yaml")}
        return environment(self.folder, **settings) | {"PYTHONPATH": str(self.folder)}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *words]
        return subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False
        )

    def texts(self) -> dict[str, str]:
        return {str(path): path.read_text(encoding="utf-8") for path in self.folder.rglob("*.py")}


@pytest.mark.slow
def test_from_the_yaml_to_a_server_that_starts(tmp_path: Path) -> None:
    project = Copy(tmp_path / "project")
    ahead(project.folder / "spec")
    before = project.texts()

    shown = project.run("server.entry", "spec", "stub", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "+++ b/handlers/devices.py" in shown.stdout
    assert project.texts() == before

    written = project.run("server.entry", "spec", "stub")
    assert "wrote handlers/devices.py\n" in written.stdout
    assert "by hand: server/samples.py: renameDevice" in written.stdout
    after = project.texts()

    for check in (["check"], ["format", "--check"]):
        done = project.run("ruff", *check, "handlers", "domain", "tests/api")
        assert done.returncode == 0, done.stdout
    typed = project.run("mypy", "handlers", "domain")
    assert typed.returncode == 0, typed.stdout
    linted = project.run("server.entry", "spec", "lint")
    assert linted.returncode == 0, linted.stderr
    assert 'warning: "renameDevice" has no sample of its result' in linted.stderr

    tests = ("-p", "no:cacheprovider", "tests/api/test_devices.py")
    failed = project.run("pytest", "-q", *tests)
    assert failed.returncode == 1
    assert "renameDevice (PUT /devices/{device_id}) is not written yet" in failed.stdout

    program = [sys.executable, "-P", "-m", "server.entry"]  # from PYTHONPATH, not from here
    with serving(project.folder, env=project.env, program=program) as server:
        assert server.api().get("/mfa/hints").status == 500
        assert "NotImplementedError" in server.log.read_text()

    again = project.run("server.entry", "spec", "stub")
    assert again.stdout == "nothing to write\n"
    assert project.texts() == after
