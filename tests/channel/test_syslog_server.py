"""Syslog senders over real sockets: each is seen as itself, strangers are refused, nobody is lost in silence."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest
import uvloop

from garrison.channel.syslog_server import MOST_OF_SOURCE, Access, SyslogServer, plain_address
from garrison.config.model import InternalOptions, RemoteConfig
from garrison.ground.clock import SystemClock
from garrison.ground.tasks import Stop
from tests.support.wait import until

NODE = "127.0.0.71"

LOOP: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {}


class Sink:
    """Keeps what comes; `most` is when it calls itself full."""

    def __init__(self, most: int = 1_000_000) -> None:
        self.lines: list[tuple[str, bytes]] = []
        self.most = most
        self.has_room = asyncio.Event()

    def offer_lines(self, sender: str, lines: Sequence[bytes]) -> bool:
        self.lines += [(sender, line) for line in lines]
        return len(self.lines) < self.most

    async def room(self) -> None:
        await self.has_room.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((NODE, 0))
        return int(probe.getsockname()[1])


def config(**more: object) -> RemoteConfig:
    base = RemoteConfig(
        connection="syslog", port=free_port(), protocols=frozenset({"tcp", "udp"}), local_ip=NODE,
        allowed_ips=("127.0.0.0/8", "::1"), denied_ips=("127.0.0.66",),
    )  # fmt: skip
    return replace(base, **more)  # type: ignore[arg-type]


@pytest.fixture(
    params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"], autouse=True
)
def loop_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything runs on both loops: a node runs on uvloop, whose transports are of other classes."""
    monkeypatch.setitem(LOOP, "factory", request.param)


def played(sink: Sink, settings: RemoteConfig, script: Callable[[SyslogServer], Awaitable[None]]) -> None:
    async def play() -> None:
        sink.has_room = asyncio.Event()
        server = SyslogServer(settings, InternalOptions(), sink, SystemClock())
        stop = Stop()
        async with asyncio.TaskGroup() as group:
            group.create_task(server.run(stop))
            await until(server.listening.is_set)
            try:
                await script(server)
            finally:
                stop.set()

    with asyncio.Runner(loop_factory=LOOP["factory"]) as runner:
        runner.run(play())


async def sender(source: str, port: int) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection(NODE, port, local_addr=(source, 0))
    return writer


