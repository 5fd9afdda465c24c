"""The enrollment server: one TLS connection, one line there, one reply back.

A client goes through three stages: silent (a bare socket, until its first byte), greeting (the TLS handshake and its
line), answered. Each has a deadline. When `MOST_CLIENTS` are inside, the one that has been silent or greeting longest is
cut off, so that a crowd of silent peers costs sockets but keeps nobody out.
Source: spec/agent-channel.md 2; security classes T4, T6, T7.
"""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from garrison.config.model import AuthConfig
from garrison.enrollment import policy, tls_store
from garrison.ground.clock import Clock
from garrison.ground.errors import ConfigError, EngineAway, FabricError, Fault, Refused
from garrison.ground.log import ProgramAdapter, RateLimit, printable
from garrison.ground.tasks import Brood, Stop
from garrison.ground.version import PROTOCOL
from garrison.registry.model import Agent
from garrison.registry.store import DuplicateAgent, EnrollOrder
from garrison.wire.address import normalize_source
from garrison.wire.enroll_line import (
    MOST_REQUEST_BYTES,
    EnrollRequest,
    decode_request,
    encode_refusal,
    encode_success,
)
from garrison.wire.names import EnrollRefusal

MOST_CLIENTS = 999
WITHIN_S = 10.0
DELIVERED_WITHIN_S = 5.0

log = ProgramAdapter(__name__, "wazuh-authd")


