"""Which connection each agent has on this node: one at most. Pure.

A second connection of a live agent is refused, unless the first has been silent longer than the overtake time; then it
takes over and the first is closed. Datagrams are no connection: an agent that speaks UDP takes another source port
whenever it connects anew, so whoever holds by UDP makes way at once. Source: spec/agent-channel.md 3.5, 3.7.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar


class Holder(Protocol):
    """A connection as the roster sees it: monotonic time of its last valid message, and whether it is datagrams."""

    is_udp: bool

    @property
    def last_valid_at(self) -> float: ...


H = TypeVar("H", bound=Holder)


class Roster(Generic[H]):
    """Agent id -> its connection."""

    def __init__(self, overtake_s: float) -> None:
        self._overtake_s = overtake_s
        self._holders: dict[str, H] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def holder(self, identity: str) -> H | None:
        """The agent's connection."""
        return self._holders.get(identity)

    def holders(self) -> list[tuple[str, H]]:
        """All of them."""
        return list(self._holders.items())

    def enter(self, identity: str, newcomer: H, now: float) -> tuple[bool, H | None]:
        """(may stay, the connection that is to be closed for it)."""
        old = self._holders.get(identity)
        if old is None or old is newcomer:
            self._holders[identity] = newcomer
            return True, None
        if not self.is_stale(identity, now):
            return False, None
        self._holders[identity] = newcomer
        return True, old

    def is_stale(self, identity: str, now: float) -> bool:
        """True when nobody holds the agent here, or its holder makes way."""
        old = self._holders.get(identity)
        if old is None or old.is_udp:
            return True
        return bool(self._overtake_s and now - old.last_valid_at > self._overtake_s)

    def leave(self, identity: str, holder: H) -> bool:
        """True when that connection was the agent's; it is none any more."""
        if self._holders.get(identity) is holder:
            del self._holders[identity]
            return True
        return False
