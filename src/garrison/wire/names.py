"""Names of agents and groups, and versions: what is allowed and how it compares. Pure.

Source: spec/agent-channel.md 2.4, 2.5, 4.2; vectors names-groups-versions.json.
"""

from __future__ import annotations

import re

from garrison.ground.errors import PeerError

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{1,127}")
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9._-]")
_GROUP_LIST = re.compile(r"[A-Za-z0-9.:;_\-=+!@(),]*")
_GROUP = re.compile(r"[A-Za-z0-9_.-]+")

MOST_GROUP_BYTES = 255
MOST_LIST_BYTES = 65535
MOST_GROUPS = 128

_PROHIBITED = "characters '\\/:*?\"<>|,' are prohibited"


class EnrollRefusal(PeerError):
    """An enrollment is refused; `text` is what the agent is told behind `ERROR: `."""

    def __init__(self, text: str) -> None:
        super().__init__("enrollment refused")
        self.text = text


def is_valid_name(name: str) -> bool:
    """True for 2 to 128 of `[A-Za-z0-9._-]` that do not begin with a dot."""
    return bool(_NAME.fullmatch(name))


def clean_host_name(host: str) -> str:
    """A host name as an agent's default name: every character that a name cannot have is left out."""
    return _NOT_IN_NAME.sub("", host)


def check_group_syntax(groups: str) -> tuple[str, ...]:
    """The names of a comma list without repeats, first occurrence first; `EnrollRefusal` with the known text.

    This is the list's syntax alone: `check_groups` also asks each name to be one that a folder may have.
    """
    if not groups:
        raise _bad_groups("Empty Group")
    shown = groups.encode()[:MOST_GROUP_BYTES].decode("utf-8", "ignore")
    if len(groups.encode()) > MOST_LIST_BYTES:
        raise _bad_groups(f"{shown}... multigroup is too large")
    names = groups.split(",")
    if " " in groups and len(names) > 1:
        raise _bad_groups(f"{shown}... white spaces are not allowed")
    if ",," in groups:
        raise _bad_groups(f"{shown}... consecutive ',' are not allowed")
    if not _GROUP_LIST.fullmatch(groups) or not groups.strip(","):
        raise _bad_groups(f"{shown}... {_PROHIBITED}")
    if groups.startswith(",") or groups.endswith(","):
        raise _bad_groups(f"{shown}... cannot start or end with ','")
    for name in names:
        if len(name.encode()) > MOST_GROUP_BYTES:
            raise _bad_groups(
                f"{name.encode()[:MOST_GROUP_BYTES].decode('utf-8', 'ignore')}... group is too large"
            )
    return tuple(dict.fromkeys(names))


def check_groups(groups: str) -> tuple[str, ...]:
    """As `check_group_syntax`; each name is moreover of `[a-zA-Z0-9_.-]` and not `.` or `..`."""
    names = check_group_syntax(groups)
    for name in names:
        if not _GROUP.fullmatch(name) or name in (".", ".."):
            raise _bad_groups(name)
    return names


def _bad_groups(text: str) -> EnrollRefusal:
    return EnrollRefusal(f"Invalid group name: {text}")


def compare_versions(first: str, second: str, *, with_patch: bool = False) -> int:
    """-1, 0 or 1 as `first` is older than, equal to or newer than `second`.

    Major and minor count, the patch only `with_patch`. The first 9 characters take part; what stands before a `v`
    is passed over. Text without a number counts as version 0.
    """
    mine, other = _numbers(first, with_patch), _numbers(second, with_patch)
    return (mine > other) - (mine < other)


def _numbers(version: str, with_patch: bool) -> tuple[int, ...]:
    text = version[:9].rpartition("v")[2]
    numbers = [int(match.group()) if (match := re.match(r"\d+", part)) else 0 for part in text.split(".")]
    numbers = ([*numbers, 0, 0, 0])[:3]
    return tuple(numbers if with_patch else numbers[:2])
