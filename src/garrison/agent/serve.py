"""The agent put together: session, connection, ring, collectors, responses, files.

One `AgentLife` runs from a start to a stop or an ordered restart; `serve` starts the next one. Everything
happens in one thread: tasks report to the session, and what it commands is done on the spot.
Source: spec/agent-channel.md 4, 5, 6.5, 7, 9.2.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path

from garrison.agent import commands as c
from garrison.agent.assembly import (
    buffer_settings,
    enrollment_order,
    facts,
    internal_view,
    session_settings,
)
from garrison.agent.buffer import Ring
from garrison.agent.bundle import unpack
from garrison.agent.client import Ears, connect
from garrison.agent.collect import INTERVAL_S, SAVE_S, Collector
from garrison.agent.enroll import Told
from garrison.agent.enroll_client import request_key
from garrison.agent.link_client import Link
from garrison.agent.load import detect_uname, load_config
from garrison.agent.outgoing import Outgoing
from garrison.agent.queue_server import LocalQueue
from garrison.agent.requests import After, AgentState, Reply, View, answer, state_file
from garrison.agent.response_serve import Responder
from garrison.agent.session import Session
from garrison.agent.sources import Surroundings
from garrison.agent.store import AgentStore, read_text
from garrison.agent.tail import Position
from garrison.config.agent_conf import InvalidAgentConf
from garrison.config.model import AgentConfig, ServerConfig
from garrison.ground.clock import Clock
from garrison.ground.entropy import Entropy
from garrison.ground.errors import ConfigError, PeerError, StoreError
from garrison.ground.log import OssecFormatter, RateLimit, add_file
from garrison.ground.tasks import Brood, Stop, every, start
from garrison.ground.version import PROTOCOL

VERSION = f"v{PROTOCOL}"
SETTLE_S = 0.2
"""How often it is looked up what the peer's TCP has taken."""
GOODBYE_S = 1.5
"""How long an ending agent waits for its last messages to be taken."""


class Outcome(Enum):
    """How a life ended."""

    STOPPED = 0
    RESTART = 1
    FAILED = 2


async def serve(
    home: Path, clock: Clock, entropy: Entropy, stop: Stop, *, reload: asyncio.Event | None = None
) -> int:
    """Runs the agent of `home` until `stop` is set; the exit code. `reload` set: read the configuration again."""
    logger = _logger(home)
    try:
        while True:
            life = AgentLife(home, clock, entropy, logger)
            outcome = await life.run(stop, reload or asyncio.Event())
            if outcome is not Outcome.RESTART or stop.is_set():
                return 1 if outcome is Outcome.FAILED else 0
    finally:
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            handler.close()


def _logger(home: Path) -> logging.Logger:
    logger = logging.getLogger(f"garrison.agent:{str(home).replace('.', '_')}")
    logger.setLevel(logging.INFO)
    if not logger.handlers:
        add_file(logger, home / "logs/ossec.log", OssecFormatter("wazuh-agentd"))
    return logger