def datagram(source: str, port: int, data: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.sendto(data, (NODE, port))


def test_every_sender_is_seen_as_itself() -> None:
    sink, settings = Sink(), config()

    async def script(server: SyslogServer) -> None:
        for number in (2, 3):
            writer = await sender(f"127.0.0.{number}", settings.port)
            writer.write(b"<34>tcp %d\n<34>last" % number)
            await writer.drain()
            writer.close()
            datagram(f"127.0.0.{number}", settings.port, b"<34>udp %d\n" % number)
        await until(lambda: len(sink.lines) == 6)
        assert sorted(sink.lines) == [
            (f"127.0.0.{number}", text)
            for number in (2, 3)
            for text in (b"last", b"tcp %d" % number, b"udp %d" % number)
        ]

    played(sink, settings, script)


def test_strangers_are_refused_and_told_within_limits(caplog: pytest.LogCaptureFixture) -> None:
    sink, settings = Sink(), config(allowed_ips=("127.0.0.5", "127.0.0.66"))

    async def script(server: SyslogServer) -> None:
        for _ in range(100):
            datagram("127.0.0.9", settings.port, b"<1>no")
        writer = await sender("127.0.0.66", settings.port)
        writer.write(b"denied before allowed\n")
        datagram("127.0.0.5", settings.port, b"<1>yes")
        await until(lambda: sink.lines == [("127.0.0.5", b"yes")])
        await until(lambda: any("127.0.0.66" in text for text in caplog.messages))

    with caplog.at_level(logging.WARNING):
        played(sink, settings, script)
    assert sink.lines == [("127.0.0.5", b"yes")]
    told = [text for text in caplog.messages if "'127.0.0.9' not allowed" in text]
    assert 0 < len(told) < 30
    assert told[0].startswith("(1213): Message from '127.0.0.9' not allowed.")


def test_senders_wait_when_there_is_no_room() -> None:
    sink, settings = Sink(most=10), config()

    async def script(server: SyslogServer) -> None:
        writer = await sender("127.0.0.2", settings.port)
        writer.write(b"".join(b"<1>line %d\n" % number for number in range(10)))
        await until(lambda: server.is_full)
        writer.write(b"<1>later\n")
        datagram("127.0.0.3", settings.port, b"<1>waits in the kernel")
        await writer.drain()
        late = await sender("127.0.0.4", settings.port)
        late.write(b"<1>late\n")
        await late.drain()
        assert len(sink.lines) == 10
        sink.most = 1_000
        sink.has_room.set()
        await until(lambda: len(sink.lines) == 13)
        assert {line for _, line in sink.lines[10:]} == {b"later", b"waits in the kernel", b"late"}

    played(sink, settings, script)


def test_a_crowd_from_one_source_is_bounded() -> None:
    sink, settings = Sink(), config()

    async def script(server: SyslogServer) -> None:
        crowd = [await sender("127.0.0.8", settings.port) for _ in range(MOST_OF_SOURCE + 20)]
        other = await sender("127.0.0.9", settings.port)
        other.write(b"<1>still served\n")
        await until(lambda: sink.lines == [("127.0.0.9", b"still served")])
        assert len(server._peers) == MOST_OF_SOURCE + 1
        for writer in [*crowd, other]:
            writer.close()
        await until(lambda: not server._peers)

    played(sink, settings, script)


def test_the_kernel_s_count_of_lost_datagrams_is_read() -> None:
    sink, settings = Sink(most=1), config(protocols=frozenset({"udp"}))

    async def script(server: SyslogServer) -> None:
        datagram("127.0.0.2", settings.port, b"<1>fills the sink")
        await until(lambda: server.is_full)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.2", 0))
            for _ in range(3_000):
                sock.sendto(b"<1>" + b"x" * 9_000, (NODE, settings.port))
        sink.most = 1_000_000
        sink.has_room.set()
        sent = 3_001

        def asked_again() -> bool:
            nonlocal sent
            sent += 1
            datagram("127.0.0.2", settings.port, b"<1>after")
            return sink.lines[-1][1] == b"after" and server.lost_datagrams + len(sink.lines) >= sent - 1

        await until(asked_again)
        await until(lambda: server.lost_datagrams + len(sink.lines) == sent)
        assert server.lost_datagrams > 0

    played(sink, settings, script)


def test_nobody_allowed_means_a_closed_port(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        stop = Stop()
        server = SyslogServer(config(allowed_ips=()), InternalOptions(), Sink(), SystemClock())
        async with asyncio.TaskGroup() as group:
            group.create_task(server.run(stop))
            await until(lambda: any("No IP or network allowed" in text for text in caplog.messages))
            stop.set()
        assert not server.listening.is_set()

    with asyncio.Runner(loop_factory=LOOP["factory"]) as runner:
        runner.run(play())


def test_addresses_and_access() -> None:
    assert plain_address("::ffff:192.0.2.7") == "192.0.2.7"
    assert plain_address("fe80::1%eth0") == "fe80::1"
    access = Access(RemoteConfig(allowed_ips=("10.0.0.0/8", "2001:db8::/32"), denied_ips=("10.1.0.0/16",)))
    wanted = {"10.0.0.1": True, "10.1.2.3": False, "192.0.2.1": False, "2001:db8::5": True, "::1": False}
    assert {address: access.allows(address) for address in wanted} == wanted


def test_ipv6_senders() -> None:
    sink, settings = Sink(), config(local_ip="::1", protocols=frozenset({"udp"}))

    async def script(server: SyslogServer) -> None:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"<1>six", ("::1", settings.port))
        await until(lambda: sink.lines == [("::1", b"six")])

    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")
    played(sink, settings, script)
