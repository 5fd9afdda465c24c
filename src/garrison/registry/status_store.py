"""The board on which all nodes see how each agent is.

What changes travels through the bucket `status`, a record an agent; the times of keepalives, which change all the time,
travel in batches on a subject. While the engine is away the newest status of each agent waits here and is written on
return.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

from garrison.fabric.link import Bucket, CaughtUp, Entry, Link
from garrison.ground.clock import Clock
from garrison.ground.errors import FabricError, PeerError
from garrison.ground.log import printable
from garrison.ground.tasks import Brood, Stop, pause
from garrison.registry import status as statuses
from garrison.registry.status import AgentStatus
from garrison.wire.keepalive import Keepalive

log = logging.getLogger(__name__)

SEEN_SUBJECT = "status.seen"
SEEN_EVERY_S = 1.0
WRITE_EVERY_S = 0.05
MOST_SEEN_IN_BATCH = 5000

Listener = Callable[[AgentStatus | None, AgentStatus], None]


class StatusBoard:
    """Every agent's status as this node knows it, and this node's reports about its own agents."""

    def __init__(self, link: Link, node_name: str, clock: Clock) -> None:
        self._link = link
        self._node = node_name
        self._clock = clock
        self._book: dict[str, AgentStatus] = {}
        self._unwritten: dict[str, AgentStatus] = {}
        self._seen: dict[str, tuple[str, float]] = {}
        self._own_sessions: set[str] = set()
        self._listeners: list[Listener] = []
        self._swept = False

    # -- reading ------------------------------------------------------------------------------------------------

    def get(self, identity: str) -> AgentStatus | None:
        """The agent's status; None when it never connected."""
        return self._book.get(identity)

    def all(self) -> list[AgentStatus]:
        """Every known status, in no order."""
        return list(self._book.values())

    def live_on(self, node: str) -> int:
        """How many agents are active on that node."""
        return sum(status.state == "active" and status.node == node for status in self._book.values())

    def on_change(self, listener: Listener) -> None:
        """`listener` hears the status before and after each change of more than the time."""
        self._listeners.append(listener)

    # -- this node's reports ------------------------------------------------------------------------------------

    def record_startup(self, identity: str, session: str, version: str | None) -> None:
        """An agent said hello on this node."""
        at = self._now()
        self._own_sessions.add(session)
        self._report(statuses.started(self._book.get(identity), identity, self._node, session, version, at))

    def record_refusal(self, identity: str, code: int) -> None:
        """An agent's hello was refused for its version."""
        self._report(statuses.refused(self._book.get(identity), identity, code, self._now()))

    def record_keepalive(self, identity: str, session: str, keepalive: Keepalive, *, synced: bool) -> None:
        """An agent of this node is alive."""
        at = self._now()
        before = self._book.get(identity)
        if before is None or before.session != session:
            if before is not None and before.is_live and before.node != self._node and before.since > at:
                return
            self._own_sessions.add(session)
            before = statuses.started(before, identity, self._node, session, None, at)
        self._report(statuses.kept_alive(before, keepalive, synced=synced, at=at))

    def record_shutdown(self, identity: str, session: str) -> None:
        """An agent said that it ends."""
        before = self._book.get(identity)
        if before is not None and before.session == session:
            self._report(statuses.disconnected(before, statuses.SHUTDOWN_RECEIVED, self._now()))

    def mark_disconnected(self, identities: Iterable[str], code: int = statuses.NO_KEEPALIVE) -> None:
        """The master finds that these agents are gone."""
        for identity in identities:
            before = self._book.get(identity)
            if before is not None and before.is_live:
                self._report(statuses.disconnected(before, code, self._now()))

    def forget(self, identity: str) -> None:
        """The agent was removed from the registry."""
        self._book.pop(identity, None)
        self._unwritten.pop(identity, None)

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _report(self, status: AgentStatus) -> None:
        before = self._book.get(status.id)
        if before == status:
            return
        self._book[status.id] = status
        if statuses.is_only_time(before, status) and status.id not in self._unwritten:
            self._seen[status.id] = (status.session, status.last_keepalive)
            return
        self._unwritten[status.id] = status
        self._tell(before, status)

    def _tell(self, before: AgentStatus | None, after: AgentStatus) -> None:
        for listener in self._listeners:
            listener(before, after)

    # -- with the others ----------------------------------------------------------------------------------------

    async def run(self, stop: Stop) -> None:
        """Writes this node's reports and follows the others' until `stop`; what is unwritten then is written last."""
        brood = Brood("status")
        brood.start(self._follow(stop), name="follow")
        brood.start(self._follow_seen(stop), name="seen")
        brood.start(self._publish_seen(stop), name="publish")
        try:
            while await pause(self._clock, WRITE_EVERY_S, stop):
                await self._write_pending()
        finally:
            await self._write_pending()
            await brood.end()

    async def _write_pending(self) -> None:
        if not self._unwritten or not self._link.is_connected():
            return
        try:
            bucket = await self._link.bucket("status")
            for identity in list(self._unwritten):
                status = self._unwritten[identity]
                await bucket.put(identity, statuses.encode_status(status))
                if self._unwritten.get(identity) is status:
                    del self._unwritten[identity]
        except FabricError as error:
            log.debug("%d statuses wait for the engine: %s", len(self._unwritten), error)

    async def _publish_seen(self, stop: Stop) -> None:
        while await pause(self._clock, SEEN_EVERY_S, stop):
            rows = [(identity, session, at) for identity, (session, at) in self._seen.items()]
            self._seen.clear()
            for start in range(0, len(rows), MOST_SEEN_IN_BATCH):
                try:
                    batch = statuses.encode_seen(rows[start : start + MOST_SEEN_IN_BATCH])
                    await self._link.publish(SEEN_SUBJECT, batch)
                except FabricError as error:
                    log.debug("keepalive times not published: %s", error)

    async def _follow_seen(self, stop: Stop) -> None:
        while not stop.is_set():
            try:
                async for _, data in self._link.subscribe(SEEN_SUBJECT, stop):
                    self._take_seen(data)
            except FabricError:
                await pause(self._clock, 1.0, stop)

    def _take_seen(self, data: bytes) -> None:
        try:
            rows = statuses.decode_seen(data)
        except PeerError as error:
            log.warning("Batch of keepalives ignored: %s", error.reason)
            return
        for identity, session, at in rows:
            status = self._book.get(identity)
            if (
                status is not None
                and status.session == session
                and at > status.last_keepalive
                and status.is_live
            ):
                self._book[identity] = replace(status, last_keepalive=at)

    async def _follow(self, stop: Stop) -> None:
        while not stop.is_set():
            try:
                bucket = await self._link.bucket("status")
                async for change in bucket.watch(stop):
                    if isinstance(change, CaughtUp):
                        self._sweep_former_life()
                    elif isinstance(change, Entry):
                        self._take(change)
                    elif change.key not in self._unwritten:
                        self._book.pop(change.key, None)
            except FabricError:
                await pause(self._clock, 1.0, stop)

    def _take(self, entry: Entry) -> None:
        try:
            status = statuses.decode_status(entry.value)
        except PeerError as error:
            log.warning("Status of %s ignored: %s", printable(entry.key), error.reason)
            return
        before = self._book.get(status.id)
        if status.id in self._unwritten or not statuses.newer(before, status):
            return
        if before is not None and before.session == status.session:
            status = replace(status, last_keepalive=max(before.last_keepalive, status.last_keepalive))
            if not status.is_live:
                status = replace(status, last_keepalive=before.last_keepalive)
        if before != status:
            self._book[status.id] = status
            self._tell(before, status)

    def _sweep_former_life(self) -> None:
        """Agents that this node held before it was started anew are disconnected until they come back."""
        if self._swept:
            return
        self._swept = True
        for status in list(self._book.values()):
            if status.is_live and status.node == self._node and status.session not in self._own_sessions:
                self._report(statuses.disconnected(status, statuses.RESET_BY_MANAGER, self._now()))


async def forget_status(bucket: Bucket, identity: str) -> None:
    """The status of an agent that was removed is gone everywhere."""
    await bucket.delete(identity)
