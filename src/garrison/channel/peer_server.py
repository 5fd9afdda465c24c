"""The sockets of port 1514: a TCP connection, and the datagrams of all agents. They feed sessions and decide nothing."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import Protocol, cast

from garrison.channel.effects import Effect
from garrison.channel.proxy_header import HeaderReader
from garrison.channel.session import Rules, Session
from garrison.ground.errors import PeerError
from garrison.wire import agent_message
from garrison.wire.address import normalize_source
from garrison.wire.agent_frame import encode_frame
from garrison.wire.agent_message import seal
from garrison.wire.counters import Counters

MOST_UDP_STRANGERS = 1024
UDP_IDLE_S = 900.0
"""An agent that speaks UDP and was not heard for so long is forgotten; the reference calls it disconnected then."""


class Peer(Protocol):
    """One agent's way here, over either transport."""

    session: Session
    source: str
    number: int
    is_udp: bool
    transfer: object | None

    @property
    def last_valid_at(self) -> float: ...

    def has_room(self) -> bool:
        """True when another message finds room on its way out."""
        ...

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

    def next_number(self) -> int: ...

    def seal_numbers(self) -> tuple[Counters, int]: ...

    def perform(self, peer: Peer, effects: list[Effect]) -> None: ...

    def opened(self, peer: TcpPeer) -> bool: ...

    def lingers(self, peer: TcpPeer) -> None:
        """The connection is closed once the peer has taken what is under way to it."""
        ...

    def lost(self, peer: Peer) -> None: ...

    def trusts_proxy(self, source: str) -> bool: ...

    def say(self, peer: Peer, level: int, text: str) -> None: ...


def sealed(host: Host, peer: Peer, message: bytes) -> bytes | None:
    """The envelope of a message to the agent of `peer`, with the cipher that it used last; None for one too long."""
    numbers, random = host.seal_numbers()
    session = peer.session
    try:
        return seal(message, session.key, session.method, numbers, random, level=6)
    except PeerError as error:
        host.say(peer, logging.ERROR, f"(1217): Error creating encrypted message: {error.reason}.")
        return None


class TcpPeer(asyncio.Protocol):
    """One TCP connection."""

    __slots__ = (
        "_header",
        "_host",
        "_is_paused",
        "_transport",
        "is_udp",
        "number",
        "session",
        "source",
        "transfer",
    )

    session: Session

    def __init__(self, host: Host) -> None:
        self._host = host
        self._transport: asyncio.Transport | None = None
        self._header: HeaderReader | None = None
        self._is_paused = False
        self.number = host.next_number()
        self.source = ""
        self.is_udp = False
        self.transfer: object | None = None

    @property
    def last_valid_at(self) -> float:
        return self.session.last_valid_at

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.source = normalize_source(str(peer[0])) if peer else "unknown"
        self.session = Session(self._host.rules, self.source, self.number)
        if self._host.opened(self) and self._host.trusts_proxy(self.source):
            self._header = HeaderReader()

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
            text = f"Connection of balancer {self.source} closed: {error.reason}"
            self._host.say(self, logging.WARNING, text)
            self.close()
            return None
        if found is None:
            return None
        self.source, rest = found
        self._header = None
        self.session = Session(self._host.rules, self.source, self.number)
        return rest

    def connection_lost(self, error: Exception | None) -> None:
        self.session.closed = True
        self._host.lost(self)
        self._transport = None

    def has_room(self) -> bool:
        transport = self._transport
        return transport is not None and transport.get_write_buffer_size() <= self._host.send_buffer_bytes

    def send(self, message: bytes) -> bool:
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if not self.has_room():
            self._host.say(self, logging.WARNING, "Package dropped. Could not append data into buffer.")
            return False
        envelope = sealed(self._host, self, message)
        if envelope is None:
            return False
        transport.write(encode_frame(envelope))
        return True

    def send_clear(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if not self.has_room():
            self.close()
            return
        self._transport.write(encode_frame(data))

    def close(self) -> None:
        self.session.closed = True
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.close()
        if transport.get_write_buffer_size():
            self._host.lingers(self)

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

    __slots__ = ("_host", "_table", "address", "is_udp", "number", "session", "source", "transfer")

    def __init__(self, host: Host, table: UdpPeers, address: tuple[str, int]) -> None:
        self._host = host
        self._table = table
        self.address = address
        self.source = normalize_source(address[0])
        self.number = host.next_number()
        self.is_udp = True
        self.transfer: object | None = None
        self.session = Session(host.udp_rules, self.source, self.number)

    @property
    def last_valid_at(self) -> float:
        return self.session.last_valid_at

    def has_room(self) -> bool:
        return True

    def send(self, message: bytes) -> bool:
        if self.session.closed:
            return False
        envelope = sealed(self._host, self, message)
        return envelope is not None and self._table.send(envelope, self.address)

    def send_clear(self, data: bytes) -> None:
        self._table.send(data, self.address)

    def close(self) -> None:
        self.session.closed = True
        self._table.forget(self)

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class UdpPeers(asyncio.DatagramProtocol):
    """All agents that speak UDP. A source address can be made up: only one whose datagram opened is kept.

    While the cluster is asked about an unknown id, its address waits among the strangers, of which there are few.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._transport: asyncio.DatagramTransport | None = None
        self._peers: OrderedDict[tuple[str, int], UdpPeer] = OrderedDict()
        self._strangers: OrderedDict[tuple[str, int], UdpPeer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._peers) + len(self._strangers)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        key = address[:2]
        if not data:
            return
        if data[:5] == b"#ping":
            self.send(agent_message.PONG, key)
            return
        peer = self._peers.get(key) or self._strangers.get(key) or UdpPeer(self._host, self, key)
        host = self._host
        now = host.now()
        host.perform(peer, peer.session.receive_datagram(data, now, host.at()))
        self._keep(peer, now)

    def _keep(self, peer: UdpPeer, now: float) -> None:
        if peer.session.is_bound and not peer.session.closed:
            self._strangers.pop(peer.address, None)
            self._peers[peer.address] = peer
            if peer.last_valid_at == now:
                self._peers.move_to_end(peer.address)
        elif peer.session.is_waiting and not peer.session.closed:
            self._strangers[peer.address] = peer
            if len(self._strangers) > MOST_UDP_STRANGERS:
                _, oldest = self._strangers.popitem(last=False)
                if oldest.session.is_bound:
                    self._peers[oldest.address] = oldest
                else:
                    oldest.session.closed = True
        else:
            self.forget(peer)

    def forget(self, peer: UdpPeer) -> None:
        """Its next datagram is looked at as the first one."""
        for table in (self._peers, self._strangers):
            if table.get(peer.address) is peer:
                del table[peer.address]

    def sweep(self, now: float) -> None:
        """Forgets agents that were not heard for long."""
        while self._peers:
            peer = next(iter(self._peers.values()))
            if now - peer.last_valid_at < UDP_IDLE_S:
                return
            peer.close()
            self._host.lost(peer)

    def send(self, data: bytes, address: tuple[str, int]) -> bool:
        """True when the datagram is on its way."""
        if self._transport is None or self._transport.is_closing():
            return False
        self._transport.sendto(data, address)
        return True

    def close(self) -> None:
        """Stops listening."""
        if self._transport is not None:
            self._transport.close()
