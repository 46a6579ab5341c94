"""Rules of links: that what they lead to exists and can be fed from the reply."""

from __future__ import annotations

import re
from collections.abc import Iterator

from contract.diagnostics import did_you_mean
from contract.lint.lens import Found, Json, Lens, Operation, join
from contract.lint.schemas import branches, properties

# OpenAPI 3.0.3 section 4.7.20.3, with the token of RFC 9110 section 5.6.2.
_TCHARS = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_SOURCE = rf"(?:header\.{_TCHARS}|query\.[^{{}}]+|path\.[^{{}}]+|body(?:#(?:/[^{{}}/]*)*)?)"
_EXPRESSION = re.compile(rf"\$(?:url|method|statusCode|(?:request|response)\.{_SOURCE})")
_EMBEDDED = re.compile(r"\{(\$[^{}]*)\}")
_BODY = re.compile(r"\$response\.body#(.*)")


def check(lens: Lens) -> None:
    spoilt = lens.bundle.broken | lens.named
    operations = {
        op.value["operationId"]: op for op in lens.operations() if "operationId" in op.value
    }
    for link in lens.objects["link"]:
        _link(lens, link, operations)
    for response in lens.objects["response"]:
        if lens.reaches(response, spoilt):
            continue
        for _, link in lens.members(response, "links"):
            _fed(lens, link, response)


def _link(lens: Lens, link: Found, operations: dict[str, Operation]) -> None:
    for pointer, text in _texts(link):
        for expression in _expressions(text):
            if not _EXPRESSION.fullmatch(expression):
                lens.error(pointer, f'"{expression}" is not a runtime expression')
    if not lens.whole(link.pointer):
        return
    name = link.value.get("operationId")
    if name is None:
        lens.error(link.pointer, 'a link needs "operationId"', key=True)
    elif name not in operations and all_operations_known(lens):
        hint = did_you_mean(name, operations)
        lens.follow(join(link.pointer, "operationId"), f'no operation "{name}"{hint}')
    elif name in operations and not lens.reaches(operations[name].found, lens.bundle.broken):
        _parameters(lens, link, operations[name])
        _request_body(lens, link, operations[name])


def all_operations_known(lens: Lens) -> bool:
    """False where a path, a method or an operationId was lost to an earlier error."""
    return not any(p.startswith("/paths") and p.count("/") <= 3 for p in lens.bundle.broken)


def _parameters(lens: Lens, link: Found, operation: Operation) -> None:
    names = [str(p.value.get("name")) for p in operation.parameters]
    qualified = [f"{p.value.get('in')}.{p.value.get('name')}" for p in operation.parameters]
    for name in link.value.get("parameters", ()):
        if name not in (*names, *qualified):
            hint = did_you_mean(name, names)
            message = f'{operation.name} has no parameter "{name}"{hint}'
            lens.follow(join(link.pointer, "parameters", name), message, key=True)


def _request_body(lens: Lens, link: Found, operation: Operation) -> None:
    if "requestBody" not in link.value:
        return
    pointer = join(link.pointer, "requestBody")
    if "requestBody" not in operation.value:
        lens.follow(pointer, f"{operation.name} takes no body", key=True)
        return
    known = taken(lens, operation)
    sent = link.value["requestBody"]
    for name in sent if isinstance(sent, dict) else ():
        if name not in known:
            message = f'{operation.name} takes no "{name}"{did_you_mean(name, known)}'
            lens.follow(join(pointer, name), message, key=True)


def taken(lens: Lens, operation: Operation) -> set[str]:
    """The properties that the body of a request may have."""
    body = lens.member(operation.found, "requestBody")
    return {
        name
        for _, media_type in lens.members(body, "content")
        for name in properties(lens, lens.member(media_type, "schema"))
    }


def _fed(lens: Lens, link: Found, response: Found) -> None:
    """Every pointer into the reply's body has to lead somewhere."""
    for pointer, text in _texts(link):
        for expression in _expressions(text):
            found = _BODY.fullmatch(expression)
            if found and not answers(lens, response, found[1].split("/")[1:]):
                place = lens.bundle.where(response.pointer, key=True)
                lens.follow(pointer, f'no body of the reply at {place} has "{found[1]}"')


def answers(lens: Lens, response: Found, path: list[str]) -> bool:
    """Whether some body of a response has what the tokens of a pointer lead to."""
    return any(
        _leads(lens, lens.member(media_type, "schema"), path)
        for _, media_type in lens.members(response, "content")
    )


def _leads(lens: Lens, schema: Found, path: list[str]) -> bool:
    if not path:
        return True
    token = path[0].replace("~1", "/").replace("~0", "~")
    inside = list(properties(lens, schema).get(token, ()))
    if token.isdigit():
        inside += _items(lens, schema)
    return any(_leads(lens, found, path[1:]) for found in inside)


def _items(lens: Lens, schema: Found) -> list[Found]:
    own = [lens.member(schema, "items")] if "items" in schema.value else []
    return own + [item for branch in branches(lens, schema) for item in _items(lens, branch)]


def _texts(link: Found) -> Iterator[tuple[str, str]]:
    for key in ("parameters", "requestBody"):
        yield from _strings(join(link.pointer, key), link.value.get(key))


def _strings(pointer: str, value: Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, (dict, list)):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for key, child in members:
            yield from _strings(join(pointer, str(key)), child)


def _expressions(text: str) -> list[str]:
    return [text] if text.startswith("$") else _EMBEDDED.findall(text)
