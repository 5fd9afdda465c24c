"""Connections whose agent is not known yet: bounded in number, by source, in time and in memory. Pure.

Somebody without a key can only be here. When it is full the oldest of the source that has most here goes, so a crowd
from one place drives out itself and not the agents of other places. What peers keep in memory has one bound for
all of them; beyond it goes who just asked for more, unless that is as little as any agent's hello.
Source: security classes T4 and T6; there is no such bound in the reference.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

SMALL_BYTES = 2048
"""What every peer may keep; an agent's hello has some 300 bytes."""

P = TypeVar("P", bound=Hashable)


class WaitingRoom(Generic[P]):
    """Peers in the order of their coming, and by source."""

    def __init__(self, *, most: int, most_of_source: int, most_bytes: int, stay_s: float) -> None:
        self._most = most
        self._most_of_source = most_of_source
        self._most_bytes = most_bytes
        self._stay_s = stay_s
        self._since: OrderedDict[P, tuple[float, str]] = OrderedDict()
        self._of_source: dict[str, OrderedDict[P, None]] = {}
        self._bytes: dict[P, int] = {}
        self._all_bytes = 0

    def __len__(self) -> int:
        return len(self._since)

    def __contains__(self, peer: P) -> bool:
        return peer in self._since

    def enter(self, peer: P, source: str, now: float, *, is_crowd: bool = False) -> list[P]:
        """Those who must go for `peer`. `is_crowd` tells a source that stands for many, such as a balancer."""
        self.leave(peer)
        self._since[peer] = (now, source)
        group = self._of_source.setdefault(source, OrderedDict())
        group[peer] = None
        if len(group) > self._most_of_source and not is_crowd:
            return [self._oldest_of(group)]
        if len(self._since) > self._most:
            return [self._oldest_of(max(self._of_source.values(), key=len))]
        return []

    def _oldest_of(self, group: OrderedDict[P, None]) -> P:
        peer = next(iter(group))
        self.leave(peer)
        return peer

    def holds(self, peer: P, held_bytes: int) -> bool:
        """False when `peer`, which keeps `held_bytes` in memory now, must go for it."""
        if peer not in self._since:
            return True
        self._all_bytes += held_bytes - self._bytes.get(peer, 0)
        self._bytes[peer] = held_bytes
        return held_bytes <= SMALL_BYTES or self._all_bytes <= self._most_bytes

    def leave(self, peer: P) -> None:
        """`peer` is known now, or gone."""
        found = self._since.pop(peer, None)
        if found is None:
            return
        self._all_bytes -= self._bytes.pop(peer, 0)
        group = self._of_source[found[1]]
        del group[peer]
        if not group:
            del self._of_source[found[1]]

    def expire(self, now: float) -> list[P]:
        """Those who have been here too long."""
        late = []
        for peer, (since, _) in self._since.items():
            if now - since < self._stay_s:
                break
            late.append(peer)
        for peer in late:
            self.leave(peer)
        return late
