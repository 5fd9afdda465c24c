"""What the JSON of agents' modules is read with: bounded, typed, and forgiving where agents differ. Pure.

`Members` (or a dict) come from `cjson`; a name that is absent or of another type is as if it had no value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from garrison.analysis import cjson


class NoEvent(ValueError):
    """The message of a module is no event; the text says why, for the node's log."""


def read_object(text: bytes) -> Any:
    """The JSON object that is the whole message; raises `NoEvent`."""
    try:
        value = cjson.parse_quickly(text)
    except cjson.NotJson as error:
        raise NoEvent(f"no JSON: {error}") from error
    if not is_object(value):
        raise NoEvent("no JSON object")
    return value


def is_object(value: Any) -> bool:
    """True for an object in either form."""
    return isinstance(value, dict | cjson.Members)


def members(value: Any) -> Iterator[tuple[str, Any]]:
    """The members of an object in order; nothing for anything else."""
    if isinstance(value, cjson.Members):
        return iter(value)
    return iter(value.items()) if isinstance(value, dict) else iter(())


def member(value: Any, name: str) -> Any:
    """The first member of that name; None when there is none."""
    if isinstance(value, dict):
        return value.get(name)
    return next((each for key, each in members(value) if key == name), None)


def text(value: Any) -> str:
    """A text as it is, a number in its shortest form; empty for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and abs(value) < 1e300 and value == int(value):
        return str(int(value))
    return repr(value) if isinstance(value, float) and value == value else ""


def texts(value: Any) -> list[str]:
    """The texts of an array, other elements left out."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def encoded(value: str) -> bytes:
    """Text as fields hold it."""
    return value.encode("utf-8", "surrogateescape")
