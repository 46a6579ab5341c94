"""``COUNTERSIGN_FEATURES_OFF``: operations that the spec has and this server is to be without."""

from __future__ import annotations

from collections.abc import Collection

from contract.bundle import Bundle
from contract.diagnostics import SpecError, error
from contract.extensions import Registry
from contract.lint.lens import Lens
from server.extensions import FEATURE


def switched_off(bundle: Bundle, features: Collection[str]) -> frozenset[str]:
    """The operationIds that belong to these features.

    Raises SpecError where no operation has one of them; it lists those of the spec.
    """
    found = {
        operation.name: operation.value[FEATURE.name]
        for operation in Lens(bundle, Registry()).operations()
        if FEATURE.name in operation.value
    }
    known = sorted(set(found.values()))
    if not set(features) <= set(known):
        place = bundle.where("/paths", key=True)
        sentence = "COUNTERSIGN_FEATURES_OFF names a feature that no operation has; there are: "
        raise SpecError([error(place, sentence + (", ".join(known) or "none"))])
    return frozenset(name for name, feature in found.items() if feature in features)
