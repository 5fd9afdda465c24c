"""A rule's description with the event's fields in it. Pure.

    User $(dstuser) logged in from $(srcip)

Source: spec/analysis.md 13.4.
"""

from __future__ import annotations

from collections.abc import Callable

from garrison.analysis.conditions import Value, dynamic, static
from garrison.analysis.event import STATIC_FIELDS, Event

MOST_BYTES = 1024


def describer(text: bytes) -> Callable[[Event], bytes]:
    """What fills in `text`. A field that is missing leaves nothing; a result that is too long is the raw text."""
    pieces: list[bytes | Value] = []
    rest = text
    while True:
        before, opened, after = rest.partition(b"$(")
        name, closed, tail = after.partition(b")")
        if not opened or not closed:
            pieces.append(rest)
            break
        pieces += [before, _field(name)]
        rest = tail
    if len(pieces) == 1:
        return lambda event: text

    def describe(event: Event) -> bytes:
        filled = b"".join(piece if isinstance(piece, bytes) else piece(event) or b"" for piece in pieces)
        return text if len(filled) >= MOST_BYTES else filled

    return describe


def _field(name: bytes) -> Value:
    word = name.decode("latin-1")
    if word in STATIC_FIELDS:
        return static(word)
    if word == "program_name":
        return lambda event: event.program_name
    if word == "hostname":
        return lambda event: event.hostname
    return dynamic(name)
