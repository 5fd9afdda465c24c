"""Who is who in the cluster, from the cards of the live nodes and the holder of the lease. Pure.

A node configured as `master` is a candidate; the holder of the lease is the master; every other node is a worker.
Source: spec/cluster.md 1.1, 7.1 (order of the list).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

C = TypeVar("C", bound="Card")


class Card(Protocol):
    """What this module needs of a live node."""

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> str: ...

    @property
    def joined_at(self) -> float: ...


def effective_type(name: str, holder: str | None) -> str:
    """`master` for the holder of the lease, `worker` for everybody else."""
    return "master" if name == holder else "worker"


def in_listing_order(cards: Sequence[C], holder: str | None) -> list[C]:
    """The master first, then the workers in the order in which they joined."""
    return sorted(cards, key=lambda card: (card.name != holder, card.joined_at, card.name))


def master_address(cards: Sequence[Card], holder: str | None, configured: Sequence[str]) -> str:
    """The master's address; the first configured node where the master is not known now."""
    for card in cards:
        if card.name == holder:
            return card.address
    return configured[0] if configured else "undefined"


def quorum(members: int) -> int:
    """How many of `members` engine members must be up for writes."""
    return members // 2 + 1
