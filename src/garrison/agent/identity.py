"""Who this host is, in the words of a keepalive. Pure: what the system said comes in as arguments.

    Linux |web01 |6.1.0 |#1 SMP … |x86_64 [Debian GNU/Linux|debian: 12 (bookworm)] - Wazuh v4.14.7
Source: spec/agent-channel.md 4.3.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

MAX_UNAME_BYTES = 511


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What the kernel says of itself (`uname`)."""

    sysname: str
    nodename: str
    release: str
    version: str
    machine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """What the distribution calls itself."""

    name: str
    platform: str
    version: str


def decode_os_release(text: str) -> Distribution | None:
    """The distribution of an /etc/os-release; None when it does not name one."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            values[name] = _unquote(value)
    version = values.get("VERSION") or values.get("VERSION_ID", "")
    codename = values.get("VERSION_CODENAME")
    if codename and "(" not in version:
        version = f"{version} ({codename})" if version else codename
    if not values.get("NAME") or not values.get("ID"):
        return None
    return Distribution(name=_plain(values["NAME"]), platform=_plain(values["ID"]), version=_plain(version))


def _unquote(value: str) -> str:
    try:
        return "".join(shlex.split(value))
    except ValueError:
        return value.strip("\"'")


def _plain(text: str) -> str:
    """`text` without what would break the line apart on the other side."""
    return "".join(char for char in text if char.isprintable() and char not in "[]|")


def uname_text(system: System, distribution: Distribution | None, version: str) -> str:
    """The first line of a keepalive; `version` is the protocol level with its `v`."""
    fields = [
        _plain(part).replace(" - ", " ").strip()
        for part in (system.sysname, system.nodename, system.release, system.version, system.machine)
    ]
    tail = f" - Wazuh {version}"
    if distribution is None:
        head = " ".join(fields)
    else:
        head = " |".join(fields)
        tail = f" [{distribution.name}|{distribution.platform}: {distribution.version}]{tail}"
    room = MAX_UNAME_BYTES - len(tail.encode())
    return head.encode()[:room].decode("utf-8", "ignore") + tail
