"""Addresses: where a request came from, and how widely that counts.

The functions take text from outside and raise nothing: what is no address is ``"unknown"``, one bucket for
all. An IPv4 address inside IPv6 (``::ffff:192.0.2.1``) counts as IPv4; a zone (``%eth0``) means nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import msgspec

from propylon.errors import SetupError

UNKNOWN = "unknown"

#: Longer than any spelling of an address with a zone and a port.
MAX_ADDRESS_CHARS = 80

#: More proxies than anybody chains; what lies further left is not looked at.
MAX_HOPS = 16

Address = IPv4Address | IPv6Address


class Networks(msgspec.Struct, frozen=True):
    """A set of networks, such as those of the trusted proxies."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Networks:
        """Read comma-separated addresses and CIDR networks; empty text is no network.

        Raises:
            SetupError: one of them is neither, or has bits set outside its mask.
        """
        return cls(tuple(_network(part.strip()) for part in text.split(",") if part.strip()))

    def __contains__(self, address: str) -> bool:
        known = _address(address)
        return known is not None and self._cover(known)

    def _cover(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def source(ip: str) -> str:
    """Return what failures are counted by: one IPv4 address, or one IPv6 /64.

    A subscriber gets at least a /64 (RFC 6177), so counting single IPv6 addresses would count nothing.
    """
    return _widened(ip, ipv4_bits=32, ipv6_bits=64)


def neighbourhood(ip: str) -> str:
    """Return the IPv4 /24 or IPv6 /56 around an address: where a phone's next request may well come from."""
    return _widened(ip, ipv4_bits=24, ipv6_bits=56)


def network_of(origin: str) -> str:
    """Return the neighbourhood in a mark of where a request came from (``core.refresh.origin``)."""
    return origin.partition(" ")[0]


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Networks) -> str:
    """Return the address of the client, believing no header but that of a trusted proxy.

    ``X-Forwarded-For`` is read from the right, the end that the nearest proxy wrote: a client may send any
    header, yet what it sends ends up on the left. The first hop that is not trusted is the client; a
    malformed one ends the walk at the proxy that passed it on.

    Args:
        peer: address of the other end of the connection.
        forwarded_for: values of all ``X-Forwarded-For`` lines, in order of arrival.
        trusted: networks of the proxies in front of this service.
    """
    client = _address(peer)
    if client is None:
        return UNKNOWN
    hops = _from_the_right(forwarded_for)
    while trusted._cover(client) and (hop := _address(next(hops, ""))) is not None:  # noqa: SLF001 - same file
        client = hop
    return str(client)


def _from_the_right(forwarded_for: Sequence[str]) -> Iterator[str]:
    left = MAX_HOPS
    for line in reversed(forwarded_for):
        hops = line.rsplit(",", maxsplit=left)
        for hop in reversed(hops[-left:]):
            yield _without_port(hop.strip(" \t"))
            left -= 1
            if not left:
                return


def _without_port(hop: str) -> str:
    """Drop the port that some proxies add: ``192.0.2.1:4711`` and ``[2001:db8::1]:4711``."""
    if hop.startswith("["):
        inside, bracket, port = hop[1:].partition("]")
        return inside if bracket and _is_port(port) else ""
    host, colon, port = hop.partition(":")
    return host if "." in host and _is_port(colon + port) else hop


def _is_port(text: str) -> bool:
    return not text or (text[0] == ":" and text[1:].isascii() and text[1:].isdigit() and len(text) <= 6)


def _address(text: str) -> Address | None:
    if len(text) > MAX_ADDRESS_CHARS:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))  # a plain number has no zone
    return address


def _widened(ip: str, *, ipv4_bits: int, ipv6_bits: int) -> str:
    address = _address(ip)
    if address is None:
        return UNKNOWN
    bits = ipv4_bits if address.version == 4 else ipv6_bits
    if bits == address.max_prefixlen:
        return str(address)
    return str(ip_network((address, bits), strict=False))


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError:
        raise SetupError("network_wrong", given=repr(text[:MAX_ADDRESS_CHARS])) from None
