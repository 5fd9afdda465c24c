"""Messages of syslog senders. Pure: bytes in, lines out.

    <34>Oct 11 22:14:15 gate su: ...\\n        one line a message, over TCP and in a datagram
    57 <34>1 2026-10-11T22:14:15.003Z ...      counted, over TCP (RFC 6587 3.4.1); told by the `<` behind the blank

The priority `<34>` is cut off, as stock managers do. A message is at most MOST_BYTES long; what is longer is cut, and
its rest is passed over.
"""

from __future__ import annotations

import re

MOST_BYTES = 65_536
MOST_PRIORITY_DIGITS = 8

_PRIORITY = re.compile(rb"<[0-9]{1,%d}>" % MOST_PRIORITY_DIGITS)
_COUNTED = re.compile(rb"([1-9][0-9]{0,6}) <")
_MAYBE_COUNTED = re.compile(rb"[1-9][0-9]{0,6} ?")
_ENDS = b"\r\n\0 "


def message_of(raw: bytes) -> bytes:
    """The log of one message: without priority and line end, at most MOST_BYTES; empty when there is none."""
    text = raw[: MOST_BYTES + MOST_PRIORITY_DIGITS + 2].rstrip(_ENDS)
    priority = _PRIORITY.match(text)
    if priority:
        text = text[priority.end() :]
    return text[:MOST_BYTES]


class SyslogStream:
    """The messages of one TCP connection. `cut` counts those that were too long."""

    def __init__(self) -> None:
        self._held = b""
        self._at = 0
        self._skips_bytes = 0
        self._skips_line = False
        self.cut = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole now."""
        self._held += data
        self._at = 0
        found: list[bytes] = []
        while self._at < len(self._held) and self._next(found):
            pass
        self._held = self._held[self._at :]
        return [message for message in map(message_of, found) if message]

    def end(self) -> list[bytes]:
        """What is left when the connection ends: a last line without its end counts."""
        rest, self._held = self._held, b""
        if self._skips_bytes or self._skips_line:
            return []
        counted = _COUNTED.match(rest)
        message = message_of(rest[counted.end() - 1 :] if counted else rest)
        return [message] if message else []

    def _next(self, found: list[bytes]) -> bool:
        """Takes one step from `_at` on; False when more bytes are needed."""
        if self._skips_bytes:
            gone = min(self._skips_bytes, len(self._held) - self._at)
            self._skips_bytes -= gone
            self._at += gone
            return True
        if not self._skips_line:
            counted = _COUNTED.match(self._held, self._at)
            if counted:
                return self._counted(counted, found)
            if len(self._held) - self._at < 9 and _MAYBE_COUNTED.fullmatch(self._held, self._at):
                return False
        return self._line(found)

    def _counted(self, head: re.Match[bytes], found: list[bytes]) -> bool:
        start, size = head.end() - 1, int(head[1])
        taken = min(size, MOST_BYTES)
        if len(self._held) - start < taken:
            return False
        found.append(self._held[start : start + taken])
        self._at = start + taken
        if size > MOST_BYTES:
            self.cut += 1
            self._skips_bytes = size - MOST_BYTES
        return True

    def _line(self, found: list[bytes]) -> bool:
        end = self._held.find(b"\n", self._at)
        if end < 0 and not self._skips_line and len(self._held) - self._at <= MOST_BYTES:
            return False
        if not self._skips_line:
            last = self._at + MOST_BYTES
            is_cut = not 0 <= end <= last
            found.append(self._held[self._at : last if is_cut else end])
            self.cut += is_cut
        self._skips_line = end < 0
        self._at = end + 1 if end >= 0 else len(self._held)
        return True
