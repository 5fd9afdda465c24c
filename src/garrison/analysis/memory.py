"""What the analysis remembers besides earlier events: lines first seen, logs that differ, fields that add up. Pure.

Everything is bounded; the stores can be swapped for ones that last.
Source: spec/analysis.md 8, 12.1, 12.4.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from garrison.analysis.event import Event
from garrison.analysis.program import DecoderNode, FirstSeen

MOST_LINE_BYTES = 255
MOST_LINES = 200_000
SIMILAR_BYTES = 14
SIMILAR_LINES = 32
SIMILAR_FROM = 3

ACCUMULATE_S = 120
MOST_ACCUMULATED = 20_000
MOST_ACCUMULATED_BYTES = 80
_ACCUMULATED = ("dstuser", "srcuser", "dstip", "srcip", "dstport", "srcport", "data")

MOST_DIFFERENCES = 20_000
MOST_DIFFERENCE_BYTES = 65_536


class FirstSeenLines:
    """Which combinations of fields were seen before."""

    def __init__(self) -> None:
        self._lines: OrderedDict[bytes, None] = OrderedDict()
        self._recent: deque[bytes] = deque(maxlen=SIMILAR_LINES)
        self.forgotten = 0

    def is_first(self, event: Event, node: DecoderNode) -> bool:
        """True the first time that the decoder's `fts` fields have these values together."""
        if node.first_seen is None or event.decoder is None:
            return False
        line = _line(event, event.decoder.name, node.first_seen)
        if line in self._lines:
            return False
        if node.category == "ids":
            line = self._collapsed(line)
            if line in self._lines:
                return False
        self._lines[line] = None
        while len(self._lines) > MOST_LINES:
            self._lines.popitem(last=False)
            self.forgotten += 1
        return True

    def _collapsed(self, line: bytes) -> bytes:
        """Alerts of intrusion detection that begin alike are one after the third."""
        alike = 0
        for recent in reversed(self._recent):
            if _common(line, recent) > SIMILAR_BYTES:
                alike += 1
                if alike >= SIMILAR_FROM:
                    line = line[:SIMILAR_BYTES]
                    break
        self._recent.append(line)
        return line


def _line(event: Event, decoder: bytes, first: FirstSeen) -> bytes:
    static = event.static

    def listed(word: str, value: bytes | None) -> bytes:
        return (value or b"") if word in first.words else b""

    parts = [
        decoder,
        *(listed(word, static.get(word)) for word in ("id", "dstuser", "srcuser", "srcip", "dstip", "data")),
        listed("system_name", static.get("system_name")),
        listed("location", event.location),
    ]
    line = b" ".join(parts)[:MOST_LINE_BYTES]
    for name in first.dynamic:
        value = event.by_name.get(name.lower())
        if value is not None:
            line += b" " + value
    return line


def _common(one: bytes, other: bytes) -> int:
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count


class Differences:
    """The last log of each rule and host, for `check_diff`."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[bytes, int], bytes] = OrderedDict()

    def differs(self, event: Event, rule_id: int) -> bytes | None:
        """The former log when this one is another; None the first time, when equal, and when it is too long."""
        if event.size >= MOST_DIFFERENCE_BYTES:
            return None
        key = (event.hostname, rule_id)
        before = self._last.get(key)
        self._last[key] = event.log
        self._last.move_to_end(key)
        while len(self._last) > MOST_DIFFERENCES:
            self._last.popitem(last=False)
        return before if before is not None and before != event.log else None


class Accumulator:
    """Fields of events that belong together by host, decoder and id."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[bytes, bytes, bytes], tuple[float, dict[str, bytes]]] = OrderedDict()

    def add_up(self, event: Event) -> None:
        """Fills the event's empty fields from what was kept, and keeps what is new."""
        identity = event.static.get("id")
        if event.decoder is None or identity is None:
            return
        key = (event.hostname, event.decoder.name, identity)
        if sum(map(len, key)) + 2 >= 256:
            return
        at, kept = self._kept.get(key, (event.at, {}))
        if event.at - at > ACCUMULATE_S:
            kept = {}
        for name in _ACCUMULATED:
            value = event.static.get(name)
            if not value and name in kept:
                event.static[name] = kept[name]
            elif value and name not in kept and len(value) <= MOST_ACCUMULATED_BYTES:
                kept[name] = value
        self._kept[key] = (event.at, kept)
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_ACCUMULATED:
            self._kept.popitem(last=False)
