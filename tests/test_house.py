"""The rules of the house: which room may import which, and how long a function may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("server", "contract", "handlers", "storage", "domain")
ALLOWED = {
    "server": {"contract", "handlers", "storage", "domain"},
    "handlers": {"domain"},
    "storage": {"domain"},
    "contract": set(),
    "domain": set(),
}
FRAMEWORKS = {"connexion", "flask", "starlette", "uvicorn", "werkzeug", "sqlalchemy", "alembic"}
"""Libraries that the rules, and the handlers that call them, must not know."""


def imported(source: str) -> Iterator[str]:
    """The top-level package of every import in a module, nested ones included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def offences(room: str, source: str) -> list[str]:
    """What a module of ``room`` imports although the rule forbids it."""
    names = set(imported(source))
    foreign = {name for name in names & set(ROOMS) if name not in ALLOWED[room] | {room}}
    if room in ("domain", "handlers"):
        foreign |= names & FRAMEWORKS
    if room != "storage":
        foreign |= names & {"sqlalchemy", "alembic"}
    return sorted(foreign)


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_one_way(room: str) -> None:
    found = {
        str(path.relative_to(ROOT)): wrong
        for path in modules(room)
        if (wrong := offences(room, path.read_text(encoding="utf-8")))
    }
    assert modules(room)
    assert not found


@pytest.mark.parametrize(
    ("room", "snippet", "expected"),
    [
        ("domain", "def f():\n    from storage.store import SqlStore\n", ["storage"]),
        ("domain", "import flask", ["flask"]),
        ("contract", "import domain.errors", ["domain"]),
        ("handlers", "from storage import store", ["storage"]),
        ("storage", "import server.app", ["server"]),
        ("server", "from sqlalchemy import select", ["sqlalchemy"]),
    ],
)
def test_a_bad_import_is_found(room: str, snippet: str, expected: list[str]) -> None:
    assert offences(room, snippet) == expected


@pytest.mark.parametrize("room", ROOMS)
def test_what_the_rule_allows_passes(room: str) -> None:
    assert offences(room, "".join(f"import {name}\n" for name in ALLOWED[room])) == []


def lengths(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.end_lineno - node.lineno + 1, node.name


def test_functions_are_short() -> None:
    sizes = [
        (size, f"{path.relative_to(ROOT)}:{name}")
        for room in ROOMS
        for path in modules(room)
        for size, name in lengths(path.read_text(encoding="utf-8"))
    ]
    numbers = [size for size, _ in sizes]
    measured = median(numbers), quantiles(numbers, n=10)[-1], max(sizes)
    print(f"median {measured[0]}, p90 {measured[1]}, longest {measured[2]}")
    assert measured[0] <= 8
    assert measured[1] <= 25
    assert measured[2][0] <= 50, measured[2]


def test_a_long_function_is_found() -> None:
    source = "def f():\n" + "    pass\n" * 60
    assert max(lengths(source)) == (61, "f")


@pytest.mark.parametrize("stem", ["auth", "mfa", "admin", "meta"])
def test_a_noun_has_one_stem_in_every_room(stem: str) -> None:
    for room in ("spec/paths", "handlers", "domain"):
        assert list((ROOT / room).glob(f"{stem}.*")), f"{room}/{stem}"
    assert list((ROOT / "tests").glob(f"*/test_{stem}.py")), stem


def test_the_spec_holds_no_python_name() -> None:
    for path in (ROOT / "spec").rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert "handlers." not in text
        assert "x-openapi-router-controller" not in text
