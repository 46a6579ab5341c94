"""``spec/paths/mfa.yaml`` is the seed plus additions: what clients were promised first stays."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

SEED = Path(__file__).parent / "seed_mfa.yaml"
SHIPPED = Path(__file__).parents[2] / "spec" / "paths" / "mfa.yaml"

# Of the seed's bytes: an edit of the copy would let the contract drift along with it.
SEED_SHA256 = "6822dc5adf88e92edcd8cdf19d6f32c75a7226805e03658b74172af2ec71dcd9"

ADDABLE_STATUSES = frozenset({"400", "409", "413", "415", "429", "500", "503"})
# What describes an operation further. `parameters`, `requestBody`, a method or a path item would
# change what a client has to send, so they are no additions.
ADDABLE_KEYS = frozenset({"description", "headers", "example", "examples", "links", "required"})


def deviations(seed: Any, shipped: Any, at: str = "") -> list[str]:
    """Where ``shipped`` is not ``seed`` plus additions: one line each, none where it is."""
    if isinstance(seed, dict) and isinstance(shipped, dict):
        if "$ref" in seed:
            return _reference(seed, shipped, at)
        return _mapping(seed, shipped, at)
    if isinstance(seed, list) and isinstance(shipped, list) and len(seed) == len(shipped):
        pairs = enumerate(zip(seed, shipped, strict=True))
        return [line for i, (a, b) in pairs for line in deviations(a, b, f"{at}/{i}")]
    return [] if type(seed) is type(shipped) and seed == shipped else [f"{at}: changed"]


def _mapping(seed: dict[str, Any], shipped: dict[str, Any], at: str) -> list[str]:
    found = [f"{at}/{key}: gone" for key in seed if key not in shipped]
    found += [f"{at}/{key}: added" for key in shipped if key not in seed and not _addable(key, at)]
    kept = [key for key in seed if key in shipped]
    if [key for key in shipped if key in seed] != kept:
        found.append(f"{at}: order changed")
    return found + [line for k in kept for line in deviations(seed[k], shipped[k], f"{at}/{k}")]


def _addable(key: str, at: str) -> bool:
    if at.endswith("/responses"):
        return key in ADDABLE_STATUSES
    # The file and a path item (`/setup`) hold names of ours and methods: nothing is added there.
    return at.count("/") > 1 and (key in ADDABLE_KEYS or key.startswith("x-"))


def _reference(seed: dict[str, str], shipped: dict[str, Any], at: str) -> list[str]:
    """The same ``$ref``, or an ``allOf`` around it that gives ``data`` a type and no more."""
    if shipped == seed:
        return []
    wrapped = shipped.get("allOf")
    if set(shipped) != {"allOf"} or not isinstance(wrapped, list) or wrapped[:1] != [seed]:
        return [f"{at}: changed"]
    return [f"{at}/allOf: more than data" for part in wrapped[1:] if not _types_data(part)]


def _types_data(part: dict[str, Any]) -> bool:
    keys = {"type", "required", "properties"}
    return set(part) <= keys and set(part.get("properties", ())) == {"data"}


def lost_lines(seed: str, shipped: str) -> list[str]:
    """The lines of ``seed`` from the first on that ``shipped`` lacks at its place; none if all are.

    Comments and order are part of the seed, and a parsed document has neither.
    """
    # A wrapped `$ref` stands in a list; the rest of its line is the seed's.
    rest = (line.strip().removeprefix("- ") for line in shipped.splitlines())
    wanted = (line.strip().removeprefix("- ") for line in seed.splitlines())
    return [line for line in wanted if line and line not in rest]  # `in` consumes `rest`


def _load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture
def seed() -> Any:
    return _load(SEED)


def test_the_seed_is_the_one_that_was_given() -> None:
    assert hashlib.sha256(SEED.read_bytes()).hexdigest() == SEED_SHA256


def test_the_shipped_file_is_the_seed_plus_additions(seed: Any) -> None:
    assert deviations(seed, _load(SHIPPED)) == []


def test_the_shipped_text_keeps_the_lines_of_the_seed_in_order() -> None:
    assert lost_lines(SEED.read_text("utf-8"), SHIPPED.read_text("utf-8")) == []


@pytest.mark.parametrize("line", ["# Multi-Factor Authentication Endpoints", "verify:"])
def test_a_planted_loss_of_a_line_is_found(line: str) -> None:
    shipped = SHIPPED.read_text("utf-8").replace(f"{line}\n", "")
    assert lost_lines(SEED.read_text("utf-8"), shipped)[0] == line


VERIFY = ("verify", "post")
DONE = (*VERIFY, "responses", "200", "content", "application/json")


def _at(document: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


def _put(path: tuple[str, ...], value: Any) -> Callable[[Any], None]:
    return lambda document: _at(document, path[:-1]).__setitem__(path[-1], value)


def _drop(*path: str) -> Callable[[Any], None]:
    return lambda document: _at(document, path[:-1]).__delitem__(path[-1])


def _append(path: tuple[str, ...], value: Any) -> Callable[[Any], None]:
    return lambda document: _at(document, path).append(value)


def _reverse(*path: str) -> Callable[[Any], None]:
    def edit(document: Any) -> None:
        mapping = _at(document, path)
        for key in reversed(list(mapping)):
            mapping[key] = mapping.pop(key)

    return edit


def _wrap(*parts: dict[str, Any]) -> Callable[[Any], None]:
    return _put((*DONE, "schema"), {"allOf": list(parts)})


ENVELOPE = {"$ref": "../schemas/common.yaml#/ApiResponse"}
DATA = {"$ref": "../schemas/mfa.yaml#/BackupCodeVerifyResponse"}
TYPED = {"type": "object", "required": ["data"], "properties": {"data": DATA}}
REPLY = {"$ref": "../components/responses.yaml#/Conflict"}


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda document: None, id="nothing"),
        *(
            pytest.param(_put(("setup", "post", "responses", status), REPLY), id=status)
            for status in sorted(ADDABLE_STATUSES)
        ),
        pytest.param(_put(("setup", "post", "description"), "More."), id="a description"),
        pytest.param(_put((*VERIFY, "x-attempts"), {}), id="an extension"),
        pytest.param(_put((*VERIFY, "responses", "200", "headers"), {}), id="headers"),
        pytest.param(_put((*VERIFY, "responses", "200", "links"), {}), id="links"),
        pytest.param(_put((*DONE, "examples"), {}), id="examples"),
        pytest.param(_wrap(ENVELOPE, TYPED), id="data with a type"),
    ],
)
def test_an_addition_is_no_deviation(seed: Any, edit: Callable[[Any], None]) -> None:
    shipped = _load(SEED)
    edit(shipped)
    assert deviations(seed, shipped) == []


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (_drop("status"), "/status: gone"),
        (_drop("setup", "post"), "/setup/post: gone"),
        (_drop(*VERIFY, "security"), "/verify/post/security: gone"),
        (_drop(*VERIFY, "summary"), "/verify/post/summary: gone"),
        (_drop(*VERIFY, "responses", "401"), "/verify/post/responses/401: gone"),
        (_put(("recover",), {}), "/recover: added"),
        (_put(("x-recover",), {}), "/x-recover: added"),
        (_put(("setup", "get"), {}), "/setup/get: added"),
        (_put(("setup", "parameters"), []), "/setup/parameters: added"),
        (_put(("setup", "post", "requestBody"), {}), "/setup/post/requestBody: added"),
        (_put((*VERIFY, "parameters"), []), "/verify/post/parameters: added"),
        (_put((*VERIFY, "deprecated"), True), "/verify/post/deprecated: added"),
        (_put((*VERIFY, "responses", "201"), REPLY), "/verify/post/responses/201: added"),
        (_put((*VERIFY, "responses", "403"), REPLY), "/verify/post/responses/403: added"),
        (_put((*VERIFY, "responses", "404"), REPLY), "/verify/post/responses/404: added"),
        (_put((*VERIFY, "responses", "x-any"), REPLY), "/verify/post/responses/x-any: added"),
        (_put((*VERIFY, "operationId"), "confirmMFA"), "/verify/post/operationId: changed"),
        (_put((*VERIFY, "summary"), "Finish"), "/verify/post/summary: changed"),
        (_put((*VERIFY, "description"), "Any."), "/verify/post/description: changed"),
        (_put((*VERIFY, "tags"), ["Auth"]), "/verify/post/tags/0: changed"),
        (_append((*VERIFY, "tags"), "Auth"), "/verify/post/tags: changed"),
        (_put((*VERIFY, "security"), [{"bearerAuth": None}]), "/verify/post/security/0/bearer"),
        (_append((*VERIFY, "security"), {}), "/verify/post/security: changed"),
        (_put((*VERIFY, "requestBody", "required"), 1), "/verify/post/requestBody/required: ch"),
        (_put((*VERIFY, "responses", "401"), REPLY), "/verify/post/responses/401: changed"),
        (_reverse(), ": order changed"),
        (_reverse(*VERIFY), "/verify/post: order changed"),
        (_put((*DONE, "schema"), DATA), "/verify/post/responses/200/content/application/json/sch"),
        (_wrap(TYPED, ENVELOPE), "/verify/post/responses/200/content/application/json/schema: ch"),
        (_wrap(DATA, TYPED), "/verify/post/responses/200/content/application/json/schema: ch"),
        (_wrap(ENVELOPE, DATA), "/verify/post/responses/200/content/application/json/schema/al"),
        (
            _wrap(ENVELOPE, {"type": "object", "properties": {"data": DATA, "more": DATA}}),
            "/verify/post/responses/200/content/application/json/schema/allOf: more than data",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_planted_deviation_is_found(seed: Any, edit: Callable[[Any], None], found: str) -> None:
    shipped = _load(SEED)
    edit(shipped)
    lines = deviations(seed, shipped)
    assert len(lines) == 1
    assert lines[0].startswith(found)
