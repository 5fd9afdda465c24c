"""A node that cannot do its work hands its agents over; it does not keep them waiting with their lines."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest

from garrison.channel import server as channel_server
from garrison.wire import control
from tests.channel.surroundings import DB, WEB, Node, UdpAgent, running, scene
from tests.support.stock_agent import StockAgent
from tests.support.wait import until

BOTH = frozenset({"tcp", "udp"})


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_events_that_find_no_room_for_long_close_the_doors_until_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> None:
        async with running(Node(tmp_path, protocols=BOTH)) as node:
            agent = await StockAgent(WEB).connect(node.port)
            await agent.hello()
            idle = await StockAgent(DB).connect(node.port)
            await idle.hello()
            node.free.clear()
            agent.send(b"1:a:the last one")
            await until(lambda: node.events)
            await node.clock.advance(channel_server.SICK_AFTER_S - 1)
            assert is_open(node.port) and node.server.listening.is_set()
            await node.clock.advance(2)
            assert await agent.receive() == b"" and await idle.receive() == b""
            assert not is_open(node.port) and not node.server.listening.is_set()
            assert node.server.connected() == 0
            assert "Agents are handed over to other nodes" in caplog.text
            caplog.set_level(logging.INFO)
            node.free.set()
            await until(lambda: "Agents are taken again." in caplog.text)
            await node.clock.advance(1.5)
            await until(lambda: node.server.listening.is_set())
            again = await StockAgent(WEB).connect(node.port)
            assert await again.hello() == control.ACK
            again.send(b"1:a:the next one")
            await until(lambda: [event.text for event in node.events] == [b"the last one", b"the next one"])

    scene(play())


def test_a_short_shortage_only_holds_up(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            agent = await StockAgent(WEB).connect(node.port)
            await agent.hello()
            node.free.clear()
            agent.send(*[f"1:a:{number}".encode() for number in range(1000)])
            await until(lambda: node.events)
            await node.clock.advance(channel_server.SICK_AFTER_S - 1)
            node.free.set()
            await until(lambda: len(node.events) == 1000)
            await node.clock.advance(60)
            agent.keepalive()
            assert await agent.receive() == control.ACK

    scene(play())


def test_agents_that_speak_udp_are_told_to_come_anew(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path, protocols=BOTH)) as node:
            agent = UdpAgent(WEB, node.port)
            agent.send(control.encode_startup("v4.14.7"))
            await agent.receive()
            node.server.hand_over("drained by an operator")
            assert await agent.receive() == control.FORCE_RECONNECT
            assert node.server.connected() == 0
            agent.close()

    scene(play())


def test_each_reason_is_taken_back_on_its_own(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            node.server.hand_over("one")
            node.server.hand_over("two")
            node.server.take_agents("one")
            node.server.take_agents("never said")
            await node.clock.advance(3)
            assert not is_open(node.port)
            node.server.take_agents("two")
            await node.clock.advance(1.5)
            await until(lambda: is_open(node.port))

    scene(play())


def test_a_port_that_somebody_took_meanwhile_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            node.server.hand_over("one")
            with socket.socket() as other:
                await until(lambda: not is_open(node.port))
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                other.bind(("127.0.0.1", node.port))
                other.listen()
                node.server.take_agents("one")
                await node.clock.advance(1.5)
                assert "(1206): Unable to Bind port" in caplog.text
            await node.clock.advance(1.5)
            await until(lambda: node.server.listening.is_set())

    scene(play())
