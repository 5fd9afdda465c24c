"""A small agent for tests of the manager's side: it speaks the protocol and does nothing else."""

from __future__ import annotations

import asyncio

from garrison.registry.model import Agent
from garrison.wire import agent_message, control
from garrison.wire.agent_frame import FrameReader, encode_frame
from garrison.wire.agent_message import Method
from garrison.wire.counters import START

UNAME = "Linux |h |6.1 |#1 SMP |x86_64 [Debian GNU/Linux|debian: 12 (bookworm)] - Wazuh v4.14.7"


class StockAgent:
    """One connection of an agent over TCP."""

    def __init__(self, agent: Agent, method: Method = Method.AES, *, with_prefix: bool = True) -> None:
        self.agent = agent
        self._key = agent_message.derive(agent.entry)
        self._method = method
        self._prefix = agent.id if with_prefix else None
        self._counters = START
        self._frames = FrameReader()
        self._inbox: list[bytes] = []

    async def connect(self, port: int, address: str = "127.0.0.1", source: str | None = None) -> StockAgent:
        local = (source, 0) if source else None
        self.reader, self.writer = await asyncio.open_connection(address, port, local_addr=local)
        return self

    def seal(self, message: bytes) -> bytes:
        self._counters = self._counters.next()
        return agent_message.seal(message, self._key, self._method, self._counters, 7, prefix=self._prefix)

    def send(self, *messages: bytes) -> None:
        self.writer.write(b"".join(encode_frame(self.seal(message)) for message in messages))

    def send_raw(self, data: bytes) -> None:
        self.writer.write(data)

    async def receive(self, within_s: float = 10.0) -> bytes:
        """The next message; b"" when the manager closed."""
        async with asyncio.timeout(within_s):
            while not self._inbox:
                try:
                    data = await self.reader.read(65536)
                except ConnectionResetError:
                    return b""
                if not data:
                    return b""
                for envelope in self._frames.feed(data):
                    self._inbox.append(self._open(envelope))
        return self._inbox.pop(0)

    def _open(self, envelope: bytes) -> bytes:
        if envelope == agent_message.PONG:
            return envelope
        return agent_message.open_envelope(envelope, self._key).message

    async def hello(self, version: str = "v4.14.7") -> bytes:
        self.send(control.encode_startup(version))
        return await self.receive()

    def keepalive(self, merged_sum: str = "x") -> None:
        self.send(f'#!-{UNAME}\n{merged_sum} merged.mg\n#"_agent_ip":10.0.0.9\n'.encode())

    def close(self) -> None:
        self.writer.close()
