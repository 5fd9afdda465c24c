"""Small checks of values that several sections share. Pure."""

from __future__ import annotations

import ipaddress
import re

_ZONE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_AGENT_NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{2,128}")
_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


def is_address(text: str) -> bool:
    """True for an IPv4 or IPv6 address, with a plain zone (`fe80::1%eth0`) or none."""
    address, percent, zone = text.partition("%")
    if percent and not _ZONE.fullmatch(zone):
        return False
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return not percent or ":" in address


def is_network(text: str) -> bool:
    """True for an address, or a network with its bits or mask."""
    if "%" in text:
        return False
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def is_host(text: str) -> bool:
    """True for an address or a host name."""
    if is_address(text):
        return True
    labels = text.removesuffix(".").split(".")
    return len(text) <= 253 and all(_HOST_LABEL.fullmatch(label) for label in labels)


def is_agent_name(text: str) -> bool:
    """True for a name that an agent may register: 2 to 128 of `[A-Za-z0-9._-]`, no `.` in front."""
    return _AGENT_NAME.fullmatch(text) is not None


def host_check(text: str) -> str | None:
    """What would be right where `text` is no host, else None."""
    return None if is_host(text) else "an address or a host name"


def agent_name_check(text: str) -> str | None:
    """What would be right where `text` is no agent's name, else None."""
    return None if is_agent_name(text) else "2 to 128 letters, digits, '.', '_' and '-', no '.' in front"


def address_check(text: str) -> str | None:
    """What would be right where `text` is no address, else None."""
    return None if is_address(text) else "an IPv4 or IPv6 address"


def network_check(text: str) -> str | None:
    """What would be right where `text` is no address or network, else None."""
    return None if is_network(text) else "an address, or a network such as 10.0.0.0/8"
