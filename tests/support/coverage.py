"""Which (operation, status, media type) were seen leaving the server, over a whole run.

Every observer appends to one file, so that in-process applications and clients of real servers
add up; ``python -m tests.support.coverage`` holds the file against the spec.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from server.spec import read

ROOT = Path(__file__).parent.parent.parent
SEEN = ROOT / "build" / "contract-seen.txt"

Cell = tuple[str, str, str]


class Recorder:
    """Collects cells; ``save`` adds them to the file."""

    def __init__(self) -> None:
        self.cells: set[Cell] = set()

    def __call__(self, operation: str | None, status: int, media_type: str | None) -> None:
        self.cells.add((operation or "-", str(status), media_type or "-"))

    def save(self) -> None:
        SEEN.parent.mkdir(exist_ok=True)
        with SEEN.open("a", encoding="utf-8") as file:
            file.write("".join("\t".join(cell) + "\n" for cell in sorted(self.cells)))


RECORDER = Recorder()
"""The recorder of this run."""


def declared(document: dict) -> set[Cell]:
    """Every cell of a bundle, and those of the replies that belong to no operation."""
    bare = {
        ("-", "404", "application/json"),
        ("-", "405", "application/json"),
        ("-", "204", "-"),
    }
    return bare | {
        (operation["operationId"], status, media_type)
        for item in document["paths"].values()
        for operation in item.values()
        for status, response in operation["responses"].items()
        for media_type in _resolve(document, response).get("content", {"-": None})
    }


def _resolve(document: dict, node: dict) -> dict:
    while "$ref" in node:
        target = node["$ref"][2:].split("/")
        node = document
        for step in target:
            node = node[step]
    return node


def seen() -> set[Cell]:
    if not SEEN.exists():
        return set()
    lines = SEEN.read_text(encoding="utf-8").splitlines()
    return {(name, status, media) for name, status, media in (x.split("\t") for x in lines)}


def report(declared_cells: set[Cell], seen_cells: Iterable[Cell]) -> tuple[list[str], bool]:
    """Lines for a reader, and whether everything declared was seen and nothing else."""
    exempt = {cell for cell in seen_cells if cell[0] == "-" and cell[1] < "400"} - declared_cells
    known = set(seen_cells) - exempt
    missing, undeclared = declared_cells - known, known - declared_cells
    lines = [f"declared and never seen: {' '.join(cell)}" for cell in sorted(missing)]
    lines += [f"seen and never declared: {' '.join(cell)}" for cell in sorted(undeclared)]
    lines.append(f"contract coverage: {len(declared_cells & known)} of {len(declared_cells)} cells")
    return lines, not missing and not undeclared


def main() -> int:
    document = read(ROOT / "spec" / "openapi.yaml").bundle.document
    lines, complete = report(declared(document), seen())
    print("\n".join(lines))
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
