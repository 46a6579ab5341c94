"""What the spec decides for each operation, and where it says so.

``countersign spec explain`` prints it, ``/docs`` shows it beside each operation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from contract.operation import Operation, Parameter
from contract.violations import step
from server import places
from server.extensions import FEATURE
from server.rehearsal import replies, samples_of
from server.spec import Reading

_EXTENSION = "x-"
_SCHEMA = "/components/schemas/"
_WIDEST = 44
"""Columns that values are padded to; a longer one stands out to the right."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is decided, and the file and line that say so."""

    name: str
    value: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that the spec decides for one operation. ``path`` begins with the base path."""

    operation: str
    method: str
    path: str
    lines: tuple[Line, ...]

    def __str__(self) -> str:
        """A block for people: the operation, and one row for each line."""
        width = max(len(line.name) for line in self.lines)
        size = min(_WIDEST, max(len(line.value) for line in self.lines))
        rows = [f"  {x.name:<{width}}  {x.value:<{size}}  {x.file}:{x.line}" for x in self.lines]
        return "\n".join([f"{self.operation}  {self.method} {self.path}", *rows])


def explain(reading: Reading, operation_id: str | None = None) -> list[Explanation]:
    """One operation, or all that are served in the order of the spec.

    Raises LookupError for an operationId that the spec does not have.
    """
    operations = reading.whole.operations
    if operation_id is not None and operation_id not in operations:
        raise LookupError(f"no operation {operation_id}; the spec has: {', '.join(operations)}")
    chosen = reading.contract.operations if operation_id is None else (operation_id,)
    reader = _Reader(reading)
    return [reader.explanation(operations[name]) for name in chosen]


def as_json(reading: Reading, operation_id: str | None = None) -> list[dict[str, Any]]:
    """The same for programs: the attributes of each explanation, and of each of its lines."""
    return [asdict(each) for each in explain(reading, operation_id)]


class _Reader:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._document = reading.bundle.document
        self._samples = samples_of(reading.whole, reading.policies)

    def explanation(self, operation: Operation) -> Explanation:
        lines = (
            Line(name, value, where.file, where.line)
            for name, value, pointer in self._rows(operation)
            for where in [self._reading.bundle.where(pointer, key=True)]
        )
        path = self._reading.whole.base_path + operation.path
        return Explanation(operation.id, operation.method, path, tuple(lines))

    def _rows(self, operation: Operation) -> Iterator[tuple[str, str, str]]:
        """Name, value and pointer of each thing, in the order in which a request meets it."""
        _, declared = places.resolved(self._document, operation.pointer)
        handler = f"handlers.{operation.stem}.{operation.function}"
        yield "handler", handler, f"{operation.pointer}/operationId"
        if operation.id not in self._reading.contract.operations:
            yield "switched off", "", f"{operation.pointer}/{FEATURE.name}"
        if "security" in declared:
            yield "security", _security(declared["security"]), f"{operation.pointer}/security"
        for key, value in declared.items():
            if key.startswith(_EXTENSION) or key == "deprecated":
                yield from _values(key, value, f"{operation.pointer}/{key}")
        yield from self._request(operation)
        yield from self._lasting(operation)
        yield from self._replies(operation)

    def _request(self, operation: Operation) -> Iterator[tuple[str, str, str]]:
        for parameter in operation.parameters:
            needed = " (required)" if parameter.required else ""
            default = "" if parameter.default is None else f" (default {parameter.default})"
            value = f"{parameter.type}{needed}{default}"
            place = self._parameter(operation, parameter)
            yield f"{parameter.where} {parameter.name}", value, place
        if operation.body is not None:
            content = places.resolved(self._document, f"{operation.pointer}/requestBody")[1]
            for media_type, media in content["content"].items():
                value = f"{_named(media)}, {operation.body.limit} bytes at most"
                yield f"body {media_type}", value, f"{operation.pointer}/requestBody"

    def _parameter(self, operation: Operation, parameter: Parameter) -> str:
        """The pointer to a parameter, which the operation or its path lists."""
        wanted = parameter.where, parameter.name
        for holder in (operation.pointer, operation.pointer.rpartition("/")[0]):
            listed = places.resolved(self._document, holder)[1].get("parameters", ())
            for index in range(len(listed)):
                place = f"{holder}/parameters/{index}"
                found = places.resolved(self._document, place)[1]
                if (found["in"], found["name"]) == wanted:
                    return place
        return operation.pointer

    def _lasting(self, operation: Operation) -> Iterator[tuple[str, str, str]]:
        """What the schemas of a request and of its success say by themselves, as lifetimes."""
        roots = (f"{operation.pointer}/requestBody", self._success(operation))
        for pointer in sorted(self._reached(roots)):
            schema = places.resolved(self._document, pointer)[1]
            for key, value in schema.items():
                if key.startswith(_EXTENSION):
                    name = pointer.removeprefix(_SCHEMA)
                    yield from _values(f"{name} {key}", value, f"{pointer}/{key}")

    def _success(self, operation: Operation) -> str:
        return f"{operation.pointer}/responses{step(operation.success)}"

    def _reached(self, roots: Iterable[str]) -> set[str]:
        """The pointers of the schemas that these lead to by reference."""
        found: set[str] = set()
        waiting = list(roots)
        while waiting:
            node = self._at(waiting.pop())
            for pointer in _references(node):
                if pointer not in found:
                    found.add(pointer)
                    waiting.append(pointer)
        return {pointer for pointer in found if pointer.startswith(_SCHEMA)}

    def _at(self, pointer: str) -> Any:
        try:
            return places.resolved(self._document, pointer)[1]
        except KeyError:  # an operation without a body
            return None

    def _replies(self, operation: Operation) -> Iterator[tuple[str, str, str]]:
        codes: dict[str, dict[str, None]] = {}
        for name, _ in replies(operation, self._reading.policies, self._samples):
            status, _, code = name.partition(" ")
            codes.setdefault(status, {})[code] = None
        success = self._success(operation)
        yield "message", operation.message, f"{success}/description"
        content = places.resolved(self._document, success)[1].get("content", {})
        shown = ", ".join(_named(media) for media in content.values())
        for status in operation.responses:
            sent = ", ".join(codes.get(status, ()))
            value = shown if status == str(operation.success) else sent
            yield f"status {status}", value, f"{operation.pointer}/responses{step(status)}"


def _references(node: Any) -> Iterator[str]:
    """Every reference that stands inside a value."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix("#")
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _security(requirements: list[dict[str, Any]]) -> str:
    return " or ".join(" and ".join(each) or "none" for each in requirements) or "none"


def _named(media: dict[str, Any]) -> str:
    """The names of the schemas that a body is made of, the envelope's left out."""
    names = [pointer.rpartition("/")[2] for pointer in _references(media.get("schema", {}))]
    return ", ".join(names[1:] or names)


def _values(label: str, value: Any, pointer: str) -> Iterator[tuple[str, str, str]]:
    """The leaves of an extension's value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _values(f"{label} {key}", inner, f"{pointer}{step(key)}")
    else:
        said = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield label, said.lower() if isinstance(value, bool) else said, pointer
