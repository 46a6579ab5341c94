"""Who is calling: the address behind trusted proxies, and the user agent."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from domain.records import Client


def client_of(
    peer: str | None,
    forwarded_for: Sequence[str],
    user_agent: str | None,
    trusted: Sequence[IPv4Network | IPv6Network],
) -> Client:
    """The client of a request.

    ``forwarded_for`` are the values of ``X-Forwarded-For`` in the order received. They are looked
    at only where the peer is a trusted proxy, from the right: the first hop that is not trusted is
    the client, for everything left of it is the client's own claim.
    """
    address = peer
    believed = peer is not None and _trusted(peer, trusted)
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")] if believed else []
    while address is not None and hops and _trusted(address, trusted):
        claimed = hops.pop()
        if _parsed(claimed) is None:
            break
        address = claimed
    return Client(address=address, user_agent=_printable(user_agent))


def _trusted(address: str, trusted: Sequence[IPv4Network | IPv6Network]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(
        parsed.version == network.version and parsed in network for network in trusted
    )


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    # A socket of both families shows an IPv4 peer so (RFC 4291 section 2.5.5.2).
    return (parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None) or parsed


def _printable(user_agent: str | None) -> str | None:
    if user_agent is None:
        return None
    return "".join(char for char in user_agent if char.isprintable())
