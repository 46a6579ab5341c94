"""Edits that break the shipped spec, three in each kind of file, and where each is at fault.

In what is put in, ``¦`` stands before the character that a diagnostic has to name; it is not part of
the edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "¦"


@dataclass(frozen=True)
class Broken:
    """One edit: the file, the text that goes, the text that comes, and words of the diagnostic."""

    file: str
    old: str
    new: str
    says: str

    def write(self, spec: Path) -> None:
        """Make the edit in the folder of a spec, the mark left in."""
        path = spec / self.file
        text = path.read_text("utf-8")
        assert self.old in text, f"{self.old!r} does not stand in {self.file}"
        path.write_text(text.replace(self.old, self.new, 1), "utf-8")


def make(spec: Path, *edits: Broken) -> list[str]:
    """Make the edits in the folder of a spec; returns ``file:line:column`` of each fault."""
    for edit in edits:
        edit.write(spec)
    return [place for file in sorted({e.file for e in edits}) for place in _unmarked(spec, file)]


def _unmarked(spec: Path, file: str) -> Iterator[str]:
    """Take the marks out of a file; their places."""
    path = spec / file
    parts = path.read_text("utf-8").split(MARK)
    path.write_text("".join(parts), "utf-8")
    for number in range(1, len(parts)):
        before = "".join(parts[:number])
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        yield f"{spec.name}/{file}:{line}:{column}"


ROOT, PATHS, SCHEMAS = "openapi.yaml", "paths/mfa.yaml", "schemas/mfa.yaml"
RESPONSES, HEADERS = "components/responses.yaml", "components/headers.yaml"
POLICIES, LINKS = "components/policies.yaml", "components/links.yaml"

BROKEN = {
    "root: a wrong indentation": Broken(
        ROOT,
        "info:\n  title: Countersign\n  version",
        "info:\n    title: Countersign\n  ¦version",
        "syntax",
    ),
    "root: a reference to nothing": Broken(
        ROOT, '$ref: "paths/meta.yaml#/live"', '$ref: ¦"paths/meta.yaml#/liev"', '"live"'
    ),
    "root: an unknown key": Broken(ROOT, "\nservers:", "\n¦sevrers:", '"servers"'),
    "paths: an unknown extension": Broken(
        PATHS, "    x-assurance: {level: aal2", "    ¦x-asurance: {level: aal2", '"x-assurance"'
    ),
    "paths: a duplicate key": Broken(
        PATHS,
        "    summary: Verify a one-time backup code\n",
        "    summary: Verify a one-time backup code\n    ¦summary: Spend a backup code\n",
        'duplicate key "summary"',
    ),
    "paths: a value out of range": Broken(
        PATHS, "{level: highest, max-age: PT10M}", "{level: highest, max-age: ¦P9999D}", "3650 days"
    ),
    "schemas: a pattern that no code can satisfy": Broken(
        SCHEMAS, '"^[0-9]{6}$"', '¦"^[0-9]{8}$"', "nothing fits"
    ),
    "schemas: a value out of range": Broken(SCHEMAS, "digits: 6,", "digits: ¦9,", "maximum of 8"),
    "schemas: a bound that nothing fits": Broken(
        SCHEMAS, "minItems: 10\n", "minItems: ¦12\n", "minItems 12 is over maxItems 10"
    ),
    "responses: an unknown key": Broken(
        RESPONSES, "  description: There is no", "  ¦descripton: There is no", '"description"'
    ),
    "responses: a reference to nothing": Broken(
        RESPONSES,
        '"../schemas/common.yaml#/ErrorResponse"',
        '¦"../schemas/common.yaml#/ErrorRespnse"',
        '"ErrorResponse"',
    ),
    "responses: a reference to a header that is not there": Broken(
        RESPONSES,
        '"headers.yaml#/WWWAuthenticate"',
        '¦"headers.yaml#/WWWAuthentcate"',
        "nothing at",
    ),
    "headers: a type that is none": Broken(HEADERS, "type: integer", "type: ¦intiger", '"integer"'),
    "headers: a pattern that is none": Broken(
        HEADERS, '"^[0-9a-f]{32}$"', '¦"^[0-9a-f{32}$"', "not a regular expression"
    ),
    "headers: an unknown key": Broken(
        HEADERS, "  required: true", "  ¦requird: true", '"required"'
    ),
    "policies: a value out of range": Broken(
        POLICIES, "totp:        {free: 5,", "totp:        {free: ¦0,", "minimum of 1"
    ),
    "policies: a duplicate key": Broken(
        POLICIES,
        "enrolment:   {max-wrong: 5}\n",
        "enrolment:   {max-wrong: 5}\n¦enrolment:   {max-wrong: 6}\n",
        'duplicate key "enrolment"',
    ),
    "policies: an unknown key": Broken(
        POLICIES, "max-open: 5}", "¦max-opn: 5}", 'unknown key "max-opn"'
    ),
    "links: an operation that is not there": Broken(
        LINKS, "operationId: verifyMFA", "operationId: ¦verfyMFA", '"verifyMFA"'
    ),
    "links: a wrong indentation": Broken(
        LINKS, "  description: Where `mfa", "  description:\n ¦Where `mfa", "syntax"
    ),
    "links: an unknown key": Broken(LINKS, "  parameters:\n", "  ¦paramters:\n", '"parameters"'),
}
SYNTAX = {name for name, edit in BROKEN.items() if edit.says == "syntax"}
"""What makes a file unreadable from there on: nothing else of it can be told."""
