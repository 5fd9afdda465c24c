"""Addresses of agents: as registered (`any`, an address, a network) and as seen on a connection. Pure.

Source: spec/agent-channel.md 2.3, 2.7, 3.3. IPv4 is dotted; IPv6 is upper case, eight groups of four digits; an
IPv4-mapped IPv6 address is reduced to IPv4.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from garrison.ground.errors import PeerError

ANY = "any"

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def normalize_source(address: str) -> str:
    """`address` in the form that is compared with registered ones; unreadable text comes back as it is."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped) if parsed.ipv4_mapped else parsed.exploded.upper()
    return str(parsed)


def parse_registered(ip: str) -> str:
    """The normal form of a registered address: `any`, an address, or `address/bits`. `PeerError` for all else."""
    if ip == ANY:
        return ANY
    if len(ip) > 80:
        raise PeerError("address is too long")
    address, slash, mask = ip.partition("/")
    try:
        if not slash:
            ipaddress.ip_address(address)
            return normalize_source(address)
        network = ipaddress.ip_network(f"{address}/{mask}", strict=False)
        ipaddress.ip_address(address)
    except ValueError as error:
        raise PeerError("not an address") from error
    return f"{normalize_source(address)}/{network.prefixlen}"


def is_single(ip: str) -> bool:
    """True for one host's address, of either family."""
    return ip != ANY and "/" not in ip


def is_single_ipv4(ip: str) -> bool:
    """True for one IPv4 host's address: the only form with which an agent leaves its `!id!` away."""
    return is_single(ip) and ":" not in ip


def covers(registered: str, source: str) -> bool:
    """True when a connection from `source` (normal form) may use the entry of `registered`."""
    if registered == ANY:
        return True
    if "/" not in registered:
        return normalize_source(registered) == source
    network = _network(registered)
    if network is None:
        return False
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return False
    return address.version == network.version and address in network


@lru_cache(maxsize=4096)
def _network(registered: str) -> _Network | None:
    try:
        return ipaddress.ip_network(registered, strict=False)
    except ValueError:
        return None
