from __future__ import annotations

import dataclasses
import json

import pytest

from domain import results
from domain.services import Services
from handlers import meta
from handlers.packing import pack


def test_the_key_set_is_a_bare_one(services: Services) -> None:
    data = meta.get_jwks(services)
    assert set(data) == {"keys"}
    assert json.loads(json.dumps(data)) == data


def test_health_is_a_word_and_readiness_names_the_contract_too(services: Services) -> None:
    assert meta.get_liveness(services) == {"status": "ok"}
    assert meta.get_readiness(services) == {"status": "ok", "revision": services.revision}


def test_every_result_has_a_packer() -> None:
    made = [
        kind
        for kind in vars(results).values()
        if dataclasses.is_dataclass(kind) and kind.__module__ == results.__name__
    ]
    assert len(made) > 10
    assert all(kind in pack.registry for kind in made)


def test_a_result_without_a_packer_is_an_error_and_tells_no_value() -> None:
    with pytest.raises(TypeError, match=r"no packer for str$"):
        pack("a secret")
