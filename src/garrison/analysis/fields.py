"""Fields of an event as decoders fill them. Pure."""

from __future__ import annotations

from garrison.analysis.event import Event

MAX_DYNAMIC_FIELDS = 256


def add_dynamic(event: Event, name: bytes, value: bytes) -> None:
    """Appends a dynamic field while there is room; the first of a name counts."""
    if len(event.dynamic) < MAX_DYNAMIC_FIELDS:
        event.dynamic.append((name, value))
        event.by_name.setdefault(name.lower(), value)
