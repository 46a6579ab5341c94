"""The workflows are executed against a server, as a consumer's tools would do it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.notes import copy, plant
from tests.support.servers import ROOT, ServerProcess
from tests.support.servers import serving as serving_countersign
from tests.workflows.authenticator import Pocket, serving

SPEC = ROOT / "spec"
NODE = ROOT / "build" / "node"
REDOCLY = NODE / "node_modules" / "@redocly" / "cli" / "bin" / "cli.js"
NAMES = sorted(path.name for path in (SPEC / "workflows").glob("*.arazzo.yaml"))
ENROLMENT = "enrolment.arazzo.yaml"
SECONDS = 120


def redocly(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Redocly's command line, which talks to nobody but the servers that it is given."""
    if not REDOCLY.exists():
        reason = "Redocly's command line is not installed (make workflows does it)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return subprocess.run(
        [NODE / "bin" / "node", REDOCLY, *arguments],
        env={
            "PATH": os.environ["PATH"],
            "REDOCLY_TELEMETRY": "off",
            "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
        },
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@dataclass(frozen=True)
class Run:
    """One execution of one file: exit status, what was printed, and the steps that were taken."""

    status: int
    output: str
    steps: list[str]
    failed: list[str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving_countersign(tmp_path_factory.mktemp("workflows")) as running:
        yield running


def execute(
    server: ServerProcess, folder: Path, name: str, spec: Path = SPEC, wrong: bool = False
) -> Run:
    """Execute a workflow file for a user of its own."""
    log = folder / "run.json"
    user = {"username": f"user-{secrets.token_hex(8)}", "password": secrets.token_urlsafe(16)}
    with serving(Pocket(wrong)) as phone:
        done = redocly(
            *("respect", str(spec / "workflows" / name), f"--input={json.dumps(user)}"),
            *(f"--server=countersign={server.url}", f"--server=authenticator={phone}"),
            f"--json-output={log}",
        )
    files = json.loads(log.read_text())["files"].values() if log.exists() else ()
    taken = [step for file in files for step in steps(file)]
    return Run(
        done.returncode,
        done.stdout + done.stderr,
        [step["stepId"] for step in taken],
        [step["stepId"] for step in taken if not all(c["passed"] for c in step["checks"])],
    )


def steps(executed: Any) -> Iterator[Any]:
    """The steps of a log of Redocly that sent a request, those of workflows inside included."""
    for part in (*executed.get("executedWorkflows", ()), *executed.get("executedSteps", ())):
        if part["type"] == "step":
            yield part
        yield from steps(part)


def written(name: str) -> list[str]:
    """The steps of a file that send a request, after those of the workflow that it begins with."""
    (workflow,) = yaml.safe_load((SPEC / "workflows" / name).read_text("utf-8"))["workflows"]
    before = written(ENROLMENT) if "workflowId" in workflow["steps"][0] else []
    return before + [step["stepId"] for step in workflow["steps"] if "operationId" in step]


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_passes(server: ServerProcess, tmp_path: Path, name: str) -> None:
    run = execute(server, tmp_path, name)
    assert run.status == 0, run.output
    assert run.steps == written(name)
    assert run.failed == []


def test_wrong_codes_fail_the_step_that_sends_one(server: ServerProcess, tmp_path: Path) -> None:
    run = execute(server, tmp_path, "login.arazzo.yaml", wrong=True)
    assert run.status == 1
    assert run.failed == run.steps[-1:] == ["prove"]
    assert "stepId - prove" in run.output


def test_a_step_without_its_operation_fails(server: ServerProcess, tmp_path: Path) -> None:
    spec = copy(tmp_path, SPEC)
    plant(spec, "paths/mfa.yaml", "operationId: setupMFA", "operationId: beginMFA")
    run = execute(server, tmp_path, ENROLMENT, spec)
    assert run.status == 1
    assert run.failed == ["setUp"]
    assert "Unknown operationId setupMFA" in run.output


def test_a_reply_that_the_spec_does_not_declare_fails(
    server: ServerProcess, tmp_path: Path
) -> None:
    spec = copy(tmp_path, SPEC)
    plant(spec, "schemas/auth.yaml", "enum: [aal1, aal2]", "enum: [aal1, aal3]")
    run = execute(server, tmp_path, ENROLMENT, spec)
    assert run.status == 1
    assert run.failed == ["lookAtSession"]


def test_the_files_are_arazzo_and_openapi(tmp_path: Path) -> None:
    files = sorted(map(str, (SPEC / "workflows").glob("*.yaml")))
    done = redocly("lint", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    spec = copy(tmp_path, SPEC)
    plant(spec, f"workflows/{ENROLMENT}", "  - workflowId: enrol", "  - workflowID: enrol")
    assert redocly("lint", str(spec / "workflows" / ENROLMENT)).returncode == 1
