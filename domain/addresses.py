"""The unit in which guesses are counted by origin."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

NOWHERE = "-"

# One customer commonly holds a whole /64 (RFC 6177), so that counting single IPv6 addresses would
# hand an attacker 2^64 budgets.
IPV6_PREFIX = 64


def origin(address: str | None) -> str:
    """The IPv4 address, the /64 of an IPv6 address, or ``-`` where there is no address."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return NOWHERE
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, IPV6_PREFIX), strict=False))
    return str(parsed)
