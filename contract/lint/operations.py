"""Rules of paths and operations: names, parameters, and the statuses they declare."""

from __future__ import annotations

import re
from collections.abc import Iterator

from contract.diagnostics import did_you_mean
from contract.lint.lens import Found, Lens, Operation, join

_TEMPLATE = re.compile(r"\{([^{}]*)\}")
_OPERATION_ID = re.compile(r"[a-z][A-Za-z0-9]*")
_JSON = re.compile(r"application/(?:json|[a-z0-9.-]+\+json)")
# OpenAPI 3.0.3 section 4.7.12.1: where parameters are, and the styles of each place.
_STYLES = {
    "cookie": ("form",),
    "header": ("simple",),
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
}

# Any operation can be malformed or fail; the others come with what the operation declares.
_ALWAYS = frozenset({"400", "500"})
_WITH_BODY = frozenset({"413", "415"})
_FREE = frozenset({"403", "404", "409", "503"})
_EXTENDED = frozenset({"410", "429"})
_KNOWN = _ALWAYS | _WITH_BODY | _FREE | _EXTENDED | {"401", "405"}


def check(lens: Lens) -> None:
    operations = list(lens.operations())
    _same_shape(lens)
    _same_name(lens, operations)
    for operation in operations:
        _method(lens, operation)
        _path_parameters(lens, operation)
        _same_parameter(lens, operation)
        _statuses(lens, operation)
    for parameter in lens.objects["parameter"]:
        _parameter(lens, parameter)
    for media_types in _contents(lens):
        _media_types(lens, media_types)


# -- paths and names -------------------------------------------------------------------------


def _same_shape(lens: Lens) -> None:
    """`/a/{x}` and `/a/{y}` are one path to a router, which serves only one of them."""
    seen: dict[str, str] = {}
    for path in lens.document.get("paths", {}):
        shape = _TEMPLATE.sub("{}", path)
        if shape in seen:
            lens.error(join("/paths", path), f"the same path as {seen[shape]}", key=True)
        seen.setdefault(shape, path)
        if "{" in _TEMPLATE.sub("", path) or "}" in _TEMPLATE.sub("", path):
            lens.error(join("/paths", path), "a brace in the path has no partner", key=True)


def _same_name(lens: Lens, operations: list[Operation]) -> None:
    """Names that differ only in case would name one function."""
    seen: dict[str, str] = {}
    for operation in operations:
        name = operation.value.get("operationId")
        if name is None:
            continue
        pointer = join(operation.pointer, "operationId")
        if not _OPERATION_ID.fullmatch(name):
            lens.error(pointer, f'the operationId "{name}" is not in camelCase')
        if name.lower() in seen:
            first = lens.bundle.where(seen[name.lower()])
            lens.error(pointer, f'duplicate operationId "{name}" (first at {first})')
        seen.setdefault(name.lower(), pointer)


def _method(lens: Lens, operation: Operation) -> None:
    if operation.method in ("head", "options", "trace"):
        message = f"{operation.method.upper()} is answered as the path's other methods imply"
        lens.error(operation.pointer, message, key=True)
    if operation.method in ("get", "head", "delete") and "requestBody" in operation.value:
        message = f"the body of a {operation.method.upper()} has no meaning (RFC 9110 section 9.3)"
        lens.error(join(operation.pointer, "requestBody"), message, key=True)


# -- parameters ------------------------------------------------------------------------------


def _path_parameters(lens: Lens, operation: Operation) -> None:
    in_path = _TEMPLATE.findall(operation.path)
    # One in a place that does not exist was surely meant for the path.
    elsewhere = {"cookie", "header", "query"}
    own = [p for p in operation.parameters if p.value.get("in") not in elsewhere]
    declared = {p.value.get("name"): p for p in own}
    item = operation.pointer.rpartition("/")[0]
    parts = (operation.pointer, item, *(p.pointer for p in operation.parameters))
    if not lens.whole(*parts):
        return
    where = lens.bundle.where(operation.pointer, key=True)
    for name in in_path:
        if name not in declared:
            hint = did_you_mean(name, [n for n in declared if n])
            message = f'{operation.name} ({where}) declares no path parameter "{name}"{hint}'
            lens.error(join("/paths", operation.path), message, key=True)
    for name, parameter in declared.items():
        if name not in in_path:
            message = f'the path {operation.path} has no "{{{name}}}"'
            lens.error(join(parameter.pointer, "name"), message)


