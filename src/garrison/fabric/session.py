"""One connection to one engine member, from its handshake to its loss, and what its errors mean.

A session never comes back: the link makes a new one, perhaps to another member, and whoever reads a
subject or watches a bucket begins anew on it. So nothing is buffered behind our back while the engine is
away, and nobody can take an old consumer for a living one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from garrison.fabric.identity import SERVER_NAME
from garrison.ground.clock import Clock
from garrison.ground.errors import EngineAway, FabricError, GarrisonError

OPERATION_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 4.0
READY_WAIT_S = 10.0
"""How long a bucket is waited for while the members elect a leader; usually that takes two to seven seconds."""

PING_INTERVAL_S = 4
_LOSING_S = 15.0
"""A member that could carry out nothing for so long is left for another one."""

_AWAY_CODES = frozenset({10008, 10074, 10005, 10009, 10023, 10117, 10118})
"""JetStream temporarily unavailable, no suitable peers, no leader, insufficient resources and the like."""

STREAM_ABSENT = 10059
MESSAGE_ABSENT = 10037
WRONG_LAST_SEQUENCE = frozenset({10071, 10164})
_OTHER_CONFIGURATION = 10058


class Unreachable(Exception):
    """A member cannot be connected to; the text says why, for the log."""


class Session:
    """A live connection. `lost` is set when it is gone for good."""

    def __init__(self, client: Client, member: str, clock: Clock) -> None:
        self.client = client
        self.member = member
        self.lost = asyncio.Event()
        self.streams: JetStreamContext = client.jetstream(timeout=OPERATION_TIMEOUT_S)
        self._clock = clock
        self._failing_since: float | None = None

    @contextmanager
    def operation(self, what: str) -> Iterator[None]:
        """Inside, the client library's errors become ours; a member that only fails is left in the end."""
        try:
            yield
        except _AWAY_ERRORS as error:
            self._failed()
            raise EngineAway(f"{what}: the cluster engine does not answer ({_words(error)})") from error
        except nats.js.errors.APIError as error:
            if error.code == 503 or error.err_code in _AWAY_CODES:
                self._failed()
                raise EngineAway(f"{what}: the cluster engine is not ready ({_words(error)})") from error
            raise FabricError(f"{what}: the cluster engine refused ({_words(error)})") from error
        except nats.errors.Error as error:
            raise FabricError(f"{what}: {_words(error)}") from error
        except GarrisonError:
            raise
        else:
            self._failing_since = None

    def _failed(self) -> None:
        now = self._clock.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        elif now - self._failing_since >= _LOSING_S:
            self.lost.set()

    async def ensure_stream(self, config: StreamConfig) -> None:
        """The stream is there afterwards, with as many replicas as wanted.

        Waits up to READY_WAIT_S for an engine that is still finding its leader, then `EngineAway`.
        """
        until = self._clock.monotonic() + READY_WAIT_S
        while True:
            try:
                with self.operation(f"making {config.name}"):
                    await self._make_stream(config)
                return
            except EngineAway:
                if self.lost.is_set() or self._clock.monotonic() >= until:
                    raise
                await self._clock.sleep(0.25)

    async def _make_stream(self, config: StreamConfig) -> None:
        try:
            await self.streams.add_stream(config)
        except nats.js.errors.APIError as error:
            if error.err_code != _OTHER_CONFIGURATION:
                raise
            # Made when the cluster had another number of members, or by another version of ours.
            await self.streams.update_stream(config)

    async def close(self) -> None:
        """Ends the connection; what still waits for it sees `lost`."""
        self.lost.set()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self.client.close()
        except (OSError, TimeoutError, nats.errors.Error):
            pass  # it was being thrown away


_AWAY_ERRORS = (
    TimeoutError,
    OSError,
    nats.errors.TimeoutError,
    nats.errors.NoRespondersError,
    nats.errors.ConnectionClosedError,
    nats.errors.ConnectionDrainingError,
    nats.errors.ConnectionReconnectingError,
    nats.errors.StaleConnectionError,
    nats.errors.UnexpectedEOF,
    nats.errors.NoServersError,
    nats.errors.OutboundBufferLimitError,
    nats.js.errors.NoStreamResponseError,
    nats.js.errors.ServiceUnavailableError,
)


def _words(error: BaseException) -> str:
    if isinstance(error, nats.js.errors.APIError) and error.description:
        return error.description
    return type(error).__name__


async def open_session(member: str, node_name: str, context: ssl.SSLContext, clock: Clock) -> Session:
    """A session with `member` (`host:port`); `Unreachable` with the reason."""
    client = Client()
    failures: list[BaseException] = []
    session = Session(client, member, clock)

    async def closed() -> None:
        session.lost.set()

    async def failed(error: BaseException) -> None:
        del failures[:-1]
        failures.append(error)

    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await client.connect(
                [f"tls://{member}"],
                name=node_name,
                tls=context,
                tls_hostname=SERVER_NAME,
                tls_handshake_first=True,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                ping_interval=PING_INTERVAL_S,
                max_outstanding_pings=2,
                closed_cb=closed,
                error_cb=failed,
            )
    except (OSError, TimeoutError, nats.errors.Error) as error:
        await session.close()
        cause = failures[-1] if failures and isinstance(error, nats.errors.NoServersError) else error
        raise Unreachable(_reason(cause)) from error
    except asyncio.CancelledError:
        await session.close()
        raise
    return session


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return "TLS handshake refused: another cluster key or another cluster name"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