class Registering(Protocol):
    """What this server needs of the registry."""

    async def enroll(self, order: EnrollOrder) -> Agent: ...

    async def confirm_delivery(self, identity: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the node hands in. `host_name` is a name that no agent may take."""

    root: Path
    registry: Registering
    group_exists: Callable[[str], bool]
    host_name: str
    clock: Clock


class PasswordFile:
    """The first line of `etc/authd.pass`, read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._chosen = ""
        self.is_random = False

    def current(self) -> str:
        """The password. Without a file one is chosen once. `ConfigError` for a file that is empty."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            if not self.is_random:
                self._chosen, self.is_random = secrets.token_hex(16), True
            return self._chosen
        stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        if stamp != self._stamp:
            text = self._path.read_text("utf-8", "replace").split("\n", 1)[0].rstrip("\r")
            if not text:
                fault = Fault(
                    path=str(self._path), line=1, found="no password", expected="a first line that is one"
                )
                raise ConfigError([fault])
            self._chosen, self._stamp, self.is_random = text, stamp, False
        return self._chosen


class EnrollmentServer:
    """Answers enrollments on the configured address and port."""

    def __init__(
        self,
        config: AuthConfig,
        around: Surroundings,
        *,
        most_clients: int = MOST_CLIENTS,
        within_s: float = WITHIN_S,
    ) -> None:
        self._config = config
        self._around = around
        self._most_clients = most_clients
        self._within_s = within_s
        self._password = PasswordFile(around.root / "etc/authd.pass") if config.use_password else None
        self._brood = Brood("enrollment")
        self._unanswered: dict[asyncio.Task[None], None] = {}
        self._noise = RateLimit(burst=20, per_s=2)
        self.listening = asyncio.Event()

    async def run(self, stop: Stop) -> None:
        """Serves until `stop`; what is being answered then is answered within its deadline."""
        context = tls_store.server_context(self._around.root, self._config, self._around.clock.now())
        if self._password is not None:
            self._password.current()
        listener = open_listener(self._config)
        self._say_started()
        self.listening.set()
        accepting = self._brood.start(self._accept(listener, context), name="accept")
        try:
            await stop.wait()
        finally:
            accepting.cancel()
            listener.close()
            await self._brood.end()

    def _say_started(self) -> None:
        start = f"Accepting connections on port {self._config.port}."
        if self._password is None:
            log.info("%s No password required.", start)
        elif self._password.is_random:
            chosen = self._password.current()
            log.info("%s Random password chosen for agent authentication: %s", start, chosen)
        else:
            log.info("%s Using password specified on file: etc/authd.pass", start)

    async def _accept(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno not in (
                    errno.EMFILE,
                    errno.ENFILE,
                    errno.ECONNABORTED,
                    errno.ENOBUFS,
                    errno.ENOMEM,
                ):
                    raise
                log.error(
                    "(1242): Couldn't accept TCP connections: %s (%d)", error.strerror, error.errno or 0
                )
                await self._around.clock.sleep(0.1)
                continue
            source = normalize_source(str(address[0]))
            if len(self._unanswered) >= self._most_clients:
                self._cut_longest(source)
            task = self._brood.start(self._serve(connection, source, context), name=source)
            self._unanswered[task] = None
            task.add_done_callback(lambda done: self._unanswered.pop(done, None))

    def _cut_longest(self, source: str) -> None:
        if self._noise.allows("full", self._around.clock.monotonic()):
            log.warning("Too many connections. Rejecting.")
        oldest = next(iter(self._unanswered))
        del self._unanswered[oldest]
        oldest.cancel()

    async def _serve(self, connection: socket.socket, source: str, context: ssl.SSLContext) -> None:
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(self._within_s):
                await readable(connection)
                reader, writer = await greet(connection, context, self._within_s)
                line = await reader.readuntil(b"\n")
            if not self._is_verified(writer, source):
                return
            await self._answer(line, source, reader, writer)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            self._say_noise(source, error)
        finally:
            if writer is not None:
                writer.transport.abort() if writer.is_closing() else writer.close()
            else:
                connection.close()

    def _is_verified(self, writer: asyncio.StreamWriter, source: str) -> bool:
        if not (self._config.ssl_agent_ca and self._config.ssl_verify_host):
            return True
        if tls_store.names_source(writer.get_extra_info("peercert"), source):
            return True
        log.warning("Unable to verify client certificate of %s: it does not name that address.", source)
        return False

    def _say_noise(self, source: str, error: BaseException) -> None:
        if self._noise.allows(source, self._around.clock.monotonic()):
            log.info(
                "Connection of %s ended without a request: %s",
                source,
                printable(str(error) or "timeout", 100),
            )

    async def _answer(
        self, line: bytes, source: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        reply, agent = await self._decide(line, source)
        writer.write(reply)
        await writer.drain()
        if agent is None:
            return
        log.info("Agent key generated for '%s' (requested by %s)", agent.name, source)
        async with asyncio.timeout(DELIVERED_WITHIN_S):
            while await reader.read(4096):
                pass
        await self._around.registry.confirm_delivery(agent.id)

    async def _decide(self, line: bytes, source: str) -> tuple[bytes, Agent | None]:
        try:
            request = self._read(line, source)
            agent = await self._around.registry.enroll(self._order(request, source))
        except EnrollRefusal as refusal:
            return encode_refusal(refusal.text), None
        except DuplicateAgent as refusal:
            name = printable(refusal.message.partition(": ")[2])
            log.warning("Duplicate name '%s', rejecting enrollment. %s", name, refusal.reason)
            return encode_refusal(refusal.message), None
        except Refused as refusal:
            return encode_refusal(refusal.message), None
        except EngineAway as error:
            log.error(
                "Enrollment of a new agent from %s failed: the cluster engine is away (%s)", source, error
            )
            return encode_refusal(policy.NO_MASTER), None
        except FabricError as error:
            log.error("Enrollment of a new agent from %s failed: %s", source, error)
            return encode_refusal("Internal manager error"), None
        return encode_success(agent.entry), agent

    def _read(self, line: bytes, source: str) -> EnrollRequest:
        password = self._password.current() if self._password is not None else None
        try:
            request = decode_request(
                line,
                password=password,
                our_version=f"v{PROTOCOL}",
                allow_higher_versions=self._config.allow_higher_versions,
            )
        except EnrollRefusal as refusal:
            if self._noise.allows(source, self._around.clock.monotonic()):
                if refusal.text == "Invalid password":
                    log.warning("Invalid password provided by %s. Closing connection.", source)
                else:
                    log.warning("Enrollment request of %s refused: %s", source, printable(refusal.text))
            raise
        log.info("Received request for a new agent (%s) from: %s", request.name, source)
        policy.check_groups_exist(request, self._around.group_exists)
        return request

    def _order(self, request: EnrollRequest, source: str) -> EnrollOrder:
        return EnrollOrder(
            name=request.name,
            ip=policy.address_of(request, source, use_source_ip=self._config.use_source_ip),
            groups=request.groups,
            key_hash=request.key_hash,
            source=source,
            force=self._config.force,
            reserved_name=self._around.host_name,
        )


def open_listener(config: AuthConfig) -> socket.socket:
    """A listening socket on the configured address; `ConfigError` 1206 when the port cannot be had."""
    address = config.local_ip or ("::" if config.ipv6 else "0.0.0.0")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((address, config.port))
        listener.listen(1024)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        found = f"(1206): Unable to Bind port '{config.port}' at {address} due to {error.strerror}"
        raise ConfigError([Fault(path="<auth>", line=0, found=found, expected="a free port")]) from error
    return listener


async def readable(connection: socket.socket) -> None:
    """Returns when the peer has sent something or went away. Costs no buffer until then."""
    loop = asyncio.get_running_loop()
    came: asyncio.Future[None] = loop.create_future()
    connection.setblocking(False)
    loop.add_reader(connection.fileno(), _resolve, came)
    try:
        await came
    finally:
        loop.remove_reader(connection.fileno())


def _resolve(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


async def greet(
    connection: socket.socket, context: ssl.SSLContext, within_s: float
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The TLS handshake; the stream pair of the client."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=MOST_REQUEST_BYTES, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.connect_accepted_socket(
        lambda: protocol, connection, ssl=context, ssl_handshake_timeout=within_s, ssl_shutdown_timeout=1.0
    )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
