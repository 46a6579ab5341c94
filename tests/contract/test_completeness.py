"""Every operation has its function, every function its operation, and the two fit."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from contract.compile import Contract
from contract.completeness import bind
from contract.diagnostics import SpecError
from tests.contract.lab import access, things
from tests.contract.lab.stage import contract

COMPILED: Contract = contract()
CONTEXT = ("caller",)


def module(name: str, base: ModuleType, **changes: Callable[..., Any] | None) -> ModuleType:
    """A copy of a handler module; a change of None leaves a function out."""
    copy = ModuleType(name)
    members = {n: f for n, f in vars(base).items() if getattr(f, "__module__", "") == base.__name__}
    for key, function in (members | changes).items():
        if function is not None:
            function = _moved(function, name, key)
            setattr(copy, key, function)
    return copy


def _moved(function: Callable[..., Any], module_name: str, name: str) -> Callable[..., Any]:
    from types import FunctionType

    assert isinstance(function, FunctionType)
    clone = FunctionType(function.__code__, function.__globals__, name, function.__defaults__)
    clone.__kwdefaults__ = function.__kwdefaults__
    clone.__module__ = module_name
    return clone


def problems(**handlers: ModuleType | None) -> list[str]:
    given = {"things": things, "access": access} | handlers
    with pytest.raises(SpecError) as caught:
        bind(COMPILED, {k: v for k, v in given.items() if v is not None}, CONTEXT)
    return [str(d) for d in caught.value.diagnostics]


def edit(**changes: Callable[..., Any] | None) -> list[str]:
    return problems(things=module("handlers.things", things, **changes))


def line_of(file: str, text: str) -> int:
    lines = (COMPILED.bundle.root.parent / file).read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if text in line)


def test_the_lab_is_complete_both_ways() -> None:
    bound = bind(COMPILED, {"things": things, "access": access}, CONTEXT)
    assert set(bound) == set(COMPILED.operations)
    assert bound["getThing"] is things.get_thing


def test_an_operation_without_a_function_is_named_at_its_operation_id() -> None:
    (said,) = edit(get_thing=None)
    line = line_of("paths/things.yaml", "operationId: getThing")
    assert said == (
        f'spec/paths/things.yaml:{line}:18: error: "getThing" has no handler: '
        "handlers.things.get_thing does not exist"
    )


def test_a_misspelt_function_is_named_from_both_sides() -> None:
    missing, root = edit(get_thing=None, get_thign=things.get_thing)
    assert "no operation is served by handlers.things.get_thign" in root
    assert root.startswith(f"spec/openapi.yaml:{line_of('openapi.yaml', 'paths:')}:1: error: ")
    assert missing.endswith('does not exist (did you mean "get_thign"?)')


def test_a_missing_module_is_named_at_each_of_its_operations() -> None:
    found = problems(access=None)
    assert len(found) == 2
    assert all('there is no module for "access"' in text for text in found)
    assert all(text.startswith("spec/paths/access.yaml:") for text in found)


def test_a_module_that_no_path_file_names_is_idle() -> None:
    spare = module("handlers.spare", things, **{n: None for n in dir(things) if n != "get_plain"})
    assert spare is not things
    (said,) = problems(spare=spare)
    assert "no operation is served by handlers.spare.get_plain" in said


def test_what_a_module_imports_or_hides_is_no_handler() -> None:
    extended = module("handlers.things", things)
    extended.helper = contract  # type: ignore[attr-defined] # another module's
    extended._private = _moved(things.get_plain, "handlers.things", "_private")  # type: ignore[attr-defined]
    extended.Kind = type("Kind", (), {"__module__": "handlers.things"})  # type: ignore[attr-defined]
    assert bind(COMPILED, {"things": extended, "access": access}, CONTEXT)


async def coroutine(services: Any) -> None: ...


MISFITS = [
    ("get_plain", lambda services, body: None, 'asks for "body", which "getPlain" does not give'),
    (
        "get_plain",
        lambda services, session: None,
        'asks for "session", which "getPlain" does not give',
    ),
    ("get_plain", lambda services, *rest: None, 'asks for "rest"'),
    ("get_plain", lambda services, **rest: None, 'asks for "rest"'),
    ("get_plain", lambda services, services_too, /: None, 'asks for "services_too"'),
    ("get_plain", lambda: None, 'the first parameter of handlers.things.get_plain is "services"'),
    (
        "get_plain",
        lambda caller: None,
        'the first parameter of handlers.things.get_plain is "services"',
    ),
    ("get_plain", coroutine, "is a coroutine function"),
    (
        "list_things",
        lambda services, limits: None,
        'asks for "limits", which "listThings" does not give (did you mean "limit"?)',
    ),
    (
        "create_thing",
        lambda services, caller: None,
        'does not take "body", which "createThing" requires',
    ),
    ("get_thing", lambda services: None, 'does not take "thing_id", which "getThing" requires'),
]


@pytest.mark.parametrize(("name", "function", "said"), MISFITS)
def test_a_signature_that_does_not_fit_is_named_at_the_operation(
    name: str, function: Callable[..., Any], said: str
) -> None:
    found = edit(**{name: function})
    assert any(said in text for text in found)
    assert all(text.startswith("spec/paths/things.yaml:") for text in found)


FITS = [
    ("get_plain", lambda services, caller: None),
    ("list_things", lambda services: None),
    ("list_things", lambda services, *, limit, x_trace=None: None),
    ("remove_thing", lambda services, thing_id: None),
]


@pytest.mark.parametrize(("name", "function"), FITS)
def test_a_handler_takes_only_what_it_needs(name: str, function: Callable[..., Any]) -> None:
    edited = module("handlers.things", things, **{name: function})
    assert bind(COMPILED, {"things": edited, "access": access}, CONTEXT)


def test_a_parameter_must_not_hide_what_the_contract_gives() -> None:
    with pytest.raises(SpecError, match='the parameter "limit" of "listThings" has a name that is'):
        bind(COMPILED, {"things": things, "access": access}, (*CONTEXT, "limit"))
