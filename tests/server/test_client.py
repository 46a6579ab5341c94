"""The client's address: the peer's, or what a trusted proxy says, and nothing a client claims."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from server.client import client_of

PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1/128"))


def address(peer: str | None, *forwarded: str) -> str | None:
    return client_of(peer, forwarded, None, PROXIES).address


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.7", (), "192.0.2.7"),
        ("192.0.2.7", ("198.51.100.1",), "192.0.2.7"),
        ("10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("203.0.113.9, 198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("203.0.113.9", "198.51.100.1, 10.1.1.1"), "198.51.100.1"),
        ("::1", ("2001:db8::5",), "2001:db8::5"),
        ("::ffff:10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("::ffff:192.0.2.7", ("198.51.100.1",), "::ffff:192.0.2.7"),
        ("10.0.0.1", ("nonsense",), "10.0.0.1"),
        ("10.0.0.1", ("10.2.2.2",), "10.2.2.2"),
        (None, ("198.51.100.1",), None),
    ],
)
def test_only_a_trusted_proxy_is_believed(
    peer: str | None, forwarded: tuple[str, ...], expected: str | None
) -> None:
    assert address(peer, *forwarded) == expected


def test_without_trusted_proxies_no_header_is_believed() -> None:
    assert client_of("10.0.0.1", ["198.51.100.1"], None, ()).address == "10.0.0.1"


def test_a_user_agent_is_kept_printable() -> None:
    assert client_of(None, [], "a\r\nb\x00c", ()).user_agent == "abc"
