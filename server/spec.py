"""Reading the spec as the server does: load, lint, compile, bind, policies, rehearsal."""

from __future__ import annotations

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
from contract.completeness import bind
from contract.extensions import Registry
from domain.policy import Policies
from server.policies import build, registry
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
CONTEXT = ("client", "policy")
"""What a handler may ask for besides what its operation gives; ``server.app`` makes them."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a spec, from the files to the policies."""

    bundle: Bundle
    contract: Contract
    policies: Policies
    registry: Registry


def read(root: Path, examples: Literal["warning", "error"] = "warning") -> Reading:
    """Read the spec whose root file is ``root``. Raises SpecError listing every error."""
    extensions = registry()
    bundle = load(root.resolve(), extensions, examples=examples, links="later")
    contract = compile_contract(bundle, extensions)
    bind(contract, HANDLERS, CONTEXT)
    policies = build(contract, bundle)
    rehearse(contract, policies)
    return Reading(bundle, contract, policies, extensions)
