"""The ring between what produces events and the connection to the manager. Pure.

    offer ──▶ [ ring of queue_size ] ──▶ take, at most events_per_second

Four levels; each change that an operator must know is told in the log and, as an event that overtakes
whatever waits in the ring, to the manager:

    normal ──≥ warn_level──▶ warning ──no room left──▶ full ──tolerance_s──▶ flooded
       ▲                        │  ▲                     │                      │
       └──────≤ normal_level────┘  └────── < warn_level ─┴──────────────────────┘   (this way: silent)

A full ring drops the newest message of a source that cannot wait. A source that can wait (a file) looks at
`room` first and leaves its lines where they are.
Source: spec/agent-channel.md 5.5, 8.5; captures/event-flood.json.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

Item = TypeVar("Item")

BURST_S = 0.02
"""Most credit that an idle moment saves up: at 500 events a second, ten events may leave at once."""


class Level(Enum):
    """How full the ring is, as operators hear it."""

    NORMAL = "normal"
    WARNING = "warning"
    FULL = "full"
    FLOODED = "flooded"


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelChange:
    """A change that is told: `event` to the manager, `line` (with its log level) to the log."""

    event: bytes
    log_level: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferSettings:
    """What the ring goes by; defaults are those of the reference."""

    enabled: bool = True
    """False: no pacing and no levels; the ring is only a short queue."""
    queue_size: int = 5000
    events_per_second: int = 500
    warn_level: int = 90
    """Percent of the ring from which on the operator is warned."""
    normal_level: int = 70
    """Percent of the ring below which all is well again."""
    tolerance_s: float = 15
    """Seconds of a full ring until it counts as flooded."""


class Ring(Generic[Item]):
    """The ring itself. Every method takes the present as `now` in monotonic seconds."""

    def __init__(self, settings: BufferSettings) -> None:
        self._settings = settings
        self._waiting: deque[Item] = deque()
        self._level = Level.NORMAL
        self._full_since = 0.0
        self._changes: deque[LevelChange] = deque()
        self._credit_at = float("-inf")
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def level(self) -> Level:
        return self._level

    @property
    def settings(self) -> BufferSettings:
        return self._settings

    def reconfigure(self, settings: BufferSettings) -> None:
        """Other limits from now on; what waits stays, even above a smaller size."""
        self._settings = settings
        if not settings.enabled:
            self._level = Level.NORMAL
            self._changes.clear()

    def room(self) -> int:
        """How many messages still fit."""
        return max(0, self._settings.queue_size - len(self._waiting))

    def offer(self, item: Item, now: float) -> bool:
        """True when `item` is in the ring; False when the ring was full and `item` is dropped and counted."""
        fits = self.room() > 0
        if fits:
            self._waiting.append(item)
        else:
            self.dropped += 1
        self._rise(now)
        return fits

    def empty(self) -> list[Item]:
        """All that waits, oldest first, taken out regardless of its turn."""
        items = list(self._waiting)
        self._waiting.clear()
        return items

    def put_back(self, items: list[Item]) -> None:
        """`items` were taken and could not be sent: they go out first, in their order, when sending works."""
        self._waiting.extendleft(reversed(items))

    def next_change(self, now: float) -> LevelChange | None:
        """The next change of level that has to be told; it goes out before anything that waits."""
        if self._settings.enabled:
            self._rise(now)
            self._fall()
        return self._changes.popleft() if self._changes else None

    def take(self, now: float) -> Item | None:
        """The oldest message, or None when nothing waits or its turn has not come (see `next_turn`)."""
        if not self._waiting or now < self.next_turn(now):
            return None
        if self._settings.enabled:
            self._credit_at = max(self._credit_at, now - BURST_S) + 1 / self._settings.events_per_second
        return self._waiting.popleft()

    def next_turn(self, now: float) -> float:
        """When (monotonic seconds) the next message may leave: `now` or earlier means at once."""
        if not self._settings.enabled or now - self._credit_at > BURST_S:
            return now
        return self._credit_at

    def next_deadline(self) -> float | None:
        """When a full ring becomes a flooded one."""
        if self._level is Level.FULL and self._settings.enabled:
            return self._full_since + self._settings.tolerance_s
        return None

    def _percent(self) -> float:
        return 100 * len(self._waiting) / self._settings.queue_size

    def _rise(self, now: float) -> None:
        if not self._settings.enabled:
            return
        if self._level in (Level.NORMAL, Level.WARNING) and self.room() == 0:
            self._level = Level.FULL
            self._full_since = now
            self._changes.append(_FULL)
        elif self._level is Level.NORMAL and self._percent() >= self._settings.warn_level:
            self._level = Level.WARNING
            self._changes.append(_warning(self._settings.warn_level))
        elif self._level is Level.FULL and now - self._full_since >= self._settings.tolerance_s:
            self._level = Level.FLOODED
            self._changes.append(_FLOODED)

    def _fall(self) -> None:
        if self._level in (Level.FULL, Level.FLOODED) and self._percent() < self._settings.warn_level:
            self._level = Level.WARNING
        if self._level is Level.WARNING and self._percent() <= self._settings.normal_level:
            self._level = Level.NORMAL
            self._changes.append(_normal(self._settings.normal_level))


def _event(level: str) -> bytes:
    return f"1:wazuh-agent:wazuh: Agent buffer: '{level}'.".encode()


def _warning(percent: int) -> LevelChange:
    return LevelChange(event=_event(f"{percent}%"), log_level="WARNING", line=f"Agent buffer at {percent} %.")


def _normal(percent: int) -> LevelChange:
    line = f"Agent buffer is under {percent} %. Working properly again."
    return LevelChange(event=_event("normal"), log_level="INFO", line=line)


_FULL = LevelChange(
    event=_event("full"), log_level="WARNING", line="Agent buffer is full: Events may be lost."
)
_FLOODED = LevelChange(
    event=_event("flooded"),
    log_level="WARNING",
    line="Agent buffer is flooded: Producing too many events.",
)
