"""Which version a set of changes asks for (https://semver.org/spec/v2.0.0.html)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from contract.diff.changes import Change, Weight

Version = tuple[int, int, int]

_NUMBER = r"(0|[1-9][0-9]*)"
_IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_IDENTIFIERS})?(?:\+{_IDENTIFIERS})?")


def parse(version: str) -> Version:
    """The three numbers. Raises ValueError for what is no semantic version."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ValueError(f"{version} is not a semantic version")
    return int(match[1]), int(match[2]), int(match[3])


def misfit(old: str, new: str, changes: Iterable[Change]) -> str | None:
    """What is wrong with the step from a released version to the next, or None.

    The step is one of the three that semantic versioning knows (major, minor, patch), and at
    least as long as the heaviest change asks. Raises ValueError as `parse` does.
    """
    before, after = parse(old), parse(new)
    heaviest = max((change.weight for change in changes), default=None)
    if heaviest is None and old == new:
        return None
    due = _steps(before)[_least(before, heaviest) :]
    if after in due:
        return None
    return f"{new} cannot follow {old} after these changes; {_listed(due)} can"


def _steps(version: Version) -> tuple[Version, Version, Version]:
    major, minor, patch = version
    return (major, minor, patch + 1), (major, minor + 1, 0), (major + 1, 0, 0)


def _least(before: Version, heaviest: Weight | None) -> int:
    """Below 1.0.0 the minor number stands in for the major one, and patch for both others."""
    wanted = {Weight.BREAKING: 2, Weight.COMPATIBLE: 1}.get(heaviest or Weight.WORDING, 0)
    return max(0, wanted - 1) if before[0] == 0 else wanted


def _listed(steps: Iterable[Version]) -> str:
    return " or ".join(".".join(map(str, step)) for step in steps)
