"""``countersign spec stub``: writes what operations without a handler lack, up to what only people know.

A handler, an act that raises NotImplementedError and a test that fails, each in the file of its noun.
What is there already stays as it is: functions are put at the end of a file, and their imports among
those that it has. What cannot be written safely is listed.
"""

from __future__ import annotations

import ast
import difflib
import keyword
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import handlers
from contract.compile import Contract
from contract.completeness import missing, taken
from contract.diagnostics import SpecError, error, in_order
from contract.mock.answers import Answers
from contract.operation import Operation
from server.extensions import ATTEMPTS, AUDIT
from server.spec import CONTEXT, HANDLERS, Reading

PROJECT = Path(next(iter(handlers.__path__))).parent

_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
_FUTURE = "from __future__ import annotations"
_SERVICES = "from domain.services import Services"
_IMPORTS = {
    "Any": "from typing import Any",
    "OperationPolicy": "from domain.policy import OperationPolicy",
    "Session": "from domain.records import Session",
    "Trail": "from domain.audit import Trail",
}
"""Where the names come from that a signature can hold."""


class Unwritable(Exception):
    """Nothing was written; the message says why."""


@dataclass(frozen=True, slots=True)
class File:
    """A file below the project's folder, as it is (None where there is none) and as it will be."""

    path: str
    before: str | None
    after: str

    def diff(self) -> str:
        names = "/dev/null" if self.before is None else f"a/{self.path}", f"b/{self.path}"
        lines = ((self.before or "").splitlines(True), self.after.splitlines(True))
        return "".join(difflib.unified_diff(*lines, *names))

    def write(self) -> None:
        (PROJECT / self.path).write_text(self.after, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Plan:
    """What can be written, and a line for each thing that has to be done by hand."""

    files: Sequence[File]
    by_hand: Sequence[str]


def plan(reading: Reading) -> Plan:
    """What the operations without a handler lack.

    Raises Unwritable where ruff is not installed, and SpecError with every name that Python cannot take.
    """
    contract = reading.whole
    operations = [contract.operations[name] for name in missing(contract, HANDLERS)]
    _refuse_unfit(contract, operations)
    modules = _Modules()
    by_hand: list[str] = []
    for operation, answers in _with_data(contract, operations):
        parameters = dict(_parameters(operation))
        modules.handler(operation, parameters, answers)
        modules.act(operation, parameters, _summary(contract, operation), answers)
        modules.test(operation)
        by_hand += _by_hand(operation, answers)
    return Plan([each.file() for each in modules.files.values()], by_hand)


def _refuse_unfit(contract: Contract, operations: Sequence[Operation]) -> None:
    faults = [
        error(contract.bundle.where(f"{operation.pointer}/operationId"), text)
        for operation in operations
        for text in (*taken(operation, CONTEXT), *_unfit(operation))
    ]
    if faults:
        raise SpecError(in_order(faults))


def _unfit(operation: Operation) -> Iterator[str]:
    """The names that cannot be written in Python, and those that would hide what a handler calls."""
    called = {operation.stem: "paths file", operation.function: "function"}
    for name, what in called.items():
        if not _is_name(name):
            yield f'the {what} of "{operation.id}" cannot be called "{name}" in Python'
    arguments = {each.argument for each in operation.parameters}
    for name in sorted({operation.stem, "pack"} & {operation.function, *arguments}):
        yield f'"{name}" of "{operation.id}" would hide what its handler calls'


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _with_data(
    contract: Contract, operations: Sequence[Operation]
) -> Iterator[tuple[Operation, bool]]:
    """Each operation, and whether its success says more than its message."""
    answers = Answers(contract, operations)
    for operation in operations:
        body = next(answers.shown(operation), None)
        yield operation, body is not None and (not operation.envelope or "data" in body)


def _parameters(operation: Operation) -> Iterator[tuple[str, str]]:
    """What the handler and its act take after ``services``: names and annotations."""
    if AUDIT.name in operation.extensions:
        yield "trail", "Trail"
    if operation.body is not None:
        yield "body", "dict[str, Any]" + ("" if operation.body.required else " | None")
    if operation.security.bearer:
        yield "session", "Session" + ("" if operation.security.mandatory else " | None")
    if ATTEMPTS.name in operation.extensions:
        yield "policy", "OperationPolicy"
    for each in operation.parameters:
        if _is_name(each.argument):
            given = each.required or each.default is not None
            yield each.argument, _TYPES[each.type] + ("" if given else " | None")


def _summary(contract: Contract, operation: Operation) -> str:
    written = contract.document["paths"][operation.path][operation.method.lower()]
    return str(written.get("summary", operation.id)).strip().rstrip(".") + "."


def _by_hand(operation: Operation, answers: bool) -> Iterator[str]:
    if answers:
        result = f"a class for what {operation.id} answers, in place of `object`"
        yield f"domain/results.py: {result}"
        yield f"handlers/packing.py: the packer of that class, for {operation.id}"
    yield f"server/samples.py: {operation.id} in RESULTS, and in REFUSALS what it refuses"
    for each in operation.parameters:
        if not _is_name(each.argument):
            yield f'{operation.id}: no argument can be called "{each.argument}", so it is not read'
    if operation.body is not None:
        yield f"server/bodies.py: {operation.id} in READ, with the members that it reads"


# -- modules ---------------------------------------------------------------------------------


@dataclass
class _Module:
    """A file to which functions are added. ``imports`` are the lines that they need."""

    path: str
    title: str
    imports: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        found = PROJECT / self.path
        self.before = found.read_text(encoding="utf-8") if found.is_file() else None

    def add(self, name: str, code: str, imports: Sequence[str] = ()) -> None:
        """Add a function, unless there is one of this name."""
        if not _defines(self.before or "", name):
            self.functions.append(code)
            self.imports += imports

    def file(self) -> File:
        start = self.before or f'"""{self.title}"""\n\n{_FUTURE}\n'
        text = "\n\n".join([_importing(start, self.imports), *self.functions])
        return File(self.path, self.before, _formatted(self.path, text))


class _Modules:
    def __init__(self) -> None:
        self.files: dict[str, _Module] = {}

    def handler(self, operation: Operation, parameters: dict[str, str], answers: bool) -> None:
        stem, name = operation.stem, operation.function
        call = f"{stem}.{name}({', '.join(['services', *parameters])})"
        result = "dict[str, Any]" if answers else "None"
        body = f"return pack({call})" if answers else call
        imports = [f"from domain import {stem}", *_imports([*parameters.values(), result])]
        if answers:
            imports.append("from handlers.packing import pack")
        module = self._module(
            "handlers", stem, "Handlers of ``paths/{}.yaml``: unpack, one act, pack."
        )
        module.add(
            name, f"def {name}({_signature(parameters)}) -> {result}:\n    {body}\n", imports
        )

    def act(
        self, operation: Operation, parameters: dict[str, str], summary: str, answers: bool
    ) -> None:
        name, result = operation.function, "object" if answers else "None"
        lines = [
            f"def {name}({_signature(parameters)}) -> {result}:",
            f'    """{_quotable(summary)}"""',
            f'    raise NotImplementedError("{operation.id}")\n',
        ]
        module = self._module(
            "domain",
            operation.stem,
            "The acts of ``paths/{}.yaml``: one public function for each operation.",
        )
        module.add(name, "\n".join(lines), _imports(list(parameters.values())))

    def test(self, operation: Operation) -> None:
        name = f"test_{operation.function}"
        act = f"domain.{operation.stem}.{operation.function}"
        lines = [
            f"def {name}() -> None:",
            "    raise AssertionError(",
            f'        "{operation.id} ({operation.method} {operation.path}) is not written yet: "',
            f'        "{act} is to do it, and a test here to say what it promises"',
            "    )\n",
        ]
        title = "What the operations of ``paths/{}.yaml`` promise, as requests see it."
        self._module("tests/api", operation.stem, title, "test_").add(name, "\n".join(lines))

    def _module(self, folder: str, stem: str, title: str, prefix: str = "") -> _Module:
        path = f"{folder}/{prefix}{stem}.py"
        return self.files.setdefault(path, _Module(path, title.format(stem)))


def _signature(parameters: dict[str, str]) -> str:
    given = (f"{name}: {annotation}" for name, annotation in parameters.items())
    return ", ".join(["services: Services", *given])


def _imports(annotations: Sequence[str]) -> list[str]:
    needed = (line for name, line in _IMPORTS.items() if any(name in each for each in annotations))
    return [_SERVICES, *needed]


def _quotable(text: str) -> str:
    """A summary as it can stand in a docstring of one line."""
    return " ".join(text.replace("\\", "/").replace('"', "'").split())


def _defines(text: str, name: str) -> bool:
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
        for node in ast.parse(text).body
    )


def _importing(text: str, imports: Sequence[str]) -> str:
    """The text with these lines after its last import, but for the names that it has already."""
    nodes = [n for n in ast.parse(text).body if isinstance(n, ast.Import | ast.ImportFrom)]
    known = {alias.asname or alias.name for node in nodes for alias in node.names}
    lacking = [line for line in dict.fromkeys(imports) if line.rsplit(" ", 1)[1] not in known]
    lines = text.splitlines()
    end = max((node.end_lineno or 0 for node in nodes), default=0)
    return "\n".join([*lines[:end], *lacking, *lines[end:]]) + "\n"


def _formatted(path: str, text: str) -> str:
    """Imports sorted, and all of it in the form that the project's settings give it."""
    sort = ("check", "--quiet", "--select", "I", "--fix", "--exit-zero")
    return _ruff("format", "--quiet", path=path, text=_ruff(*sort, path=path, text=text))


def _ruff(*arguments: str, path: str, text: str) -> str:
    command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", path, "-"]
    done = subprocess.run(  # noqa: S603 - no shell
        command, cwd=PROJECT, input=text, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Unwritable(f"ruff is needed, and did not format {path}: {done.stderr.strip()}")
    return done.stdout
