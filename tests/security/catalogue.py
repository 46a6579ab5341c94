"""The rows of the catalogue: where each comes from, and which test carries it out.

A row is a promise; the promise itself is the first paragraph of its test's docstring.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent

SECTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "login": (
        "Login flow and challenge",
        {
            "S-01": "CVE-2025-64103, CVE-2026-109313, CVE-2026-105211; ASVS 2.3.1",
            "S-02": "RFC 8176 §2; RFC 8725 §3.11",
            "S-03": "CVE-2025-64103, CVE-2026-56737, CVE-2021-39890",
            "S-04": "ASVS 9.2.2, 2.3.1; CVE-2026-8293",
            "S-05": "ASVS 6.6.2, 2.3.1",
            "S-06": "ASVS 6.5.5 (<= 10 min)",
            "S-07": "GHSA-5vfx-8w6m-h3v4; ASVS 6.6.2",
            "S-08": "ASVS 7.2.3, 11.5.1",
            "S-09": "RFC 8176",
            "S-10": "NIST §3.2.2; RFC 4226 §7.3",
            "S-11": "OWASP MFA sheet",
            "S-12": "GHSA-fg52-xjfc-9rh8; ASVS 6.3.8",
            "S-13": "CVE-2026-110956, CVE-2026-49448, CVE-2022-45174, CVE-2026-0723",
        },
    ),
    "totp": (
        "TOTP",
        {
            "S-14": "RFC 4226 R6; NIST §3.1.4.1; ASVS 6.5.3",
            "S-15": "RFC 4226 §5.3",
            "S-16": "RFC 6238 §5.2; ASVS 6.5.5; AuthQuake",
            "S-17": "RFC 6238 §5.2; NIST §3.1.4.2; ASVS 6.5.1",
            "S-18": "CVE-2026-82470, CVE-2021-43177",
            "S-19": "CVE-2026-107276; ASVS 15.4.2, 2.3.4",
            "S-20": "OWASP API2",
            "S-21": "CVE-2025-6014, CVE-2025-55003",
            "S-22": "ASVS 2.2.1; `str.isdigit()` pitfall",
            "S-23": "ASVS 15.3.5",
            "S-24": "npm advisory 1087; CVE-2026-3276; CVE-2026-0723",
            "S-25": "ASVS 6.5.8",
        },
    ),
    "guessing": (
        "Guessing limits",
        {
            "S-26": "CVE-2026-128332, GHSA-7j7j-66cv-m239, AuthQuake; RFC 4226 §7.3",
            "S-27": "NIST §3.2.2",
            "S-28": "NIST §3.2.2; CVE-2025-64102",
            "S-29": "GHSA-5mgh-chvj-hqf5, CVE-2026-9798",
            "S-30": "CVE-2026-123521, CVE-2026-56450",
            "S-31": "ASVS 6.3.1, 6.1.1; API2",
            "S-32": "NIST §3.2.2",
            "S-33": "CVE-2024-4629, CVE-2026-93346",
            "S-34": "CVE-2026-108162, CVE-2024-47070; ASVS 4.1.3, 15.3.4",
            "S-35": "ASVS 6.1.1",
        },
    ),
    "backup_codes": (
        "Backup codes",
        {
            "S-36": "NIST §4.2.1.1; ASVS 6.5.3, 6.5.4",
            "S-37": "CVE-2026-31875, CVE-2022-45174; ASVS 6.5.1",
            "S-38": "GHSA-w73w-g5xw-rwhf, authorizer #761",
            "S-39": "CVE-2025-64175, CVE-2026-78619",
            "S-40": "OWASP MFA sheet",
            "S-41": "ASVS 15.3.1; RFC 6749 §5.1",
            "S-42": "ASVS 7.5.1; OWASP 'Changing MFA factors'",
            "S-43": "ASVS 2.3.3",
            "S-44": "ASVS 6.5.2; NIST §3.1.2.2",
            "S-45": "RFC 8176; ASVS 6.3.7; NIST §4.2.1.1",
            "S-46": "NIST §4.2",
        },
    ),
    "enrolment": (
        "Enrolment and removal",
        {
            "S-47": "RFC 6750 §3; API2",
            "S-48": "CVE-2026-62232; better-auth #10923; OWASP MFA sheet",
            "S-49": "OWASP MFA sheet",
            "S-50": "ASVS 6.4.1",
            "S-51": "CVE-2022-42731 class",
            "S-52": "CVE-2026-3429, parse-server #9623; ASVS 7.5.1",
            "S-53": "ASVS 6.5.6",
            "S-54": "CVE-2026-123530; ASVS 7.5.1; NIST §4.1.2.1",
            "S-55": "CVE-2026-62232, CVE-2026-111949, CVE-2026-73535",
            "S-56": "CVE-2026-111905, CVE-2026-53725; ASVS 15.3.1",
            "S-57": "CVE-2023-31140, GitLab #31307; ASVS 7.4.3",
            "S-58": "ASVS 2.3.1",
        },
    ),
    "tokens": (
        "Tokens",
        {
            "S-59": "RFC 8725 §3.1; API2",
            "S-60": "CVE-2022-29217; ASVS 9.1.1, 9.1.2",
            "S-61": "ASVS 9.2.1",
            "S-62": "ASVS 9.2.2; RFC 8725 §3.12",
            "S-63": "CVE-2024-53861; ASVS 9.2.3",
            "S-64": "RFC 9700 §4.14.2",
            "S-65": "ASVS 7.4.1; CVE-2026-123528",
            "S-66": "RFC 8176; NIST §2.2.3",
            "S-67": "ASVS 9.1.3",
            "S-68": "RFC 8725; ASVS 15.3.1",
            "S-69": "ASVS 9.2.1; PyJWT needs `require`",
            "S-70": "CVE-2025-65430, CVE-2023-22492; ASVS 7.4.2",
        },
    ),
    "http": (
        "Input and HTTP",
        {
            "S-71": "connexion #1860; ASVS 16.5.4",
            "S-72": "RecursionError; API4",
            "S-73": "Python int limit",
            "S-74": "RFC 8259 §4; ASVS 15.3.7",
            "S-75": "ASVS 16.4.1",
            "S-76": "CVE-2026-115359; ASVS 4.1.1",
            "S-77": "API4",
            "S-78": "ASVS 15.3.3; API3",
            "S-79": "ASVS 4.1.4; API2",
            "S-80": "ASVS 16.5.1, 4.1.1",
            "S-81": "RFC 6749 §5.1",
        },
    ),
    "reliability": (
        "Reliability",
        {
            "S-82": "ASVS 16.5.2, 16.5.3, 13.1.3",
            "S-83": "ASVS 13.2.6",
            "S-84": "SQLITE_BUSY upgrade pitfall",
            "S-85": "ASVS 2.3.3",
            "S-86": "ASVS 13.1.3",
            "S-87": "API4",
            "S-88": "ASVS 16.5.3",
            "S-89": "RFC 4226 §7.3",
            "S-90": "ASVS 16.2.5, 16.3.1",
        },
    ),
}
"""By module: the subsection's title, and the source of each of its rows."""

