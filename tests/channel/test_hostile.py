"""Peers that mean harm: they end or wait within bounds, and the agents beside them do not notice (T4, T6, T8)."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from pathlib import Path

import pytest

from garrison.channel import noise
from garrison.channel import server as channel_server
from garrison.ground.tasks import start
from garrison.registry.model import Agent
from garrison.wire import agent_message, control
from garrison.wire.agent_frame import encode_frame
from garrison.wire.agent_message import Method
from garrison.wire.counters import Counters
from tests.channel.surroundings import DB, WEB, Node, running, scene
from tests.support.stock_agent import StockAgent
from tests.support.wait import until

BIG_BOMB = b"1:a:" + b"x" * 65_000


async def longest_pause(until_done: asyncio.Task[None]) -> float:
    """The longest time in which the loop served nobody else."""
    longest = 0.0
    while not until_done.done():
        before = time.perf_counter()
        await asyncio.sleep(0)
        longest = max(longest, time.perf_counter() - before)
    await until_done
    return longest


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
    monkeypatch.setattr("garrison.channel.server.MOST_UNIDENTIFIED_OF_SOURCE", 300)

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


def test_half_frames_of_strangers_have_one_bound_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(channel_server, "MOST_UNIDENTIFIED_BYTES", 1_000_000)

    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            slow = [await StockAgent(WEB).connect(node.port) for _ in range(60)]
            for peer in slow:
                peer.send_raw((65536).to_bytes(4, "little") + b"x" * 60_000)
            await until(lambda: len(node.server._peers) <= 17)
            good = await StockAgent(DB).connect(node.port)
            for byte in encode_frame(good.seal(control.encode_startup("v4.14.7"))):
                good.send_raw(bytes([byte]))
                await asyncio.sleep(0)
            assert await good.receive() == control.ACK
            assert sum(peer.session.held_bytes for peer in node.server._peers) <= 1_000_000
            assert "sends too much before it is known" in caplog.text
            for peer in slow:
                peer.close()

    scene(play())


def test_who_pings_and_never_reads_is_cut_off(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            good = await StockAgent(WEB).connect(node.port)
            await good.hello()
            with socket.socket() as flood:
                flood.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                flood.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(flood, ("127.0.0.1", node.port))
                pings = encode_frame(b"#ping") * 20_000

                async def pump() -> None:
                    with pytest.raises(OSError):
                        while True:
                            await loop.sock_sendall(flood, pings)

                async with asyncio.timeout(30):
                    pumping = start(pump(), name="pump")
                    await until(lambda: len(node.server._lingering) == 1 or pumping.done(), within_s=30)
                    await node.clock.advance(channel_server.LINGER_FOR_S + 2)
                    await pumping
            await until(lambda: len(node.server._peers) == 1)
            good.send(b"1:a:undisturbed")
            await until(lambda: node.events)

    scene(play())


def test_an_agent_whose_messages_inflate_does_not_keep_the_others_waiting(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            bad = await StockAgent(DB).connect(node.port)
            await bad.hello()
            good = await StockAgent(WEB).connect(node.port)
            await good.hello()
            node.keep_events = False
            bad.send_raw(encode_frame(bad.seal(BIG_BOMB)) * 4000)

            async def converse() -> None:
                for _ in range(20):
                    good.keepalive()
                    assert await good.receive() == control.ACK

            talk = start(converse(), name="talk")
            longest = await longest_pause(talk)
            assert longest < 0.25, "a step is some milliseconds; the rest is this machine's"
            await until(lambda: node.count == 4000, within_s=30)

    scene(play())


def test_many_sources_together_do_not_fill_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            stranger = Agent(id="888", name="x1", ip="any", key="e" * 64)
            for number in range(400):
                peer = await StockAgent(stranger).connect(node.port, source=f"127.0.1.{number % 250 + 1}")
                peer.send(b"1:a:x")
                assert await peer.receive() == b""
            said = [record for record in caplog.records if "(1408)" in record.getMessage()]
            assert len(said) == 200
            await node.clock.advance(noise.TELL_EVERY_S + 2)
            assert "200 lines about peers were held back" in caplog.text

    scene(play())


def test_random_bytes_of_many_peers_in_any_split(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            good = await StockAgent(WEB).connect(node.port)
            await good.hello()
            dice = random.Random(11)
            sealed = encode_frame(StockAgent(DB).seal(b"1:a:x"))
            for number in range(200):
                peer = await StockAgent(DB).connect(node.port)
                data = bytearray(sealed * 3)
                for _ in range(dice.randrange(1, 6)):
                    data[dice.randrange(len(data))] = dice.randrange(256)
                for place in range(0, len(data), 37):
                    peer.send_raw(bytes(data[place : place + 37]))
                    if dice.random() < 0.2:
                        await asyncio.sleep(0)
                peer.close()
                if number % 20 == 0:
                    good.keepalive()
                    assert await good.receive() == control.ACK
            await until(lambda: len(node.server._peers) == 1)

    scene(play())
