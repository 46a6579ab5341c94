from __future__ import annotations

import pytest

from domain import addresses


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("192.0.2.10", "192.0.2.10"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.10", "192.0.2.10"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "-"),
        ("", "-"),
        ("unix:", "-"),
        ("192.0.2.10:443", "-"),
    ],
)
def test_guesses_are_counted_by_ipv4_address_or_ipv6_network(
    address: str | None, origin: str
) -> None:
    assert addresses.origin(address) == origin