SOURCES = {row: source for _, rows in SECTIONS.values() for row, source in rows.items()}

NOT_APPLICABLE: dict[str, str] = {}
"""Rows that have no test, each with the reason."""

_NAME = re.compile(r"test_s(\d\d)_")


@dataclass(frozen=True)
class RowTest:
    """A test of a row. ``full`` says that it is a long form, which the short run leaves out."""

    row: str
    module: str
    name: str
    promise: str
    full: bool


def row_of(test_name: str) -> str | None:
    """The ID of the row that a test of this name carries out, or None."""
    match = _NAME.match(test_name)
    return f"S-{match[1]}" if match else None


def row_tests(folder: Path = FOLDER) -> Iterator[RowTest]:
    """Every test of a row, in the order of modules and lines, read without running anything."""
    for path in sorted(folder.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            row = row_of(node.name) if isinstance(node, ast.FunctionDef) else None
            if row is not None and isinstance(node, ast.FunctionDef):
                yield RowTest(row, path.stem, node.name, _promise(node), _is_full(node))


def _promise(node: ast.FunctionDef) -> str:
    return " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())


def _is_full(node: ast.FunctionDef) -> bool:
    return any(ast.unparse(mark) == "pytest.mark.full" for mark in node.decorator_list)


def faults(tests: list[RowTest], not_applicable: dict[str, str] | None = None) -> list[str]:
    """What is wrong with the tests as a rendering of the catalogue; a line each."""
    argued = NOT_APPLICABLE if not_applicable is None else not_applicable
    tested = {test.row for test in tests}
    lines = [f"{row}: no test and no reason" for row in SOURCES if row not in tested | set(argued)]
    lines += [f"{row}: a test and a reason to have none" for row in sorted(tested & set(argued))]
    lines += [f"{row}: an empty reason" for row, why in argued.items() if not why.strip()]
    for test in tests:
        lines += [f"{test.row}: {test.name}: {fault}" for fault in _faults_of(test)]
    return lines


def _faults_of(test: RowTest) -> Iterator[str]:
    if test.row not in SOURCES:
        yield "the catalogue has no such row"
    elif test.row not in SECTIONS.get(test.module.removeprefix("test_"), ("", {}))[1]:
        yield f"does not belong into {test.module}"
    if not test.promise:
        yield "no docstring that says what is promised"
