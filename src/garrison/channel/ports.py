"""What the channel needs of the rest of a node, and the events that it hands on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from garrison.registry.model import Agent
from garrison.wire.keepalive import Keepalive


class AgentEvent(NamedTuple):
    """One event of an agent. `location` is unescaped, `received_at` seconds since 1970.

    A named tuple, not a dataclass: it is made for every event, and costs a third.
    """

    agent: Agent
    queue: str
    location: bytes
    text: bytes
    received_at: float


class Keys(Protocol):
    """Who may connect: from memory at once, from the cluster when memory does not know."""

    def agent(self, identity: str) -> Agent | None: ...

    def by_address(self, ip: str) -> Agent | None: ...

    async def find(self, identity: str) -> Agent | None: ...

    async def find_address(self, ip: str) -> Agent | None: ...


class Bundle(Protocol):
    """The files of an agent's groups in one."""

    @property
    def data(self) -> bytes: ...

    @property
    def md5(self) -> str: ...


class Bundles(Protocol):
    """Which bundle the agents of these groups get; None when there is none yet."""

    def bundle(self, groups: tuple[str, ...]) -> Bundle | None: ...


class Statuses(Protocol):
    """Where reports about this node's agents go."""

    def record_startup(self, identity: str, session: str, version: str | None) -> None: ...

    def record_refusal(self, identity: str, code: int) -> None: ...

    def record_keepalive(
        self, identity: str, session: str, keepalive: Keepalive, *, synced: bool
    ) -> None: ...

    def record_shutdown(self, identity: str, session: str) -> None: ...


class Cluster(Protocol):
    """What concerns other nodes."""

    async def may_take(self, identity: str) -> bool:
        """False while another live node holds a fresh connection of the agent."""
        ...

    async def assign_default_group(self, identity: str) -> None:
        """An agent without a group belongs to `default` from now on."""
        ...


class EventSink(Protocol):
    """Where events go, in order. It never refuses what it is offered; it says when to stop reading."""

    def offer(self, batch: Sequence[AgentEvent]) -> bool:
        """Takes the batch. False when it is full: stop reading until `room` returns."""
        ...

    async def room(self) -> None:
        """Returns when there is room again."""
        ...