def _same_parameter(lens: Lens, operation: Operation) -> None:
    seen: set[tuple[str, str]] = set()
    for index, parameter in enumerate(operation.parameters):
        identity = (parameter.value.get("in", str(index)), parameter.value.get("name", ""))
        if identity in seen:
            lens.error(parameter.pointer, f'the parameter "{identity[1]}" is declared twice')
        seen.add(identity)


def _parameter(lens: Lens, parameter: Found) -> None:
    place = parameter.value.get("in")
    if place is not None and place not in _STYLES:
        hint = did_you_mean(place, _STYLES)
        lens.error(join(parameter.pointer, "in"), f'no parameter is in "{place}"{hint}')
    styles = _STYLES.get(place or "", ())
    style = parameter.value.get("style")
    if style is not None and styles and style not in styles:
        hint = did_you_mean(style, styles)
        message = f'no parameter in {place} has the style "{style}"{hint}'
        lens.error(join(parameter.pointer, "style"), message)
    if not lens.whole(parameter.pointer):
        return
    if place == "path" and parameter.value.get("required") is not True:
        lens.error(parameter.pointer, "a path parameter needs required: true")
    if not {"schema", "content"} & parameter.value.keys():
        lens.error(parameter.pointer, 'a parameter needs a "schema"')


# -- media types -----------------------------------------------------------------------------


def _contents(lens: Lens) -> Iterator[Found]:
    for kind in ("requestBody", "response"):
        for holder in lens.objects[kind]:
            yield Found(join(holder.pointer, "content"), holder.value.get("content", {}))


def _media_types(lens: Lens, content: Found) -> None:
    for name, media_type in content.value.items():
        pointer = join(content.pointer, name)
        if not _JSON.fullmatch(name):
            hint = did_you_mean(name, ["application/json"])
            lens.error(pointer, f'"{name}" is not a JSON media type{hint}', key=True)
        if "schema" not in media_type and lens.whole(pointer):
            lens.error(pointer, 'a body needs a "schema"', key=True)


# -- statuses --------------------------------------------------------------------------------


def _statuses(lens: Lens, operation: Operation) -> None:
    """What an operation declares, no more and no less."""
    declared = operation.value.get("responses", {})
    pointer = join(operation.pointer, "responses")
    if not lens.whole(operation.pointer, pointer):
        return
    due, allowed = _due(lens, operation), _allowed(lens, operation)
    for status in sorted(due - declared.keys()):
        lens.error(pointer, f"{operation.name} must declare {status}{_why(status)}", key=True)
    for status in declared:
        if not status.startswith("2") and status not in allowed:
            message = f"{operation.name} must not declare {status}{_why_not(status)}"
            lens.error(join(pointer, status), message, key=True)
    _success(lens, operation, pointer, [s for s in declared if s.startswith("2")])


def _success(lens: Lens, operation: Operation, pointer: str, successes: list[str]) -> None:
    if not successes:
        lens.error(pointer, f"{operation.name} declares no success", key=True)
    for status in successes[1:]:
        message = f"{operation.name} has one success, {successes[0]}"
        lens.error(join(pointer, status), message, key=True)


def _due(lens: Lens, operation: Operation) -> frozenset[str]:
    secured = any(requirement for requirement in operation.security or ())
    return (
        _ALWAYS
        | (_WITH_BODY if "requestBody" in operation.value else frozenset())
        | (frozenset({"401"}) if secured else frozenset())
        | _implied(lens, operation)
    )


def _allowed(lens: Lens, operation: Operation) -> frozenset[str]:
    """401 is allowed everywhere: a body can carry a credential, which the spec does not mark."""
    return _due(lens, operation) | _FREE | {"401"}


def _implied(lens: Lens, operation: Operation) -> frozenset[str]:
    statuses: frozenset[str] = frozenset()
    for key, value in operation.value.items():
        extension = lens.registry.get(key)
        if extension is not None:
            statuses |= extension.statuses(value)
    return statuses


def _why(status: str) -> str:
    reasons = {
        "401": " (it has security)",
        "410": " (an extension ends it)",
        "413": " (it has a requestBody)",
        "415": " (it has a requestBody)",
        "429": " (an extension limits it)",
    }
    return reasons.get(status, "")


def _why_not(status: str) -> str:
    reasons = {
        "405": ": the path's methods imply it",
        "410": ": no extension ends it",
        "413": " without a requestBody",
        "415": " without a requestBody",
        "429": ": no extension limits it",
    }
    if status not in _KNOWN:
        return did_you_mean(status, _KNOWN)
    return reasons.get(status, "")
