"""Where something is wrong in the spec, and what."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a spec file: lines and columns count from 1, columns in characters.

    `file` is relative to the parent of the spec's folder, with forward slashes.
    """

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One line for the spec author, in the form that editors jump to."""

    location: Location
    severity: Severity
    message: str

    def __str__(self) -> str:
        # A name with a line break in it must not forge a line of its own.
        message = "".join(c if c.isprintable() else repr(c)[1:-1] for c in self.message)
        return f"{self.location}: {self.severity}: {message}"


class SpecError(Exception):
    """The spec cannot be served. `diagnostics` lists every reason, errors first."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(map(str, self.diagnostics)))


def error(location: Location, message: str) -> Diagnostic:
    return Diagnostic(location, "error", message)


def warning(location: Location, message: str) -> Diagnostic:
    return Diagnostic(location, "warning", message)


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Errors and then warnings, each by file, line and column, and said once."""
    return sorted(dict.fromkeys(diagnostics), key=lambda d: (d.severity, d.location, d.message))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean "parameters"?)` where a known name is close, else nothing."""
    close = closest(name, known)
    return f' (did you mean "{close}"?)' if close else ""


def closest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known name that is most like another; None where none is like it enough (0 to 1)."""
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=likeness)
    return close[0] if close else None
