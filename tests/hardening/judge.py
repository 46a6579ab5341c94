"""Holds replies against the bundle with other code than the server's own guard.

References are followed by hand, schemas are judged by
``openapi_schema_validator``, and the closed world is worked out here once more, so that a mistake
of the contract layer is not on both sides of a test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from openapi_schema_validator import OAS30Validator, oas30_format_checker

from tests.support.api import Reply

JSON = dict[str, Any]

FRAMING = {"connection", "content-length", "content-type", "date"}
"""Fields that HTTP itself asks for; OpenAPI does not declare them."""
EXEMPT = re.compile(r"/docs(/.*)?|/openapi\.(json|yaml)")
MALFORMED = "MALFORMED"
"""Stands for the target of bytes that are no request."""


class Judge:
    """``document`` is the bundle as the server publishes it."""

    def __init__(self, document: JSON) -> None:
        self._document = document
        self._paths: dict[str, JSON] = _inlined(document["paths"], document)
        self._bare: JSON = _inlined(document["components"]["responses"], document)
        self._request_ids: set[str] = set()

    def operations(self) -> Iterator[tuple[str, str, JSON]]:
        """Path, method and operation of everything declared."""
        for path, item in self._paths.items():
            for method, operation in item.items():
                yield path, method.upper(), operation

    def allow(self, path: str) -> set[str]:
        """Every method that a declared path has, the implied ones included."""
        declared = {method.upper() for method in self._paths[path]}
        return declared | {"OPTIONS"} | ({"HEAD"} if "GET" in declared else set())

    def cell(self, method: str, target: str) -> str | None:
        """The operationId that a request belongs to, if any."""
        path = self._path(target)
        item = self._paths.get(path or "", {})
        operation = item.get(_key(method)) or (method == "HEAD" and item.get("get")) or {}
        return operation.get("operationId")

    def faults(self, method: str, target: str, reply: Reply) -> list[str]:
        """What the reply has and the bundle does not promise, or the other way round."""
        found = list(self._of_every_reply(reply))
        if target != MALFORMED and EXEMPT.fullmatch(target):
            return found
        declared = self._declared(method, target, reply.status)
        if declared is None:
            return [*found, f"status {reply.status} is not declared"]
        found += _header_faults(declared.get("headers", {}), reply)
        found += self._body_faults(declared.get("content", {}), method, reply)
        return found

    def _declared(self, method: str, target: str, status: int) -> JSON | None:
        if target == MALFORMED:
            # Also for a connection too many, whose request nobody reads.
            name = {400: "BadRequest", 503: "Unavailable"}.get(status)
            return self._bare[name] if name else None
        path = self._path(target)
        if path is None:
            return self._bare["NotFound"] if status == 404 else None
        item = self._paths[path]
        wanted = "get" if method == "HEAD" and "head" not in item else _key(method)
        if wanted in item:
            return item[wanted]["responses"].get(str(status))
        if method == "OPTIONS":
            return self._bare["Options"] if status == 204 else None
        return self._bare["MethodNotAllowed"] if status == 405 else None

    def _path(self, target: str) -> str | None:
        without_host = re.sub(r"^https?://[^/]*", "", target)
        given = [unquote(part) for part in without_host.partition("?")[0].split("/")]
        encoded = without_host.partition("?")[0].split("/")
        for path in sorted(self._paths, key=lambda p: p.count("{")):
            parts = path.split("/")
            if len(parts) == len(encoded) and all(
                part == value or (part.startswith("{") and value)
                for part, value in zip(parts, given, strict=True)
            ):
                return path
        return None

    def _of_every_reply(self, reply: Reply) -> Iterator[str]:
        request_id = reply.headers.get("x-request-id", "")
        if not re.fullmatch("[0-9a-f]{32}", request_id):
            yield "there is no request id"
        if request_id in self._request_ids:
            yield "the request id is not fresh"
        self._request_ids.add(request_id)
        if "server" in reply.headers or "x-powered-by" in reply.headers:
            yield "the software names itself"
        if reply.headers.get("x-content-type-options") != "nosniff":
            yield "nosniff is missing"
        if reply.status in (301, 302, 303, 307):
            yield "the reply redirects"

    def _body_faults(self, content: JSON, method: str, reply: Reply) -> Iterator[str]:
        if not reply.content:
            if content and method != "HEAD":
                yield "there is no body"
            return
        media_type = reply.headers.get("content-type", "")
        if media_type not in content:
            yield f"media type {media_type!r} is not declared"
            return
        body = reply.json
        schema = content[media_type]["schema"]
        validator = OAS30Validator(schema, format_checker=oas30_format_checker)
        yield from (
            f"{error.json_path}: {error.validator}" for error in validator.iter_errors(body)
        )
        yield from (f"{place} is not declared" for place in undeclared([schema], body))
        if reply.status >= 400 and (
            set(body) != {"success", "message", "error"}
            or body["error"]["request_id"] != reply.headers.get("x-request-id")
        ):
            yield "an error is not in the envelope"


def _key(method: str) -> str:
    """The name of a method in a path item. Methods have a case, and it is upper case."""
    return method.lower() if method.isupper() else ""


def undeclared(schemas: list[JSON], value: Any, place: str = "$") -> Iterator[str]:
    """Places of properties that none of the schemas for a value names."""
    parts = [part for schema in schemas for part in _parts(schema, value)]
    if isinstance(value, list):
        items = [part["items"] for part in parts if "items" in part]
        for number, item in enumerate(value):
            yield from undeclared(items, item, f"{place}[{number}]")
    elif isinstance(value, dict) and not any(part.get("additionalProperties") for part in parts):
        for name, member in value.items():
            named = [p["properties"][name] for p in parts if name in p.get("properties", {})]
            if named:
                yield from undeclared(named, member, f"{place}.{name}")
            else:
                yield f"{place}.{name}"


def _parts(schema: JSON, value: Any) -> Iterator[JSON]:
    """A schema, what it is made of, and the branches of it that the value fits."""
    yield schema
    for part in schema.get("allOf", []):
        yield from _parts(part, value)
    for branch in schema.get("oneOf", []) + schema.get("anyOf", []):
        if OAS30Validator(branch).is_valid(value):
            yield from _parts(branch, value)


def _header_faults(declared: JSON, reply: Reply) -> Iterator[str]:
    names = {name.lower(): header for name, header in declared.items()}
    for name in set(reply.headers) - set(names) - FRAMING:
        yield f"header {name} is not declared"
    for name, header in names.items():
        values = reply.headers.get_list(name)
        if len(values) > 1 or (header.get("required") and not values):
            yield f"header {name} is there {len(values)} times"
        for value in values:
            yield from (f"header {name}: {rule}" for rule in _broken(header["schema"], value))


def _broken(schema: JSON, text: str) -> Iterator[str]:
    if schema["type"] == "integer" and not re.fullmatch("0|[1-9][0-9]*", text):
        yield "type"
        return
    value = int(text) if schema["type"] == "integer" else text
    yield from (str(error.validator) for error in OAS30Validator(schema).iter_errors(value))


def _inlined(node: Any, document: JSON) -> Any:
    """A copy without references."""
    if isinstance(node, list):
        return [_inlined(item, document) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        target: Any = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step.replace("~1", "/").replace("~0", "~")]
        return _inlined(target, document)
    return {name: _inlined(member, document) for name, member in node.items()}
