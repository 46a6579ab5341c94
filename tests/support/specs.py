"""Copies of the shipped spec with another flood limit, and how large its bodies can be."""

from __future__ import annotations

import re
import shutil
from functools import cache
from pathlib import Path

from server.spec import read
from tests.support.servers import ROOT

_FLOOD = re.compile(r"^flood: .*$", re.MULTILINE)


@cache
def body_limits() -> dict[str, int]:
    """The bytes that are read of a body, by operationId of the shipped spec."""
    operations = read(ROOT / "spec" / "openapi.yaml").contract.operations.values()
    return {operation.id: operation.body.limit for operation in operations if operation.body}


def with_flood(folder: Path, *, rate: int, per: str, burst: int) -> Path:
    """The root file of a copy under ``folder`` that admits ``burst`` and ``rate`` in each ``per``."""
    copy = Path(shutil.copytree(ROOT / "spec", folder / "spec"))
    policies = copy / "components" / "policies.yaml"
    line = f"flood: {{rate: {rate}, per: {per}, burst: {burst}}}"
    text, edits = _FLOOD.subn(line, policies.read_text(encoding="utf-8"))
    assert edits == 1
    policies.write_text(text, encoding="utf-8")
    return copy / "openapi.yaml"


def without_flood(folder: Path) -> Path:
    """One whose limit no machine reaches, for what sends more than an address may.

    Every request is still counted, so that what is measured is what is served.
    """
    return with_flood(folder, rate=1_000_000, per="PT1S", burst=1_000_000)


AHEAD = Path(__file__).parent / "ahead"
_PATHS = """\
paths:
  /devices/{device_id}:
    $ref: "paths/devices.yaml#/device"
  /mfa/hints:
    $ref: "paths/mfa.yaml#/hints"
"""


def ahead(spec: Path) -> Path:
    """The root file of a spec's folder, once it has two operations that no handler serves.

    `renameDevice` is the first of its noun; it has a path parameter, a body, a budget and an event.
    `getHint` joins the others of `mfa`, and needs no token.
    """
    for folder in ("paths", "schemas"):
        shutil.copy(AHEAD / folder / "devices.yaml", spec / folder)
    with (spec / "paths" / "mfa.yaml").open("a", encoding="utf-8") as file:
        file.write("\n" + (AHEAD / "paths" / "hints.yaml").read_text(encoding="utf-8"))
    root = spec / "openapi.yaml"
    text = root.read_text(encoding="utf-8")
    root.write_text(text.replace("paths:\n", _PATHS, 1), encoding="utf-8")
    return root
