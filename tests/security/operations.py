"""Every operation of the served spec, with a body that fits, for rows that say "each"."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.security.site import Site
from tests.support.api import Reply

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Door:
    """An operation as a stranger finds it: path parameters and body are made after the spec."""

    operation_id: str
    method: str
    path: str
    body: Any
    protected: bool

    def knock(self, site: Site, **options: Any) -> Reply:
        """Send it; ``options`` add to the request or replace what is in it."""
        given = {} if self.body is None else {"json": self.body}
        return site.api().request(self.method, self.path, **(given | options))


def doors(site: Site) -> list[Door]:
    """All operations, in the order of the spec that the server serves."""
    document = site.api().get("/openapi.json").json
    return [
        Door(
            operation["operationId"],
            method.upper(),
            re.sub(r"\{\w+\}", str(uuid.uuid4()), path),
            _body(document, operation),
            _protected(document, operation),
        )
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def protected(site: Site) -> Iterator[Door]:
    """The operations that no request without a token gets through."""
    found = [door for door in doors(site) if door.protected]
    assert {"setupMFA", "disableMFA", "getSession"} <= {door.operation_id for door in found}
    yield from found


def _protected(document: Any, operation: Any) -> bool:
    required = operation.get("security", document.get("security", []))
    return bool(required) and {} not in required


def _body(document: Any, operation: Any) -> Any:
    if "requestBody" not in operation:
        return None
    content = _resolve(document, operation["requestBody"])["content"]
    return _example(document, content["application/json"]["schema"])


def _example(document: Any, node: Any) -> Any:
    """A value that fits: the first of alternatives, the required members, the spec's examples."""
    schema = _resolve(document, node)
    for union in ("oneOf", "allOf"):
        if union in schema and "example" not in schema:
            return _example(document, schema[union][0])
    if "properties" in schema:
        return {name: _example(document, schema["properties"][name]) for name in schema["required"]}
    return schema["example"]


def _resolve(document: Any, node: Any) -> Any:
    while "$ref" in node:
        found = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = found
    return node
