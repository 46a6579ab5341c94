"""What a handler may be: unpack, one call into the domain, pack."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from types import ModuleType

import pytest

from handlers import admin, auth, meta, mfa
from tests.api.calls import SPEC_OPERATIONS

HANDLERS = (auth, mfa, admin, meta)
GIVEN = {"services", "trail", "body", "session", "client", "policy"} | {
    parameter.argument
    for operation in SPEC_OPERATIONS.values()
    for parameter in operation.parameters
}
FORBIDDEN = (
    ast.If,
    ast.IfExp,
    ast.Try,
    ast.For,
    ast.While,
    ast.With,
    ast.Lambda,
    ast.BoolOp,
    ast.Compare,
    ast.Raise,
    ast.Assert,
    ast.comprehension,
)


def functions(module: ModuleType) -> list[tuple[str, ast.FunctionDef]]:
    tree = ast.parse(Path(inspect.getfile(module)).read_text("utf-8"))
    return [(module.__name__, node) for node in tree.body if isinstance(node, ast.FunctionDef)]


ALL = [pair for module in HANDLERS for pair in functions(module)]


def acts(function: ast.FunctionDef) -> list[str]:
    """The calls into the domain that a handler makes."""
    return [
        node.func.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in {"auth", "mfa", "admin", "meta"}
    ]


def decisions(function: ast.FunctionDef) -> list[str]:
    return [type(node).__name__ for node in ast.walk(function) if isinstance(node, FORBIDDEN)]


def test_there_is_a_handler_for_each_operation() -> None:
    assert sorted(function.name for _, function in ALL) == sorted(
        operation.function for operation in SPEC_OPERATIONS.values()
    )


@pytest.mark.parametrize(("module", "function"), ALL, ids=[f.name for _, f in ALL])
def test_a_handler_makes_one_call_of_its_own_name_and_decides_nothing(
    module: str, function: ast.FunctionDef
) -> None:
    names = [argument.arg for argument in function.args.args]
    assert acts(function) == [function.name]
    assert decisions(function) == []
    assert len(function.body) == 1
    assert names[0] == "services"
    assert set(names) <= GIVEN


@pytest.mark.parametrize(
    "planted",
    [
        "def f(services):\n    if services:\n        return pack(auth.f(services))",
        "def f(services):\n    try:\n        auth.f(services)\n    except Exception:\n        pass",
        "def f(services):\n    return pack(auth.f(services)) if services else None",
    ],
)
def test_a_handler_that_decides_is_found(planted: str) -> None:
    function = ast.parse(planted).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert decisions(function)


def test_a_handler_that_makes_two_calls_is_found() -> None:
    planted = "def f(services):\n    auth.g(services)\n    return pack(auth.f(services))"
    function = ast.parse(planted).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert acts(function) != ["f"]
