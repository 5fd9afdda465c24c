"""Earlier events filed by what makes them alike, so that a search looks at those alone. Pure.

    key (agent, values that must be the same)  ->  runs of events one after the other, each of one differing value

A flood of equal events is one run: a rule that asks for another user each time passes over it in one step, however
long it is. Source: spec/analysis.md 12.2; spec/analysis-2-rules.md 5.3.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from garrison.analysis.event import Event
from garrison.analysis.program import Likeness

Key = tuple[bytes | str | None, ...]


def value_of(event: Event, name: str) -> bytes | None:
    """The value that `same_NAME` and `different_NAME` compare."""
    return event.location if name == "location" else event.static.get(name)


def is_alike(likeness: Likeness, each: Event, event: Event) -> bool:
    """True when the earlier event `each` has what `likeness` asks for in the sight of `event`."""
    for name in likeness.same:
        mine = value_of(event, name)
        if mine is None or mine != value_of(each, name):
            return False
    for name in likeness.different:
        mine = value_of(event, name)
        if mine is not None and mine == value_of(each, name):
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


class Run:
    """Events one after the other that have one value of the first differing field; None: they have none."""

    __slots__ = ("events", "value")

    def __init__(self, value: bytes | None) -> None:
        self.value = value
        self.events: deque[Event] = deque()


class LikenessIndex:
    """The events of one list, filed for one likeness. `by_category`: the list holds events of every kind."""

    def __init__(self, likeness: Likeness, *, by_category: bool) -> None:
        self._likeness = likeness
        self._by_category = by_category
        self._runs: dict[Key, deque[Run]] = {}

    def _key(self, event: Event) -> Key | None:
        """None for an event that is alike to none, as it lacks a value that has to be the same."""
        likeness = self._likeness
        found: list[bytes | str | None] = [None if likeness.crosses_agents else event.agent_id]
        if self._by_category:
            found.append(event.category)
        for name in likeness.same:
            value = value_of(event, name)
            if value is None:
                return None
            found.append(value)
        for field in likeness.same_fields:
            value = event.by_name.get(field)
            if value is None:
                return None
            found.append(value)
        return tuple(found)

    def _differing(self, event: Event) -> bytes | None:
        likeness = self._likeness
        if likeness.different:
            return value_of(event, likeness.different[0])
        if likeness.different_fields:
            return event.by_name.get(likeness.different_fields[0])
        return None

    def add(self, event: Event) -> None:
        """`event` is the newest."""
        key = self._key(event)
        if key is None:
            return
        runs = self._runs.get(key)
        if runs is None:
            runs = self._runs[key] = deque()
        value = self._differing(event)
        if not runs or runs[-1].value != value:
            runs.append(Run(value))
        runs[-1].events.append(event)

    def drop(self, event: Event) -> None:
        """`event`, the oldest of the list, goes."""
        key = self._key(event)
        runs = self._runs.get(key) if key is not None else None
        if not runs or key is None or runs[0].events[0] is not event:
            return
        runs[0].events.popleft()
        if not runs[0].events:
            runs.popleft()
        if not runs:
            del self._runs[key]

    def newest_first(self, event: Event) -> Iterator[Event]:
        """The events that may be alike to `event`; all that are left out are not."""
        key = self._key(event)
        if key is None:
            return
        mine = self._differing(event)
        for run in reversed(self._runs.get(key, ())):
            if mine is None or run.value != mine:
                yield from reversed(run.events)
