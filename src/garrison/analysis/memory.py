"""What the analysis remembers besides earlier events: lines first seen, logs that differ, fields that add up. Pure.

Everything is bounded and counts what it forgets. `take_news` tells what changed, for a store that lasts.
Source: spec/analysis.md 8, 12.1, 12.4; spec/analysis-2-rules.md 5.7, 5.8.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping

from garrison.analysis.event import Event
from garrison.analysis.program import DecoderNode, FirstSeen

MOST_LINE_BYTES = 255
MOST_WHOLE_BYTES = 256
MOST_LINES = 200_000
MOST_LINES_BYTES = 32 << 20
SIMILAR_BYTES = 14
SIMILAR_LINES = 32
SIMILAR_FROM = 3

ACCUMULATE_S = 120
MOST_ACCUMULATED = 20_000
MOST_ACCUMULATED_BYTES = 80
_ACCUMULATED = ("dstuser", "srcuser", "dstip", "srcip", "dstport", "srcport", "data")

MOST_DIFFERENCES = 20_000
MOST_DIFFERENCES_BYTES = 64 << 20
MOST_DIFFERENCE_BYTES = 65_536

DifferenceKey = tuple[bytes, int]
"""(host name, rule id)."""


class FirstSeenLines:
    """Which combinations of fields were seen before; `lines` are those of former runs, oldest first."""

    def __init__(self, lines: Iterable[bytes] = (), *, most: int = MOST_LINES) -> None:
        self._lines: OrderedDict[bytes, None] = OrderedDict()
        self._bytes = 0
        self._most = most
        self._recent: deque[bytes] = deque(maxlen=SIMILAR_LINES)
        self._news: deque[bytes] = deque(maxlen=most)
        self.forgotten = 0
        for line in lines:
            self._add(line)
        self._news.clear()

    def __len__(self) -> int:
        return len(self._lines)

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
            self._recent.append(line)
        self._add(line)
        return True

    def _add(self, line: bytes) -> None:
        if line in self._lines:
            return
        self._lines[line] = None
        self._bytes += len(line)
        self._news.append(line)
        while len(self._lines) > self._most or self._bytes > MOST_LINES_BYTES:
            oldest, _ = self._lines.popitem(last=False)
            self._bytes -= len(oldest)
            self.forgotten += 1

    def _collapsed(self, line: bytes) -> bytes:
        """`line`, or only its beginning where three of the last ones begin alike: their kind is known then."""
        beginning = line[: SIMILAR_BYTES + 1]
        if len(beginning) <= SIMILAR_BYTES:
            return line
        alike = sum(recent.startswith(beginning) for recent in self._recent)
        if alike >= SIMILAR_FROM:
            return line[:SIMILAR_BYTES]
        return line

    def take_news(self) -> list[bytes]:
        """The lines that are new since the last call, each without a newline."""
        news = list(self._news)
        self._news.clear()
        return news

    def all_lines(self) -> list[bytes]:
        """All lines that are known, oldest first."""
        return list(self._lines)


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
            line = (line + b" " + value)[:MOST_WHOLE_BYTES]
    if b"\n" in line:  # stores hold a line each
        return line.replace(b"\n", b" ") + b" #" + hashlib.blake2b(line, digest_size=16).hexdigest().encode()
    return line


class Differences:
    """The last log of each rule and host, for `check_diff`; `kept` are those of former runs."""

    def __init__(
        self, kept: Mapping[DifferenceKey, bytes] | None = None, *, most_bytes: int = MOST_DIFFERENCES_BYTES
    ) -> None:
        self._last: OrderedDict[DifferenceKey, bytes] = OrderedDict()
        self._bytes = 0
        self._most_bytes = most_bytes
        self._news: dict[DifferenceKey, bytes | None] = {}
        self.forgotten = 0
        for key, log in (kept or {}).items():
            self._keep(key, log)
        self._news.clear()

    def differs(self, event: Event, rule_id: int) -> bytes | None:
        """The former log when this one is another; None the first time, when equal, and when it is too long."""
        if event.size >= MOST_DIFFERENCE_BYTES:
            return None
        key = (event.hostname, rule_id)
        before = self._last.get(key)
        if before == event.log:
            self._last.move_to_end(key)
            return None
        self._keep(key, event.log)
        return before

    def _keep(self, key: DifferenceKey, log: bytes) -> None:
        before = self._last.pop(key, None)
        self._bytes += len(log) - (len(before) if before is not None else 0)
        self._last[key] = log
        self._news[key] = log
        while len(self._last) > MOST_DIFFERENCES or self._bytes > self._most_bytes:
            oldest, forgotten = self._last.popitem(last=False)
            self._bytes -= len(forgotten)
            self._news[oldest] = None
            self.forgotten += 1
        while len(self._news) > MOST_DIFFERENCES:
            del self._news[next(iter(self._news))]

    def take_news(self) -> dict[DifferenceKey, bytes | None]:
        """What changed since the last call: the log to keep for a key, None where it was forgotten."""
        news, self._news = self._news, {}
        return news


class Accumulator:
    """Fields of events that belong together by host, decoder and id."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[bytes, bytes, bytes], tuple[float, dict[str, bytes]]] = OrderedDict()
        self.forgotten = 0

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
            self.forgotten += 1
