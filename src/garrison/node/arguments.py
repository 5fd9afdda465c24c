"""Arguments of commands, checked before anything is done with them. Pure.

Commands come from the tools on this host and, a declared few, from other nodes: a value of the wrong type, too long or
out of its alphabet is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from garrison.ground.errors import Refused

_AGENT_ID = re.compile(r"[0-9]{1,8}")
_NODE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")

Arguments = Mapping[str, Any]


def text(arguments: Arguments, name: str, *, most: int = 1024, default: str | None = None) -> str:
    """The text under `name`; `default` where it is absent or null."""
    value = arguments.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or len(value) > most or "\0" in value:
        raise Refused(f"argument '{name}' is not a text of at most {most} characters", 1000)
    return value


def agent_id(arguments: Arguments, name: str = "id") -> str:
    """A numeric id, padded to three digits."""
    value = text(arguments, name, most=8)
    if not _AGENT_ID.fullmatch(value):
        raise Refused(f"invalid literal for int() with base 10: '{value[:20]}'")
    return value.zfill(3)


def agent_id_or_all(arguments: Arguments) -> str:
    """A numeric id, or `all`."""
    return "all" if arguments.get("id") == "all" else agent_id(arguments)


def names(arguments: Arguments, name: str) -> list[str]:
    """A list of plain names; empty where it is absent."""
    values = arguments.get(name) or []
    if not isinstance(values, list) or not all(
        isinstance(v, str) and _NODE_NAME.fullmatch(v) for v in values
    ):
        raise Refused(f"argument '{name}' is not a list of names", 1000)
    return values


def flag(arguments: Arguments, name: str) -> bool:
    """True or False; False where it is absent."""
    value = arguments.get(name, False)
    if not isinstance(value, bool):
        raise Refused(f"argument '{name}' is not true or false", 1000)
    return value


def seconds(arguments: Arguments, name: str, default: int) -> int:
    """A number of seconds from 0 up; `default` where it is absent."""
    value = arguments.get(name, default)
    if type(value) is not int or not 0 <= value <= 10**9:
        raise Refused(f"argument '{name}' is not a number of seconds", 1000)
    return value
