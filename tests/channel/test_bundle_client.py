"""Pushing a bundle: once at a time, given up for who does not take it, and never in the way of others."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from garrison.channel import bundle_client
from garrison.channel.bundle_client import Pushes
from garrison.config.model import InternalOptions
from garrison.ground.tasks import start
from garrison.wire import control
from garrison.wire.merged import encode_bundle
from tests.channel.surroundings import WEB, Bundle, Node, running, scene
from tests.support.clock import FakeClock
from tests.support.stock_agent import StockAgent
from tests.support.wait import until

DATA = encode_bundle("web", [("file", b"0123456789" * 4500)])
BUNDLE = Bundle(DATA)


class Peer:
    """A peer whose room on the way out a test decides."""

    def __init__(self, room: int, *, is_udp: bool = False) -> None:
        self.session, self.source, self.number, self.is_udp = self, "10.0.0.9", 1, is_udp
        self.transfer: object | None = None
        self.last_valid_at = 0.0
        self.closed = False
        self.room = room
        self.sent: list[bytes] = []

    def has_room(self) -> bool:
        return len(self.sent) < self.room

    def send(self, message: bytes) -> bool:
        assert self.has_room(), "the caller looks first"
        self.sent.append(message)
        return True


def pushed(peer: Peer) -> bytes:
    return b"".join(message for message in peer.sent if not control.is_control(message))


def test_everything_arrives_in_order() -> None:
    async def play() -> None:
        peer = Peer(10_000)
        assert await Pushes(InternalOptions(), FakeClock()).push(peer, "001", BUNDLE)  # type: ignore[arg-type]
        assert pushed(peer) == DATA and peer.sent[-1] == control.FILE_END and peer.transfer is None

    asyncio.run(play())


def test_who_has_no_room_gets_one_pause_then_the_transfer_is_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def play() -> None:
        clock, peer = FakeClock(), Peer(20)
        pushing = start(Pushes(InternalOptions(), clock).push(peer, "001", BUNDLE), name="push")  # type: ignore[arg-type]
        await clock.advance(0.5)
        assert len(peer.sent) == 20 and not pushing.done()
        peer.room = 30
        await clock.advance(1)
        assert len(peer.sent) == 30
        peer.closed = True
        await clock.advance(1)
        assert not await pushing and "1246" not in caplog.text

    asyncio.run(play())


def test_a_peer_that_never_has_room_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            agent = await StockAgent(WEB).connect(node.port)
            await agent.hello()
            node.bundles[("web",)] = BUNDLE
            node.server.send_buffer_bytes = -1
            agent.keepalive()
            await until(lambda: [row[0] for row in node.statuses] == ["startup", "keepalive"])
            await node.clock.advance(1.5)
            await until(lambda: "(1246): Unable to send file 'merged.mg' to agent ID '001'." in caplog.text)
            node.server.send_buffer_bytes = 131072
            agent.keepalive()
            assert await agent.receive() == control.ACK
            assert isinstance(control.decode_from_manager(await agent.receive()), control.FileBegin)

    scene(play())


def test_a_keepalive_during_a_transfer_starts_no_second_one(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path)) as node:
            node.bundles[("web",)] = BUNDLE
            agent = await StockAgent(WEB).connect(node.port)
            await agent.hello()
            for _ in range(3):
                agent.keepalive()
            received: list[bytes] = []
            while control.FILE_END not in received:
                received.append(await agent.receive())
            agent.keepalive(hashlib.md5(DATA, usedforsecurity=False).hexdigest())
            received.append(await agent.receive())
            kinds = [type(control.decode_from_manager(message)) for message in received]
            assert kinds.count(control.FileBegin) == 1 and received.count(control.ACK) == 4
            assert b"".join(message for message in received if not control.is_control(message)) == DATA

    scene(play())


def test_many_transfers_share_the_loop() -> None:
    async def play() -> None:
        pushes = Pushes(InternalOptions(), FakeClock())
        peers = [Peer(10_000) for _ in range(3 * bundle_client.MOST_AT_ONCE)]
        tasks = [start(pushes.push(peer, "001", BUNDLE), name="push") for peer in peers]  # type: ignore[arg-type]
        turns, most_in_a_turn, before = 0, 0, 0
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            now = sum(len(peer.sent) for peer in peers)
            most_in_a_turn, before, turns = max(most_in_a_turn, now - before), now, turns + 1
        assert all(pushed(peer) == DATA for peer in peers)
        chunks = bundle_client.BURST * bundle_client.MOST_AT_ONCE
        assert most_in_a_turn <= chunks + 2 * len(peers) and turns > 10

    asyncio.run(play())
