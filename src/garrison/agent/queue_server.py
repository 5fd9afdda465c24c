"""The local queue: other programs on this host hand events to the agent, one datagram an event.

    queue/sockets/queue      `1:location:text`, at most 65408 bytes, as it goes over the wire

A sender cannot be made to wait here, so a full ring drops what comes (spec/agent-channel.md 5.4, 5.5).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

from garrison.agent.outgoing import Outgoing
from garrison.ground.errors import StoreError
from garrison.ground.unix_path import reachable

MIN_BYTES = 4
MAX_BYTES = 65536
MAX_BATCH = 256


class LocalQueue:
    """The socket, from `open` to `close`."""

    def __init__(self, path: Path, offer: Callable[[Outgoing], bool]) -> None:
        self._path = path
        self._offer = offer
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Listens; a socket file left behind by a killed agent is replaced. Raises `StoreError`."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._path.unlink(missing_ok=True)
            listening.setblocking(False)
            with reachable(self._path) as name:
                listening.bind(name)
            self._path.chmod(0o660)
        except OSError as error:
            listening.close()
            raise StoreError(str(self._path), error.strerror or str(error)) from error
        self._socket = listening
        asyncio.get_running_loop().add_reader(listening, self._take)

    def close(self) -> None:
        """Listens no more; the socket file goes."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
            self._path.unlink(missing_ok=True)

    def _take(self) -> None:
        assert self._socket is not None
        for _ in range(MAX_BATCH):
            try:
                datagram = self._socket.recv(MAX_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            if len(datagram) >= MIN_BYTES and datagram[1:2] == b":" and datagram.count(b":") >= 2:
                self._offer(Outgoing(datagram))
