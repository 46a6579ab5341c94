"""Both ways complete: every operation has its function, every function its operation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from types import ModuleType
from typing import Any

from contract.compile import Contract, snake_case
from contract.diagnostics import Diagnostic, Location, SpecError, did_you_mean, error, in_order
from contract.operation import Operation

SERVICES, BODY, SESSION = "services", "body", "session"
REQUEST = "_request"
"""What a stand-in asks for: the request itself, under a name that is no operation's."""
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

Handler = Callable[..., Any]
StandIn = Callable[[Operation], Handler]


def bind(
    contract: Contract,
    handlers: Mapping[str, ModuleType],
    context: Collection[str],
    stand_in: StandIn | None = None,
) -> dict[str, Handler]:
    """The handler of each operation, by operationId.

    `handlers` maps the stem of a paths file to its module, `context` names what handlers may ask
    for besides what the operation gives. `stand_in` makes a handler for an operation that has
    none. Raises SpecError with everything that does not fit.
    """
    found: dict[str, Handler] = {}
    problems: list[Diagnostic] = []
    absent = missing(contract, handlers)
    for operation in contract.operations.values():
        handler = _functions(handlers.get(operation.stem)).get(operation.function)
        if handler is not None:
            found[operation.id] = handler
            place = contract.bundle.where(f"{operation.pointer}/operationId")
            problems += [error(place, text) for text in _misfits(operation, handler, context)]
        elif stand_in is not None:
            found[operation.id] = stand_in(operation)
    # What follows from a mistake in an operationId is told after the mistake itself.
    follow = [*_idle(contract, handlers), *contract.bundle.adrift]
    if stand_in is None or follow:
        problems += absent.values()
    if problems or follow:
        raise SpecError([*in_order(problems), *in_order(follow)])
    return found


def missing(contract: Contract, handlers: Mapping[str, ModuleType]) -> dict[str, Diagnostic]:
    """Each operation without a handler, by operationId, with the error at that place."""
    return {
        operation.id: error(
            contract.bundle.where(f"{operation.pointer}/operationId"),
            _missing(operation, handlers, contract),
        )
        for operation in contract.operations.values()
        if operation.function not in _functions(handlers.get(operation.stem))
    }


def argument_names(handler: Handler) -> tuple[str, ...]:
    """What a handler asks for after `services`."""
    return tuple(inspect.signature(handler).parameters)[1:]


def _functions(module: ModuleType | None) -> dict[str, Handler]:
    """Public functions that a module defines itself; none where there is no module."""
    return {
        name: value
        for name, value in (vars(module) if module else {}).items()
        if inspect.isfunction(value)
        and value.__module__ == getattr(module, "__name__", None)
        and not name.startswith("_")
    }


def _missing(operation: Operation, handlers: Mapping[str, ModuleType], contract: Contract) -> str:
    module = handlers.get(operation.stem)
    if module is None:
        return f'"{operation.id}" has no handler: there is no module for "{operation.stem}"'
    hint = did_you_mean(operation.function, _unclaimed(operation.stem, module, contract))
    where = f"{module.__name__}.{operation.function}"
    return f'"{operation.id}" has no handler: {where} does not exist{hint}'


def _unclaimed(stem: str, module: ModuleType, contract: Contract) -> list[str]:
    claimed = {op.function for op in contract.operations.values() if op.stem == stem}
    claimed |= set(map(snake_case, contract.bundle.off))
    return [name for name in _functions(module) if name not in claimed]


def _idle(contract: Contract, handlers: Mapping[str, ModuleType]) -> Iterator[Diagnostic]:
    place: Location = contract.bundle.where("/paths", key=True)
    for stem, module in handlers.items():
        for name in _unclaimed(stem, module, contract):
            yield error(place, f"no operation is served by {module.__name__}.{name}")


def _misfits(operation: Operation, handler: Handler, context: Collection[str]) -> Iterator[str]:
    where = f"{handler.__module__}.{handler.__name__}"
    if inspect.iscoroutinefunction(handler):
        yield f"{where} is a coroutine function: a handler is a plain one"
    parameters = list(inspect.signature(handler).parameters.values())
    if not parameters or parameters[0].name != SERVICES:
        yield f'the first parameter of {where} is "{SERVICES}"'
    given = _given(operation) | set(context)
    for parameter in parameters[1:]:
        if parameter.kind not in _NAMED or parameter.name not in given:
            hint = did_you_mean(parameter.name, given)
            yield f'{where} asks for "{parameter.name}", which "{operation.id}" does not give{hint}'
    if SESSION in given and not operation.security.mandatory and _wants_session(handler):
        yield f'{where} wants a session, and "{operation.id}" may be called without a token'
    for name in sorted(_due(operation).difference(p.name for p in parameters)):
        yield f'{where} does not take "{name}", which "{operation.id}" requires'
    yield from taken(operation, context)


def taken(operation: Operation, context: Collection[str]) -> Iterator[str]:
    """The parameters that no handler can be given, since their names mean something else to it."""
    for name in sorted(_declared(operation) & {SERVICES, BODY, SESSION, *context}):
        yield f'the parameter "{name}" of "{operation.id}" has a name that is taken'


def _wants_session(handler: Handler) -> bool:
    """Whether the annotation of `session` says that it is never None."""
    parameter = inspect.signature(handler).parameters.get(SESSION)
    if parameter is None or parameter.annotation is inspect.Parameter.empty:
        return False
    return "None" not in str(parameter.annotation)


def _declared(operation: Operation) -> set[str]:
    return {parameter.argument for parameter in operation.parameters}


def _given(operation: Operation) -> set[str]:
    names = _declared(operation) | ({BODY} if operation.body else set())
    return names | ({SESSION} if operation.security.bearer else set())


def _due(operation: Operation) -> set[str]:
    names = {p.argument for p in operation.parameters if p.where == "path"}
    return names | ({BODY} if operation.body and operation.body.required else set())
