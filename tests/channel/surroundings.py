"""What stands around the server in tests: agents that are known, and everything of a node behind the ports, as doubles
that write down what they hear."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from garrison.channel.ports import AgentEvent
from garrison.channel.server import AgentServer, Surroundings
from garrison.config.model import InternalOptions, RemoteConfig
from garrison.ground.tasks import Stop, start
from garrison.registry.model import Agent
from garrison.wire import agent_message
from tests.support.clock import FakeClock, SeededEntropy
from tests.support.stock_agent import StockAgent

WEB = Agent(id="001", name="web01", ip="any", key="a" * 64, groups=("web",))
DB = Agent(id="002", name="db01", ip="any", key="b" * 64)
BY_ADDRESS = Agent(id="003", name="fixed", ip="127.0.0.1", key="c" * 64, groups=("web",))
LATE = Agent(id="777", name="late", ip="any", key="d" * 64, groups=("web",))


@dataclass
class Bundle:
    data: bytes

    @property
    def md5(self) -> str:
        return hashlib.md5(self.data, usedforsecurity=False).hexdigest()


class Node:
    """Everything behind the server, as doubles that write down what they hear."""

    def __init__(self, tmp_path: Path, options: InternalOptions | None = None, **config: Any) -> None:
        self.known = {agent.id: agent for agent in (WEB, DB, BY_ADDRESS)}
        self.in_engine = {LATE.id: LATE}
        self.clock = FakeClock()
        self.events: list[AgentEvent] = []
        self.statuses: list[tuple[Any, ...]] = []
        self.bundles: dict[tuple[str, ...], Bundle] = {}
        self.may = True
        self.assigned: list[str] = []
        self.asked: list[str] = []
        self.keep_events, self.count = True, 0
        self.free = asyncio.Event()
        self.free.set()
        self.config = RemoteConfig(local_ip="127.0.0.1", port=free_port(), **config)
        around = Surroundings(
            keys=self, bundles=self, statuses=self, cluster=self, events=self,
            clock=self.clock, entropy=SeededEntropy(), counter_file=tmp_path / "rids/sender_counter",
        )  # fmt: skip
        self.server = AgentServer(
            self.config, options or InternalOptions(remoted_response_timeout_s=5), around
        )

    def agent(self, identity: str) -> Agent | None:
        return self.known.get(identity)

    def by_address(self, ip: str) -> Agent | None:
        return next((agent for agent in self.known.values() if agent.ip == ip), None)

    async def find(self, identity: str) -> Agent | None:
        await asyncio.sleep(0)
        return self.in_engine.get(identity)

    async def find_address(self, ip: str) -> Agent | None:
        return None

    def bundle(self, groups: tuple[str, ...]) -> Bundle | None:
        return self.bundles.get(groups)

    def record_startup(self, *words: Any) -> None:
        self.statuses.append(("startup", words[0], words[2]))

    def record_refusal(self, *words: Any) -> None:
        self.statuses.append(("refusal", *words))

    def record_keepalive(self, identity: str, session: str, keepalive: Any, *, synced: bool) -> None:
        self.statuses.append(("keepalive", identity, synced))

    def record_shutdown(self, identity: str, session: str) -> None:
        self.statuses.append(("shutdown", identity))

    async def may_take(self, identity: str) -> bool:
        self.asked.append(identity)
        return self.may

    async def assign_default_group(self, identity: str) -> None:
        self.assigned.append(identity)

    def offer(self, batch: Sequence[AgentEvent]) -> bool:
        self.count += len(batch)
        if self.keep_events:
            self.events += batch
        return self.free.is_set()

    async def room(self) -> None:
        await self.free.wait()

    @property
    def port(self) -> int:
        return self.config.port


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def running(node: Node) -> AsyncIterator[Node]:
    stop = Stop()
    task = start(node.server.run(stop), name="server")
    await asyncio.wait_for(node.server.listening.wait(), 10)
    try:
        yield node
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


def scene(coroutine: Any) -> None:
    asyncio.run(coroutine)


class UdpAgent:
    """A stock agent that speaks UDP."""

    def __init__(self, agent: Agent, port: int) -> None:
        self._agent = StockAgent(agent)
        self._key = agent_message.derive(agent.entry)
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self._sock.connect(("127.0.0.1", port))

    def send(self, *messages: bytes) -> None:
        for message in messages:
            self._sock.send(self._agent.seal(message))

    def send_raw(self, data: bytes) -> None:
        self._sock.send(data)

    async def receive_raw(self, within_s: float = 10.0) -> bytes:
        loop = asyncio.get_running_loop()
        return await asyncio.wait_for(loop.sock_recv(self._sock, 70000), within_s)

    async def receive(self, within_s: float = 10.0) -> bytes:
        return agent_message.open_envelope(await self.receive_raw(within_s), self._key).message

    def close(self) -> None:
        self._sock.close()
