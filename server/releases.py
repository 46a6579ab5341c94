"""``countersign spec diff``: finds the specs to compare, and holds a version against a release."""

from __future__ import annotations

import io
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from contract.diagnostics import error
from contract.diff import Change, Document, compare, misfit
from contract.diff.changes import Weight
from contract.diff.versions import Version, parse
from server.extensions import ASSURANCE, ROLE, SUNSET

RELEASED = "released"
"""The folder beside a spec's root that keeps one bundle, ``<version>.json``, of each release."""

_SHOWN = 3
"""So many places of a change are listed in a changelog, and the rest counted."""

_LEVELS = {"aal1": 1, "highest": 2, "aal2": 3}
"""``highest`` asks a second factor of those who have one, ``aal2`` of everyone."""

Side = Literal["old", "new"]


class Unreadable(Exception):
    """What was given cannot be found, or is no spec; the message says why."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two specs and every change from one to the other, the heaviest first."""

    old: Document
    new: Document
    changes: Sequence[Change]

    @property
    def breaks(self) -> bool:
        return any(change.kind == "breaking" for change in self.changes)

    def as_json(self) -> dict[str, Any]:
        return {
            "old": _version(self.old),
            "new": _version(self.new),
            "changes": [change.as_json() for change in self.changes],
        }

    def summary(self) -> str:
        kinds = [change.kind for change in self.changes]
        counts = f"{kinds.count('breaking')} breaking, {kinds.count('compatible')} compatible"
        return f"{_version(self.old)} to {_version(self.new)}: {counts}"

    def changelog(self) -> str:
        """Markdown to paste under a version: what consumers notice, so no wording.

        What has changed alike in several places is one entry.
        """
        noticed = [each for each in self.changes if each.weight is not Weight.WORDING]
        sections = (
            "\n".join([f"### {kind.capitalize()}", "", *_entries(noticed, kind)])
            for kind in ("breaking", "compatible")
            if any(each.kind == kind for each in noticed)
        )
        return "\n\n".join(sections)

    def misfit(self) -> str | None:
        """A line that says where and why the new version does not follow the old, or None.

        Raises Unreadable where one of them is no semantic version.
        """
        try:
            message = misfit(_version(self.old), _version(self.new), self.changes)
        except ValueError as wrong:
            raise Unreadable(f"info.version: {wrong}") from None
        node = self.new.member(self.new.root, "info", "version")
        return (
            str(error(self.new.place(node.location).location, message))
            if message and node
            else None
        )


def _entries(changes: Sequence[Change], kind: str) -> Iterator[str]:
    alike: dict[str, list[str]] = {}
    for each in changes:
        if each.kind == kind:
            what = f"In a {each.direction}: {each.message}" if each.direction else each.message
            alike.setdefault(what, []).extend(each.uses)
    for what, uses in alike.items():
        shown = ", ".join(f"`{use}`" for use in uses[:_SHOWN])
        more = f" and {len(uses) - _SHOWN} more" if len(uses) > _SHOWN else ""
        yield f"- {what} ({shown}{more})"


def compared(old: str, new: str | None, spec: Path) -> Comparison:
    """Compare two specs: each a root file, a folder with one, or a git revision of ``spec``.

    ``spec`` is the root file that the settings name, and what a missing ``new`` stands for. Raises
    SpecError for a spec that cannot be read and Unreadable for one that cannot be found.
    """
    before = _document(old, spec, "old")
    after = _document(new or str(spec), spec, "new")
    return Comparison(before, after, compare(before, after, STRICTER))


def against_release(spec: Path) -> Comparison:
    """Compare a spec with its last release. Raises SpecError and Unreadable as ``compared`` does."""
    last = _last_release(spec.parent / RELEASED)
    found = compared(str(last), None, spec)
    if _version(found.old) != last.stem:
        raise Unreadable(f"{last} says that it is {_version(found.old)}")
    return found


def _last_release(folder: Path) -> Path:
    def number(file: Path) -> Version:
        try:
            return parse(file.stem)
        except ValueError as wrong:
            raise Unreadable(f"{file}: {wrong}") from None

    files = sorted(folder.glob("*.json"), key=number)
    if not files:
        raise Unreadable(f"{folder} holds no released version")
    return files[-1]


def _version(document: Document) -> str:
    node = document.member(document.root, "info", "version")
    return str(node.value) if node else ""


# -- finding a spec --------------------------------------------------------------------------


def _document(given: str, spec: Path, side: Side) -> Document:
    path = Path(given)
    if path.is_dir() and (path / spec.name).is_file():
        path = path / spec.name
    if path.is_file():
        return Document(path, side, _nearby(path))
    return _revision(given, spec, side)


def _nearby(root: Path) -> Callable[[str], str]:
    """Files as they are called from the present folder, or in full where they are outside."""
    base, here = Path(os.path.abspath(root)).parent.parent, Path.cwd()

    def name(file: str) -> str:
        path = base / file
        return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)

    return name


def _revision(given: str, spec: Path, side: Side) -> Document:
    """The spec as it was at a revision of the repository that it is kept in."""
    source = spec.resolve().parent
    if given.startswith("-") or not _git(
        source, "rev-parse", "-q", "--verify", f"{given}^{{commit}}"
    ):
        raise Unreadable(f"{given} is no file, no folder with {spec.name} and no git revision")
    prefix = _git(source, "rev-parse", "--show-prefix").decode().strip()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / source.name
        packed = _git(source, "archive", "--format=zip", given)
        if not packed:
            raise Unreadable(f"{given} has no {prefix}{spec.name}")
        with zipfile.ZipFile(io.BytesIO(packed)) as files:
            files.extractall(copy)
        parent = prefix.removesuffix(f"{source.name}/")
        return Document(copy / spec.name, side, lambda file: f"{given}:{parent}{file}")


def _git(folder: Path, *arguments: str) -> bytes:
    """What git prints; nothing where it fails or there is none."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - no shell
    except FileNotFoundError:
        return b""
    return done.stdout if done.returncode == 0 else b""


# -- extensions that refuse ------------------------------------------------------------------


def _assurance(old: Any, new: Any) -> bool:
    """A higher level or a shorter time asks users for what they were not asked for before."""
    try:
        was, now = _asked(old), _asked(new)
    except (KeyError, TypeError, ValueError):
        return True  # a value that cannot be read is not known to be looser
    return now[0] > was[0] or now[1] < was[1]


def _asked(value: Any) -> tuple[int, timedelta]:
    if value is None:
        return 0, timedelta.max
    assurance = ASSURANCE.read(value)
    return _LEVELS[assurance.level], assurance.max_age or timedelta.max


def _role(old: Any, new: Any) -> bool:
    return new is not None and new != old


def _sunset(old: Any, new: Any) -> bool:
    """An end that is set, or comes sooner, cuts short what was promised."""
    try:
        was, now = (value and SUNSET.read(value).until for value in (old, new))
    except (KeyError, TypeError, ValueError):
        return True
    return bool(now) and (not was or now < was)


STRICTER = MappingProxyType({ASSURANCE.name: _assurance, ROLE.name: _role, SUNSET.name: _sunset})
"""Of these a stricter value refuses who was admitted; others tune what a caller is told of."""
