"""A bucket on the engine: a JetStream stream with one message a key, in the layout of NATS key-value.

    stream   KV_<bucket>             subjects $KV.<bucket>.>
    subject  $KV.<bucket>.<token>    token: the key, escaped (see `escape`)
    header   KV-Operation: DEL       a tombstone of ours; it goes by itself after a day
    header   Nats-Marker-Reason      a tombstone of the engine: the time to live was over

Reads go to the stream's leader, so a node sees what it or another wrote before. Only `entries` and
`watch` read a replica, which may be some milliseconds behind.
Source: NATS ADR-8 (key-value), ADR-43 (per-message TTL), ADR-17 (ordered consumers).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING

import nats.js.errors
from nats.aio.msg import Msg
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RawStreamMsg,
    StorageType,
    StreamConfig,
)

from garrison.fabric.escape import escape, unescape
from garrison.fabric.link import MAX_KEY_BYTES, MAX_VALUE_BYTES, CaughtUp, Change, Entry, Removed
from garrison.fabric.session import (
    MESSAGE_ABSENT,
    OPERATION_TIMEOUT_S,
    STREAM_ABSENT,
    WRONG_LAST_SEQUENCE,
    Session,
)
from garrison.ground.errors import EngineAway, FabricError, KeyTaken, PeerError, WrongRevision
from garrison.ground.tasks import Stop, start

if TYPE_CHECKING:
    from garrison.fabric.client import EngineLink

log = logging.getLogger(__name__)

HEARTBEAT_S = 1.0
STALE_S = 3.5
"""A watch that hears neither a change nor a heartbeat for so long begins anew."""

TOMBSTONE_S = 24 * 3600
MARKER_S = 60.0
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_CONSUMER_IDLE_S = 15.0


def stream_config(name: str, ttl_s: float | None, replicas: int) -> StreamConfig:
    """The stream behind the bucket `name`."""
    return StreamConfig(
        name=f"KV_{name}",
        subjects=[f"$KV.{name}.>"],
        max_msgs_per_subject=1,
        max_age=ttl_s,
        max_bytes=-1,
        max_msgs=-1,
        max_consumers=-1,
        max_msg_size=MAX_VALUE_BYTES + 4096,
        duplicate_window=min(120.0, ttl_s) if ttl_s else 120.0,
        discard=DiscardPolicy.NEW,
        storage=StorageType.FILE,
        num_replicas=replicas,
        allow_rollup_hdrs=True,
        allow_msg_ttl=True,
        allow_direct=False,
        deny_delete=True,
        subject_delete_marker_ttl=MARKER_S if ttl_s else None,
    )


class EngineBucket:
    """See `garrison.fabric.link.Bucket`."""

    def __init__(self, link: EngineLink, name: str, ttl_s: float | None, replicas: int) -> None:
        self._link = link
        self._name = name
        self._config = stream_config(name, ttl_s, replicas)
        self._prefix = f"$KV.{name}."
        self._lock = asyncio.Lock()
        self._made_in: Session | None = None
        self.unreadable = 0
        """Messages whose subject is the token of no key, which nobody of us wrote; they are passed over."""

    async def ready(self) -> Session:
        """The present session, once the bucket is known to exist in it."""
        session = self._link.session()
        if self._made_in is not session:
            async with self._lock:
                if self._made_in is not session:
                    await session.ensure_stream(self._config)
                    self._made_in = session
        return session

    def _subject(self, key: str, value: bytes = b"") -> str:
        if not 0 < len(key.encode("utf-8", "surrogatepass")) <= MAX_KEY_BYTES:
            raise FabricError("the key is empty or too long")
        if len(value) > MAX_VALUE_BYTES:
            raise FabricError(f"{len(value)} bytes are more than {MAX_VALUE_BYTES}")
        return self._prefix + escape(key)

    async def get(self, key: str) -> Entry | None:
        message = await self._last(self._subject(key))
        if message is None or _is_tombstone(message.headers):
            return None
        assert message.seq is not None
        return Entry(key=key, value=message.data or b"", revision=message.seq)

    async def create(self, key: str, value: bytes) -> int:
        subject, expected = self._subject(key, value), 0
        for _ in range(5):
            try:
                return await self._write(subject, value, {_EXPECTED: str(expected)})
            except WrongRevision:
                message = await self._last(subject)
                if message is not None and not _is_tombstone(message.headers):
                    raise KeyTaken(key) from None
                expected = message.seq or 0 if message is not None else 0
        raise EngineAway(f"creating in {self._name}: others kept creating and deleting the same key")

    async def put(self, key: str, value: bytes) -> int:
        return await self._write(self._subject(key, value), value, {})

    async def update(self, key: str, value: bytes, revision: int) -> int:
        subject = self._subject(key, value)
        if revision <= 0:
            raise WrongRevision(key)
        return await self._write(subject, value, {_EXPECTED: str(revision)})

    async def delete(self, key: str, revision: int | None = None) -> None:
        headers = {"KV-Operation": "DEL"}
        if self._config.max_age is None:
            headers["Nats-TTL"] = str(TOMBSTONE_S)
        if revision is not None:
            if revision <= 0:
                raise WrongRevision(key)
            headers[_EXPECTED] = str(revision)
        await self._write(self._subject(key), b"", headers)

    async def _write(self, subject: str, value: bytes, headers: dict[str, str]) -> int:
        session = await self.ready()
        with session.operation(f"writing to {self._name}"):
            try:
                answer = await session.streams.publish(subject, value, headers=headers or None)
            except nats.js.errors.NoStreamResponseError:
                self._made_in = None
                raise
            except nats.js.errors.APIError as error:
                if error.err_code in WRONG_LAST_SEQUENCE:
                    raise WrongRevision(unescape(subject[len(self._prefix) :])) from error
                raise
            return int(answer.seq)

    async def _last(self, subject: str) -> RawStreamMsg | None:
        session = await self.ready()
        with session.operation(f"reading from {self._name}"):
            try:
                return await session.streams.get_msg(str(self._config.name), subject=subject)
            except nats.js.errors.NotFoundError as error:
                if error.err_code == MESSAGE_ABSENT:
                    return None
                if error.err_code == STREAM_ABSENT:
                    self._made_in = None
                    raise nats.js.errors.NoStreamResponseError from error
                raise

    async def entries(self) -> list[Entry]:
        session = await self.ready()
        found: dict[str, Entry] = {}
        async with aclosing(self._follow(session, Stop())) as changes:
            async for change in changes:
                if isinstance(change, Entry):
                    found[change.key] = change
                elif isinstance(change, Removed):
                    found.pop(change.key, None)
                else:
                    return sorted(found.values(), key=lambda entry: entry.key)
        raise EngineAway(f"reading {self._name}: the cluster engine went away")

    async def watch(self, stop: Stop) -> AsyncIterator[Change]:
        delivered: set[str] = set()
        while await self._link.wait_session(stop):
            try:
                session = await self.ready()
                async with aclosing(self._follow(session, stop)) as changes:
                    async for change in _without_ghosts(changes, delivered):
                        yield change
            except EngineAway as error:
                log.debug("Watching %s: %s", self._name, error)
            if not await self._link.pause_before_retry(stop):
                return

    async def _follow(self, session: Session, stop: Stop) -> AsyncGenerator[Change, None]:
        """The full set, CaughtUp, changes; ends when the consumer is lost or silent, or at `stop`."""
        feed = _Feed()
        inbox = session.client.new_inbox()
        with session.operation(f"watching {self._name}"):
            subscription = await session.client.subscribe(inbox, cb=feed.take)
        consumer = ""
        try:
            with session.operation(f"watching {self._name}"):
                try:
                    info = await session.streams.add_consumer(
                        str(self._config.name), _consumer(inbox, f"{self._prefix}>")
                    )
                except nats.js.errors.NotFoundError as error:
                    self._made_in = None
                    raise nats.js.errors.NoStreamResponseError from error
            consumer = info.name
            already = info.delivered.consumer_seq if info.delivered is not None else 0
            awaited = (info.num_pending or 0) + already
            async with aclosing(self._read(session, feed, awaited, stop)) as changes:
                async for change in changes:
                    yield change
        finally:
            await _forget(session, str(self._config.name), consumer, subscription)

    async def _read(
        self, session: Session, feed: _Feed, awaited: int, stop: Stop
    ) -> AsyncGenerator[Change, None]:
        received, is_caught_up = 0, awaited == 0
        if is_caught_up:
            yield CaughtUp()
        while (message := await feed.next(session, stop, self._link)) is not None:
            status = (message.headers or {}).get("Status")
            if status is not None:
                if status != "100" or not await _answer_control(session, message, received):
                    return
                continue
            sequences = message.metadata.sequence
            if sequences.consumer != received + 1:
                return
            received = sequences.consumer
            if (change := self._change(message, sequences.stream)) is not None:
                yield change
            if not is_caught_up and (received >= awaited or message.metadata.num_pending == 0):
                is_caught_up = True
                yield CaughtUp()

    def _change(self, message: Msg, revision: int) -> Change | None:
        try:
            key = unescape(message.subject[len(self._prefix) :])
        except PeerError:
            self.unreadable += 1
            return None
        if _is_tombstone(message.headers):
            return Removed(key=key, revision=revision)
        return Entry(key=key, value=message.data, revision=revision)


class _Feed:
    """Messages of one consumer in order. The engine's flow control bounds it: see `_answer_control`."""

    def __init__(self) -> None:
        self._messages: deque[Msg] = deque()
        self._arrived = asyncio.Event()

    async def take(self, message: Msg) -> None:
        self._messages.append(message)
        self._arrived.set()

    async def next(self, session: Session, stop: Stop, link: EngineLink) -> Msg | None:
        """The next message; None when the session is lost, at `stop`, or after STALE_S of silence."""
        if not self._messages:
            self._arrived.clear()
            await link.first(self._arrived.wait(), session.lost.wait(), stop.wait(), within_s=STALE_S)
        if session.lost.is_set() or stop.is_set() or not self._messages:
            return None
        return self._messages.popleft()


