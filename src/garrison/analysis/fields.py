"""Fields of an event as decoders fill them. Pure."""

from __future__ import annotations

from functools import lru_cache

from garrison.analysis.event import Event

MAX_DYNAMIC_FIELDS = 256
MOST_REMEMBERED_NAME = 128
"""Longer names are rare, or meant to fill a memory of names."""


def add_dynamic(event: Event, name: bytes, value: bytes) -> None:
    """Appends a dynamic field while there is room; the first of a name counts."""
    if len(event.dynamic) < MAX_DYNAMIC_FIELDS:
        event.dynamic.append((name, value))
        event.by_name.setdefault(name.lower(), value)


def add_named(event: Event, name: str, value: str) -> None:
    """The same for text whose foreign bytes travel as `surrogateescape`; names are few, and remembered."""
    if len(event.dynamic) < MAX_DYNAMIC_FIELDS:
        raw, lowered = _names(name) if len(name) <= MOST_REMEMBERED_NAME else _encoded(name)
        found = value.encode("utf-8", "surrogateescape")
        event.dynamic.append((raw, found))
        event.by_name.setdefault(lowered, found)


def _encoded(name: str) -> tuple[bytes, bytes]:
    raw = name.encode("utf-8", "surrogateescape")
    return raw, raw.lower()


_names = lru_cache(maxsize=4_096)(_encoded)
