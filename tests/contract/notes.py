"""A small, complete spec of notes, and ways to plant a mistake in a copy of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from contract.bundle import Bundle, load
from contract.diagnostics import SpecError
from contract.extensions import Extension, Registry

SPEC = Path(__file__).parent / "data" / "spec"

_BUDGET = {
    "type": "object",
    "additionalProperties": False,
    "required": ["free"],
    "properties": {"free": {"type": "integer", "minimum": 0}, "delay": {"type": "string"}},
}


def _read_ttl(value: str) -> int:
    if not value.endswith("M"):
        raise ValueError("give minutes")
    return int(value[2:-1])


def _limited(value: dict[str, object]) -> frozenset[str]:
    return frozenset({"429"}) if value else frozenset()


def registry() -> Registry:
    extensions = Registry()
    extensions.register(
        Extension(
            "x-budget",
            frozenset({"operation"}),
            {"type": "object", "additionalProperties": _BUDGET},
            dict,
            _limited,
        )
    )
    extensions.register(
        Extension(
            "x-ttl",
            frozenset({"schema"}),
            {"type": "string", "pattern": "^PT[0-9]+[SMH]$"},
            _read_ttl,
        )
    )
    return extensions


def copy(folder: Path, spec: Path = SPEC) -> Path:
    """A copy of a spec's folder, under the name that diagnostics show."""
    shutil.copytree(spec, folder / "spec")
    return folder / "spec"


def plant(spec: Path, file: str, old: str, new: str) -> None:
    """Replaces the one place where `old` stands in a file."""
    path = spec / file
    text = path.read_text("utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
    path.write_text(text.replace(old, new), "utf-8")


def loaded(spec: Path, examples: str = "error") -> Bundle:
    return load(spec / "openapi.yaml", registry(), examples)  # type: ignore[arg-type]


def complaints(spec: Path, examples: str = "error") -> list[str]:
    """The lines that stop the spec from being served; none where it is sound."""
    try:
        loaded(spec, examples)
    except SpecError as refusal:
        return [str(d) for d in refusal.diagnostics if d.severity == "error"]
    return []
