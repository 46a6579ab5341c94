"""Reading the spec as the server does: load, lint, compile, bind, policies, rehearsal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Literal

import handlers
from contract.bundle import Bundle, load
from contract.compile import Contract, compile_contract
from contract.completeness import Handler, StandIn, argument_names, bind, missing
from contract.diagnostics import Diagnostic, SpecError, error, in_order, warning
from contract.extensions import Registry
from contract.mock.answers import EXAMPLE, Answers, declared
from contract.prune import without
from domain.policy import Policies
from server.extensions import ATTEMPTS, AUDIT, registry
from server.features import switched_off
from server.policies import build
from server.rehearsal import rehearse, unrehearsed
from server.sunset import announced, refuse_unfit

_HELPERS = frozenset({"packing"})
HANDLERS = MappingProxyType(
    {
        found.name: import_module(f"handlers.{found.name}")
        for found in iter_modules(handlers.__path__)
        if found.name not in _HELPERS
    }
)
"""The handler module of each stem (``spec/paths/<stem>.yaml``): every one that there is."""
CONTEXT = ("client", "policy", "trail")
"""What a handler may ask for besides what its operation gives; ``server.app`` makes them."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a spec, from the files to the policies.

    ``contract`` is what is served: the whole one without the features that are switched off.
    ``stand_in`` answers for the operations that have no handler; None where there is none of them.
    """

    bundle: Bundle
    whole: Contract
    contract: Contract
    policies: Policies
    registry: Registry
    stand_in: StandIn | None = None


def read(
    root: Path,
    examples: Literal["warning", "error"] = "warning",
    features_off: Collection[str] = (),
    texts: Mapping[str, str] | None = None,
    unimplemented: Literal["warning", "error"] = "error",
) -> Reading:
    """Read the spec whose root file is ``root``. Raises SpecError listing every error.

    What is switched off is held to all the rules before it goes, so that it can come back.
    ``texts``, those of an earlier reading's bundle, are read in place of the files. With
    ``unimplemented="warning"`` an operation without a handler is answered from its examples.
    """
    extensions = registry()
    bundle = load(root.resolve(), extensions, examples=examples, links="later", texts=texts)
    off = switched_off(bundle, features_off)
    contract, stand_in = compile_contract(announced(bundle, off), extensions), None
    absent = missing(contract, HANDLERS)
    if absent and unimplemented == "warning":
        contract, stand_in = _shown(contract, absent, extensions)
    bound = bind(contract, HANDLERS, CONTEXT, stand_in)
    refuse_unfit(bundle)
    implemented = {name: bound[name] for name in bound if name not in absent}
    policies = build(contract, contract.bundle)
    _refuse_unheard(contract, implemented)
    rehearse(contract, policies)
    told = [*contract.bundle.warnings, *unrehearsed(contract, implemented)]
    bundle = replace(contract.bundle, warnings=tuple(in_order(told)))
    served = compile_contract(without(bundle, off), extensions) if off else contract
    return Reading(bundle, contract, served, policies, extensions, stand_in)


def _shown(
    contract: Contract, absent: Mapping[str, Diagnostic], extensions: Registry
) -> tuple[Contract, StandIn]:
    """The contract with what the replies of these operations carry, and what answers for them."""
    pointers = [contract.operations[name].pointer for name in absent]
    told = [
        warning(each.location, f"{each.message}; its examples are sent") for each in absent.values()
    ]
    bundle = reduce(declared, pointers, contract.bundle)
    bundle = replace(bundle, warnings=(*bundle.warnings, *told))
    contract = compile_contract(bundle, extensions)
    answers = Answers(contract, [contract.operations[name] for name in absent], mark=EXAMPLE)
    return contract, answers.handler


_HEARD = ((ATTEMPTS.name, "policy"), (AUDIT.name, "trail"))
"""The argument through which an extension reaches an act: budgets to charge, an event to record."""


def _refuse_unheard(contract: Contract, handlers: Mapping[str, Handler]) -> None:
    """What a handler does not ask for has no effect, and nobody would notice."""
    faults = [
        error(
            contract.bundle.where(f"{operation.pointer}/{extension}", key=True),
            f'"{extension}" has no effect: the handler of {name} takes no "{argument}"',
        )
        for name, handler in handlers.items()
        for operation in [contract.operations[name]]
        for extension, argument in _HEARD
        if extension in operation.extensions and argument not in argument_names(handler)
    ]
    if faults:
        raise SpecError(in_order(faults))
