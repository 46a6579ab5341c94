"""Bodies are read as far as their schema lets them go: what fits is taken in any dress, no more is."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from contract import size
from contract.compile import compile_contract
from contract.operation import Operation
from contract.rules import Rules
from contract.schema import translate
from server import bodies, places
from server.extensions import registry
from tests.api.calls import ready
from tests.support.world import SHIPPED, World, reading_of

READING = reading_of(SHIPPED)
OPERATIONS = {op.id: op for op in READING.contract.operations.values() if op.body}
JSON = {"Content-Type": "application/json"}
WIDEST = ("\U0001f600", "a", "A", "0")


def longest(operation: Operation, member: str) -> str:
    """The longest text that a member can be, of the characters that take the most room."""
    document = READING.contract.document
    pointer = f"{operation.pointer}/requestBody/content/application~1json/schema"
    schema = places.schemas(document, pointer, f"/{member}")[0][1]
    rules = Rules(translate(schema, document, "request"))
    lengths = range(schema["maxLength"], schema.get("minLength", 1) - 1, -1)
    texts = (character * length for character in WIDEST for length in lengths)
    return next(filter(rules.admits, texts))


def largest(operation: Operation) -> Iterator[dict[str, str]]:
    """One body for each form, every member as long as can be."""
    for names in bodies.READ[operation.id]:
        body = {name: longest(operation, name) for name in sorted(names)}
        assert operation.body is not None
        assert operation.body.rules.admits(body)
        yield body


def escaped(body: dict[str, str]) -> bytes:
    """The same JSON, indented and with each character of its names and texts as `\\uXXXX`."""

    def text(plain: str) -> str:
        units = plain.encode("utf-16-be").hex()
        return '"' + "".join(f"\\u{units[n : n + 4]}" for n in range(0, len(units), 4)) + '"'

    members = ",\r\n".join(f"{' ' * 8}{text(name)} : {text(body[name])}" for name in body)
    written = f"{{\r\n{members}\r\n}}\r\n"
    assert json.loads(written) == body
    return written.encode("ascii")


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_largest_body_that_fits_is_taken_escaped_and_indented(world: World, name: str) -> None:
    for body in largest(OPERATIONS[name]):
        reply = ready(world, name).send(json=None, content=escaped(body), headers=JSON)
        assert reply.status not in (400, 413), reply.content


@pytest.mark.parametrize("name", OPERATIONS)
def test_one_byte_more_than_fits_is_not_read(world: World, name: str) -> None:
    rule = OPERATIONS[name].body
    assert rule is not None
    call = ready(world, name)
    content = json.dumps(call.body).encode()
    most = call.send(json=None, content=content.ljust(rule.limit + 1), headers=JSON)
    assert (most.status, most.code) == (413, "payload_too_large")
    assert [d["message"] for d in most.json["error"]["details"]] == [
        f"is larger than {rule.limit} bytes"
    ]
    assert call.send(json=None, content=content.ljust(rule.limit), headers=JSON).status < 300


def test_a_limit_that_forgets_escapes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every operation has a body that only the true limit lets in."""
    monkeypatch.setattr(size, "WHITE_SPACE", 0)
    monkeypatch.setattr(size, "_BYTES_PER_CHARACTER", 4)  # UTF-8 at its longest
    tight = compile_contract(READING.bundle, registry()).operations
    for name, operation in OPERATIONS.items():
        rule = tight[name].body
        assert rule is not None
        assert any(len(escaped(body)) > rule.limit for body in largest(operation))
