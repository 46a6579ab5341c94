"""Rules of the workflows beside the root (`workflows/*.arazzo.yaml`, Arazzo 1.0.1).

How a workflow is written is for the tools of Arazzo to say. Here its steps are held against the
operations: that they exist, take what is sent to them, and can answer what is read from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from contract.diagnostics import did_you_mean, error
from contract.lint.lens import Lens, Operation
from contract.lint.links import all_operations_known, answers, taken
from contract.source import Node, Sources

FOLDER = "workflows"
_ENDING = ".arazzo.yaml"
_BODY = re.compile(r"\$response\.body#((?:/[^\s/{}]+)+)")
# A JSONPath query for bodies: the members it asks of the body, those of filters inside left out.
_QUERY = re.compile(r"\$\[\?(.*)\]", re.DOTALL)
_INNER = re.compile(r"\[[^\[\]]*\]")
_MEMBER = re.compile(r"@((?:\.\w+)+)")


def is_workflow(file: str) -> bool:
    """Whether a file of the folder is one; the others are what workflows refer to."""
    return file.endswith(_ENDING)


def check(lens: Lens) -> None:
    if not all_operations_known(lens):
        return
    operations = {op.name: op for op in lens.operations()}
    sources = Sources(lens.bundle.root, lens.bundle.texts)
    for file in filter(is_workflow, sources.beside(FOLDER)):
        content = sources.read(file)
        if content is not None:
            _file(lens, content, operations, _prefix(sources, file, content))
    lens.diagnostics += sources.diagnostics


def _file(lens: Lens, content: Node, operations: dict[str, Operation], prefix: str | None) -> None:
    for key in ("title", "summary"):  # which the documentation lists
        if not isinstance(getattr(_at(content, "info", key), "value", None), str):
            lens.diagnostics.append(error(content.location, f'its info needs "{key}"'))
    if prefix is None:
        message = "none of the sourceDescriptions leads to the root of this spec"
        lens.diagnostics.append(error(content.location, message))
        return
    for workflow in _items(content, "workflows"):
        for step in _items(workflow, "steps"):
            _step(lens, step, operations, prefix)


def _at(node: Node | None, *keys: str) -> Node | None:
    for key in keys:
        node = node.value.get(key) if node is not None and node.type == "object" else None
    return node


def _items(node: Node | None, key: str) -> list[Node]:
    found = _at(node, key)
    return [child for _, child in found.children()] if found is not None else []


def _prefix(sources: Sources, file: str, content: Node) -> str | None:
    """What stands before the operationIds of this spec; None where the file does not name it."""
    for source in _items(content, "sourceDescriptions"):
        url, name = _at(source, "url"), _at(source, "name")
        if url and name and sources.join(file, str(url.value)) == sources.root:
            return f"$sourceDescriptions.{name.value}."
    return None


def _step(lens: Lens, step: Node, operations: dict[str, Operation], prefix: str) -> None:
    called = _at(step, "operationId")
    name = str(called.value).removeprefix(prefix) if called else "$"
    if called is None or name.startswith("$"):  # a workflow, or an operation of another source
        return
    if name not in operations:
        hint = did_you_mean(name, operations)
        lens.follows.append(error(called.location, f'no operation "{name}"{hint}'))
    elif not lens.reaches(operations[name].found, lens.bundle.broken | lens.named):
        _sent(lens, step, operations[name])
        _read(lens, step, operations[name])


def _sent(lens: Lens, step: Node, operation: Operation) -> None:
    payload, known = _at(step, "requestBody", "payload"), taken(lens, operation)
    for name, place in payload.keys.items() if payload is not None else ():
        if name not in known:
            message = f'{operation.name} takes no "{name}"{did_you_mean(name, known)}'
            lens.follows.append(error(place, message))


def _read(lens: Lens, step: Node, operation: Operation) -> None:
    responses = [response for _, response in lens.members(operation.found, "responses")]
    criteria = (_at(each, "condition") for each in _items(step, "successCriteria"))
    for node in (*_items(step, "outputs"), *filter(None, criteria)):
        for path in _paths(str(node.value)):
            if not any(answers(lens, response, path) for response in responses):
                message = f'no reply of {operation.name} has "/{"/".join(path)}"'
                lens.follows.append(error(node.location, message))


def _paths(text: str) -> Iterator[list[str]]:
    """The members of a body that an expression or a query asks for, each by its keys."""
    query = _QUERY.fullmatch(text)
    if query:
        yield from (found.split(".")[1:] for found in _MEMBER.findall(_INNER.sub("", query[1])))
    else:
        yield from (found.split("/")[1:] for found in _BODY.findall(text))
