"""The server of port 1514 over real sockets, with small agents."""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from garrison.channel.ports import AgentEvent
from garrison.channel.server import AgentServer, Surroundings
from garrison.config.model import InternalOptions, RemoteConfig
from garrison.ground.errors import ConfigError
from garrison.ground.tasks import Stop, start
from garrison.registry.model import Agent
from garrison.wire import agent_message, control
from garrison.wire.agent_frame import encode_frame
from garrison.wire.agent_message import Method
from garrison.wire.counters import Counters
from garrison.wire.merged import decode_bundle, encode_bundle
from tests.support.clock import FakeClock, SeededEntropy
from tests.support.stock_agent import StockAgent
from tests.support.wait import until

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

    def __init__(self, tmp_path: Path, **config: Any) -> None:
        self.known = {agent.id: agent for agent in (WEB, DB, BY_ADDRESS)}
        self.in_engine = {LATE.id: LATE}
        self.clock = FakeClock()
        self.events: list[AgentEvent] = []
        self.statuses: list[tuple[Any, ...]] = []
        self.bundles: dict[tuple[str, ...], Bundle] = {}
        self.may = True
        self.assigned: list[str] = []
        self.free = asyncio.Event()
        self.free.set()
        self.config = RemoteConfig(local_ip="127.0.0.1", port=free_port(), **config)
        around = Surroundings(
            keys=self, bundles=self, statuses=self, cluster=self, events=self,
            clock=self.clock, entropy=SeededEntropy(), counter_file=tmp_path / "rids/sender_counter",
        )  # fmt: skip
        self.server = AgentServer(self.config, InternalOptions(remoted_response_timeout_s=5), around)

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
        return self.may

    async def assign_default_group(self, identity: str) -> None:
        self.assigned.append(identity)

    def offer(self, batch: Sequence[AgentEvent]) -> bool:
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


