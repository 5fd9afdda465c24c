"""The real link to the engine: `nats-py` below, the Protocols of `link` above.

A bucket is a JetStream key-value bucket, read from the stream's leader, so that a read after a write is never older than
the write. A watch delivers everything anew after every reconnection, and whenever the stream has moved on without the
watcher hearing of it (its consumer may have been lost with the member that held it).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig, ObjectStoreConfig, StorageType
from nats.js.kv import KV_DEL, KV_PURGE, KeyValue

from garrison.fabric import escape as tokens
from garrison.fabric.engine_conf import host_port
from garrison.fabric.identity import SERVER_NAME, IdentityFiles, client_context
from garrison.fabric.link import (
    MAX_FILE_BYTES,
    MAX_KEY_BYTES,
    MAX_VALUE_BYTES,
    Answer,
    Bucket,
    CaughtUp,
    Change,
    Entry,
    FileStore,
    NodeAway,
    Removed,
)
from garrison.ground.clock import Clock
from garrison.ground.entropy import Entropy
from garrison.ground.errors import (
    EngineAway,
    FabricError,
    GarrisonError,
    KeyTaken,
    PeerError,
    Refused,
    WrongRevision,
)
from garrison.ground.log import RateLimit, printable
from garrison.ground.tasks import Backoff, Brood, Stop, pause

log = logging.getLogger(__name__)

OPERATION_WITHIN_S = 4.0
CONNECT_WITHIN_S = 3.0
LOOK_EVERY_S = 3.0
MOST_QUEUED_MESSAGES = 10_000
MOST_CALLS_AT_ONCE = 256

T = TypeVar("T")

_AWAY = (
    nats.errors.NoServersError,
    nats.errors.TimeoutError,
    nats.errors.NoRespondersError,
    nats.errors.ConnectionClosedError,
    nats.errors.ConnectionDrainingError,
    nats.errors.ConnectionReconnectingError,
    nats.errors.OutboundBufferLimitError,
    nats.errors.StaleConnectionError,
    nats.errors.UnexpectedEOF,
    nats.js.errors.ServiceUnavailableError,
    nats.js.errors.NoStreamResponseError,
    asyncio.TimeoutError,
    OSError,
)


_WRONG_SEQUENCE = (10071, 10164)
"""The engine's numbers for "the key has another revision"."""


async def translated(operation: Awaitable[T], what: str) -> T:
    """The outcome of a client operation, with its errors in our terms."""
    try:
        async with asyncio.timeout(OPERATION_WITHIN_S):
            return await operation
    except nats.js.errors.KeyWrongLastSequenceError as error:
        raise WrongRevision(what) from error
    except _AWAY as error:
        raise EngineAway(f"{what}: no answer of the cluster engine") from error
    except nats.js.errors.APIError as error:
        if getattr(error, "err_code", None) in _WRONG_SEQUENCE:
            raise WrongRevision(what) from error
        raise FabricError(f"{what}: {getattr(error, 'description', None) or error}") from error
    except nats.errors.Error as error:
        raise FabricError(f"{what}: {error}") from error