class AgentLife:
    """One run of the agent, from reading its configuration to its goodbye."""

    def __init__(self, home: Path, clock: Clock, entropy: Entropy, logger: logging.Logger) -> None:
        self._home = home
        self._clock = clock
        self._logger = logger
        self._limit = RateLimit(burst=20, per_s=1)
        self._store = AgentStore(home)
        self._link = Link(self._store.counters, entropy, self._log)
        self._brood = Brood("agent")
        self._wake = asyncio.Event()
        self._writable = asyncio.Event()
        self._ended = asyncio.Event()
        self._outcome = Outcome.STOPPED
        self._lock_until = 0.0
        self._msg_count = 0
        self._saved: list[Position] = []
        self._written_status: c.Status | None = None

    # The life

    async def run(self, stop: Stop, reload: asyncio.Event) -> Outcome:
        """Lives until `stop`, an ordered restart, or a reason to give up."""
        try:
            self._store.make_folders()
            self._prepare()
        except (ConfigError, StoreError, OSError) as error:
            for line in str(error).splitlines():
                self._log(c.Log("CRITICAL", line))
            return Outcome.FAILED
        collecting = Stop()
        try:
            self._do(self._session.start(self._clock.monotonic()))
            collector = self._brood.start(self._collector.run(collecting), name="collect")
            timers = self._brood.start(self._timers(), name="timers")
            reloads = self._brood.start(self._reloads(reload), name="reload")
            self._start_duties(collecting)
            await self._until_end(stop, [collector, timers, reloads])
            collecting.set()
            await asyncio.wait({collector})
            await self._say_goodbye(is_signal=stop.is_set())
        finally:
            await self._clean_up()
        return self._outcome

    def _prepare(self) -> None:
        self._uname = detect_uname(VERSION)
        self._log(c.Log("INFO", "(1410): Reading authentication keys file."))
        entry = self._store.read_key()
        self._config, warnings = load_config(self._home, entry.name if entry else "", self._uname)
        for warning in warnings:
            self._log(c.Log("WARNING", str(warning)))
        settings = session_settings(self._config, VERSION)
        self._session = Session(settings, facts(self._uname, self._config, self._store.shared_sums()), entry)
        notify, silence = settings.notify_time_s, settings.silence_s
        self._log(c.Log("INFO", f"Using notify time: {notify:g} and max time to reconnect: {silence:g}"))
        self._log(c.Log("INFO", f"Version detected -> {self._uname}"))
        self._log(c.Log("INFO", f"Started (pid: {os.getpid()})."))
        self._use_key()
        self._ring: Ring[Outgoing] = Ring(buffer_settings(self._config))
        self._responder = Responder(self._home, self._clock, self._log, self._order_restart)
        self._responder.is_enabled = not self._config.client.disable_active_response
        self._queue = LocalQueue(self._home / "queue/sockets/queue", self._offer)
        self._queue.open()
        self._collector = self._make_collector()

    def _make_collector(self) -> Collector:
        try:
            self._saved = self._store.load_positions()
        except StoreError as error:
            self._log(c.Log("ERROR", f"{error}. Files are read from their ends.", "wazuh-logcollector"))
        around = Surroundings(
            clock=self._clock,
            tell=self._log,
            hostname=socket.gethostname(),
            offer=self._offer,
            room=self._room,
        )
        collector = Collector(around, self._saved)
        collector.configure(self._config.localfiles)
        self._log(c.Log("INFO", f"Started (pid: {os.getpid()}).", "wazuh-logcollector"))
        return collector

    def _start_duties(self, ending: Stop) -> None:
        def repeat(interval_s: float, job: object, name: str) -> None:
            self._brood.start(every(self._clock, interval_s, job, ending, name=name), name=name)  # type: ignore[arg-type]

        repeat(SAVE_S, self._save_positions, "positions")
        repeat(INTERVAL_S, self._count, "statistics")
        if (interval_s := self._config.internal.agent_state_interval_s) > 0:
            repeat(interval_s, self._write_state, "state")

    async def _until_end(self, stop: Stop, vital: list[asyncio.Task[None]]) -> None:
        """Returns at the end that was asked for, or when one of the `vital` tasks failed."""
        ended = start(self._ended.wait(), name="agent.ended")
        stopped = start(stop.wait(), name="agent.stopped")
        try:
            await asyncio.wait({ended, stopped, *vital}, return_when=asyncio.FIRST_COMPLETED)
            for task in vital:
                if task.done() and not task.cancelled() and (failure := task.exception()) is not None:
                    self._log(
                        c.Log("CRITICAL", f"Internal error in {task.get_name()}: {failure!r}. Exiting.")
                    )
                    self._outcome = Outcome.FAILED
        finally:
            for task in (ended, stopped):
                task.cancel()
            await asyncio.gather(ended, stopped, return_exceptions=True)

    async def _say_goodbye(self, *, is_signal: bool) -> None:
        if is_signal:
            self._log(c.Log("INFO", "(1225): SIGNAL [(15)-(Terminated)] Received. Exit Cleaning..."))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await self._send_what_no_file_holds()
        goodbye = self._session.stop()
        self._do([one for one in goodbye if not isinstance(one, c.CloseConnection)])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                while not self._link.is_settled:
                    self._link.settle()
                    await asyncio.sleep(0.01)
        self._close_connection()

    async def _send_what_no_file_holds(self) -> None:
        """Lines of files are read again after a restart; output of commands would be gone with this process."""
        for item in self._ring.empty():
            if item.source is not None:
                continue
            if self._link.is_open and not self._link.is_idle:
                self._writable.clear()
                await self._writable.wait()
            if not self._session.may_send_events(self._clock.monotonic()):
                return
            self._link.send(item.message, item)

    async def _clean_up(self) -> None:
        self._queue.close()
        await self._brood.end()
        await self._responder.end()
        self._close_connection()
        try:
            self._store.save_positions(self._collector.positions())
            self._store.remove_state()
        except (StoreError, OSError) as error:
            self._log(c.Log("ERROR", str(error)))
        self._collector.close()
        self._link.close()

    # Commands of the session

    def _do(self, commands: list[c.Command]) -> None:
        """Carries out `commands`. The timers look again even after none: the session may have another deadline now."""
        self._carry_out(commands)
        self._wake.set()

    def _carry_out(self, commands: list[c.Command]) -> None:
        for command in commands:
            self._perform(command)

    def _perform(self, command: c.Command) -> None:
        match command:
            case c.Log():
                self._log(command)
            case c.Send(message=message):
                self._link.send(message)
            case c.Connect(server=server):
                self._brood.start(self._connect(server), name="connect")
            case c.CloseConnection():
                self._close_connection()
            case c.Enroll(address=address):
                self._brood.start(self._enroll(address), name="enroll")
            case c.LoadKey():
                self._load_key()
            case c.StoreFile() | c.RemoveFile() | c.UnpackBundle():
                self._take_file(command)
            case c.Ask():
                self._answer(command)
            case c.Respond(payload=payload):
                self._responder.respond(payload)
            case c.End(exit_code=exit_code):
                self._end(Outcome.FAILED if exit_code else Outcome.STOPPED)

    def _end(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._ended.set()

    def _log(self, line: c.Log) -> None:
        level = logging.getLevelName(line.level)
        if level in (logging.WARNING, logging.ERROR) and not self._limit.allows(
            line.text[:60], self._clock.monotonic()
        ):
            return
        self._logger.log(level, "%s", line.text, extra={"program": line.program})

    def _told(self, told: Told) -> None:
        self._log(c.Log(told.level, told.text))

    # The connection

    async def _connect(self, server: ServerConfig) -> None:
        try:
            opened = await connect(server, self._config.client.local_ip)
        except (OSError, TimeoutError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "Connection timed out"
            self._do(self._session.connect_failed(reason, self._clock.monotonic()))
            return
        self._close_connection()
        ears = Ears(envelope=self._hear, lost=self._lost, oversize=self._oversize, writable=self._has_room)
        local_ip = self._link.attach(opened, ears)
        self._do(self._session.connected(local_ip, self._clock.monotonic()))

    def _close_connection(self) -> None:
        self._ring.put_back(self._link.detach())

    def _hear(self, envelope: bytes) -> None:
        message = self._link.open(envelope)
        now = self._clock.monotonic()
        if message is None:
            self._do(self._session.undecryptable(now))
        else:
            self._do(self._session.received(message, now))

    def _has_room(self) -> None:
        self._writable.set()
        self._wake.set()

    def _lost(self) -> None:
        self._do(self._session.lost(self._clock.monotonic()))

    def _oversize(self) -> None:
        self._do(self._session.oversize(self._clock.monotonic()))

    # Events on their way out

    def _offer(self, item: Outgoing) -> bool:
        self._msg_count += 1
        fits = self._ring.offer(item, self._clock.monotonic())
        self._wake.set()
        return fits

    def _room(self) -> int:
        return self._ring.room() if self._session.may_send_events(self._clock.monotonic()) else 0

    def _drain(self, now: float) -> None:
        while self._link.is_idle and self._session.may_send_events(now):
            if (change := self._ring.next_change(now)) is not None:
                self._log(c.Log(change.log_level, change.line))
                self._link.send(change.event)
            elif (item := self._ring.take(now)) is not None:
                self._link.send(item.message, item)
            else:
                return

    async def _timers(self) -> None:
        while True:
            self._wake.clear()
            now = self._clock.monotonic()
            self._carry_out(self._session.expire(now))
            self._link.settle()
            self._drain(now)
            if self._session.status is not self._written_status:
                await self._write_state()
            await self._sleep_until(min(self._deadlines(now), default=None))

    def _deadlines(self, now: float) -> Iterator[float]:
        if (at := self._session.next_deadline()) is not None:
            yield at
        if not self._link.is_open or not self._session.may_send_events(now):
            return
        if not self._link.is_settled:
            yield now + SETTLE_S
        if len(self._ring) and self._link.is_idle:
            yield self._ring.next_turn(now)
        if (at := self._ring.next_deadline()) is not None:
            yield at

    async def _sleep_until(self, at: float | None) -> None:
        if self._wake.is_set():
            await asyncio.sleep(0)
            return
        waking = start(self._wake.wait(), name="agent.wake")
        tasks = {waking}
        if at is not None:
            tasks.add(start(self._clock.sleep(max(0.001, at - self._clock.monotonic())), name="agent.sleep"))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # Keys

    def _use_key(self) -> None:
        if (entry := self._session.entry) is not None:
            self._link.use(entry, self._config.client.crypto_method)

    def _load_key(self) -> None:
        self._log(c.Log("INFO", "(1410): Reading authentication keys file."))
        try:
            entry = self._store.read_key()
        except StoreError as error:
            self._log(c.Log("ERROR", str(error)))
            entry = None
        commands = self._session.key_loaded(entry, self._clock.monotonic())
        self._use_key()
        self._do(commands)

    async def _enroll(self, address: str) -> None:
        self._log(c.Log("INFO", f"Requesting a key from server: {address}"))
        entry = None
        try:
            password = self._password()
            order = enrollment_order(
                self._config,
                address,
                host_name=socket.gethostname(),
                version=VERSION,
                key=self._session.entry,
                password=password,
                home=self._home,
            )
            entry = await request_key(order, self._told)
            if entry is not None:
                self._store.write_key(entry)
        except (PeerError, StoreError, UnicodeError) as error:
            self._log(c.Log("ERROR", str(error)))
            entry = None
        self._do(self._session.enrolled(entry, self._clock.monotonic()))

    def _password(self) -> str | None:
        path = self._config.client.enrollment.authorization_pass_path or "etc/authd.pass"
        text = read_text(self._home / path)
        password = text.split("\n", 1)[0] if text else ""
        if password:
            self._log(c.Log("INFO", f"Using password specified on file: {path}"))
        else:
            self._log(c.Log("INFO", "No authentication password provided"))
        return password or None

    # Shared files

    def _take_file(self, command: c.StoreFile | c.RemoveFile | c.UnpackBundle) -> None:
        try:
            match command:
                case c.StoreFile(name=name, content=content):
                    self._store.store_shared(name, content)
                case c.RemoveFile(name=name):
                    self._store.remove_shared(name)
                case c.UnpackBundle(content=content):
                    self._take_bundle(content)
        except (StoreError, OSError) as error:
            self._log(c.Log("ERROR", f"A file from the manager could not be stored: {error}"))

    def _take_bundle(self, content: bytes) -> None:
        try:
            bundle = unpack(content)
        except PeerError as error:
            self._log(c.Log("WARNING", f"Could not unmerge shared file: {error.reason}"))
            self._link.send(b"1:wazuh-agent:wazuh: Could not unmerge shared file.")
            return
        self._store.apply_bundle(content, bundle)
        self._log(c.Log("INFO", "Shared agent configuration has been updated."))
        try:
            config, warnings = load_config(self._home, self._name(), self._uname, strict=True)
        except InvalidAgentConf as error:
            for fault in error.faults:
                self._log(c.Log("ERROR", str(fault)))
            told = f"1:wazuh-agent:wazuh: Invalid remote configuration: '{error.section}'. "
            self._link.send(told.encode())
        except ConfigError as error:
            for fault in error.faults:
                self._log(c.Log("ERROR", str(fault)))
        else:
            for warning in warnings:
                self._log(c.Log("WARNING", str(warning)))
            if self._config.client.auto_restart and config != self._config:
                self._log(c.Log("INFO", "Agent is reloading due to shared configuration changes."))
                self._apply(config)
        self._tell_facts()

    def _tell_facts(self) -> None:
        told = facts(self._uname, self._config, self._store.shared_sums())
        self._do(self._session.facts_changed(told, self._clock.monotonic()))

    # Configuration

    async def _reloads(self, reload: asyncio.Event) -> None:
        while True:
            await reload.wait()
            reload.clear()
            self.reload()

    def reload(self) -> None:
        """Reads the configuration again and goes by it; a faulty one changes nothing."""
        try:
            config, warnings = load_config(self._home, self._name(), self._uname)
        except (ConfigError, StoreError, OSError) as error:
            for line in str(error).splitlines():
                self._log(c.Log("ERROR", line))
            self._log(c.Log("ERROR", "The configuration is faulty: going on with the one in use."))
            return
        for warning in warnings:
            self._log(c.Log("WARNING", str(warning)))
        self._log(c.Log("INFO", "Configuration has been read again."))
        self._apply(config)
        self._tell_facts()

    def _name(self) -> str:
        entry = self._session.entry
        return entry.name if entry else ""

    def _apply(self, config: AgentConfig) -> None:
        self._config = config
        now = self._clock.monotonic()
        self._ring.reconfigure(buffer_settings(config))
        self._responder.is_enabled = not config.client.disable_active_response
        self._collector.configure(config.localfiles)
        if self._session.entry is not None:
            self._use_key()
        self._do(self._session.reconfigure(session_settings(config, VERSION), now))

    def _order_restart(self) -> None:
        wait_s = self._lock_until - self._clock.monotonic()
        if wait_s > 0:
            self._log(c.Log("INFO", f"Restart is locked for another {wait_s:.0f} s.", "wazuh-execd"))
            self._brood.start(self._restart_later(wait_s), name="restart")
            return
        self._end(Outcome.RESTART)

    async def _restart_later(self, wait_s: float) -> None:
        await self._clock.sleep(wait_s)
        self._order_restart()

    # Questions and state

    def _answer(self, ask: c.Ask) -> None:
        reply: Reply = answer(ask.target, ask.payload, self._view())
        if reply.lock_s is not None:
            self._lock_until = self._clock.monotonic() + reply.lock_s
        self._do(self._session.answered(ask.counter, reply.body, self._clock.monotonic()))
        if reply.after is After.RESTART:
            self._order_restart()
        elif reply.after is After.RELOAD:
            self.reload()

    def _view(self) -> View:
        return View(
            config=self._config,
            internal=internal_view(self._config.internal),
            state=self._state(),
            collected=self._collector.statistics(),
        )

    def _state(self) -> AgentState:
        return AgentState(
            status=self._session.status.value,
            last_keepalive=self._wall(self._session.last_keepalive_at),
            last_ack=self._wall(self._session.last_ack_at),
            msg_count=self._msg_count,
            msg_sent=self._link.sent,
            msg_buffer=len(self._ring),
            buffer_enabled=self._ring.settings.enabled,
        )

    def _wall(self, at: float | None) -> str:
        if at is None:
            return ""
        ago = timedelta(seconds=self._clock.monotonic() - at)
        return _local(self._clock.now() - ago)

    async def _write_state(self) -> None:
        self._written_status = self._session.status
        try:
            self._store.write_state(state_file(self._state()))
        except StoreError as error:
            self._log(c.Log("ERROR", str(error)))

    async def _save_positions(self) -> None:
        if (positions := self._collector.positions()) != self._saved:
            await asyncio.to_thread(self._store.save_positions, positions)
            self._saved = positions

    async def _count(self) -> None:
        self._collector.count()


def _local(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
