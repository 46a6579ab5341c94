"""``countersign mock`` as an author starts it: without keys, a database or settings."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import httpx

from tests.contract.notes import copy, plant
from tests.support.servers import ROOT, command, serving

SPEC = ROOT / "spec" / "openapi.yaml"


def test_it_says_its_token_serves_and_ends_quietly(tmp_path: Path) -> None:
    nothing = {"PATH": os.environ["PATH"]}
    with serving(tmp_path, str(SPEC), env=nothing, verb="mock") as server:
        (token,) = re.findall(
            r"^Authorization: Bearer (\S+)$", server.log.read_text(), re.MULTILINE
        )
        fields = {"Authorization": f"Bearer {token}", "Prefer": "code=409, example=mfa_not_enabled"}
        reply = httpx.post(f"{server.url}/auth/challenge", headers=fields)
        assert reply.json()["error"]["code"] == "mfa_not_enabled"
        assert reply.headers["Preference-Applied"] == fields["Prefer"]
        assert httpx.get(f"{server.url}/docs/").status_code == 200
        assert server.stop() == 0
    assert [path.suffix for path in tmp_path.iterdir()] == [".log"]


def test_a_mistake_is_said_at_its_place(tmp_path: Path) -> None:
    spec = copy(tmp_path, SPEC.parent)
    plant(spec, "schemas/mfa.yaml", "example: 8\n", "example: eight\n")
    done = subprocess.run(
        command("mock", str(spec / "openapi.yaml")), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert re.match(r"spec/schemas/mfa.yaml:\d+:\d+: error: the example does not fit", done.stderr)
    assert done.stdout == ""
