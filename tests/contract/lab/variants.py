"""Copies of the lab's spec with an edit."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.contract.lab.stage import ROOT


def edited(folder: Path, file: str, old: str, new: str) -> Path:
    """The root of a copy in which `old` stands as `new`, everywhere in one file."""
    copy = folder / "spec"
    if not copy.exists():
        shutil.copytree(ROOT.parent, copy)
    path = copy / file
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{old!r} is not in {file}"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return copy / "openapi.yaml"
