"""Copies of the shipped spec with other flood limits, and how large its bodies can be."""

from __future__ import annotations

import re
import shutil
from functools import cache
from pathlib import Path

from server.spec import read
from tests.support.servers import ROOT

_LIMIT = re.compile(r"^(\S+): +\{rate: .*\}$", re.MULTILINE)
_POLICIES = Path("components") / "policies.yaml"


@cache
def body_limits() -> dict[str, int]:
    """The bytes that are read of a body, by operationId of the shipped spec."""
    operations = read(ROOT / "spec" / "openapi.yaml").contract.operations.values()
    return {operation.id: operation.body.limit for operation in operations if operation.body}


def with_limits(folder: Path, **limits: str) -> Path:
    """The root file of a copy under ``folder``, with other values of the limits that are named."""
    copy = Path(shutil.copytree(ROOT / "spec", folder / "spec"))
    text = (copy / _POLICIES).read_text(encoding="utf-8")
    assert set(limits) <= set(_LIMIT.findall(text))

    def line(match: re.Match[str]) -> str:
        return f"{match[1]}: {limits[match[1]]}" if match[1] in limits else match[0]

    (copy / _POLICIES).write_text(_LIMIT.sub(line, text), encoding="utf-8")
    return copy / "openapi.yaml"


def with_flood(folder: Path, *, rate: int, per: str, burst: int) -> Path:
    """One that lets an address send ``burst`` requests, and ``rate`` in each ``per``."""
    return with_limits(folder, flood=f"{{rate: {rate}, per: {per}, burst: {burst}}}")


def without_flood(folder: Path) -> Path:
    """One whose limits no machine reaches, for what sends more than anybody may.

    Every request is still counted, so that what is measured is what is served.
    """
    names = _LIMIT.findall((ROOT / "spec" / _POLICIES).read_text(encoding="utf-8"))
    limit = "{rate: 1000000, per: PT1S, burst: 1000000}"
    return with_limits(folder, **dict.fromkeys(names, limit))


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
