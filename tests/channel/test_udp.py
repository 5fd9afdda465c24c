"""Agents that speak UDP: no connection, another source port at each start, addresses that can be made up."""

from __future__ import annotations

from pathlib import Path

from garrison.channel import peer_server
from garrison.ground.tasks import start
from garrison.registry.model import Agent
from garrison.wire import control
from tests.channel.surroundings import DB, WEB, Bundle, Node, UdpAgent, running, scene
from tests.support.stock_agent import UNAME, StockAgent
from tests.support.wait import until

BOTH = frozenset({"tcp", "udp"})
STARTUP = control.encode_startup("v4.14.7")
KEEPALIVE = f"#!-{UNAME}\nx merged.mg\n".encode()


def test_udp_agents_get_the_same(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path, protocols=BOTH)) as node:
            agent = UdpAgent(WEB, node.port)
            agent.send_raw(b"#ping")
            assert await agent.receive_raw() == b"#pong"
            agent.send_raw(b"!001!#AES:garbage.........")
            agent.send(STARTUP)
            assert await agent.receive() == control.ACK
            agent.send(b"1:a:over udp")
            await until(lambda: [event.text for event in node.events] == [b"over udp"])
            asking = start(node.server.send_request("001", "com", b"getconfig"), name="ask")
            question = control.decode_from_manager(await agent.receive())
            assert isinstance(question, control.Request)
            agent.send(control.encode_answer(question.counter, b"ack"))
            agent.send(control.encode_answer(question.counter, b"ok x"))
            assert await asking == b"ok x"
            assert control.decode_from_manager(await agent.receive()) == control.RequestAck(question.counter)
            agent.close()

    scene(play())


def test_an_agent_that_starts_anew_is_served_from_its_new_port_at_once(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path, protocols=BOTH)) as node:
            for _ in range(3):
                agent = UdpAgent(WEB, node.port)
                agent.send(STARTUP)
                assert await agent.receive() == control.ACK
                assert node.server.send_control("001", control.SYSCHECK_RESTART)
                assert await agent.receive() == control.SYSCHECK_RESTART
                agent.close()
            assert node.server.connected() == 1
            assert node.server.release("001") and node.server.connected() == 0

    scene(play())


def test_an_agent_that_did_not_notice_a_restart_of_its_node_can_be_reached_again(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path, protocols=BOTH)) as node:
            node.bundles[("web",)] = Bundle(b"#web\n")
            agent = UdpAgent(WEB, node.port)
            agent.send(KEEPALIVE)
            assert await agent.receive() == control.ACK
            assert isinstance(control.decode_from_manager(await agent.receive()), control.FileBegin)
            assert node.server.send_control("001", control.SYSCHECK_RESTART)
            assert [row[0] for row in node.statuses] == ["keepalive"]
            agent.close()

    scene(play())


def test_a_live_tcp_connection_is_not_taken_over_by_a_datagram(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path, protocols=BOTH)) as node:
            first = await StockAgent(WEB).connect(node.port)
            await first.hello()
            other = UdpAgent(WEB, node.port)
            other.send(STARTUP, b"1:a:not this")
            first.send(b"1:a:but this")
            await until(lambda: [event.text for event in node.events] == [b"but this"])
            await node.clock.advance(61)
            other.send(STARTUP)
            assert await other.receive() == control.ACK and await first.receive() == b""
            again = await StockAgent(WEB).connect(node.port)
            assert await again.hello() == control.ACK
            other.close()

    scene(play())


def test_an_agent_that_another_node_holds_is_refused_and_can_ask_again(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path, protocols=BOTH)) as node:
            node.may = False
            agent = UdpAgent(WEB, node.port)
            agent.send(STARTUP)
            await until(lambda: node.asked == ["001"])
            await until(lambda: node.server.connected() == 0)
            node.may = True
            agent.send(STARTUP)
            assert await agent.receive() == control.ACK
            agent.close()

    scene(play())


def test_only_whose_datagram_opened_is_kept_and_not_forever(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path, protocols=BOTH)) as node:
            table = node.server._datagrams
            assert table is not None
            good = UdpAgent(DB, node.port)
            good.send(STARTUP)
            await good.receive()
            for number in range(200):
                junk = UdpAgent(Agent(id=f"{500 + number}", name="x1", ip="any", key="e" * 64), node.port)
                junk.send(STARTUP)
                junk.send_raw(b"!002!#AES:" + bytes(32))
                junk.send_raw(b"no prefix")
                junk.close()
            good.send(b"1:a:undisturbed")
            await until(lambda: node.events)
            await until(lambda: len(table) == 1)
            await node.clock.advance(peer_server.UDP_IDLE_S + 2)
            assert len(table) == 0 and node.server.connected() == 0
            good.close()

    scene(play())
