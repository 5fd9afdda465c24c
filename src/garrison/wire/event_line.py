"""An event on the wire, and inside the manager. Pure.

    QUEUE:LOCATION:TEXT                                   from the agent: `|` -> `||`, `:` -> `|:` in LOCATION
    QUEUE:[ID] (NAME) IP->LOCATION:TEXT                   inside the manager, escaped by the same rule

Source: spec/agent-channel.md 5.1 to 5.3; vectors location-escape.json.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from garrison.ground.errors import PeerError

LOG = "1"
MOST_LOCATION_BYTES = 8192

_ESCAPED = re.compile(rb"\|([|:])")
_LOCATION_END = re.compile(rb"(?:[^|:]|\|.)*?:", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `queue` is its one-character kind; `location` is unescaped; `text` is as the source wrote it."""

    queue: str
    location: bytes
    text: bytes


def escape_location(location: bytes) -> bytes:
    """`location` in a form whose first lone `:` ends it; cut so that the result stays within its limit."""
    escaped = location.replace(b"|", b"||").replace(b":", b"|:")
    while len(escaped) > MOST_LOCATION_BYTES:
        location = location[: len(location) - (len(escaped) - MOST_LOCATION_BYTES + 1) // 2 - 1]
        escaped = location.replace(b"|", b"||").replace(b":", b"|:")
    return escaped


def unescape_location(escaped: bytes) -> bytes:
    """The location that was escaped; a lone `|` stays as it is."""
    return _ESCAPED.sub(rb"\1", escaped)


def decode_event(message: bytes) -> Event:
    """The event of a message; `PeerError` when it has no queue or its location does not end."""
    if len(message) < 4 or message[1:2] != b":":
        raise PeerError("event without a queue")
    end = _LOCATION_END.match(message, 2)
    if end is None:
        raise PeerError("event without an end of its location")
    return Event(chr(message[0]), unescape_location(message[2 : end.end() - 1]), message[end.end() :])


def encode_event(event: Event) -> bytes:
    """The message of an event."""
    return event.queue.encode("latin-1") + b":" + escape_location(event.location) + b":" + event.text


def internal_location(agent_id: str, name: str, ip: str, location: bytes) -> bytes:
    """Where an agent's event came from, unescaped: `[001] (web01) any->/var/log/auth.log`."""
    return f"[{agent_id}] ({name}) {ip}->".encode() + location


def encode_internal(queue: str, location: bytes, text: bytes) -> bytes:
    """The datagram form inside a manager, with the whole location escaped."""
    return queue.encode("latin-1") + b":" + escape_location(location) + b":" + text