def _consumer(inbox: str, subjects: str) -> ConsumerConfig:
    return ConsumerConfig(
        deliver_subject=inbox,
        deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
        ack_policy=AckPolicy.NONE,
        filter_subject=subjects,
        max_deliver=1,
        flow_control=True,
        idle_heartbeat=HEARTBEAT_S,
        inactive_threshold=_CONSUMER_IDLE_S,
        mem_storage=True,
        num_replicas=1,
    )


async def _answer_control(session: Session, message: Msg, received: int) -> bool:
    """Answers flow control; False when a heartbeat shows that messages were lost."""
    headers = message.headers or {}
    if reply := message.reply or headers.get("Nats-Consumer-Stalled"):
        with session.operation("flow control"):
            await session.client.publish(reply, b"")
    last = headers.get("Nats-Last-Consumer")
    return last is None or last == str(received)


async def _forget(session: Session, stream: str, consumer: str, subscription: object) -> None:
    """Best effort: a consumer without a reader goes by itself after a while."""
    if session.lost.is_set():
        return

    async def forget() -> None:
        try:
            with session.operation("ending a watch"):
                await subscription.unsubscribe()  # type: ignore[attr-defined]
                if consumer:
                    await session.streams.delete_consumer(stream, consumer)
        except FabricError:
            pass

    # Shielded from the cancellation that may have brought us here; bounded all the same.
    try:
        async with asyncio.timeout(OPERATION_TIMEOUT_S):
            await asyncio.shield(start(forget(), name="fabric.forget"))
    except TimeoutError:
        log.debug("A watch of %s could not be ended in time", stream)


async def _without_ghosts(changes: AsyncIterator[Change], delivered: set[str]) -> AsyncIterator[Change]:
    """`changes` of one consumer, with a `Removed` before CaughtUp for each key of before that is gone."""
    present: set[str] = set()
    is_caught_up = False
    async for change in changes:
        if isinstance(change, Entry):
            (delivered if is_caught_up else present).add(change.key)
            yield change
        elif isinstance(change, Removed):
            known = change.key in delivered or change.key in present
            present.discard(change.key)
            delivered.discard(change.key)
            if known:
                yield change
        else:
            for key in sorted(delivered - present):
                yield Removed(key=key, revision=0)
            delivered.clear()
            delivered.update(present)
            is_caught_up = True
            yield change


def _is_tombstone(headers: dict[str, str] | None) -> bool:
    return (
        bool(headers)
        and headers is not None
        and (headers.get("KV-Operation") in ("DEL", "PURGE") or "Nats-Marker-Reason" in headers)
    )
