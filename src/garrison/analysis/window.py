"""Earlier events that composite rules look at, bounded. Pure.

Each recorded event enters the list of all and the windows that its rule feeds. The list of all is bounded; what falls out
of it falls out of the windows too.
Source: spec/analysis.md 12.2, 13.3.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from garrison.analysis.event import Event
from garrison.analysis.program import Likeness, Program, Rule, Search

DROPPED_AT_ONCE = 10
MOST_PREVIOUS = 11


class EarlierEvents:
    """The memory of one analyzer."""

    def __init__(self, program: Program, memory_size: int) -> None:
        self._memory_size = max(2048, memory_size)
        self._keep_s = program.largest_frequency
        self._all: deque[tuple[Event, tuple[int, ...]]] = deque()
        self._windows: list[deque[Event]] = [deque() for _ in range(program.windows)]
        self.forgotten = 0

    def record(self, event: Event, rule: Rule) -> None:
        """`event` counts for later composites."""
        for window in rule.feeds:
            self._windows[window].append(event)
        self._all.append((event, rule.feeds))
        if len(self._all) > self._memory_size:
            self._shrink(event.at)

    def _shrink(self, now: float) -> None:
        for _ in range(DROPPED_AT_ONCE):
            self._drop()
        while (
            len(self._all) > 1
            and now - self._all[0][0].at > self._keep_s
            and len(self._all) > self._memory_size
        ):
            self._drop()

    def _drop(self) -> None:
        event, feeds = self._all.popleft()
        self.forgotten += 1
        for window in feeds:
            events = self._windows[window]
            if events and events[0] is event:
                events.popleft()

    def _newest_first(self, window: int | None) -> Iterator[Event]:
        if window is not None:
            return reversed(self._windows[window])
        return (event for event, _ in reversed(self._all))

    def search(self, search: Search, level: int, event: Event, previous: dict[int, bytes]) -> bool:
        """True when enough earlier events are alike; `previous` gets their logs, the newest under 0.

        The newest counted event and this one are marked with `level`: counting starts anew at them.
        """
        earlier = self._newest_first(search.window)
        count = 0
        newest: Event | None = None
        now = int(event.at)
        likeness = search.likeness
        for each in earlier:
            if now - int(each.at) > search.timeframe_s:
                break
            if not likeness.crosses_agents and each.agent_id != event.agent_id:
                continue
            if search.window is None and not _may_count(search, each, event):
                continue
            if not _is_alike(likeness, each, event):
                continue
            if each.mark >= level:
                break
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


def _may_count(search: Search, each: Event, event: Event) -> bool:
    if each.category != event.category:
        return False
    return search.pattern is None or search.pattern.test(each.log)


def _is_alike(likeness: Likeness, each: Event, event: Event) -> bool:
    for name in likeness.same:
        mine = _value(event, name)
        if mine is None or mine != _value(each, name):
            return False
    for name in likeness.different:
        mine = _value(event, name)
        if mine is not None and mine == _value(each, name):
            return False
    return _fields_alike(likeness, each, event)


def _fields_alike(likeness: Likeness, each: Event, event: Event) -> bool:
    if likeness.same_fields:
        if not event.dynamic or not each.dynamic:
            return False
        for name in likeness.same_fields:
            mine = event.by_name.get(name)
            if mine is None or mine != each.by_name.get(name):
                return False
    if likeness.different_fields:
        if not event.dynamic and not each.dynamic:
            return False
        for name in likeness.different_fields:
            mine = event.by_name.get(name)
            if mine is not None and mine == each.by_name.get(name):
                return False
    return True


def _value(event: Event, name: str) -> bytes | None:
    return event.location if name == "location" else event.static.get(name)
