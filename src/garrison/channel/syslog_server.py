"""Syslog senders without an agent: one `<remote>` block with `<connection>syslog`.

Every sender is seen as itself: its address is the location of its events. Senders must be allowed by name of address
or network. TCP senders wait when events find no room; over UDP nobody can wait, so the kernel's count of lost datagrams
is told. Source: spec/agent-channel.md 8.6; spec/analysis-3-outputs.md (syslog input).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from typing import Protocol, cast

from garrison.channel.listen_server import open_socket
from garrison.channel.noise import Noise
from garrison.config.model import InternalOptions, RemoteConfig
from garrison.ground.clock import Clock
from garrison.ground.log import ProgramAdapter
from garrison.ground.tasks import Brood, Stop, pause
from garrison.wire.syslog_frame import MOST_BYTES, SyslogStream, message_of

MOST_CONNECTIONS = 4_096
MOST_OF_SOURCE = 256
DATAGRAMS_AT_ONCE = 128
SO_RXQ_OVFL = 40
"""Socket option of Linux that Python does not name: each datagram brings the count of those lost before it."""

NOBODY_ALLOWED = (
    "No IP or network allowed in the access list for syslog. Port %d is not opened: add <allowed-ips>."
)

log = ProgramAdapter(__name__, "wazuh-remoted")

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class LineSink(Protocol):
    """Where lines of senders go, in order."""

    def offer_lines(self, sender: str, lines: Sequence[bytes]) -> bool:
        """Takes the lines. False when it is full: stop reading until `room` returns."""
        ...

    async def room(self) -> None:
        """Returns when there is room again."""
        ...


class Access:
    """Who may send: denied networks first, then allowed ones."""

    def __init__(self, config: RemoteConfig) -> None:
        self._denied = [ipaddress.ip_network(text, strict=False) for text in config.denied_ips]
        self._allowed = [ipaddress.ip_network(text, strict=False) for text in config.allowed_ips]

    @property
    def is_empty(self) -> bool:
        """True when nobody is allowed."""
        return not self._allowed

    def allows(self, address: str) -> bool:
        """True for a sender of an allowed network that is not in a denied one."""
        found = ipaddress.ip_address(address)
        return _holds(self._allowed, found) and not _holds(self._denied, found)


def _holds(networks: Sequence[_Network], address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return any(network.version == address.version and address in network for network in networks)


def plain_address(text: str) -> str:
    """An address as events name it: IPv4 in its own form where a socket of both families saw it, no zone."""
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


class SyslogServer:
    """Serves one block until it is told to stop."""

    def __init__(self, config: RemoteConfig, options: InternalOptions, sink: LineSink, clock: Clock) -> None:
        self._config = config
        self._options = options
        self._sink = sink
        self._clock = clock
        self._access = Access(config)
        self._noise = Noise()
        self._brood = Brood("syslog")
        self._peers: set[_Peer] = set()
        self._of_source: Counter[str] = Counter()
        self._datagrams: socket.socket | None = None
        self._is_full = False
        self.lost_datagrams = 0
        self.cut_messages = 0
        self.listening = asyncio.Event()

    # -- life

    async def run(self, stop: Stop) -> None:
        """Serves until `stop`; `ConfigError` 1206 where a port cannot be had."""
        if self._access.is_empty:
            log.error(NOBODY_ALLOWED, self._config.port)
            await stop.wait()
            return
        loop = asyncio.get_running_loop()
        server: asyncio.Server | None = None
        try:
            if "tcp" in self._config.protocols:
                sock = open_socket(self._config, self._options, socket.SOCK_STREAM)
                server = await loop.create_server(lambda: _Peer(self), sock=sock)
            if "udp" in self._config.protocols:
                self._datagrams = open_socket(self._config, self._options, socket.SOCK_DGRAM)
                self._datagrams.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
                loop.add_reader(self._datagrams.fileno(), self._read_datagrams)
            words = ",".join(word.upper() for word in sorted(self._config.protocols))
            log.info("Listening on port %d/%s (syslog).", self._config.port, words)
            self.listening.set()
            await self._tell_now_and_then(stop)
        finally:
            self.listening.clear()
            if server is not None:
                server.close()
            if self._datagrams is not None:
                loop.remove_reader(self._datagrams.fileno())
                self._datagrams.close()
            for peer in list(self._peers):
                peer.close()
            await self._brood.end()

    async def _tell_now_and_then(self, stop: Stop) -> None:
        told = 0
        while await pause(self._clock, 10.0, stop):
            if self.lost_datagrams > told:
                log.warning(
                    "%d datagrams of syslog senders were lost on port %d: they came faster than they were judged.",
                    self.lost_datagrams - told,
                    self._config.port,
                )
                told = self.lost_datagrams
            if count := self._noise.held_back(self._clock.monotonic()):
                log.warning("%d lines about syslog senders were held back since the last such line.", count)

    # -- both ways of coming in

    def admits(self, address: str) -> bool:
        """True when `address` may send; a refusal is told, within limits."""
        if self._access.allows(address):
            return True
        if self._noise.allows(address, self._clock.monotonic()):
            log.warning("(1213): Message from '%s' not allowed. Syslog is not accepted from there.", address)
        return False

    def deliver(self, sender: str, lines: Sequence[bytes]) -> None:
        """Hands lines on; when there is no room afterwards, everybody waits."""
        if lines and not self._sink.offer_lines(sender, lines) and not self._is_full:
            self._is_full = True
            for peer in self._peers:
                peer.pause()
            if self._datagrams is not None:
                asyncio.get_running_loop().remove_reader(self._datagrams.fileno())
            self._brood.start(self._wait_for_room(), name="room")

    async def _wait_for_room(self) -> None:
        await self._sink.room()
        self._is_full = False
        for peer in self._peers:
            peer.resume()
        if self._datagrams is not None and self._datagrams.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._datagrams.fileno(), self._read_datagrams)

    # -- UDP

    def _read_datagrams(self) -> None:
        assert self._datagrams is not None
        for _ in range(DATAGRAMS_AT_ONCE):
            if self._is_full:
                return
            try:
                raw, extra, _, sender = self._datagrams.recvmsg(MOST_BYTES, 64)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                log.debug("syslog datagram not read: %s", error)
                return
            self._note_lost(extra)
            address = plain_address(sender[0])
            if self.admits(address):
                message = message_of(raw)
                self.deliver(address, [message] if message else [])

    def _note_lost(self, extra: Sequence[tuple[int, int, bytes]]) -> None:
        for level, kind, value in extra:
            if level == socket.SOL_SOCKET and kind == SO_RXQ_OVFL and len(value) == 4:
                self.lost_datagrams = max(self.lost_datagrams, struct.unpack("=I", value)[0])

    # -- TCP

    def enter(self, peer: _Peer, address: str) -> bool:
        """True when the connection may stay."""
        if not self.admits(address):
            return False
        if len(self._peers) >= MOST_CONNECTIONS or self._of_source[address] >= MOST_OF_SOURCE:
            if self._noise.allows(address, self._clock.monotonic()):
                log.warning("Connection of syslog sender '%s' refused: too many are open.", address)
            return False
        self._peers.add(peer)
        self._of_source[address] += 1
        return True

    def leave(self, peer: _Peer, address: str) -> None:
        """The connection ended."""
        if peer in self._peers:
            self._peers.remove(peer)
            self._of_source[address] -= 1
            if not self._of_source[address]:
                del self._of_source[address]

    @property
    def is_full(self) -> bool:
        """True while nobody is read from."""
        return self._is_full


class _Peer(asyncio.Protocol):
    """One TCP connection of a sender."""

    def __init__(self, server: SyslogServer) -> None:
        self._server = server
        self._stream = SyslogStream()
        self._transport: asyncio.Transport | None = None
        self._address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The transports of uvloop, on which a node runs, are no subclass of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)
        name = transport.get_extra_info("peername")
        self._address = plain_address(name[0]) if name else ""
        if not name or not self._server.enter(self, self._address):
            self._transport.abort()
        elif self._server.is_full:
            self.pause()

    def data_received(self, data: bytes) -> None:
        self._deliver(self._stream.feed(data))

    def _deliver(self, lines: Sequence[bytes]) -> None:
        self._server.cut_messages += self._stream.cut
        self._stream.cut = 0
        self._server.deliver(self._address, lines)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deliver(self._stream.end())
        self._server.leave(self, self._address)

    def pause(self) -> None:
        """Reads no more for now."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Reads again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """Ends the connection."""
        if self._transport is not None:
            self._transport.close()
