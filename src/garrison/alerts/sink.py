"""Verdicts go in; alerts, archives and the firewall log come out, in order, and nothing accepted is lost.

    write ──▶ one StreamStore per output ──flush within 50 ms──▶ files ──sync each second──▶ disk

`write` renders and counts, and never waits. Its caller awaits `room` between batches: while the disk is full or slow
the records stay in memory up to a bound, `room` waits, and `healthy` says that this node should take no more.
When the disk is back, everything is written in its order.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from datetime import date, datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any

from garrison.alerts.closing_store import close_days
from garrison.alerts.line import AlertLines
from garrison.alerts.plan import SinkPlan
from garrison.alerts.record import Context
from garrison.alerts.render import (
    LINE_END,
    TEXT_END,
    alert_text,
    archive_text,
    custom_text,
    firewall_text,
    is_archived,
    stamp,
)
from garrison.alerts.rotation import (
    ALERTS_JSON,
    ALERTS_TEXT,
    ARCHIVES_JSON,
    ARCHIVES_TEXT,
    FIREWALL_TEXT,
    Stream,
)
from garrison.alerts.store import Disk, StreamStore, SystemDisk
from garrison.analysis.event import Verdict
from garrison.ground.clock import Clock
from garrison.ground.errors import StoreError
from garrison.ground.tasks import Stop, every, pause

__all__ = ["AlertSink", "SinkPlan"]

log = logging.getLogger(__name__)

Offload = Callable[[Callable[[], Any]], Awaitable[Any]]


class AlertSink:
    """Writes the outputs of one node below `logs`. `run` is its life; `write` may be called before it."""

    def __init__(
        self,
        logs: Path,
        plan: SinkPlan,
        context: Context,
        clock: Clock,
        *,
        zone: tzinfo | None = None,
        disk: Disk | None = None,
        offload: Offload = asyncio.to_thread,
    ) -> None:
        self._logs = logs
        self._plan = plan
        self._context = context
        self._lines = AlertLines(context)
        self._clock = clock
        self._zone = zone
        self._disk = disk or SystemDisk()
        self._offload = offload
        self._stores = {
            stream: StreamStore(
                logs, stream, plan.rotation, self._disk, record_end=_record_end(stream, plan.custom_layout)
            )
            for stream in plan.streams()
        }
        self._alerts_json, self._alerts_text = self._stores.get(ALERTS_JSON), self._stores.get(ALERTS_TEXT)
        self._archives = (self._stores.get(ARCHIVES_JSON), self._stores.get(ARCHIVES_TEXT))
        self._firewall = self._stores.get(FIREWALL_TEXT)
        self._offset_store = self._alerts_text or self._alerts_json
        self._has_work = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._flushing = asyncio.Lock()
        self._second = -1
        self._turn_due_s = -1.0
        self._today = date.min
        self._close_due_s = 0.0
        self._reason = ""
        self._last_stamp = (-1, b"")

    # -- the caller's side

    def write(self, verdict: Verdict) -> bytes | None:
        """Takes one verdict for every output that wants it; gives the line of alerts.json when there was an alert."""
        if self._clock.monotonic() >= self._turn_due_s:
            self._turn(self._clock.now())
        event = verdict.event
        when = self._stamp(event.at)
        if self._firewall is not None and (line := firewall_text(event, when)):
            self._firewall.accept(line)
        alert_id = f"{int(event.at)}.{self._offset_store.offset if self._offset_store else 0}"
        alert: bytes | None = None
        if verdict.is_alert and verdict.level > 0:
            alert = self._lines.alert(verdict, alert_id)
            self._write_alert(verdict, alert, alert_id, when)
        if self._archives != (None, None) and is_archived(event):
            self._write_archive(verdict, alert_id, when)
        self._has_work.set()
        if self.pending_bytes >= self._plan.bound_bytes:
            self._has_room.clear()
        return alert

    def _write_alert(self, verdict: Verdict, alert: bytes, alert_id: str, when: bytes) -> None:
        if self._alerts_json is not None:
            self._alerts_json.accept(alert)
        if self._alerts_text is not None:
            if self._plan.custom_layout is not None:
                self._alerts_text.accept(custom_text(self._plan.custom_layout, verdict, alert_id))
            else:
                agent_id = verdict.event.agent_id.decode("utf-8", "surrogateescape")
                labels = self._context.labels(agent_id) or ()
                self._alerts_text.accept(alert_text(verdict, alert_id, when, labels))

    def _write_archive(self, verdict: Verdict, alert_id: str, when: bytes) -> None:
        as_json, as_text = self._archives
        if as_json is not None:
            as_json.accept(self._lines.archive(verdict, alert_id))
        if as_text is not None:
            as_text.accept(archive_text(verdict.event, when))

    async def room(self) -> None:
        """Returns when another batch may be written; at once while less than the bound waits for the disk."""
        await self._has_room.wait()

    def has_room(self) -> bool:
        """True when `room` would return at once."""
        return self._has_room.is_set()

    @property
    def pending_bytes(self) -> int:
        """What is accepted and not yet in a file."""
        pending = 0
        for store in self._stores.values():
            pending += store.pending_bytes
        return pending

    def healthy(self) -> bool:
        """False while the last attempt to write failed."""
        return not self._reason

    def reason(self) -> str:
        """Why `healthy` is false, for operators; empty while it is true."""
        return self._reason

    # -- files and days

    def _turn(self, now: datetime) -> None:
        """Once a second: a new day or a file that is old or large enough moves the outputs on."""
        now_s = self._clock.monotonic()
        self._turn_due_s = now_s + 1.0 - now.microsecond / 1_000_000
        second = int(now.timestamp())
        if second == self._second:
            return
        self._second = second
        today = now.astimezone(self._zone).date()
        for store in self._stores.values():
            store.turn(today, now_s)
        if today != self._today:
            self._today = today
            self._close_due_s = now_s + self._plan.close_days_after_s
        if not all(store.is_idle for store in self._stores.values()):
            self._has_work.set()

    def _stamp(self, at: float) -> bytes:
        second = int(at)
        if self._last_stamp[0] != second:
            self._last_stamp = (second, stamp(second, self._zone))
        return self._last_stamp[1]

    # -- the disk's side

    async def run(self, stop: Stop) -> None:
        """Flushes, syncs, turns files and ends days until `stop`; then writes what is left and closes."""
        if self._offset_store is None:
            log.warning("neither alerts.json nor alerts.log is on: alerts are not written at all")
        self._turn(self._clock.now())
        async with asyncio.TaskGroup() as group:
            group.create_task(self._flush_loop(stop), name="alerts.flush")
            group.create_task(
                every(self._clock, self._plan.sync_every_s, self._sync, stop, name="alerts.sync"),
                name="alerts.sync",
            )
            group.create_task(
                every(self._clock, 1.0, self._tick, stop, name="alerts.tick"), name="alerts.tick"
            )
        await self._end()

    async def _flush_loop(self, stop: Stop) -> None:
        while not stop.is_set():
            await _first(self._has_work, stop)
            if not await pause(self._clock, self._plan.flush_after_s, stop):
                return
            await self.flush()
            if not self.healthy():
                self._has_work.set()
                await pause(self._clock, self._plan.retry_after_s, stop)

    async def flush(self) -> None:
        """Writes what was accepted before the call, as far as the disk takes it."""
        async with self._flushing:
            self._has_work.clear()
            for store in self._stores.values():
                store.take()
            failure = await self._offload(self._flush_stores)
            self._judge(failure)
            if self.pending_bytes < self._plan.bound_bytes:
                self._has_room.set()

    def _flush_stores(self) -> StoreError | None:
        """The first failure; one output that cannot be written does not hold up the others."""
        failure: StoreError | None = None
        for store in self._stores.values():
            try:
                store.flush()
            except StoreError as error:
                failure = failure or error
        return failure

    def _judge(self, failure: StoreError | None) -> None:
        """Says once that the disk fails, and once that it works again."""
        if failure is not None and self.healthy():
            log.error(
                "cannot write %s; alerts are kept in memory (up to %d bytes) until it works again",
                failure,
                self._plan.bound_bytes,
            )
        if failure is None and not self.healthy():
            log.info("alert files are written again; nothing was lost")
        self._reason = "" if failure is None else f"cannot write {failure}"

    async def _sync(self) -> None:
        async with self._flushing:
            lent = [(store, store.lend_dirty()) for store in self._stores.values()]
        for store, descriptor in lent:
            if descriptor is None:
                continue
            try:
                await self._offload(partial(self._disk.sync, descriptor))
            except OSError as error:
                self._judge(
                    StoreError(str(self._logs / store.stream.link_path), error.strerror or str(error))
                )
            finally:
                os.close(descriptor)

    async def _tick(self) -> None:
        self._turn(self._clock.now())
        if not self._close_due_s or self._clock.monotonic() < self._close_due_s:
            return
        await self.flush()
        if not all(store.is_idle for store in self._stores.values()):
            return  # records of the old day still wait for the disk
        self._close_due_s = 0.0
        try:
            await self._offload(
                lambda: close_days(
                    self._logs,
                    self._plan.streams(),
                    self._today,
                    sign=self._plan.sign,
                    compress=self._plan.compress,
                )
            )
        except StoreError as error:
            log.error("a finished day is left as it is until the next one or a restart: %s", error)

    async def _end(self) -> None:
        await self.flush()
        if self.pending_bytes:
            log.error(
                "%d bytes of alerts could not be written before the end and are lost", self.pending_bytes
            )
        for store in self._stores.values():
            try:
                await self._offload(store.end)
            except OSError as error:
                log.error("%s may not be whole on the disk: %s", store.stream.link_path, error.strerror)


def _record_end(stream: Stream, custom_layout: bytes | None) -> bytes:
    return TEXT_END if stream == ALERTS_TEXT and custom_layout is None else LINE_END


async def _first(event: asyncio.Event, stop: Stop) -> None:
    """Returns when `event` or `stop` is set."""
    async with asyncio.TaskGroup() as group:
        waiting = [
            group.create_task(event.wait(), name="alerts.work"),
            group.create_task(stop.wait(), name="alerts.stop"),
        ]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
