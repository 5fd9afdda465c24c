"""The server of port 1514 over real sockets, with small agents."""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
from pathlib import Path

import pytest

from garrison.channel.listen_server import open_socket
from garrison.config.model import InternalOptions
from garrison.ground.errors import ConfigError
from garrison.ground.tasks import Stop, start
from garrison.registry.model import Agent
from garrison.wire import control
from garrison.wire.agent_frame import encode_frame
from garrison.wire.agent_message import Method
from garrison.wire.merged import decode_bundle, encode_bundle
from tests.channel.surroundings import (
    BY_ADDRESS,
    DB,
    LATE,
    WEB,
    Bundle,
    Node,
    running,
    scene,
)  # fmt: skip
from tests.support.stock_agent import StockAgent
from tests.support.wait import until


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


def test_counters_are_checked_over_connections_and_restarts_where_that_is_asked_for(tmp_path: Path) -> None:
    options = InternalOptions(remoted_verify_msg_id=1)

    async def play() -> None:
        replayed = b""
        for life in range(2):
            async with running(Node(tmp_path, options)) as node:
                if life == 0:
                    agent = await StockAgent(WEB).connect(node.port)
                    agent.send(b"1:a:before")
                    replayed = encode_frame(agent.seal(control.encode_startup("v4.14.7")))
                    agent.send_raw(replayed)
                    assert await agent.receive() == control.ACK
                    agent.close()
                    await until(lambda server=node.server: server.connected() == 0)
                thief = await StockAgent(WEB).connect(node.port)
                thief.send_raw(replayed)
                assert await thief.receive() == b""
        async with running(Node(tmp_path, options)) as node:
            node.server.agent_changed(Agent(id="001", name="web01", ip="any", key="a" * 64, removed=True))
            anew = await StockAgent(WEB).connect(node.port)
            assert await anew.hello() == control.ACK

    scene(play())


def test_a_question_waits_for_a_free_slot_and_not_forever(tmp_path: Path) -> None:
    options = InternalOptions(
        remoted_request_pool=1, remoted_response_timeout_s=30, remoted_request_timeout_s=10
    )

    async def play() -> None:
        async with running(Node(tmp_path, options)) as node:
            agent = await StockAgent(WEB).connect(node.port)
            await agent.hello()
            asking = [
                start(node.server.send_request("001", "agent", f"{number}".encode()), name="ask")
                for number in range(3)
            ]
            first = control.decode_from_manager(await agent.receive())
            assert isinstance(first, control.Request) and first.payload == b"0"
            agent.send(control.encode_answer(first.counter, b"ok 0"))
            second = control.decode_from_manager(await agent.receive())
            assert isinstance(second, control.Request) and second.payload == b"1"
            await node.clock.advance(11)
            assert await asking[0] == b"ok 0" and await asking[2] == b"err Internal error"
            agent.send(control.encode_answer(second.counter, b"ok 1"))
            assert await asking[1] == b"ok 1"

    scene(play())


def test_a_message_that_cannot_be_sealed_is_told_and_harms_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            agent = await StockAgent(WEB).connect(node.port)
            await agent.hello()
            assert not node.server.send_control("001", control.encode_execd(b"x" * 70_000))
            assert "(1217): Error creating encrypted message" in caplog.text
            assert await node.server.send_request("001", "com", b"x" * 70_000) == b"err Cannot send request"
            assert node.server.send_control("001", control.SYSCHECK_RESTART)

    scene(play())


def test_above_the_limit_of_open_files_newcomers_are_refused_and_the_others_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            node.server._most_peers = 1
            first = await StockAgent(WEB).connect(node.port)
            await first.hello()
            second = await StockAgent(DB).connect(node.port)
            assert await second.hello() == b""
            assert "(1242): Couldn't accept TCP connections: this node holds 1" in caplog.text
            first.keepalive()
            assert await first.receive() == control.ACK

    scene(play())


def test_connections_are_kept_alive_and_the_port_may_be_shared(tmp_path: Path) -> None:
    node = Node(tmp_path)
    options = InternalOptions(remoted_tcp_keepidle_s=31, remoted_tcp_keepintvl_s=11, remoted_tcp_keepcnt=4)
    with open_socket(node.config, options, socket.SOCK_STREAM, reuse_port=True) as one:
        with open_socket(node.config, options, socket.SOCK_STREAM, reuse_port=True):
            pass
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        values = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        assert [one.getsockopt(socket.IPPROTO_TCP, value) for value in values] == [31, 11, 4]


def test_a_failure_of_our_own_does_not_leave_the_agent_waiting(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:

            async def broken(identity: str) -> bool:
                raise ValueError("a bug")

            node.may_take = broken  # type: ignore[method-assign]
            agent = await StockAgent(WEB).connect(node.port)
            assert await agent.hello() == b""

    scene(play())


def test_an_agent_that_does_not_wait_for_its_ack_is_read_no_further_until_it_has_it(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            asked, may = asyncio.Event(), asyncio.Event()

            async def later(identity: str) -> bool:
                asked.set()
                await may.wait()
                return True

            node.may_take = later  # type: ignore[method-assign]
            agent = await StockAgent(WEB).connect(node.port)
            agent.send(control.encode_startup("v4.14.7"))
            await asked.wait()
            dice = random.Random(4)
            block = [f"1:a:{dice.randbytes(4000).hex()}".encode() for _ in range(50)]
            writing = start(send_all(agent, block, 60), name="write")
            for _ in range(300):
                await asyncio.sleep(0)
            assert not writing.done() and not node.events
            may.set()
            assert await agent.receive() == control.ACK
            await writing
            await until(lambda: len(node.events) == 3000)

    scene(play())
