"""An edit that the server could not keep to is told at start, and not to the first caller."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from contract.diagnostics import SpecError
from domain import errors
from domain.errors import Refusal
from server import bodies, rehearsal, samples
from server.rehearsal import rehearse, replies
from server.spec import HANDLERS, Reading, read
from tests.support.servers import ROOT
from tests.support.world import World

AUTH, MFA, COMMON = "schemas/auth.yaml", "schemas/mfa.yaml", "schemas/common.yaml"
RESPONSES, HEADERS = "components/responses.yaml", "components/headers.yaml"
AUTH_PATHS, MFA_PATHS, META_PATHS = "paths/auth.yaml", "paths/mfa.yaml", "paths/meta.yaml"


@pytest.fixture(scope="module")
def shipped() -> Reading:
    return read(ROOT / "spec" / "openapi.yaml")


def refused(folder: Path, edits: list[tuple[str, str, str]]) -> list[str]:
    """The lines of the refusal after edits of a copy of the spec."""
    spec = Path(shutil.copytree(ROOT / "spec", folder / "spec"))
    for file, old, new in edits:
        text = (spec / file).read_text("utf-8")
        assert old in text, old
        (spec / file).write_text(text.replace(old, new), "utf-8")
    with pytest.raises(SpecError) as raised:
        read(spec / "openapi.yaml")
    return [line for line in str(raised.value).splitlines() if ": error: " in line]


def place(folder: Path, file: str, text: str) -> str:
    """`file:line:column` of the one place of a text in the edited copy."""
    content = (folder / "spec" / file).read_text("utf-8")
    assert content.count(text) >= 1, text
    at = content.index(text) + len(text) - len(text.lstrip())
    line = content.count("\n", 0, at) + 1
    return f"spec/{file}:{line}:{at - content.rfind(chr(10), 0, at)}"


LOW = "    backup_codes_low:\n"
STATUS = "    - backup_codes_low\n"
CONFLICT = '      "409":\n        $ref: "../components/responses.yaml#/Conflict"\n'
UNAVAILABLE = '      "503":\n        $ref: "../components/responses.yaml#/Unavailable"\n'
RETRY_HINT = '    Retry-After:\n      $ref: "headers.yaml#/RetryHint"\n'
OPAQUE = "minLength: 43\n  maxLength: 43\n"
NULLABLE = "  type: string\n  format: date-time\n  nullable: true\n"

EDITS: dict[str, tuple[list[tuple[str, str, str]], str, str, str]] = {
    "a property renamed": (
        [(MFA, STATUS, "    - backup_codes_few\n"), (MFA, LOW, "    backup_codes_few:\n")],
        *(MFA, "required:\n    - enabled\n", 'but "/data" lacks "backup_codes_few"'),
    ),
    "a property taken away": (
        [
            (MFA, STATUS, ""),
            (MFA, "required: [backup_codes_remaining, backup_codes_low]", "required: []"),
            (MFA, LOW, "    another:\n"),
        ],
        *(MFA, "properties:\n    enabled:", '"/data/backup_codes_low" is not declared'),
    ),
}