class EngineLink:
    """One node's connection to the members of the engine."""

    def __init__(
        self,
        node_name: str,
        members: Sequence[str],
        port: int,
        files: IdentityFiles,
        *,
        replicas: int,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self.node_name = node_name
        self.refused_calls = 0
        self.dropped_messages = 0
        self._servers = [f"tls://{host_port(member, port)}" for member in members]
        self._files = files
        self._replicas = replicas
        self._clock = clock
        self._entropy = entropy
        self._client: Client | None = None
        self._answers: dict[str, Answer] = {}
        self._buckets: dict[str, EngineBucket] = {}
        self._stores: dict[str, EngineFiles] = {}
        self._noise = RateLimit(burst=2, per_s=1 / 30)
        self._brood = Brood("link")
        self._reconnections = 0
        self._listeners: list[Callable[[bool], None]] = []
        self.connected = asyncio.Event()

    # -- life ---------------------------------------------------------------------------------------------------

    async def run(self, stop: Stop) -> None:
        """Connects, and stays connected until `stop`."""
        try:
            self._brood.start(self._connect_at_last(stop), name="connect")
            await stop.wait()
        finally:
            await self._brood.end()
            if self._client is not None:
                with suppress(Exception):
                    async with asyncio.timeout(2.0):
                        await self._client.close()

    async def _connect_at_last(self, stop: Stop) -> None:
        backoff = Backoff(self._entropy, first_s=0.2, most_s=5.0)
        while not stop.is_set():
            try:
                return await self._connect()
            except (*_AWAY, nats.errors.Error) as error:
                self._say_away(error)
                await pause(self._clock, backoff.next_s(), stop)

    async def _connect(self) -> None:
        client = await nats.connect(
            servers=self._servers,
            name=self.node_name,
            tls=client_context(self._files),
            tls_hostname=SERVER_NAME,
            tls_handshake_first=True,
            connect_timeout=CONNECT_WITHIN_S,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.3 + self._entropy.below(400) / 1000,
            ping_interval=5,
            max_outstanding_pings=2,
            allow_reconnect=True,
            error_cb=self._on_error,
            disconnected_cb=self._on_lost,
            reconnected_cb=self._on_back,
            pending_size=8 << 20,
        )
        self._client = client
        await client.subscribe(
            f"node.{tokens.escape(self.node_name)}.*",
            cb=self._on_call,
            pending_msgs_limit=MOST_QUEUED_MESSAGES,
        )
        await client.flush(timeout=int(CONNECT_WITHIN_S))
        self._set_connected(True)

    async def _on_error(self, error: Exception) -> None:
        if isinstance(error, nats.errors.SlowConsumerError):
            self.dropped_messages += 1
        else:
            self._say_away(error)

    async def _on_lost(self) -> None:
        self._set_connected(False)

    async def _on_back(self) -> None:
        self._reconnections += 1
        self._set_connected(True)

    def _set_connected(self, connected: bool) -> None:
        if connected == self.connected.is_set():
            return
        if connected:
            self.connected.set()
            log.info("Connected to the cluster engine")
        else:
            self.connected.clear()
            log.warning("The cluster engine is away; this node goes on with what it knows")
        for listener in self._listeners:
            listener(connected)

    def _say_away(self, error: Exception) -> None:
        if self._noise.allows(type(error).__name__, self._clock.monotonic()):
            log.warning("The cluster engine is not reached: %s", reason_of(error))

    def on_connection(self, listener: Callable[[bool], None]) -> None:
        """`listener` hears True when a member is reached and False when none is."""
        self._listeners.append(listener)

    @property
    def reconnections(self) -> int:
        """How often the connection came back; watches compare it."""
        return self._reconnections

    def is_connected(self) -> bool:
        """True while a member is reached."""
        return self._client is not None and self._client.is_connected

    def client(self) -> Client:
        """The client; `EngineAway` while no member is reached."""
        if self._client is None or not self._client.is_connected:
            raise EngineAway("no member of the cluster engine is reached")
        return self._client

    def stream(self) -> JetStreamContext:
        """The streaming part of the client."""
        return self.client().jetstream(timeout=OPERATION_WITHIN_S)

    # -- buckets and files --------------------------------------------------------------------------------------

    async def bucket(self, name: str, *, ttl_s: float | None = None) -> Bucket:
        """See `link.Link.bucket`."""
        if name not in self._buckets:
            config = KeyValueConfig(
                bucket=name,
                history=1,
                ttl=ttl_s,
                storage=StorageType.FILE,
                replicas=self._replicas,
                max_value_size=MAX_VALUE_BYTES,
                direct=False,
            )
            store = await self._made(lambda: self.stream().create_key_value(config), self._open_kv(name))
            self._buckets[name] = EngineBucket(self, store, name, ttl_s, self._clock)
        return self._buckets[name]

    def _open_kv(self, name: str) -> Callable[[], Awaitable[KeyValue]]:
        return lambda: self.stream().key_value(name)

    async def files(self, name: str) -> FileStore:
        """See `link.Link.files`."""
        if name not in self._stores:
            config = ObjectStoreConfig(bucket=name, replicas=self._replicas, storage=StorageType.FILE)
            store = await self._made(
                lambda: self.stream().create_object_store(name, config),
                lambda: self.stream().object_store(name),
            )
            self._stores[name] = EngineFiles(store)
        return self._stores[name]

    async def _made(self, create: Callable[[], Awaitable[T]], open_: Callable[[], Awaitable[T]]) -> T:
        """What `open_` finds, or `create` makes; another node may make it at the same moment."""
        try:
            return await translated(open_(), "open")
        except EngineAway:
            raise
        except FabricError:
            pass
        try:
            return await translated(create(), "create")
        except EngineAway:
            raise
        except FabricError:
            return await translated(open_(), "open")

    # -- subjects -----------------------------------------------------------------------------------------------

    async def publish(self, subject: str, data: bytes) -> None:
        """See `link.Link.publish`."""
        check_size(data)
        await translated(self.client().publish(f"topic.{subject}", data), "publish")

    async def subscribe(self, subject: str, stop: Stop) -> AsyncIterator[tuple[str, bytes]]:
        """See `link.Link.subscribe`."""
        subscription = await translated(
            self.client().subscribe(f"topic.{subject}", pending_msgs_limit=MOST_QUEUED_MESSAGES), "subscribe"
        )
        try:
            while not stop.is_set():
                try:
                    message = await subscription.next_msg(timeout=1.0)
                except nats.errors.TimeoutError:
                    continue
                except nats.errors.Error as error:
                    raise EngineAway("the subscription ended") from error
                yield message.subject.removeprefix("topic."), message.data
        finally:
            with suppress(Exception):
                await subscription.unsubscribe()

    # -- calls --------------------------------------------------------------------------------------------------

    def serve(self, command: str, answer: Answer) -> None:
        """See `link.Link.serve`."""
        self._answers[command] = answer

    async def call(self, node: str, command: str, data: bytes, timeout_s: float) -> bytes:
        """See `link.Link.call`."""
        check_size(data)
        subject = f"node.{tokens.escape(node)}.{tokens.escape(command)}"
        client = self.client()
        try:
            reply = await client.request(subject, data, timeout=timeout_s)
        except (TimeoutError, nats.errors.NoRespondersError, nats.errors.TimeoutError) as error:
            raise NodeAway(f"node {node} does not answer") from error
        except _AWAY as error:
            raise EngineAway("the cluster engine is away") from error
        return read_answer(reply.data)

    async def _on_call(self, message: Msg) -> None:
        if len(self._brood) >= MOST_CALLS_AT_ONCE:
            self.refused_calls += 1
            return
        self._brood.start(self._answer_call(message), name="answer")

    async def _answer_call(self, message: Msg) -> None:
        answer = self._answers.get(_command_of(message.subject))
        if answer is None:
            self.refused_calls += 1
            reply = write_refusal(Refused("unknown command", 1000))
        else:
            reply = await answer_to(answer, message.data)
        if message.reply:
            with suppress(*_AWAY, nats.errors.Error):
                await message.respond(reply)


def _command_of(subject: str) -> str:
    try:
        return tokens.unescape(subject.rpartition(".")[2])
    except PeerError:
        return ""


async def answer_to(answer: Answer, data: bytes) -> bytes:
    """The envelope of an answer: `+` and the data, or `-` and why not."""
    try:
        return b"+" + await answer(data)
    except Refused as refusal:
        return write_refusal(refusal)
    except GarrisonError as error:
        return b"!" + str(error).encode("utf-8", "replace")[:500]


def write_refusal(refusal: Refused) -> bytes:
    """The envelope of a refusal."""
    return b"-" + json.dumps([refusal.code, refusal.message]).encode()


def read_answer(envelope: bytes) -> bytes:
    """The data of an answer; raises what the other side raised."""
    kind, data = envelope[:1], envelope[1:]
    if kind == b"+":
        return data
    if kind == b"-":
        try:
            code, message = json.loads(data)
            refusal = Refused(str(message), int(code))
        except (ValueError, TypeError) as error:
            raise FabricError("damaged refusal") from error
        raise refusal
    raise FabricError(f"the other node failed: {printable(data, 200)}")


def reason_of(error: Exception) -> str:
    """Why a connection does not come about, in words that help."""
    text = printable(str(error) or type(error).__name__, 200)
    if "CERTIFICATE" in text.upper() or "certificate" in text or "SSL" in text:
        return f"TLS handshake refused ({text}): another cluster key or another cluster name"
    return text


def check_size(data: bytes, most: int = MAX_VALUE_BYTES) -> None:
    """`FabricError` for data that the engine would not take."""
    if len(data) > most:
        raise FabricError(f"{len(data)} bytes are more than the {most} that fit")


class EngineBucket:
    """See `link.Bucket`."""

    def __init__(
        self, link: EngineLink, store: KeyValue, name: str, ttl_s: float | None, clock: Clock
    ) -> None:
        self._link = link
        self._store = store
        self._name = name
        self._ttl_s = ttl_s
        self._clock = clock

    def _token(self, key: str) -> str:
        if not 0 < len(key.encode()) <= MAX_KEY_BYTES:
            raise FabricError("the key is empty or too long")
        self._link.client()
        return tokens.escape(key)

    async def get(self, key: str) -> Entry | None:
        try:
            found = await translated(self._get(self._token(key)), f"get of {self._name}")
        except FabricError as error:
            if isinstance(error.__cause__, nats.js.errors.KeyNotFoundError | nats.js.errors.NotFoundError):
                return None
            raise
        return Entry(key=key, value=found.value or b"", revision=int(found.revision or 0))

    async def _get(self, token: str) -> KeyValue.Entry:
        return await self._store.get(token)

    async def create(self, key: str, value: bytes) -> int:
        check_size(value)
        try:
            return await translated(self._store.create(self._token(key), value), f"create in {self._name}")
        except WrongRevision as error:
            raise KeyTaken(key) from error

    async def put(self, key: str, value: bytes) -> int:
        check_size(value)
        return await translated(self._store.put(self._token(key), value), f"put to {self._name}")

    async def update(self, key: str, value: bytes, revision: int) -> int:
        check_size(value)
        return await translated(
            self._store.update(self._token(key), value, last=revision), f"update of {self._name}"
        )

    async def delete(self, key: str, revision: int | None = None) -> None:
        await translated(self._store.delete(self._token(key), last=revision), f"delete from {self._name}")

    async def entries(self) -> list[Entry]:
        self._link.client()
        watcher = await translated(self._store.watchall(ignore_deletes=True), f"listing of {self._name}")
        found: list[Entry] = []
        updates: Any = watcher.updates
        try:
            while (update := await translated(updates(OPERATION_WITHIN_S), "listing")) is not None:
                found.append(self._entry(update))
        finally:
            with suppress(Exception):
                await watcher.stop()  # type: ignore[no-untyped-call]
        return sorted(found, key=lambda entry: entry.key)

    def _entry(self, update: KeyValue.Entry) -> Entry:
        key = tokens.unescape(update.key)
        return Entry(key=key, value=update.value or b"", revision=int(update.revision or 0))

    async def watch(self, stop: Stop) -> AsyncIterator[Change]:
        present: dict[str, float] = {}
        backoff = Backoff(self._link._entropy, first_s=0.1, most_s=2.0)
        while not stop.is_set():
            try:
                async for change in self._watch_once(present, stop):
                    backoff.reset()
                    yield change
            except (FabricError, nats.errors.Error) as error:
                log.debug("watch of %s starts anew: %s", self._name, error)
            await pause(self._clock, backoff.next_s(), stop)

    async def _watch_once(self, present: dict[str, float], stop: Stop) -> AsyncIterator[Change]:
        """One watcher's life. `present` holds what was delivered, with the time of its arrival."""
        reconnections = self._link.reconnections
        self._link.client()
        watcher = await translated(self._store.watchall(), f"watch of {self._name}")
        missing: set[str] | None = set(present)
        last = 0
        looked_at = self._clock.monotonic()
        behind = False
        try:
            while not stop.is_set() and reconnections == self._link.reconnections:
                try:
                    update = await watcher.updates(timeout=0.5)  # type: ignore[no-untyped-call]
                except nats.errors.TimeoutError:
                    for key in self._expired(present):
                        yield Removed(key=key, revision=0)
                    if self._clock.monotonic() - looked_at > LOOK_EVERY_S:
                        looked_at = self._clock.monotonic()
                        if await self._is_behind(last) and behind:
                            return
                        behind = await self._is_behind(last)
                    continue
                if update is None:
                    for key in sorted(missing or ()):
                        present.pop(key, None)
                        yield Removed(key=key, revision=0)
                    missing = None
                    yield CaughtUp()
                    continue
                last = max(last, int(update.revision or 0))
                change = self._change(update)
                if change is None:
                    continue
                if missing is not None:
                    missing.discard(change.key)
                if isinstance(change, Entry):
                    present[change.key] = self._clock.monotonic()
                elif present.pop(change.key, None) is None:
                    continue
                yield change
        finally:
            with suppress(Exception):
                await watcher.stop()  # type: ignore[no-untyped-call]

    def _change(self, update: KeyValue.Entry) -> Entry | Removed | None:
        try:
            key = tokens.unescape(update.key)
        except PeerError:
            return None
        if update.operation in (KV_DEL, KV_PURGE):
            return Removed(key=key, revision=int(update.revision or 0))
        return self._entry(update)

    def _expired(self, present: dict[str, float]) -> list[str]:
        """Keys that ran out of their time: the engine forgets them without a word."""
        if self._ttl_s is None:
            return []
        deadline = self._clock.monotonic() - self._ttl_s
        gone = [key for key, since in present.items() if since < deadline]
        for key in gone:
            del present[key]
        return gone

    async def _is_behind(self, last: int) -> bool:
        info: Any = await translated(self._store.status(), f"state of {self._name}")
        state = info.stream_info.state
        return bool(state.messages and state.last_seq > last)


class EngineFiles:
    """See `link.FileStore`."""

    def __init__(self, store: Any) -> None:
        self._store = store

    async def put(self, content: bytes) -> str:
        check_size(content, MAX_FILE_BYTES)
        digest = hashlib.sha256(content).hexdigest()
        if await self._has(digest):
            return digest
        await translated(self._store.put(digest, content), "put of a file")
        return digest

    async def _has(self, digest: str) -> bool:
        try:
            await translated(self._store.get_info(digest), "look for a file")
        except EngineAway:
            raise
        except FabricError:
            return False
        return True

    async def get(self, digest: str) -> bytes:
        found = await translated(self._store.get(digest), "get of a file")
        content = bytes(found.data or b"")
        if hashlib.sha256(content).hexdigest() != digest:
            raise FabricError("a stored file does not have its digest")
        return content

    async def delete(self, digest: str) -> None:
        try:
            await translated(self._store.delete(digest), "delete of a file")
        except EngineAway:
            raise
        except FabricError as error:
            log.debug("file %s not deleted: %s", digest, error)