def test_a_whole_session(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            node.bundles[("web",)] = Bundle(
                encode_bundle("web", [("agent.conf", b"<agent_config/>"), ("big", b"y" * 3000)])
            )
            agent = await StockAgent(WEB).connect(node.port)
            assert await agent.hello() == control.ACK
            agent.keepalive()
            assert await agent.receive() == control.ACK
            begin = control.decode_from_manager(await agent.receive())
            assert isinstance(begin, control.FileBegin) and begin.name == "merged.mg"
            received = b""
            while (message := await agent.receive()) != control.FILE_END:
                received += message
            assert hashlib.md5(received, usedforsecurity=False).hexdigest() == begin.md5
            assert decode_bundle(received)[1] == ("big", b"y" * 3000)
            agent.keepalive(begin.md5)
            assert await agent.receive() == control.ACK
            agent.send(*[f"1:/var/log/auth.log:line {number}".encode() for number in range(500)])
            agent.send(control.SHUTDOWN)
            await until(lambda: ("shutdown", "001") in node.statuses)
            lines = [event.text for event in node.events]
            assert lines == [f"line {number}".encode() for number in range(500)] + [
                b"ossec: Agent stopped: 'web01->any'."
            ]
            assert node.events[-1].location == b"wazuh-remoted"
            assert node.statuses == [
                ("startup", "001", "v4.14.7"),
                ("keepalive", "001", False),
                ("keepalive", "001", True),
                ("shutdown", "001"),
            ]

    scene(play())


def test_an_id_that_only_the_engine_knows_is_let_in_and_an_unknown_one_is_not(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            late = await StockAgent(LATE).connect(node.port)
            assert await late.hello() == control.ACK
            stranger = await StockAgent(Agent(id="888", name="x1", ip="any", key="e" * 64)).connect(node.port)
            assert await stranger.hello() == b""

    scene(play())


def test_a_second_connection_is_refused_until_the_first_is_silent_too_long(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            first = await StockAgent(WEB).connect(node.port)
            assert await first.hello() == control.ACK
            second = await StockAgent(WEB).connect(node.port)
            assert await second.hello() == b""
            assert "Agent key already in use: agent ID '001'" in caplog.text
            await node.clock.advance(61)
            third = await StockAgent(WEB).connect(node.port)
            assert await third.hello() == control.ACK
            assert await first.receive() == b""
            third.send(b"1:a:still here")
            await until(lambda: node.events)

    scene(play())


def test_another_live_node_keeps_its_agent(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            node.may = False
            agent = await StockAgent(WEB).connect(node.port)
            assert await agent.hello() == b""
            assert node.statuses == []
            node.may = True
            agent = await StockAgent(WEB).connect(node.port)
            assert await agent.hello() == control.ACK
            assert not node.server.release("001")
            await node.clock.advance(61)
            assert node.server.release("001") and await agent.receive() == b""
            assert node.server.release("001")

    scene(play())


def test_an_agent_that_is_removed_or_has_a_new_key_is_cut_off(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            agent = await StockAgent(WEB).connect(node.port)
            await agent.hello()
            node.server.agent_changed(
                Agent(id="001", name="web01", ip="any", key="a" * 64, groups=("other",))
            )
            agent.keepalive()
            assert await agent.receive() == control.ACK
            node.server.agent_changed(Agent(id="001", name="web01", ip="any", key="f" * 64))
            assert await agent.receive() == b""
            assert node.server.connected() == 0

    scene(play())


def test_an_agent_without_a_group_gets_default(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            node.bundles[("default",)] = Bundle(b"#default\n")
            agent = await StockAgent(DB, Method.BLOWFISH).connect(node.port)
            assert await agent.hello() == control.ACK
            agent.keepalive()
            assert await agent.receive() == control.ACK
            assert isinstance(control.decode_from_manager(await agent.receive()), control.FileBegin)
            await until(lambda: node.assigned == ["002"])

    scene(play())


def test_questions_are_answered_or_time_out(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            assert await node.server.send_request("001", "com", b"getconfig") == b"err Cannot send request"
            agent = await StockAgent(BY_ADDRESS, with_prefix=False).connect(node.port)
            await agent.hello()
            asking = start(node.server.send_request("003", "agent", b"getstate"), name="ask")
            question = control.decode_from_manager(await agent.receive())
            assert isinstance(question, control.Request)
            assert (question.target, question.payload) == ("agent", b"getstate")
            agent.send(
                control.encode_answer("ffffffff", b"ok wrong"),
                control.encode_answer(question.counter, b"ok yes"),
            )
            assert await asking == b"ok yes"
            asking = start(node.server.send_request("003", "agent", b"getstate"), name="ask")
            await agent.receive()
            await node.clock.advance(6)
            assert await asking == b"err Response timeout"
            assert node.server.send_control("003", control.FORCE_RECONNECT)
            assert await agent.receive() == control.FORCE_RECONNECT

    scene(play())


def test_reading_stops_while_events_find_no_room(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            agent = await StockAgent(WEB).connect(node.port)
            await agent.hello()
            node.free.clear()
            noise = random.Random(3)
            block = [f"1:a:{noise.randbytes(4000).hex()}{number:03}".encode() for number in range(50)]
            writing = start(send_all(agent, block, 100), name="write")
            await until(lambda: node.events)
            seen = len(node.events)
            for _ in range(50):
                await asyncio.sleep(0)
            assert len(node.events) <= seen + 500 and not writing.done()
            node.free.set()
            await writing
            await until(lambda: len(node.events) == 5000)
            assert [event.text[-3:] for event in node.events[-3:]] == [b"047", b"048", b"049"]

    scene(play())


async def send_all(agent: StockAgent, block: list[bytes], times: int) -> None:
    for _ in range(times):
        agent.send(*block)
        await agent.writer.drain()


def test_udp_agents_get_the_same(tmp_path: Path) -> None:
    async def play() -> None:
        node = Node(tmp_path, protocols=frozenset({"tcp", "udp"}))
        async with running(node):
            loop = asyncio.get_running_loop()
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setblocking(False)
            sock.connect(("127.0.0.1", node.port))
            agent = StockAgent(WEB)
            key = agent_message.derive(WEB.entry)

            async def tell(message: bytes) -> None:
                await loop.sock_sendall(sock, agent.seal(message))

            async def hear() -> bytes:
                return agent_message.open_envelope(
                    await asyncio.wait_for(loop.sock_recv(sock, 70000), 10), key
                ).message

            await loop.sock_sendall(sock, b"#ping")
            assert await asyncio.wait_for(loop.sock_recv(sock, 100), 10) == b"#pong"
            await loop.sock_sendall(sock, b"!001!#AES:garbage.........")
            await tell(control.encode_startup("v4.14.7"))
            assert await hear() == control.ACK
            await tell(b"1:a:over udp")
            await until(lambda: [event.text for event in node.events] == [b"over udp"])
            asking = start(node.server.send_request("001", "com", b"getconfig"), name="ask")
            question = control.decode_from_manager(await hear())
            assert isinstance(question, control.Request)
            await tell(control.encode_answer(question.counter, b"ack"))
            await tell(control.encode_answer(question.counter, b"ok x"))
            assert await asking == b"ok x"
            assert control.decode_from_manager(await hear()) == control.RequestAck(question.counter)
            sock.close()

    scene(play())


def test_behind_a_balancer_the_agents_own_address_counts(tmp_path: Path) -> None:
    async def play() -> None:
        node = Node(tmp_path, proxy_protocol=True, proxy_trusted=("127.0.0.1",))
        node.known["003"] = Agent(id="003", name="fixed", ip="10.9.8.7", key="c" * 64, groups=("web",))
        async with running(node):
            for header in (
                b"PROXY TCP4 10.9.8.7 10.0.0.1 40000 1514\r\n",
                b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"
                + bytes([10, 9, 8, 7, 10, 0, 0, 1])
                + b"\x9c\x40\x05\xea",
            ):
                agent = await StockAgent(node.known["003"], with_prefix=False).connect(node.port)
                agent.send_raw(header)
                assert await agent.hello() == control.ACK
                agent.close()
                await until(lambda: node.server.connected() == 0)
            for damaged in (b"GET / HTTP/1.1\r\n", b"PROXY " + b"x" * 200, b"PROXY TCP4 a b c d\r\n"):
                agent = await StockAgent(node.known["003"], with_prefix=False).connect(node.port)
                agent.send_raw(damaged)
                assert await agent.receive() == b""

    scene(play())


def test_a_header_from_elsewhere_is_not_believed(tmp_path: Path) -> None:
    async def play() -> None:
        node = Node(tmp_path, proxy_protocol=True, proxy_trusted=("10.0.0.0/8",))
        async with running(node):
            agent = await StockAgent(WEB).connect(node.port)
            agent.send_raw(b"PROXY TCP4 10.9.8.7 10.0.0.1 40000 1514\r\n")
            assert await agent.receive() == b""

    scene(play())


def test_hostile_peers_disturb_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            good = await StockAgent(WEB).connect(node.port)
            await good.hello()
            dice = random.Random(5)
            for round_ in range(150):
                hostile = await StockAgent(DB).connect(node.port)
                kind = round_ % 5
                if kind == 0:
                    hostile.send_raw(dice.randbytes(dice.randrange(1, 3000)))
                elif kind == 1:
                    hostile.send_raw((2**32 - 1).to_bytes(4, "little"))
                elif kind == 2:
                    hostile.send_raw(encode_frame(b"!001!#AES:" + dice.randbytes(64)))
                elif kind == 3:
                    hostile.send_raw(encode_frame(b"!" + b"\x1b[2J" * 10))
                else:
                    wrong = agent_message.derive(Agent(id="002", name="db01", ip="any", key="wrong").entry)
                    sealed = agent_message.seal(b"1:a:x", wrong, Method.AES, Counters(0, 1), 1, prefix="002")
                    hostile.send_raw(encode_frame(sealed))
                hostile.close()
            good.send(b"1:a:undisturbed")
            await until(lambda: [event.text for event in node.events] == [b"undisturbed"])
            await until(lambda: len(node.server._peers) == 1)
            assert "\x1b" not in caplog.text and len(caplog.records) < 60

    scene(play())


def test_silent_connections_are_bounded_in_number_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("garrison.channel.server.MOST_UNIDENTIFIED", 300)

    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            good = await StockAgent(WEB).connect(node.port)
            await good.hello()
            silent = [await asyncio.open_connection("127.0.0.1", node.port) for _ in range(1000)]
            await until(lambda: len(node.server._peers) <= 301)
            late = await StockAgent(DB).connect(node.port)
            assert await late.hello() == control.ACK
            await node.clock.advance(62)
            await until(lambda: len(node.server._peers) == 2)
            for _, writer in silent:
                writer.close()

    scene(play())


def test_a_port_in_use_is_a_clear_fault(tmp_path: Path) -> None:
    async def play() -> None:
        node = Node(tmp_path)
        with socket.socket() as other:
            other.bind(("127.0.0.1", node.port))
            other.listen()
            with pytest.raises(ConfigError, match=r"\(1206\): Unable to Bind port"):
                await node.server.run(Stop())

    scene(play())


def test_counters_go_on_after_a_restart_and_never_repeat(tmp_path: Path) -> None:
    from garrison.channel.counter_store import BLOCK, CounterStore

    path = tmp_path / "rids/sender_counter"
    first = CounterStore(path)
    pairs = [first.next() for _ in range(BLOCK + 5)]
    again = CounterStore(path).next()
    assert pairs == sorted(set(pairs)) and again > pairs[-1]
