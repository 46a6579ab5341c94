"""The catalogue of extensions is written from their schemas, and names every member of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from contract.extensions import Extension, Registry
from server.catalogue import catalogue
from server.extensions import registry
from tests.support.servers import ROOT
from tests.support.world import SHIPPED, reading_of

PAGE = ROOT / "docs" / "extensions.md"


def objects(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every object schema with members of its own."""
    if "properties" in schema:
        yield schema
        for member in schema["properties"].values():
            yield from objects(member)


def known() -> list[Extension]:
    extensions = registry()
    return [e for name in extensions.names() if (e := extensions.get(name)) is not None]


def test_the_page_is_what_the_schemas_say() -> None:
    reading = reading_of(SHIPPED)
    assert PAGE.read_text("utf-8") == catalogue(reading.registry, reading.bundle.document), (
        "countersign spec extensions > docs/extensions.md"
    )


@pytest.mark.parametrize("extension", known(), ids=lambda each: each.name)
def test_every_extension_and_every_member_says_what_it_decides(extension: Extension) -> None:
    assert extension.schema["description"].endswith(".")
    page = PAGE.read_text("utf-8")
    section = page.partition(f"## `{extension.name}`\n")[2].partition("\n## ")[0]
    for schema in objects(extension.schema):
        for name, member in schema["properties"].items():
            assert f"| `{name}` | " in section
            assert member["description"] in section


def test_a_member_that_says_nothing_is_not_catalogued() -> None:
    silent = {"type": "object", "description": "Planted.", "properties": {"x": {"type": "string"}}}
    extensions = Registry()
    extensions.register(Extension("x-planted", frozenset({"operation"}), silent, dict))
    with pytest.raises(KeyError, match="description"):
        catalogue(extensions, {"x-planted": {}})


def test_the_first_use_is_shown_and_the_statuses_that_it_asks_for() -> None:
    schema = {"description": "Planted.", "enum": ["a", "b"]}
    extensions = Registry()
    extensions.register(
        Extension("x-planted", frozenset({"schema"}), schema, str, lambda v: frozenset({f"40{v}"}))
    )
    page = catalogue(extensions, {"deep": [{"x-planted": "a"}, {"x-planted": "b"}]})
    assert "Value: `a` or `b`." in page
    assert "```yaml\nx-planted: a\n```" in page
    assert "has to declare 40a." in page
