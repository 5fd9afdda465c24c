"""Earlier events that composite rules look at, bounded. Pure.

Each recorded event enters the list of all and the windows that its rule feeds. The list of all is bounded in number and
in bytes; what falls out of it falls out of the windows too.
Source: spec/analysis.md 12.2, 13.3; spec/analysis-2-rules.md 5.1, 5.3.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from garrison.analysis.event import Event
from garrison.analysis.likeness import LikenessIndex, is_alike
from garrison.analysis.program import Likeness, Program, Rule, Search

DROPPED_AT_ONCE = 10
MOST_PREVIOUS = 11
LEAST_SIZE = 2_048
MOST_BYTES = 128 << 20
"""What remembered events may take, roughly. Only logs of many kilobytes come to it before their number does."""

_NO_FEEDS: tuple[int, ...] = ()


class EarlierEvents:
    """The memory of one analyzer: at most `memory_size` events (2048 at least) and `most_bytes`."""

    def __init__(self, program: Program, memory_size: int, *, most_bytes: int = MOST_BYTES) -> None:
        self._memory_size = max(LEAST_SIZE, memory_size)
        self._most_bytes = most_bytes
        self._keep_s = max(0, program.largest_frequency - 2)
        self._all: deque[tuple[Event, Rule | None]] = deque()
        self._bytes = 0
        self._indexes: dict[tuple[int | None, Likeness], LikenessIndex] = {}
        self._of_window: list[list[LikenessIndex]] = [[] for _ in range(program.windows)]
        self._of_all: list[LikenessIndex] = []
        for rule in program.rules:
            if rule.search is not None:
                self._file(rule.search)
        self.forgotten = 0

    def _file(self, search: Search) -> None:
        """Makes the index that `search` looks into, once for all that ask for the same."""
        key = (search.window, search.likeness)
        if key not in self._indexes:
            index = LikenessIndex(search.likeness, by_category=search.window is None)
            self._indexes[key] = index
            (self._of_all if search.window is None else self._of_window[search.window]).append(index)

    def __len__(self) -> int:
        return len(self._all)

    def record(self, event: Event, rule: Rule | None) -> None:
        """`event`, which ended with `rule`, counts for later composites; None: a rule that nobody counts."""
        for window in rule.feeds if rule is not None else _NO_FEEDS:
            for index in self._of_window[window]:
                index.add(event)
        for index in self._of_all:
            index.add(event)
        self._all.append((event, rule))
        self._bytes += _weight(event)
        if len(self._all) > self._memory_size:
            self._shrink(int(event.at))
        while self._bytes > self._most_bytes and len(self._all) > 1:
            self._drop()

    def _shrink(self, now: int) -> None:
        """Drops the oldest ten, and those older than the largest frequency taken as seconds: as it always was."""
        for _ in range(DROPPED_AT_ONCE):
            self._drop()
        while len(self._all) > 1 and now - int(self._all[0][0].at) > self._keep_s:
            self._drop()

    def _drop(self) -> None:
        event, rule = self._all.popleft()
        self._bytes -= _weight(event)
        self.forgotten += 1
        for window in rule.feeds if rule is not None else _NO_FEEDS:
            for index in self._of_window[window]:
                index.drop(event)
        for index in self._of_all:
            index.drop(event)

    def carried(
        self, program: Program, memory_size: int, successor: Callable[[Rule], Rule | None]
    ) -> EarlierEvents:
        """The same events in the windows of another program, each as an event of the rule that succeeds its own."""
        new = EarlierEvents(program, memory_size, most_bytes=self._most_bytes)
        for event, rule in self._all:
            new.record(event, successor(rule) if rule is not None else None)
        new.forgotten += self.forgotten
        return new

    def search(self, search: Search, level: int, event: Event, previous: dict[int, bytes]) -> bool:
        """True when enough earlier events are alike; `previous` gets their logs, the newest under 0.

        The newest counted event and this one are marked with `level`: counting starts anew at them.
        """
        count = 0
        newest: Event | None = None
        for each in self._alike(search, level, event):
            decides = count >= search.needed
            if count < MOST_PREVIOUS and not (decides and search.window is None):
                previous.setdefault(count, each.full_log)
            if not decides:
                count += 1
                newest = newest or each
                continue
            event.mark = level
            if newest is not None:
                newest.mark = level
            return True
        previous.clear()
        return False

    def count_alike(self, search: Search, level: int, event: Event) -> int:
        """How many earlier events `search` would count for `event`; nothing is marked."""
        return sum(1 for _ in self._alike(search, level, event))

    def _alike(self, search: Search, level: int, event: Event) -> Iterator[Event]:
        """The earlier events that count, the newest first, up to one that a rule of this level has used."""
        now = int(event.at)
        likeness = search.likeness
        pattern = search.pattern if search.window is None else None
        for each in self._indexes[search.window, likeness].newest_first(event):
            if now - int(each.at) > search.timeframe_s:
                return
            if pattern is not None and not pattern.test(each.log):
                continue
            if not is_alike(likeness, each, event):
                continue
            if each.mark >= level:
                return
            yield each


def _weight(event: Event) -> int:
    """Bytes that an event takes, roughly: its log whole, cut and in fields, and the objects around them.

    Fields are counted by themselves: a log of a few kilobytes may name hundreds of them with its own length each.
    """
    names = event.by_name
    fields = 250 * len(event.dynamic) + sum(map(len, names)) + sum(map(len, names.values()))
    return 3 * len(event.full_log) + fields + 1_000
