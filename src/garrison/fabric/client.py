"""The real link: one node's connection to whichever engine member it reaches.

`run` owns the connection: it tries the members in turn, for ever, with growing pauses and jitter, and
says in the log what changed and why. Operations use the present session; without one they fail at once
with `EngineAway`. Watches and subscriptions wait for the next session and go on with it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from garrison.fabric import calls
from garrison.fabric.bucket import EngineBucket
from garrison.fabric.engine_conf import host_port
from garrison.fabric.escape import escape, unescape
from garrison.fabric.files import EngineFiles
from garrison.fabric.identity import IdentityFiles, client_context
from garrison.fabric.link import MAX_VALUE_BYTES, Answer, Bucket, FileStore, NodeAway
from garrison.fabric.session import Session, Unreachable, open_session
from garrison.ground.clock import Clock
from garrison.ground.entropy import Entropy
from garrison.ground.errors import EngineAway, FabricError, PeerError, Refused
from garrison.ground.log import RateLimit, printable
from garrison.ground.tasks import Backoff, Brood, Stop, pause, start

log = logging.getLogger(__name__)

MOST_QUEUED = 4096
MOST_CALLS = 64
_RETRY_S = 0.2
_TOPIC = "topic."
"""Before every subject of ours, so that none can be one of the engine's or of a call."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class EngineLink:
    """See `garrison.fabric.link.Link`. Works while `run` runs."""

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
        """`members` are the engine members' addresses; `replicas` as `engine_conf.replicas` counts them."""
        self.node_name = node_name
        self.connected = asyncio.Event()
        self.dropped_messages = 0
        """Messages that subscribers here were too slow for."""
        self.refused_calls = 0
        """Calls of commands that this node does not know, or beyond MOST_CALLS at a time."""
        self._members = [host_port(member, port) for member in members]
        self._files = files
        self._replicas = replicas
        self._clock = clock
        self._entropy = entropy
        self._session: Session | None = None
        self._buckets: dict[str, EngineBucket] = {}
        self._stores: dict[str, EngineFiles] = {}
        self._answers: dict[str, Answer] = {}
        self._answering = Brood("fabric.calls")
        self._listeners: list[Callable[[bool], None]] = []
        self._log_limit = RateLimit(burst=2, per_s=1 / 30)

    # -- the connection ------------------------------------------------------------------------------

    async def run(self, stop: Stop) -> None:
        """Keeps this node connected until `stop`; `StoreError` when its certificate cannot be read."""
        backoff = Backoff(self._entropy, first_s=0.1, most_s=3.0)
        turn = self._entropy.below(len(self._members))
        try:
            while not stop.is_set():
                member = self._members[turn % len(self._members)]
                turn += 1
                if await self._stay_connected(member, stop):
                    backoff.reset()
                await pause(self._clock, backoff.next_s(), stop)
        finally:
            await self._answering.end()

    async def _stay_connected(self, member: str, stop: Stop) -> bool:
        """One session with `member`, until it is lost or `stop`; False when there was none."""
        try:
            session = await open_session(member, self.node_name, client_context(self._files), self._clock)
        except Unreachable as error:
            if self._log_limit.allows(f"{member} {error}", self._clock.monotonic()):
                log.warning("No connection to the cluster engine at %s: %s", member, error)
            return False
        try:
            # Before anybody can see us as connected: a node that is there can be called.
            with session.operation("listening for calls"):
                await session.client.subscribe(f"node.{escape(self.node_name)}.*", cb=self._on_call)
                await session.client.flush(timeout=5)
            self._use(session)
            await self.first(session.lost.wait(), stop.wait())
            return True
        except FabricError as error:
            log.warning("The cluster engine at %s is of no use: %s", member, error)
            return False
        finally:
            self._leave(session, stop)
            await session.close()

    def _use(self, session: Session) -> None:
        self._session = session
        self.connected.set()
        log.info("Connected to the cluster engine at %s", session.member)
        for listener in self._listeners:
            listener(True)

    def _leave(self, session: Session, stop: Stop) -> None:
        if self._session is not session:
            return
        self._session = None
        self.connected.clear()
        if not stop.is_set():
            text = "The cluster engine (%s) is away; this node goes on with what it knows"
            log.warning(text, session.member)
        for listener in self._listeners:
            listener(False)

    def on_connection(self, listener: Callable[[bool], None]) -> None:
        """`listener` hears True when a member is reached and False when none is."""
        self._listeners.append(listener)

    def is_connected(self) -> bool:
        return self._session is not None and not self._session.lost.is_set()

    def member(self) -> str | None:
        """The member that this node is connected to, `host:port`."""
        return self._session.member if self._session is not None else None

    def session(self) -> Session:
        """The present session; `EngineAway` while no member is reached."""
        if self._session is None or self._session.lost.is_set():
            raise EngineAway("no member of the cluster engine is reached")
        return self._session

    def client(self) -> Client:
        """The client library's connection; `EngineAway` while no member is reached."""
        return self.session().client

    async def wait_session(self, stop: Stop) -> bool:
        """True once there is a session, False at `stop`; waits for ever."""
        while not stop.is_set() and not self.is_connected():
            await self.first(self.connected.wait(), stop.wait(), within_s=1.0)
        return not stop.is_set()

    async def pause_before_retry(self, stop: Stop) -> bool:
        """A short pause with jitter, so that watches do not all come back at once; False at `stop`."""
        return await pause(self._clock, _RETRY_S + self._entropy.below(200) / 1000, stop)

    async def first(self, *waits: Coroutine[Any, Any, Any], within_s: float | None = None) -> None:
        """Returns when the first of `waits` is done, or after `within_s`; the others are cancelled."""
        tasks = [start(wait, name="fabric.wait") for wait in waits]
        if within_s is not None:
            tasks.append(start(self._clock.sleep(within_s), name="fabric.wait"))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # -- tables and files ----------------------------------------------------------------------------

    async def bucket(self, name: str, *, ttl_s: float | None = None) -> Bucket:
        if (bucket := self._buckets.get(name)) is None:
            bucket = EngineBucket(self, _checked_name(name), ttl_s, self._replicas)
            await bucket.ready()
            bucket = self._buckets.setdefault(name, bucket)
        return bucket

    async def files(self, name: str) -> FileStore:
        if (files := self._stores.get(name)) is None:
            files = EngineFiles(self, _checked_name(name), self._replicas)
            await files.ready()
            files = self._stores.setdefault(name, files)
        return files

    # -- subjects ------------------------------------------------------------------------------------

    async def publish(self, subject: str, data: bytes) -> None:
        _check_size(data)
        session = self.session()
        with session.operation(f"publishing on {subject}"):
            await session.client.publish(_TOPIC + subject, data)

    async def subscribe(self, subject: str, stop: Stop) -> AsyncIterator[tuple[str, bytes]]:
        queue: deque[tuple[str, bytes]] = deque(maxlen=MOST_QUEUED)
        arrived = asyncio.Event()

        async def take(message: Msg) -> None:
            self.dropped_messages += len(queue) == MOST_QUEUED
            queue.append((message.subject.removeprefix(_TOPIC), message.data))
            arrived.set()

        while await self.wait_session(stop):
            try:
                session = self.session()
                with session.operation(f"subscribing to {subject}"):
                    subscription = await session.client.subscribe(_TOPIC + subject, cb=take)
                try:
                    while not (stop.is_set() or (session.lost.is_set() and not queue)):
                        if queue:
                            yield queue.popleft()
                            continue
                        arrived.clear()
                        await self.first(arrived.wait(), session.lost.wait(), stop.wait())
                finally:
                    if not session.lost.is_set():
                        await _unsubscribe(subscription)
            except EngineAway as error:
                log.debug("Subscription to %s: %s", subject, error)
            await self.pause_before_retry(stop)

    # -- calls ---------------------------------------------------------------------------------------

    async def call(self, node: str, command: str, data: bytes, timeout_s: float) -> bytes:
        _check_size(data)
        session = self.session()
        with session.operation(f"calling {command}"):
            try:
                message = await session.client.request(calls.subject(node, command), data, timeout=timeout_s)
            except nats.errors.NoRespondersError as error:
                raise NodeAway(f"node {printable(node)} is not there") from error
            except nats.errors.TimeoutError as error:
                if session.lost.is_set():
                    raise
                raise NodeAway(f"node {printable(node)} did not answer within {timeout_s} s") from error
        try:
            return calls.decode_reply(message.data)
        except PeerError as error:
            raise FabricError(f"node {printable(node)} answered nonsense: {error.reason}") from error

    def serve(self, command: str, answer: Answer) -> None:
        self._answers[command] = answer

    async def _on_call(self, message: Msg) -> None:
        """Takes one call; it is answered in a task of its own, so that a slow one holds up no other."""
        try:
            command = unescape(message.subject.rpartition(".")[2])
        except PeerError:
            command = ""
        answer = self._answers.get(command)
        if answer is None:
            await self._refuse(message, f"Unknown command: {printable(command)}")
        elif len(self._answering) >= MOST_CALLS:
            await self._refuse(message, "Too many calls at a time")
        else:
            self._answering.start(self._answer(message, command, answer), name=command)

    async def _refuse(self, message: Msg, text: str) -> None:
        self.refused_calls += 1
        if self._log_limit.allows(f"refused {text}", self._clock.monotonic()):
            log.warning("Refused a call: %s", text)
        await _respond(message, calls.encode_refusal(Refused(text)))

    async def _answer(self, message: Msg, command: str, answer: Answer) -> None:
        try:
            data = await answer(message.data)
            _check_size(data)
            envelope = calls.encode_answer(data)
        except Refused as refusal:
            envelope = calls.encode_refusal(refusal)
        except Exception:
            log.exception("Answering the call %s failed", command)
            envelope = calls.encode_failure(f"{command} failed; see its log")
        await _respond(message, envelope)


async def _respond(message: Msg, envelope: bytes) -> None:
    try:
        if message.reply:
            await message.respond(envelope)
    except (nats.errors.Error, OSError) as error:
        log.debug("An answer could not be sent: %s", type(error).__name__)


async def _unsubscribe(subscription: Any) -> None:
    try:
        await subscription.unsubscribe()
    except (nats.errors.Error, OSError):
        pass  # the session is gone, and the subscription with it


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise FabricError("a bucket's name has 1 to 64 letters, digits, _ or -")
    return name


def _check_size(data: bytes) -> None:
    if len(data) > MAX_VALUE_BYTES:
        raise FabricError(f"{len(data)} bytes are more than {MAX_VALUE_BYTES}")
