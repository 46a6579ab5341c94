"""``countersign mock``: any spec that lints, served from its examples."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial, reduce
from pathlib import Path
from typing import Any

from contract.app import ContractApp, create_app
from contract.bundle import Bundle, load
from contract.compile import compile_contract
from contract.grammar import METHODS
from contract.mock.answers import Answers, declared
from contract.mock.tokens import Tokens
from contract.replies import Refused
from contract.violations import step
from server import docs
from server.extensions import registry
from server.sunset import announced, refuse_unfit


def create(root: Path) -> tuple[ContractApp, Tokens]:
    """The application, and the bearer tokens that it admits.

    It has no handlers and asks for no settings, keys or database; what the ``x-`` keys mean to the
    rules has no effect. Raises SpecError listing every error, examples that do not fit included.
    """
    extensions = registry()
    bundle = load(root.resolve(), extensions, examples="error")
    refuse_unfit(bundle)
    whole = reduce(declared, _operations(bundle), announced(bundle))
    contract = compile_contract(whole, extensions)
    answers = Answers(contract, contract.operations.values())
    tokens = Tokens(contract, answers)
    application = create_app(
        contract,
        registry=extensions,
        handlers={},
        services=None,
        authenticate=tokens.authenticate,
        refusals=(Refused,),
        # Without rules there is nothing to explain.
        docs=partial(docs.pages, explained=list[Any], texts=bundle.texts),
        stand_in=answers.handler,
    )
    return application, tokens


def _operations(bundle: Bundle) -> Iterator[str]:
    """The pointer of each operation."""
    for path, item in bundle.document["paths"].items():
        yield from (f"/paths{step(path)}/{method}" for method in item if method in METHODS)
