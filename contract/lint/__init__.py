"""The house rules of a spec, over its bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.diagnostics import Diagnostic, Severity, in_order
from contract.extensions import Registry
from contract.lint import (
    backstop,
    bodies,
    documents,
    examples,
    links,
    operations,
    responses,
    workflows,
)
from contract.lint import schemas as schema_rules
from contract.lint.lens import Lens

if TYPE_CHECKING:
    from contract.bundle import Bundle

_RULES = (documents, operations, responses, schema_rules, bodies, links, workflows, backstop)


def lint(
    bundle: Bundle, registry: Registry, example_severity: Severity = "warning"
) -> tuple[list[Diagnostic], list[Diagnostic]]:
    """Every breach of a house rule, and apart from them what follows from a mistake elsewhere.

    An example that does not fit has the severity given.
    """
    lens = Lens(bundle, registry)
    for rules in _RULES:
        rules.check(lens)
    examples.check(lens, example_severity)
    return in_order(lens.diagnostics), in_order(lens.follows)
