"""``countersign spec explain``: what the spec decides for an operation, and where it says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contract.bundle import Bundle
from server.spec import Reading

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_EXTENSION = "x-"


def table(reading: Reading, operation_id: str | None = None) -> str:
    """One block an operation: name, value and file:line of each thing decided.

    Raises LookupError for an operationId that the spec does not have.
    """
    found = dict(_operations(reading.bundle))
    if operation_id is not None and operation_id not in found:
        raise LookupError(f"no operation {operation_id}; the spec has: {', '.join(found)}")
    chosen = [operation_id] if operation_id else list(found)
    return "\n\n".join(_block(reading, name, *found[name]) for name in chosen)


def _operations(bundle: Bundle) -> Iterator[tuple[str, tuple[str, str, str]]]:
    for path, item in bundle.document["paths"].items():
        for method in _METHODS:
            if method in item:
                escaped = path.replace("~", "~0").replace("/", "~1")
                pointer = f"/paths/{escaped}/{method}"
                yield item[method]["operationId"], (path, method, pointer)


def _block(reading: Reading, name: str, path: str, method: str, pointer: str) -> str:
    operation = reading.contract.operations[name]
    head = f"{name}  {method.upper()} {path}  handlers.{operation.stem}.{operation.function}"
    rows = [
        (label, value, reading.bundle.where(place, key=True))
        for label, value, place in _rows(reading.bundle.document, path, method, pointer)
    ]
    width = max(len(label) for label, _, _ in rows)
    size = max(len(value) for _, value, _ in rows)
    lines = [
        f"  {label:<{width}}  {value:<{size}}  {where.file}:{where.line}"
        for label, value, where in rows
    ]
    return "\n".join([head, *lines])


def _rows(
    document: dict[str, Any], path: str, method: str, pointer: str
) -> Iterator[tuple[str, str, str]]:
    operation = document["paths"][path][method]
    if "security" in operation:
        yield "security", _security(operation["security"]), f"{pointer}/security"
    for key, value in operation.items():
        if key.startswith(_EXTENSION):
            yield from _values(key, value, f"{pointer}/{key}")
    if "requestBody" in operation:
        yield "body", ", ".join(operation["requestBody"]["content"]), f"{pointer}/requestBody"
    for status in operation["responses"]:
        yield f"status {status}", "", f"{pointer}/responses/{status}"


def _security(requirements: list[dict[str, Any]]) -> str:
    return " or ".join(" and ".join(each) or "none" for each in requirements) or "none"


def _values(label: str, value: Any, pointer: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _values(f"{label} {key}", inner, f"{pointer}/{key}")
    else:
        yield label, str(value), pointer
