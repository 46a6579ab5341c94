"""The house rules of a spec, over its bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.diagnostics import Diagnostic, Severity, in_order
from contract.extensions import Registry
from contract.lint import documents, operations, responses
from contract.lint.lens import Lens

if TYPE_CHECKING:
    from contract.bundle import Bundle


def lint(bundle: Bundle, registry: Registry, examples: Severity = "warning") -> list[Diagnostic]:
    """Every breach of a house rule; `examples` is the severity of one that does not fit."""
    lens = Lens(bundle, registry)
    for rules in (documents, operations, responses):
        rules.check(lens)
    return in_order(lens.diagnostics)
