"""The sockets of port 1514: a TCP connection, and the datagrams of all agents. They feed sessions and decide nothing."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import Protocol, cast

from garrison.channel.proxy_header import HeaderReader
from garrison.channel.session import Effect, Rules, Session
from garrison.ground.errors import PeerError
from garrison.wire import agent_message
from garrison.wire.address import normalize_source
from garrison.wire.agent_frame import encode_frame
from garrison.wire.agent_message import seal
from garrison.wire.counters import Counters

MOST_UDP_PEERS = 100_000


class Peer(Protocol):
    """One agent's way here, over either transport."""

    session: Session
    source: str
    name: str
    is_udp: bool
    transfer: object | None

    @property
    def last_valid_at(self) -> float: ...

    def send(self, message: bytes) -> bool:
        """Seals and sends; False when the peer does not take it."""
        ...

    def send_clear(self, data: bytes) -> None: ...

    def close(self) -> None: ...

    def pause(self) -> None:
        """Reads no more until `resume`."""
        ...

    def resume(self) -> None: ...


class Host(Protocol):
    """What a socket asks of the server that owns it."""

    rules: Rules
    udp_rules: Rules
    send_buffer_bytes: int

    def now(self) -> float: ...

    def at(self) -> float: ...

    def seal_numbers(self) -> tuple[Counters, int]: ...

    def perform(self, peer: Peer, effects: list[Effect]) -> None: ...

    def opened(self, peer: TcpPeer) -> bool: ...

    def lost(self, peer: Peer) -> None: ...

    def trusts_proxy(self, source: str) -> bool: ...

    def say(self, peer: Peer, level: int, text: str) -> None: ...


def sealed(host: Host, session: Session, message: bytes) -> bytes:
    """The envelope of a message to the agent of `session`, with the cipher that it used last."""
    numbers, random = host.seal_numbers()
    return seal(message, session.key, session.method, numbers, random, level=6)


class TcpPeer(asyncio.Protocol):
    """One TCP connection."""

    __slots__ = (
        "_header",
        "_host",
        "_is_paused",
        "_transport",
        "is_udp",
        "name",
        "session",
        "source",
        "transfer",
    )

    def __init__(self, host: Host, name: str) -> None:
        self._host = host
        self._transport: asyncio.Transport | None = None
        self._header: HeaderReader | None = None
        self._is_paused = False
        self.name = name
        self.source = ""
        self.is_udp = False
        self.transfer: object | None = None
        self.session = Session(host.rules, "")

    @property
    def last_valid_at(self) -> float:
        return self.session.last_valid_at

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.source = normalize_source(str(peer[0])) if peer else "unknown"
        if not self._host.opened(self):
            return
        if self._host.trusts_proxy(self.source):
            self._header = HeaderReader()
        else:
            self.session = Session(self._host.rules, self.source)

    def data_received(self, data: bytes) -> None:
        if self._header is not None:
            rest = self._after_header(data)
            if rest is None:
                return
            data = rest
        host = self._host
        host.perform(self, self.session.receive(data, host.now(), host.at()))

    def _after_header(self, data: bytes) -> bytes | None:
        assert self._header is not None
        try:
            found = self._header.feed(data, self.source)
        except PeerError as error:
            self._host.say(
                self, logging.WARNING, f"Connection of balancer {self.source} closed: {error.reason}"
            )
            self.close()
            return None
        if found is None:
            return None
        self.source, rest = found
        self._header = None
        self.session = Session(self._host.rules, self.source)
        return rest

    def connection_lost(self, error: Exception | None) -> None:
        self.session.closed = True
        self._host.lost(self)
        self._transport = None

    def send(self, message: bytes) -> bool:
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > self._host.send_buffer_bytes:
            self._host.say(self, logging.WARNING, "Package dropped. Could not append data into buffer.")
            return False
        transport.write(encode_frame(sealed(self._host, self.session, message)))
        return True

    def send_clear(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(encode_frame(data))

    def close(self) -> None:
        self.session.closed = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Ends the connection without waiting for what it has not taken."""
        self.session.closed = True
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        if self._transport is not None and not self._is_paused and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and self._is_paused and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()


class UdpPeer:
    """The datagrams of one agent's address. Reading cannot be paused: what does not fit is dropped, and told."""

    __slots__ = ("_address", "_host", "_transport", "is_udp", "name", "session", "source", "transfer")

    def __init__(
        self, host: Host, transport: asyncio.DatagramTransport, address: tuple[str, int], source: str
    ) -> None:
        self._host = host
        self._transport = transport
        self._address = address
        self.source = source
        self.name = f"udp.{source}"
        self.is_udp = True
        self.transfer: object | None = None
        self.session = Session(host.udp_rules, source)

    @property
    def last_valid_at(self) -> float:
        return self.session.last_valid_at

    def send(self, message: bytes) -> bool:
        self._transport.sendto(sealed(self._host, self.session, message), self._address)
        return True

    def send_clear(self, data: bytes) -> None:
        self._transport.sendto(data, self._address)

    def close(self) -> None:
        self.session.closed = True

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class UdpPeers(asyncio.DatagramProtocol):
    """All agents that speak UDP; a peer is kept once one of its datagrams opened."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._transport: asyncio.DatagramTransport | None = None
        self._peers: OrderedDict[tuple[str, int], UdpPeer] = OrderedDict()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        key = address[:2]
        peer = self._peers.get(key)
        if peer is None or peer.session.closed:
            assert self._transport is not None
            if data[:5] == b"#ping":
                self._transport.sendto(agent_message.PONG, address)
                return
            peer = UdpPeer(self._host, self._transport, key, normalize_source(address[0]))
        self._peers[key] = peer
        self._peers.move_to_end(key)
        host = self._host
        host.perform(peer, peer.session.receive_datagram(data, host.now(), host.at()))
        self._shrink()

    def _shrink(self) -> None:
        while len(self._peers) > MOST_UDP_PEERS:
            _, peer = self._peers.popitem(last=False)
            peer.close()
            self._host.lost(peer)

    def close(self) -> None:
        """Stops listening."""
        if self._transport is not None:
            self._transport.close()
