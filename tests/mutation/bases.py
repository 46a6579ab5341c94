"""The specs that edits are made to: the shipped one, and what it takes to see some of its values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from tests.contract.notes import copy
from tests.mutation.values import Value, values
from tests.support.servers import ROOT
from tests.support.specs import with_flood, without_flood

SHIPPED = ROOT / "spec"
PLAIN, LIMITED, MISERLY, ENDED = "plain", "limited", "miserly", "ended"
"""Without flood limits; as it is shipped; one request an hour; with an operation that has ended."""

ENDS = "deprecated: true\n    x-sunset: {since: 2026-01-01T00:00:00Z, until: 2026-11-01T00:00:00Z, successor: getSession}\n    "
GONE = '"410":\n        $ref: "../components/responses.yaml#/Gone"\n      '


def _ended(folder: Path) -> Path:
    """The spec ships what an operation needs that has an end, and none that has one."""
    root = without_flood(folder)
    file = root.parent / "paths" / "mfa.yaml"
    before, name, after = file.read_text("utf-8").partition("operationId: getMFAStatus\n")
    after = after.replace('"500":', f'{GONE}"500":', 1)
    file.write_text(before + ENDS + name + after, "utf-8")
    return root


BASES: Mapping[str, Callable[[Path], Path]] = MappingProxyType(
    {
        PLAIN: without_flood,
        LIMITED: lambda folder: copy(folder, SHIPPED) / "openapi.yaml",
        MISERLY: lambda folder: with_flood(folder, rate=1, per="PT1H", burst=1),
        ENDED: _ended,
    }
)
"""Each writes its spec into a folder, and returns the root file."""


@cache
def driving() -> dict[str, Value]:
    """The driving values of the shipped spec by place, and those that only an end makes drive."""
    with TemporaryDirectory() as folder:
        stock = values(_ended(Path(folder)).parent)
    shipped = values(SHIPPED)
    for place in stock.keys() - shipped.keys():
        stock[place].base = ENDED
        shipped[place] = stock[place]
    return shipped
