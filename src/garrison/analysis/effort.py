"""How much work one event may cost: no event stalls an analyzer, whatever its patterns make of it.

    EFFORT.begin()              an event begins
    EFFORT.is_spent()           its time is over: what is still to be looked for counts as not found
    EFFORT.cut()                something was left out
    EFFORT.end()                how often, for this event; outside of events time has no end

The time is wall time, and once that is over as much processor time again, so that a machine that was asleep or busy
leaves nothing out. Time is no input of verdicts here but their brake: it lies far above what logs need (tens of
microseconds). One event at a time: analyzers of one process take turns. Source: spec/analysis.md 5.5 (a limit that is
reached is no match).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

MOST_S = 0.2
LONG_BYTES = 1_024
"""Texts up to here may be searched by engines whose time grows with the square of the length."""
OPEN_BYTES = 128
"""The same for expressions of which several runs may share bytes: each of them adds a power."""
MOST_WALKED_AGAIN = 400_000
"""Bytes that one OS_Regex walk may go over again, a tenth of a second's work."""


class TooMuchWork(Exception):
    """A search was given up."""


class Effort:
    """The time of one event, and what did not fit into it."""

    __slots__ = ("_clock", "_cpu", "_cpu_end", "_end", "cuts", "most_s")

    def __init__(
        self,
        most_s: float = MOST_S,
        *,
        clock: Callable[[], float] = time.perf_counter,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self.most_s = most_s
        self.cuts = 0
        self._clock = clock
        self._cpu = cpu
        self._end = math.inf
        self._cpu_end: float | None = None

    def begin(self) -> None:
        """Another event has its whole time before it."""
        self.cuts = 0
        self._cpu_end = None
        self._end = self._clock() + self.most_s

    def end(self) -> int:
        """How often something was cut short since `begin`."""
        self._end = math.inf
        return self.cuts

    def is_spent(self) -> bool:
        """True when the event had its time."""
        if self._clock() < self._end:
            return False
        if self._cpu_end is None:
            self._cpu_end = self._cpu() + self.most_s
            return False
        return self._cpu() >= self._cpu_end

    def cut(self) -> None:
        """Notes that something was not looked for to its end."""
        self.cuts += 1


EFFORT = Effort()
"""That of the event which this process analyzes now."""
