"""Handlers of ``paths/meta.yaml``: one act, pack."""

from __future__ import annotations

from typing import Any

from domain import meta
from domain.services import Services
from handlers.packing import pack


def get_jwks(services: Services) -> dict[str, Any]:
    return pack(meta.get_jwks(services))


def get_liveness(services: Services) -> dict[str, Any]:
    return pack(meta.get_liveness(services))


def get_readiness(services: Services) -> dict[str, Any]:
    return pack(meta.get_readiness(services))
