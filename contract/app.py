"""The application: Connexion loads the spec and calls the handlers, this layer keeps the promises."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import connexion
import flask
from connexion.apps.abstract import AbstractApp
from connexion.resolver import Resolution, Resolver

from contract.asgi import App
from contract.bridge import ContractFlask, Lanes
from contract.bundle import load
from contract.compile import Contract, compile_contract
from contract.completeness import REQUEST, Handler, StandIn, argument_names, bind
from contract.extensions import Registry
from contract.guard import Guard, Mode, Observer
from contract.operation import Operation
from contract.replies import ConnectionReplies
from contract.request import Request
from contract.routing import Routing
from contract.view import Gate, Hooks, View

Pages = Callable[[dict[str, Any]], Mapping[str, App]]
Around = Callable[[App], App]


def create_app(
    spec: Path | Contract,
    *,
    registry: Registry,
    handlers: Mapping[str, ModuleType],
    services: Any,
    authenticate: Callable[[Request, Operation], Any],
    refusals: tuple[type[Exception], ...],
    context: Mapping[str, Callable[[Request], Any]] | None = None,
    mode: Mode = "enforce",
    docs: Pages | None = None,
    observe: Observer | None = None,
    gate: Gate | None = None,
    aside: Collection[str] = (),
    lanes: Lanes | None = None,
    around: Around | None = None,
    stand_in: StandIn | None = None,
) -> ContractApp:
    """An ASGI application that serves a spec, given by its root file or compiled already.

    `handlers` maps the stem of a paths file to the module that serves it; a handler is called as
    `handler(services, **what its signature names)`: `body`, declared parameters, `session` (what
    `authenticate` returned) and the names in `context`. `docs` makes pages, by exact path, from
    the bundled document; they are not held against the spec. `gate` is asked about each request
    that has an operation, before its body is read. Operations named in `aside` are served on a few
    threads of their own. `lanes` are the threads of an application that this one follows; without
    it there are new ones. `around` stands outside the guard and is for what no spec speaks of.
    `stand_in` makes a handler for an operation that has none, which is an error otherwise.
    Raises SpecError with every error.
    """
    contract = spec if isinstance(spec, Contract) else _read(spec, registry)
    given = {**(context or {}), REQUEST: _itself}
    hooks = Hooks(authenticate, given, refusals, gate, aside)
    bound = bind(contract, handlers, context or {}, stand_in)
    pages = docs(contract.document) if docs else {}
    middlewares: list[Any] = [
        *([around] if around else ()),
        functools.partial(Guard, contract=contract, mode=mode, observe=observe),
        functools.partial(Routing, contract=contract, pages=pages),
    ]
    resolver = HandlerResolver(bound, services)
    return ContractApp(contract, resolver, hooks, middlewares, lanes or Lanes())


def _itself(request: Request) -> Request:
    return request


def _read(root: Path, registry: Registry) -> Contract:
    return compile_contract(load(root, registry, links="later"), registry)


class HandlerResolver(Resolver):  # type: ignore[misc] # Connexion carries no types
    """Resolves an operationId to its handler, with the services bound."""

    def __init__(self, handlers: Mapping[str, Handler], services: Any) -> None:
        super().__init__()
        self.names = {name: argument_names(handler) for name, handler in handlers.items()}
        self._bound = {
            name: functools.update_wrapper(functools.partial(handler, services), handler)
            for name, handler in handlers.items()
        }

    def resolve(self, operation: Any) -> Any:
        return Resolution(self._bound[operation.operation_id], operation.operation_id)


class ContractApp(connexion.FlaskApp):  # type: ignore[misc] # Connexion carries no types
    """Connexion's FlaskApp with the contract's layers in place of the default ones.

    Everything is assembled here; the first request finds nothing left to do.
    """

    def __init__(
        self,
        contract: Contract,
        resolver: HandlerResolver,
        hooks: Hooks,
        middlewares: list[Any],
        lanes: Lanes,
    ) -> None:
        self.contract = contract
        self.connection_replies = ConnectionReplies(contract.errors)

        def make_view(operation: Any) -> Callable[..., flask.Response]:
            name = operation.operation_id
            names = resolver.names[name]
            return View(contract.operations[name], operation.function, names, hooks)

        self._middleware_app = ContractFlask(
            __name__, contract=contract, make_view=make_view, hooks=hooks, lanes=lanes
        )
        AbstractApp.__init__(self, __name__, middlewares=middlewares, resolver=resolver)
        self.app: flask.Flask = self._middleware_app.app
        # Not the files once more: they may have changed since they were checked.
        self.add_api(contract.document)
        self._assemble()

    def _assemble(self) -> None:
        stack = self.middleware
        stack.app, stack.middleware_stack = stack._build_middleware_stack()
