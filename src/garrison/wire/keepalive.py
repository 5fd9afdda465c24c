"""The text of a keepalive, behind `#!-`. Pure.

    UNAME[ / CONFSUM]\\n
    LABELS                       lines  "KEY":VALUE   hidden  !"KEY":VALUE   system  #"KEY":VALUE
    MERGEDSUM merged.mg\\n
    [#"_agent_ip":IP]\\n

Source: spec/agent-channel.md 4.3; vectors keepalive-parse.json.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MOST_UNAME_BYTES = 511
MOST_LABEL_BYTES = 63487

_ARCHITECTURES = tuple("x86_64 i386 i686 sparc amd64 i86pc ia64 AIX armv6 armv7 aarch64 arm64".split())
"""In the order in which they are looked for."""

_AGENT_IP = re.compile(r'#"_agent_ip":(.*)')
_MERGED = re.compile(r"(\S+) merged\.m")
_BRACKET = re.compile(r"^(?P<uname>.*?) \[(?P<name>[^|\]]*)\|(?P<platform>[^:\]]*): (?P<version>[^\]]*)\]")
_CODENAME = re.compile(r"^(?P<version>.*?) ?\((?P<codename>[^)]*)\)$")
_WINDOWS = re.compile(r"^(?P<name>.*?) \[Ver: (?P<version>[^\]]*)\](?P<rest>.*)$")
_UNIX_NUMBERS = re.compile(r"(?P<major>\d+)(?:(?:\.|-SP)(?P<minor>\d+))?")
_WINDOWS_NUMBERS = re.compile(r"(?P<major>\d+)\.(?P<minor>\d+)(?:\.(?P<build>\d+(?:\.\d+)?))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepalive:
    """What an agent says of itself. None where it does not say it."""

    uname: str | None = None
    version: str | None = None
    config_sum: str | None = None
    merged_sum: str | None = None
    agent_ip: str | None = None
    labels: str | None = None
    os_name: str | None = None
    os_version: str | None = None
    os_major: str | None = None
    os_minor: str | None = None
    os_codename: str | None = None
    os_platform: str | None = None
    os_build: str | None = None
    os_uname: str | None = None
    os_arch: str | None = None


def decode_keepalive(text: str) -> Keepalive | None:
    """What the text says; None when it has no line end, which makes it no keepalive.

    What follows the last line end is cut: old agents put random text there.
    """
    if "\n" not in text:
        return None
    fields: dict[str, str | None] = {}
    labels: list[str] = []
    for line in text[: text.rindex("\n")].split("\n"):
        if line[:1] in ("#", "!", '"') and line:
            if match := _AGENT_IP.match(line):
                fields["agent_ip"] = match[1] or None
            else:
                labels.append(line)
        elif " - " in line and "uname" not in fields:
            fields |= _uname_line(line)
        elif match := _MERGED.match(line):
            fields["merged_sum"] = match[1]
    return Keepalive(**fields, labels="\n".join(labels) or None)


def _uname_line(line: str) -> dict[str, str | None]:
    uname, _, rest = line.partition(" - ")
    version, _, config_sum = rest.partition(" / ")
    fields: dict[str, str | None] = {"uname": uname, "version": version, "config_sum": config_sum or None}
    if match := _WINDOWS.match(uname):
        return fields | _windows(match)
    if match := _BRACKET.match(uname):
        return fields | _unix(match)
    return fields | {"os_uname": uname, "os_arch": _architecture(uname)}


def _windows(match: re.Match[str]) -> dict[str, str | None]:
    numbers = _WINDOWS_NUMBERS.match(match["version"])
    return {
        "os_name": match["name"],
        "os_version": match["version"],
        "os_major": numbers["major"] if numbers else None,
        "os_minor": numbers["minor"] if numbers else None,
        "os_build": numbers["build"] if numbers else None,
        "os_platform": "windows",
        "os_uname": match["name"],
        "os_arch": _architecture(match["rest"]),
    }


def _unix(match: re.Match[str]) -> dict[str, str | None]:
    version: str = match["version"]
    codename: str | None = None
    if named := _CODENAME.match(version):
        version, codename = named["version"], named["codename"]
    numbers = _UNIX_NUMBERS.match(version)
    return {
        "os_name": match["name"],
        "os_version": version,
        "os_codename": codename,
        "os_platform": match["platform"],
        "os_major": numbers["major"] if numbers else None,
        "os_minor": numbers["minor"] if numbers else None,
        "os_uname": match["uname"],
        "os_arch": _architecture(match["uname"]),
    }


def _architecture(text: str) -> str | None:
    return next((name for name in _ARCHITECTURES if name in text), None)


def encode_keepalive(
    uname: str, *, config_sum: str | None, labels: Sequence[str], merged_sum: str | None, agent_ip: str | None
) -> str:
    """The text behind `#!-`. `uname` ends with ` - Wazuh vX.Y.Z`; `labels` are whole lines without their end."""
    first = uname.encode()[:MOST_UNAME_BYTES].decode("utf-8", "ignore")
    if config_sum:
        first += f" / {config_sum}"
    own = f'#"_agent_ip":{agent_ip}\n' if agent_ip else "\n"
    return f"{first}\n{_fitting(labels)}{merged_sum or 'x'} merged.mg\n{own}"


def _fitting(labels: Sequence[str]) -> str:
    text = ""
    for label in labels:
        if len(text.encode()) + len(label.encode()) + 1 > MOST_LABEL_BYTES - 100:
            return text + '"_labels_cut":not all labels fit, the rest is not shown\n'
        text += label + "\n"
    return text
