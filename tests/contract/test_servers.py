"""The first server says what everything stands under."""

from __future__ import annotations

from typing import Any

import pytest

from contract.servers import Misplaced, base_path

API = {"host": {"default": "api.example.org"}, "base.path": {"default": "v1"}}


@pytest.mark.parametrize(
    ("servers", "path"),
    [
        (None, ""),
        ([{"url": "/"}], ""),
        ([{"url": "https://api.example.org"}], ""),
        ([{"url": "/v1/"}, {"url": "/v2"}], "/v1"),
        ([{"url": "https://{host}/{base.path}", "variables": API}], "/v1"),
    ],
)
def test_the_path_is_that_of_the_first_server(servers: Any, path: str) -> None:
    assert base_path({"servers": servers} if servers else {}) == path


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://{hots}/", 'no variable "hots" .did you mean "host"'),
        ("/{}", 'no variable ""'),
        ("http://[::1", "the url is none"),
        ("v1", "begins with a slash"),
        ("/v%20", "neither escapes"),
        ("/{", "neither escapes"),
    ],
)
def test_what_cannot_be_served_says_why(url: str, message: str) -> None:
    with pytest.raises(Misplaced, match=message):
        base_path({"servers": [{"url": url, "variables": API}]})
