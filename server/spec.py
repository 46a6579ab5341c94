"""Reading the spec as the server does: load, lint, compile, bind, policies, rehearsal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import handlers.admin
import handlers.auth
import handlers.meta
import handlers.mfa
from contract.bundle import Bundle, load
from contract.compile import Contract, compile_contract
from contract.completeness import Handler, argument_names, bind
from contract.diagnostics import SpecError, error, in_order
from contract.extensions import Registry
from contract.prune import without
from domain.policy import Policies
from server.extensions import ATTEMPTS, AUDIT, registry
from server.features import switched_off
from server.policies import build
from server.rehearsal import rehearse

HANDLERS = MappingProxyType(
    {
        "auth": handlers.auth,
        "mfa": handlers.mfa,
        "admin": handlers.admin,
        "meta": handlers.meta,
    }
)
"""The handler module of each stem (``spec/paths/<stem>.yaml``)."""
CONTEXT = ("client", "policy", "trail")
"""What a handler may ask for besides what its operation gives; ``server.app`` makes them."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a spec, from the files to the policies.

    ``contract`` is what is served: the whole one without the features that are switched off.
    """

    bundle: Bundle
    whole: Contract
    contract: Contract
    policies: Policies
    registry: Registry


def read(
    root: Path,
    examples: Literal["warning", "error"] = "warning",
    features_off: Collection[str] = (),
    texts: Mapping[str, str] | None = None,
) -> Reading:
    """Read the spec whose root file is ``root``. Raises SpecError listing every error.

    What is switched off is held to all the rules before it goes, so that it can come back.
    ``texts``, those of an earlier reading's bundle, are read in place of the files.
    """
    extensions = registry()
    bundle = load(root.resolve(), extensions, examples=examples, links="later", texts=texts)
    contract = compile_contract(bundle, extensions)
    bound = bind(contract, HANDLERS, CONTEXT)
    policies = build(contract, bundle)
    _refuse_unheard(contract, bound)
    rehearse(contract, policies)
    off = switched_off(contract, features_off)
    served = compile_contract(without(bundle, off), extensions) if off else contract
    return Reading(bundle, contract, served, policies, extensions)


_HEARD = ((ATTEMPTS.name, "policy"), (AUDIT.name, "trail"))
"""The argument through which an extension reaches an act: budgets to charge, an event to record."""


def _refuse_unheard(contract: Contract, handlers: Mapping[str, Handler]) -> None:
    """What a handler does not ask for has no effect, and nobody would notice."""
    faults = [
        error(
            contract.bundle.where(f"{operation.pointer}/{extension}", key=True),
            f'"{extension}" has no effect: the handler of {name} takes no "{argument}"',
        )
        for name, operation in contract.operations.items()
        for extension, argument in _HEARD
        if extension in operation.extensions and argument not in argument_names(handlers[name])
    ]
    if faults:
        raise SpecError(in_order(faults))
