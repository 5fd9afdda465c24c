"""One connection: what the peer did not take comes back, and does not arrive late."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys

import pytest

from garrison.agent.client import Connection, Ears, connect
from garrison.agent.outgoing import Outgoing
from garrison.config.model import ServerConfig
from garrison.wire.agent_frame import FrameReader
from tests.support.wait import until


class Heard:
    """Writes down what a connection reports."""

    def __init__(self) -> None:
        self.envelopes: list[bytes] = []
        self.reports: list[str] = []
        self.fails = False

    @property
    def ears(self) -> Ears:
        return Ears(
            envelope=self._envelope,
            lost=lambda: self.reports.append("lost"),
            oversize=lambda: self.reports.append("oversize"),
            writable=lambda: self.reports.append("writable"),
        )

    def _envelope(self, envelope: bytes) -> None:
        assert not self.fails
        self.envelopes.append(envelope)


class Source:
    def __init__(self) -> None:
        self.end = 0

    def sent(self, end: int) -> None:
        assert end == self.end + 1, "told out of order"
        self.end = end


def listener(buffer_bytes: int = 4096) -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    one.bind(("127.0.0.1", 0))
    one.listen()
    return one


async def open_to(one: socket.socket, heard: Heard) -> tuple[Connection, socket.socket]:
    server = ServerConfig(address="127.0.0.1", port=one.getsockname()[1])
    opened = await connect(server)
    peer, _ = one.accept()
    return Connection(opened, heard.ears), peer


def read_out(peer: socket.socket) -> bytes:
    peer.settimeout(2)
    data = b""
    try:
        while part := peer.recv(65536):
            data += part
    except OSError:
        pass
    return data


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells what was acknowledged")
def test_every_event_is_with_the_peer_or_comes_back_and_never_both() -> None:
    async def play() -> None:
        heard, source = Heard(), Source()
        one = listener()
        connection, peer = await open_to(one, heard)
        number = 0
        while connection.is_idle:
            number += 1
            connection.send(b"%08d" % number + b"x" * 20_000, Outgoing(b"%08d" % number, source, number))
        connection.settle()
        back = connection.close()
        assert back, "the small buffer of the peer cannot hold everything"
        data = await asyncio.to_thread(read_out, peer)
        arrived = [int(envelope[:8]) for envelope in FrameReader().feed(data)]
        returned = [int(item.message) for item in back]
        assert arrived + returned == list(range(1, number + 1))
        assert source.end == len(arrived)
        peer.close()
        one.close()

    asyncio.run(play())


def test_sources_hear_as_the_peer_reads() -> None:
    async def play() -> None:
        heard, source = Heard(), Source()
        one = listener()
        connection, peer = await open_to(one, heard)
        for number in range(1, 101):
            connection.send(b"x" * 5000, Outgoing(b"", source, number))
        reading = asyncio.get_running_loop().run_in_executor(None, read_out, peer)

        def all_sent() -> bool:
            connection.settle()
            return source.end == 100

        await until(all_sent)
        assert connection.is_settled
        assert "writable" in heard.reports
        assert connection.close() == []
        data = await reading
        assert len(FrameReader().feed(data)) == 100
        peer.close()
        one.close()

    asyncio.run(play())


def test_envelopes_in_any_pieces_then_a_lying_length() -> None:
    async def play() -> None:
        heard = Heard()
        one = listener()
        connection, peer = await open_to(one, heard)
        data = b"".join(struct.pack("<I", len(text)) + text for text in (b"one", b"", b"three"))
        for at in range(len(data)):
            peer.send(data[at : at + 1])
        await until(lambda: len(heard.envelopes) == 3)
        assert heard.envelopes == [b"one", b"", b"three"]
        peer.send(struct.pack("<I", 4) + b"four" + struct.pack("<I", 65537))
        await until(lambda: heard.reports == ["oversize"])
        assert heard.envelopes[-1] == b"four"
        connection.close()
        peer.close()
        one.close()

    asyncio.run(play())


def test_the_end_of_a_connection_is_reported_once() -> None:
    async def play() -> None:
        heard = Heard()
        one = listener()
        connection, peer = await open_to(one, heard)
        peer.close()
        await until(lambda: heard.reports == ["lost"])
        assert connection.close() == []
        assert connection.close() == []
        connection.send(b"too late")
        assert heard.reports == ["lost"]
        one.close()

    asyncio.run(play())


def test_a_bug_of_ours_costs_the_connection_not_the_agent() -> None:
    async def play() -> None:
        heard = Heard()
        heard.fails = True
        one = listener()
        connection, peer = await open_to(one, heard)
        peer.send(struct.pack("<I", 3) + b"one")
        await until(lambda: heard.reports == ["lost"])
        connection.close()
        peer.close()
        one.close()

    asyncio.run(play())


def test_datagrams() -> None:
    async def play() -> None:
        heard, source = Heard(), Source()
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.bind(("127.0.0.1", 0))
        server = ServerConfig(address="127.0.0.1", port=peer.getsockname()[1], protocol="udp")
        connection = Connection(await connect(server), heard.ears)
        assert connection.local_ip == "127.0.0.1"
        connection.send(b"hello", Outgoing(b"", source, 1))
        assert source.end == 1
        data, address = peer.recvfrom(100)
        assert data == b"hello"
        peer.sendto(b"", address)
        peer.sendto(b"answer", address)
        await until(lambda: heard.envelopes == [b"", b"answer"])
        peer.close()
        connection.send(b"nobody is there")
        await until(lambda: "lost" in heard.reports)
        connection.close()

    asyncio.run(play())


def test_nobody_listens() -> None:
    async def play() -> None:
        one = listener()
        port = one.getsockname()[1]
        one.close()
        with pytest.raises(ConnectionRefusedError):
            await connect(ServerConfig(address="127.0.0.1", port=port))
        with pytest.raises(OSError):
            await connect(ServerConfig(address="nosuch.invalid", port=1))

    asyncio.run(play())
