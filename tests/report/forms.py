"""The report for a terminal, for programs, and for what reads JUnit."""

from __future__ import annotations

import json
from dataclasses import asdict
from xml.etree import ElementTree

from tests.report.verdict import Report

SLOWEST = 5


def text(report: Report) -> str:
    """The verdict in lines: what is wrong, then the totals."""
    idle = [code.code for code in report.codes if not code.of]
    lines = [
        *map(str, report.faults),
        *(f"listed and sent by no operation: {code}" for code in idle),
        *(
            f"slowest: {time.operation} {time.median:.1f} ms, p95 {time.p95:.1f} ms, of {time.count}"
            for time in report.times[:SLOWEST]
        ),
        *map(str, report.totals),
        f"contract {report.version}, revision {report.revision}: {verdict(report)}",
    ]
    return "".join(f"{line}\n" for line in lines)


def verdict(report: Report) -> str:
    """In one phrase."""
    number = len(report.faults)
    return "complete" if report.complete else f"{number} fault{'s' if number > 1 else ''}"


def document(report: Report) -> str:
    """All of it as JSON."""
    return json.dumps({"complete": report.complete, **asdict(report)}, indent=1) + "\n"


def junit(report: Report) -> str:
    """A test case for each declared cell, and a failed one for whatever else is wrong."""
    suite = ElementTree.Element("testsuite", name=f"contract {report.revision}")
    wrong = {fault.subject: str(fault) for fault in report.faults}
    for cell in (cell for cell in report.cells if cell.declared):
        subject = f"{cell.operation} {cell.status} {cell.media_type}"
        name = f"{cell.status} {cell.media_type}"
        _case(suite, cell.operation, name, wrong.pop(subject, None))
    for message in wrong.values():
        _case(suite, "contract", message, message)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, operation: str, name: str, fault: str | None) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=operation, name=name)
    if fault is not None:
        ElementTree.SubElement(case, "failure", message=fault)
