"""The connection to a manager: sockets for the pure session. It decides nothing about the protocol.

TCP bytes are handed to the kernel here and not through a stream with a buffer of its own, so that it is
known to the byte what the peer's TCP has acknowledged (Linux; elsewhere what the kernel took counts).
Source: spec/agent-channel.md 3.4, 3.5, 10.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import socket
import struct
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass

from garrison.agent.outgoing import InFlight, Outgoing
from garrison.config.model import ServerConfig
from garrison.ground.errors import PeerError
from garrison.ground.tasks import start
from garrison.wire.agent_frame import MAX_ENVELOPE_BYTES, FrameReader, encode_frame

CONNECT_TIMEOUT_S = 10.0
READ_BYTES = 65536
SOCKET_BUFFER_BYTES = MAX_ENVELOPE_BYTES + 512
MAX_PENDING_BYTES = 4 * 1024 * 1024
"""Control messages that a peer which reads nothing may make wait; beyond, the connection is given up."""
log = logging.getLogger(__name__)
_LINGER_NONE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ears:
    """Who is told what happens on a connection; each call is short and does not wait."""

    envelope: Callable[[bytes], None]
    lost: Callable[[], None]
    oversize: Callable[[], None]
    writable: Callable[[], None]


async def connect(server: ServerConfig, local_ip: str | None = None) -> socket.socket:
    """A connected, non-blocking socket, from `local_ip` where that is given.

    Raises `OSError` (the last address's) or `TimeoutError`.
    """
    loop = asyncio.get_running_loop()
    kind = socket.SOCK_DGRAM if server.protocol == "udp" else socket.SOCK_STREAM
    host = server.address
    if server.interface_index is not None and host.lower().startswith("fe80:"):
        host = f"{host}%{server.interface_index}"
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        found = await loop.getaddrinfo(host, server.port, type=kind)
        failure: OSError = OSError("no address")
        for family, type_, proto, _, address in found:
            opened = socket.socket(family, type_, proto)
            try:
                opened.setblocking(False)
                _enlarge_buffers(opened)
                if local_ip and (":" in local_ip) == (family == socket.AF_INET6):
                    opened.bind((local_ip, 0))
                await loop.sock_connect(opened, address)
            except OSError as error:
                opened.close()
                failure = error
            except BaseException:
                opened.close()
                raise
            else:
                return opened
        raise failure


def _enlarge_buffers(opened: socket.socket) -> None:
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        if opened.getsockopt(socket.SOL_SOCKET, option) < SOCKET_BUFFER_BYTES:
            opened.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)


class Connection:
    """One open connection, TCP or UDP."""

    def __init__(self, opened: socket.socket, ears: Ears) -> None:
        self._socket = opened
        self._ears = ears
        self._is_tcp = opened.type == socket.SOCK_STREAM
        self._pending = bytearray()
        self._in_flight = InFlight()
        self._waits_for_room = False
        self._is_open = True
        self._reading = start(self._read(), name="agent.read")

    @property
    def local_ip(self) -> str | None:
        """Our own address on this connection, in the plain form."""
        host = str(self._socket.getsockname()[0]).partition("%")[0]
        return host.removeprefix("::ffff:") or None

    @property
    def is_idle(self) -> bool:
        """True when the kernel has taken everything so far: the next event may be written."""
        return self._is_open and not self._pending

    @property
    def is_settled(self) -> bool:
        """True when nothing is under way any more."""
        return not self._pending and not len(self._in_flight)

    def send(self, envelope: bytes, item: Outgoing | None = None) -> None:
        """Hands one envelope to the kernel, now or as soon as there is room."""
        if not self._is_open:
            return
        if not self._is_tcp:
            self._send_datagram(envelope, item)
            return
        frame = encode_frame(envelope)
        self._in_flight.wrote(len(frame), item)
        self._pending += frame
        if len(self._pending) > MAX_PENDING_BYTES:
            self._break_soon()
        elif not self._waits_for_room:
            self._flush()

    def _send_datagram(self, envelope: bytes, item: Outgoing | None) -> None:
        self._in_flight.wrote(1, item)
        try:
            self._socket.send(envelope)
        except (BlockingIOError, InterruptedError):
            pass  # as on the wire: a datagram may get lost
        except OSError:
            self._break_soon()
            return
        self._in_flight.settle(0)

    def settle(self) -> None:
        """Tells the sources of everything that the peer's TCP has acknowledged."""
        if self._is_tcp and len(self._in_flight):
            self._in_flight.settle(self._untaken())

    def _untaken(self) -> int:
        return len(self._pending) + _unacknowledged_bytes(self._socket)

    def close(self) -> list[Outgoing]:
        """Closes at once; the events that the peer has not taken, oldest first. They will not arrive late."""
        if not self._is_open:
            return []
        self._is_open = False
        self._reading.cancel()
        loop = asyncio.get_running_loop()
        if self._waits_for_room:
            loop.remove_writer(self._socket)
        self.settle()
        untaken = self._in_flight.take_back()
        if untaken:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self._socket.close()
        return untaken

    def _flush(self) -> None:
        try:
            while self._pending:
                sent = self._socket.send(self._pending)
                del self._pending[:sent]
        except (BlockingIOError, InterruptedError):
            if not self._waits_for_room:
                self._waits_for_room = True
                asyncio.get_running_loop().add_writer(self._socket, self._has_room)
        except OSError:
            self._break_soon()

    def _has_room(self) -> None:
        asyncio.get_running_loop().remove_writer(self._socket)
        self._waits_for_room = False
        self._flush()
        if not self._pending and self._is_open:
            self._ears.writable()

    def _break_soon(self) -> None:
        asyncio.get_running_loop().call_soon(self._report_lost)

    def _report_lost(self) -> None:
        if self._is_open:
            self._ears.lost()

    async def _read(self) -> None:
        try:
            await self._listen()
        except Exception:
            log.exception("a message of the manager could not be worked off; the connection is given up")
            self._report_lost()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        frames = FrameReader()
        while self._is_open:
            try:
                data = await loop.sock_recv(self._socket, READ_BYTES)
            except OSError:
                self._report_lost()  # over UDP: the port is closed
                return
            if not data and self._is_tcp:
                self._report_lost()
                return
            if not self._hear(frames, data):
                return

    def _hear(self, frames: FrameReader, data: bytes) -> bool:
        if not self._is_tcp:
            self._ears.envelope(data)
            return True
        try:
            envelopes = frames.feed(data)
        except PeerError as error:
            for envelope in getattr(error, "frames", ()):
                self._ears.envelope(envelope)
            if self._is_open:
                self._ears.oversize()
            return False
        for envelope in envelopes:
            if not self._is_open:
                return False
            self._ears.envelope(envelope)
        return True


def _unacknowledged_bytes(opened: socket.socket) -> int:
    """Bytes that the kernel took and the peer's TCP has not acknowledged; 0 where that cannot be asked."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        answer = fcntl.ioctl(opened.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    except OSError:
        return 0
    return max(0, int(struct.unpack("i", answer)[0]))
