"""Messages on their way out, and which of them the other side's TCP has not taken yet. Pure.

    ring ──take──▶ written to the kernel ──▶ acknowledged by the peer's TCP ──▶ `sent()` of its source
                        └── connection lost: what was not acknowledged goes back into the ring, in order

Without this, everything in the kernel's send buffer would be lost when a manager's host dies.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol


class Source(Protocol):
    """Where an event came from, told how far it was sent."""

    def sent(self, end: int) -> None:
        """Everything before `end` (a file offset) is out of our hands: never send it again."""
        ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One event in its wire form; `end` means something to `source` only."""

    message: bytes
    source: Source | None = None
    end: int = 0

    def mark_sent(self) -> None:
        """Tells the source."""
        if self.source is not None:
            self.source.sent(self.end)


class InFlight:
    """What was written to one connection and may still be in our host's kernel."""

    def __init__(self) -> None:
        self._written = 0
        self._items: deque[tuple[int, Outgoing | None]] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def wrote(self, size_bytes: int, item: Outgoing | None) -> None:
        """`size_bytes` more were handed to the connection; `item` is the event in them, None for others."""
        self._written += size_bytes
        self._items.append((self._written, item))

    def settle(self, untaken_bytes: int) -> None:
        """All but the last `untaken_bytes` were taken by the peer: their sources are told."""
        taken = self._written - untaken_bytes
        while self._items and self._items[0][0] <= taken:
            _, item = self._items.popleft()
            if item is not None:
                item.mark_sent()

    def take_back(self) -> list[Outgoing]:
        """The events that were not taken, oldest first; nothing is in flight afterwards."""
        items = [item for _, item in self._items if item is not None]
        self._items.clear()
        return items
