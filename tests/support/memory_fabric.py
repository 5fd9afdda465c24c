"""The cluster engine in memory: several nodes on one hub, for tests without a nats-server.

    hub = Hub(clock)
    link = hub.link("master")        # a garrison.fabric.link.Link
    hub.cut("master")                # its operations raise EngineAway; is_connected() is False
    hub.heal("master")               # its watches deliver everything again, then CaughtUp
    hub.lose_answers("master", 1)    # the next write is carried out, and raises EngineAway all the same
    hub.cut_all() / hub.heal_all()   # the engine is down / back

Buckets with a time to live follow the clock handed in. It passes the same contract tests as the real
link (tests/fabric/test_contract.py).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

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
from garrison.ground.clock import Clock, SystemClock
from garrison.ground.errors import EngineAway, FabricError, KeyTaken, Refused, WrongRevision
from garrison.ground.tasks import Stop, start


class _Bell:
    """Wakes everybody who waits for something to have changed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    def next(self) -> asyncio.Event:
        return self._event


@dataclass
class _Table:
    """What one bucket holds. `log` keeps all changes, so that a watcher can follow by position."""

    ttl_s: float | None
    entries: dict[str, Entry] = field(default_factory=dict)
    deadlines: dict[str, float] = field(default_factory=dict)
    log: list[Entry | Removed] = field(default_factory=list)
    revision: int = 0


@dataclass
class _Node:
    is_cut: bool = False
    cuts: int = 0
    answers_to_lose: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    refused_calls: int = 0


@dataclass(eq=False)
class _Inbox:
    node: str
    subject: str
    queue: deque[tuple[str, bytes]]


