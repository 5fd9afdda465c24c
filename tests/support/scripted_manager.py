"""A manager that does what a test says: enrollment over TLS, and port 1514 over TCP or UDP.

It acknowledges startups and keepalives by itself unless told not to; everything else is sent by the test.
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from garrison.wire import agent_message, control
from garrison.wire.agent_frame import FrameReader, encode_frame
from garrison.wire.agent_message import Method
from garrison.wire.client_keys import KeyEntry
from garrison.wire.counters import START


class ScriptedManager:
    """One manager. `messages` holds what agents said, in order, over all connections."""

    def __init__(self, entry: KeyEntry) -> None:
        self.entry = entry
        self.key = agent_message.derive(entry)
        self.messages: list[bytes] = []
        self.methods: list[Method] = []
        self.prefixes: list[str | None] = []
        self.acks = True
        self.greeting: bytes | None = None
        """Sent instead of the ack of a startup."""
        self.port = 0
        self.connections = 0
        self._counters = START
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None
        self._udp: asyncio.DatagramTransport | None = None
        self._peer: tuple[str, int] | None = None

    # What a test looks at

    @property
    def events(self) -> list[bytes]:
        return [message for message in self.messages if not control.is_control(message)]

    @property
    def lines(self) -> list[bytes]:
        """The texts of log lines: events behind the agent's own ones."""
        return [one.split(b":", 2)[2] for one in self.events if not one.startswith(b"1:wazuh-agent:")]

    @property
    def keepalives(self) -> list[bytes]:
        return [message for message in self.messages if b" merged.mg\n" in message]

    # What a test does

    def send(self, *messages: bytes) -> None:
        """Sends to the agent that spoke last."""
        for message in messages:
            self._counters = self._counters.next()
            method = self.methods[-1] if self.methods else Method.AES
            self.send_raw(agent_message.seal(message, self.key, method, self._counters, 7))

    def send_raw(self, envelope: bytes) -> None:
        if self._writer is not None:
            self._writer.write(encode_frame(envelope))
        elif self._udp is not None:
            self._udp.sendto(envelope, self._peer)

    def send_bytes(self, data: bytes) -> None:
        """Bytes that need not be a frame."""
        assert self._writer is not None
        self._writer.write(data)

    def drop(self) -> None:
        """Resets the agent's connection."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None

    async def stop(self) -> None:
        """Nobody listens any more, nobody is connected."""
        if self._server is not None:
            self._server.close()
        self.drop()

    async def listen(self, port: int = 0) -> None:
        """Listens over TCP."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def listen_udp(self) -> None:
        """Listens over UDP."""
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), local_addr=("127.0.0.1", 0)
        )
        self.port = self._udp.get_extra_info("sockname")[1]

    def close_udp(self) -> None:
        if self._udp is not None:
            self._udp.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writer = writer
        frames = FrameReader()
        try:
            while data := await reader.read(65536):
                for envelope in frames.feed(data):
                    self.hear(envelope)
        except ConnectionError:
            pass
        finally:
            writer.close()

    def hear(self, envelope: bytes, peer: tuple[str, int] | None = None) -> None:
        self._peer = peer or self._peer
        found = agent_message.classify(envelope)
        assert not isinstance(found, agent_message.Ping)
        opened = agent_message.open_envelope(found.rest, self.key)
        self.prefixes.append(found.id if isinstance(found, agent_message.ById) else None)
        self.methods.append(opened.method)
        self.messages.append(opened.message)
        if not control.is_control(opened.message) or not self.acks:
            return
        decoded = control.decode_from_agent(opened.message)
        if isinstance(decoded, control.Startup) and self.greeting is not None:
            self.send(self.greeting)
        elif isinstance(decoded, control.Startup | control.Keepalive):
            self.send(control.ACK)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, manager: ScriptedManager) -> None:
        self._manager = manager

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._manager.hear(data, addr)


@asynccontextmanager
async def manager(entry: KeyEntry, *, udp: bool = False) -> AsyncIterator[ScriptedManager]:
    """A manager that listens, and is gone at the end."""
    one = ScriptedManager(entry)
    await (one.listen_udp() if udp else one.listen())
    try:
        yield one
    finally:
        await one.stop()
        one.close_udp()


class EnrollmentDouble:
    """The enrollment service: says `reply` to whatever it is asked, and closes."""

    def __init__(self, reply: bytes) -> None:
        self.reply = reply
        self.requests: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await reader.readline())
            writer.write(self.reply)
            await writer.drain()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def enrollment(
    folder: Path, reply: bytes, *, names: tuple[str, ...] = ("127.0.0.1",)
) -> AsyncIterator[EnrollmentDouble]:
    """An enrollment service whose certificate (`folder`/cert.pem, its own CA) is for `names`."""
    make_certificate(folder, names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    double = EnrollmentDouble(reply)
    server = await asyncio.start_server(double.serve, "127.0.0.1", 0, ssl=context)
    double.port = server.sockets[0].getsockname()[1]
    try:
        yield double
    finally:
        server.close()


def make_certificate(folder: Path, names: tuple[str, ...]) -> None:
    """A self-signed pair, cert.pem and key.pem, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Wazuh")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
