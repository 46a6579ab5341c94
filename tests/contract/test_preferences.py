"""`Prefer` is read as RFC 7240 section 2 has it, and what is none is passed over."""

from __future__ import annotations

import time

import pytest

from contract.mock.preferences import applied, preferences


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ([], {}),
        (["code=409"], {"code": "409"}),
        (["code=409, example=taken"], {"code": "409", "example": "taken"}),
        (["code=409", "example=taken"], {"code": "409", "example": "taken"}),
        (["CODE = 409 , Dynamic= true"], {"code": "409", "dynamic": "true"}),
        (["code=409, code=404"], {"code": "409"}),
        (['example="a, b; \\"c\\""'], {"example": 'a, b; "c"'}),
        (['example=""'], {"example": ""}),
        (["example"], {"example": ""}),
        (["respond-async; wait=10, code=409; x=y"], {"respond-async": "", "code": "409"}),
        (["=, ,;, code=409,"], {"code": "409"}),
        (["code=4 0 9, example=taken"], {"example": "taken"}),
        (["code=409" + " " * 2000], {}),
    ],
)
def test_preferences_are_read_and_noise_is_not(fields: list[str], read: dict[str, str]) -> None:
    assert preferences(fields) == read


def test_what_is_applied_is_written_as_it_is_read() -> None:
    heeded = {"code": "409", "example": 'a "b", c', "dynamic": ""}
    assert applied(heeded) == 'code=409, example="a \\"b\\", c", dynamic'
    assert preferences([applied(heeded)]) == heeded


def test_no_field_keeps_the_reader_busy() -> None:
    began = time.perf_counter()
    for noise in ('"\\' * 512, '"' * 1023, "a=" * 512, " " * 1024, ';"' * 512):
        preferences([noise])
    assert time.perf_counter() - began < 1