class Hub:
    """The engine that all links of one test share."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.bell = _Bell()
        self.tables: dict[str, _Table] = {}
        self.file_stores: dict[str, dict[str, bytes]] = {}
        self.inboxes: list[_Inbox] = []
        self.dropped = 0
        self._nodes: dict[str, _Node] = {}

    def link(self, node_name: str) -> MemoryLink:
        """A connected link of `node_name`; calling it again gives a second link of the same node."""
        self._nodes.setdefault(node_name, _Node())
        return MemoryLink(self, node_name)

    def cut(self, node_name: str) -> None:
        """`node_name` reaches no member from now on."""
        node = self._nodes[node_name]
        if not node.is_cut:
            node.is_cut = True
            node.cuts += 1
        self.bell.ring()

    def heal(self, node_name: str) -> None:
        """`node_name` reaches the engine again."""
        self._nodes[node_name].is_cut = False
        self.bell.ring()

    def cut_all(self) -> None:
        """The engine is down."""
        for name in self._nodes:
            self.cut(name)

    def heal_all(self) -> None:
        """The engine is back."""
        for name in self._nodes:
            self.heal(name)

    def lose_answers(self, node_name: str, count: int) -> None:
        """The next `count` writes of `node_name` are carried out but raise `EngineAway`."""
        self._nodes[node_name].answers_to_lose = count

    def node(self, node_name: str) -> _Node | None:
        return self._nodes.get(node_name)

    def expire(self) -> None:
        """Removes what ran out of time."""
        now = self.clock.monotonic()
        rang = False
        for table in self.tables.values():
            for key in [key for key, at in table.deadlines.items() if at <= now]:
                _remove(table, key)
                rang = True
        if rang:
            self.bell.ring()

    def next_deadline(self) -> float | None:
        """When the next entry of any bucket runs out of time."""
        deadlines = [at for table in self.tables.values() for at in table.deadlines.values()]
        return min(deadlines, default=None)


def _remove(table: _Table, key: str) -> None:
    table.deadlines.pop(key, None)
    if table.entries.pop(key, None) is not None:
        table.revision += 1
        table.log.append(Removed(key=key, revision=table.revision))


class MemoryLink:
    """One node's link; see `garrison.fabric.link.Link`."""

    def __init__(self, hub: Hub, node_name: str) -> None:
        self.node_name = node_name
        self.hub = hub

    @property
    def _node(self) -> _Node:
        node = self.hub.node(self.node_name)
        assert node is not None
        return node

    def is_connected(self) -> bool:
        return not self._node.is_cut

    async def reach(self) -> None:
        """Yields once, as a real operation would, and raises while the node is cut off."""
        await asyncio.sleep(0)
        if self._node.is_cut:
            raise EngineAway(f"{self.node_name} reaches no member of the cluster engine")
        self.hub.expire()

    def written(self) -> None:
        """Ends a write: wakes the watchers, and loses the answer when the test asked for that."""
        self.hub.bell.ring()
        if self._node.answers_to_lose:
            self._node.answers_to_lose -= 1
            raise EngineAway("the answer was lost")

    @property
    def refused_calls(self) -> int:
        return self._node.refused_calls

    async def bucket(self, name: str, *, ttl_s: float | None = None) -> Bucket:
        await self.reach()
        return MemoryBucket(self, self.hub.tables.setdefault(name, _Table(ttl_s)))

    async def files(self, name: str) -> FileStore:
        await self.reach()
        return MemoryFiles(self, self.hub.file_stores.setdefault(name, {}))

    async def publish(self, subject: str, data: bytes) -> None:
        _check_size(data)
        await self.reach()
        for inbox in self.hub.inboxes:
            node = self.hub.node(inbox.node)
            if node is not None and not node.is_cut and _matches(inbox.subject, subject):
                if len(inbox.queue) == inbox.queue.maxlen:
                    self.hub.dropped += 1
                inbox.queue.append((subject, data))
        self.hub.bell.ring()

    async def subscribe(self, subject: str, stop: Stop) -> AsyncIterator[tuple[str, bytes]]:
        inbox = _Inbox(self.node_name, subject, deque(maxlen=1024))
        self.hub.inboxes.append(inbox)
        try:
            while not stop.is_set():
                if inbox.queue:
                    yield inbox.queue.popleft()
                else:
                    await self.wait(stop)
        finally:
            self.hub.inboxes.remove(inbox)

    async def wait(self, stop: Stop) -> None:
        """Returns after the next change of anything on the hub, an expiry included, or at `stop`."""
        waiting = [
            start(self.hub.bell.next().wait(), name="memory_fabric.bell"),
            start(stop.wait(), name="memory_fabric.stop"),
        ]
        if (deadline := self.hub.next_deadline()) is not None:
            pause_s = max(0.0, deadline - self.hub.clock.monotonic())
            waiting.append(start(self.hub.clock.sleep(pause_s), name="memory_fabric.deadline"))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        self.hub.expire()

    async def call(self, node: str, command: str, data: bytes, timeout_s: float) -> bytes:
        _check_size(data)
        await self.reach()
        there = self.hub.node(node)
        if there is None or there.is_cut:
            raise NodeAway(f"node {node} does not answer")
        if command not in there.answers:
            there.refused_calls += 1
            raise Refused(f"Unknown command: {command}")
        asking = start(_ask(there.answers[command], data), name=f"memory_fabric.call.{command}")
        timing = start(self.hub.clock.sleep(timeout_s), name="memory_fabric.timeout")
        try:
            await asyncio.wait({asking, timing}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise NodeAway(f"node {node} did not answer {command} within {timeout_s} s")
            answer: bytes = asking.result()
            return answer
        finally:
            for task in (asking, timing):
                task.cancel()
            await asyncio.gather(asking, timing, return_exceptions=True)

    def serve(self, command: str, answer: Answer) -> None:
        self._node.answers[command] = answer


async def _ask(answer: Answer, data: bytes) -> bytes:
    try:
        return await answer(data)
    except (asyncio.CancelledError, Refused):
        raise
    except Exception as error:
        raise FabricError("the other node failed to answer") from error


class MemoryBucket:
    """See `garrison.fabric.link.Bucket`."""

    def __init__(self, link: MemoryLink, table: _Table) -> None:
        self._link = link
        self._table = table

    def _write(self, key: str, value: bytes) -> int:
        table = self._table
        table.revision += 1
        revision = table.revision
        table.entries[key] = Entry(key=key, value=bytes(value), revision=revision)
        table.log.append(table.entries[key])
        if table.ttl_s is not None:
            table.deadlines[key] = self._link.hub.clock.monotonic() + table.ttl_s
        self._link.written()
        return revision

    async def _reach(self, key: str, value: bytes = b"") -> None:
        if not 0 < len(key.encode()) <= MAX_KEY_BYTES:
            raise FabricError("the key is empty or too long")
        _check_size(value)
        await self._link.reach()

    async def get(self, key: str) -> Entry | None:
        await self._reach(key)
        return self._table.entries.get(key)

    async def create(self, key: str, value: bytes) -> int:
        await self._reach(key, value)
        if key in self._table.entries:
            raise KeyTaken(key)
        return self._write(key, value)

    async def put(self, key: str, value: bytes) -> int:
        await self._reach(key, value)
        return self._write(key, value)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        await self._reach(key, value)
        present = self._table.entries.get(key)
        if present is None or present.revision != revision:
            raise WrongRevision(key)
        return self._write(key, value)

    async def delete(self, key: str, revision: int | None = None) -> None:
        await self._reach(key)
        present = self._table.entries.get(key)
        if revision is not None and (present is None or present.revision != revision):
            raise WrongRevision(key)
        if present is not None:
            _remove(self._table, key)
        self._link.written()

    async def entries(self) -> list[Entry]:
        await self._link.reach()
        return sorted(self._table.entries.values(), key=lambda entry: entry.key)

    async def watch(self, stop: Stop) -> AsyncIterator[Change]:
        table, node = self._table, self._link._node
        delivered: set[str] = set()
        position, cuts = -1, -1
        while not stop.is_set():
            if node.is_cut:
                await self._link.wait(stop)
            elif cuts != node.cuts:
                cuts, position = node.cuts, len(table.log)
                present = sorted(table.entries.values(), key=lambda entry: entry.key)
                gone = delivered - {entry.key for entry in present}
                delivered = {entry.key for entry in present}
                for entry in present:
                    yield entry
                for key in sorted(gone):
                    yield Removed(key=key, revision=0)
                yield CaughtUp()
            elif position < len(table.log):
                change = table.log[position]
                position += 1
                delivered.add(change.key) if isinstance(change, Entry) else delivered.discard(change.key)
                yield change
            else:
                await self._link.wait(stop)


class MemoryFiles:
    """See `garrison.fabric.link.FileStore`."""

    def __init__(self, link: MemoryLink, contents: dict[str, bytes]) -> None:
        self._link = link
        self._contents = contents

    async def put(self, content: bytes) -> str:
        if len(content) > MAX_FILE_BYTES:
            raise FabricError("the file is too long")
        await self._link.reach()
        digest = hashlib.sha256(content).hexdigest()
        self._contents[digest] = bytes(content)
        self._link.written()
        return digest

    async def get(self, digest: str) -> bytes:
        await self._link.reach()
        if digest not in self._contents:
            raise FabricError(f"no file with digest {digest[:64]}")
        return self._contents[digest]

    async def delete(self, digest: str) -> None:
        await self._link.reach()
        self._contents.pop(digest, None)
        self._link.written()


def _check_size(data: bytes) -> None:
    if len(data) > MAX_VALUE_BYTES:
        raise FabricError(f"{len(data)} bytes are more than {MAX_VALUE_BYTES}")


def _matches(pattern: str, subject: str) -> bool:
    wanted, found = pattern.split("."), subject.split(".")
    for place, token in enumerate(wanted):
        if token == ">":
            return len(found) > place
        if place >= len(found) or token not in ("*", found[place]):
            return False
    return len(wanted) == len(found)
