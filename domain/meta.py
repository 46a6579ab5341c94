"""What the server says about itself: one public function for each of ``paths/meta.yaml``."""

from __future__ import annotations

from domain.results import Health, KeySet, Readiness
from domain.services import Services

OK = Health("ok")


def get_jwks(services: Services) -> KeySet:
    """The public keys that access tokens are checked with."""
    return KeySet(tuple(services.tokens.jwks(services.clock.now())["keys"]))


def get_liveness(_services: Services) -> Health:
    """That the process answers; it says nothing about what the process needs."""
    return OK


def get_readiness(services: Services) -> Readiness:
    """That the database answers with the expected schema, and that the keys are those of its rows.

    Raises :class:`Unavailable`, :class:`KeysUnfit`.
    """
    services.store.ping()
    services.keys.check()
    return Readiness(OK.status, services.revision)
