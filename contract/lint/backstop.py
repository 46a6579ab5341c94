"""The published JSON Schema of OpenAPI 3.0 over the whole bundle, for what no rule foresees."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema_rs

from contract.lint.lens import Found, Lens, join


def check(lens: Lens) -> None:
    """Silent about objects that lost a key, and about places that a rule has named already."""
    for slip in _validator().iter_errors(lens.document):
        for pointer, message in _reasons(slip):
            touched = any(_nested(pointer, broken) for broken in lens.bundle.broken)
            holder = pointer.rpartition("/")[0]
            said = bool(holder) and lens.reaches(Found(holder, {}), lens.named)
            if not touched and not said and pointer not in lens.named:
                lens.error(pointer, f"not OpenAPI 3.0: {message}")


@cache
def _validator() -> Any:
    # Connexion's package data, found without importing the framework.
    package = find_spec("connexion")
    if package is None or not package.origin:
        raise ModuleNotFoundError("connexion is not installed")
    schema = Path(package.origin).with_name("resources") / "schemas/v3.0/schema.json"
    return jsonschema_rs.Draft4Validator(json.loads(schema.read_text("utf-8")))


def _reasons(slip: jsonschema_rs.ValidationError) -> list[tuple[str, str]]:
    """The deepest reasons: "fits none of these" says nothing to an author."""
    branches = [list(branch) for branch in getattr(slip.kind, "context", None) or ()]
    inside = [reason for branch in branches for item in branch for reason in _reasons(item)]
    if inside:
        deepest = max(pointer.count("/") for pointer, _ in inside)
        return [reason for reason in inside if reason[0].count("/") == deepest][:1]
    message = " ".join(slip.message.split())
    return [(join("", *map(str, slip.instance_path)), message[:200])]


def _nested(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
