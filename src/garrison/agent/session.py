"""The agent's side of the secure channel as a state machine. Pure: events and the time in, commands out.

    start ─ no key ─▶ ENROLLING ⇄ ENROLL_PAUSE ─▶ SETTLING ─▶ LOADING ─┐
      └──── key ───────────────────────────────────────────────────────┤
                                                                       ▼
    RETRY_PAUSE ◀── failed ── HANDSHAKE ◀── connected ────────── CONNECTING ◀─────────────┐
      │  │                        │ ack                                ▲                   │
      │  └─ tries used up ─▶ ENROLLING (this server), once             │                   │
      └─────────────────────── next server ────────────────────────────┘                   │
                               CONNECTED ── lost, silent, force_reconnect, interval ────────┘

The first attempt after a loss is immediate, each failed one is followed by `retry_interval`, and a round
of `max_retries` by warning 4101 and the next server. Reconnects start at the current server.

Two things are ours: the keepalive follows every handshake at once (agents did so up to 4.14.6; it makes an
agent active on its new node without waiting for `notify_time`), and events wait in the ring while a
keepalive goes unanswered for SUSPECT_S, so that a hung manager swallows seconds of them, not a minute.
Source: spec/agent-channel.md 4; observed.md; captures session-*, reconnect-*, error-*.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from garrison.agent.bundle import Transfer
from garrison.agent.commands import (
    Ask,
    CloseConnection,
    Command,
    Connect,
    End,
    Enroll,
    LoadKey,
    Log,
    Respond,
    Send,
    Status,
)
from garrison.agent.requests import OpenAnswers, RetryRule, is_known_target
from garrison.config.model import ServerConfig
from garrison.ground.log import printable
from garrison.wire import control, keepalive
from garrison.wire.client_keys import KeyEntry

SUSPECT_S = 5.0
"""A keepalive unanswered for so long: the manager may be hung, keep the events here."""
SHORT_LIFE_S = 1.0
"""A connection that ended sooner is not followed at once by the next: no manager makes the agent spin."""
ENROLL_PAUSE_STEP_S = 5.0
ENROLL_PAUSE_MOST_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """What the state machine goes by, out of ossec.conf and the internal options."""

    servers: tuple[ServerConfig, ...]
    version: str
    notify_time_s: float = 20
    time_reconnect_s: float = 60
    force_reconnect_interval_s: float = 0
    recv_timeout_s: float = 60
    keepalive_on_connect: bool = True
    """False: as 4.14.7 does, the timer starts with the process and runs on through reconnects."""
    enrollment_enabled: bool = True
    enrollment_address: str | None = None
    delay_after_enrollment_s: float = 20
    retry_rule: RetryRule = field(default_factory=RetryRule)

    @property
    def silence_s(self) -> float:
        """How long the manager may be silent: `time_reconnect`, or 3 notify times when that is too short."""
        if self.time_reconnect_s <= self.notify_time_s:
            return 3 * self.notify_time_s
        return self.time_reconnect_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a keepalive tells besides the address of the socket."""

    uname: str
    config_sum: str | None = None
    merged_sum: str | None = None
    labels: tuple[str, ...] = ()
    """Whole lines: `"key":value`, hidden ones with `!` in front."""


class Phase(Enum):
    """Where the state machine stands; the picture is in the module's docstring."""

    NEW = "new"
    ENROLLING = "enrolling"
    ENROLL_PAUSE = "enroll pause"
    SETTLING = "settling"
    LOADING = "loading"
    CONNECTING = "connecting"
    HANDSHAKE = "handshake"
    RETRY_PAUSE = "retry pause"
    CONNECTED = "connected"
    ENDED = "ended"


class Session:
    """One agent process's life with its managers."""

    def __init__(self, settings: SessionSettings, facts: Facts, entry: KeyEntry | None) -> None:
        self._settings = settings
        self.facts = facts
        self._entry = entry
        self._phase = Phase.NEW
        self._index = 0
        self._tries = 0
        self._asked_again = False
        self._enroll_at = 0
        self._enroll_pause_s = 0.0
        self._wake_at: float | None = None
        self._keepalive_at = 0.0
        self._heard_at = 0.0
        self._connected_at = 0.0
        self._unanswered_since: float | None = None
        self._prompt_after = 0.0
        self._was_connected = False
        self._is_releasing = False
        self._told_started = False
        self._local_ip: str | None = None
        self._transfer = Transfer()
        self._answers = OpenAnswers(settings.retry_rule)
        self._told_missing: set[str] = set()
        self.last_keepalive_at: float | None = None
        self.last_ack_at: float | None = None

    # What others look at

    @property
    def phase(self) -> Phase:
        return self._phase

    @property
    def entry(self) -> KeyEntry | None:
        return self._entry

    @property
    def server(self) -> ServerConfig:
        return self._settings.servers[self._index]

    @property
    def status(self) -> Status:
        if self._phase is Phase.CONNECTED:
            return Status.CONNECTED
        return Status.DISCONNECTED if self._was_connected else Status.PENDING

    def may_send_events(self, now: float) -> bool:
        """True while what waits in the ring may go out."""
        if self._phase is not Phase.CONNECTED:
            return False
        return self._unanswered_since is None or now - self._unanswered_since < SUSPECT_S

    def next_deadline(self) -> float | None:
        """When `expire` has something to do, None when nothing is timed."""
        times = [self._wake_at, self._answers.next_deadline()]
        if self._phase is Phase.CONNECTED:
            times += [self._keepalive_at, self._heard_at + self._settings.silence_s]
            if self._settings.force_reconnect_interval_s > 0:
                times.append(self._connected_at + self._settings.force_reconnect_interval_s)
        return min((at for at in times if at is not None), default=None)

    # Events

    def start(self, now: float) -> list[Command]:
        """The process begins."""
        self._keepalive_at = now + self._settings.notify_time_s
        if self._entry is not None:
            return self._connect()
        if not self._settings.enrollment_enabled:
            self._phase = Phase.ENDED
            return [
                Log("CRITICAL", "(1751): File client.keys not found or empty."),
                Log("ERROR", "(4109): Unable to start without auth keys. Exiting."),
                End(1),
            ]
        return self._enroll_next()

    def connected(self, local_ip: str | None, now: float) -> list[Command]:
        """The connection that was asked for is open; `local_ip` is our end of it."""
        if self._phase is not Phase.CONNECTING:
            return [CloseConnection()]
        self._phase = Phase.HANDSHAKE
        self._local_ip = local_ip
        self._wake_at = now + self._settings.recv_timeout_s
        return [Send(control.encode_startup(self._settings.version))]

    def connect_failed(self, reason: str, now: float) -> list[Command]:
        """The connection could not be opened."""
        if self._phase is not Phase.CONNECTING:
            return []
        text = f"(1216): Unable to connect to '{self._place()}': '{printable(reason)}'."
        return [Log("ERROR", text), *self._attempt_failed(now)]

    def lost(self, now: float) -> list[Command]:
        """The connection was closed or broke."""
        if self._phase is Phase.HANDSHAKE:
            return self._attempt_failed(now)
        if self._phase is not Phase.CONNECTED:
            return []
        return [
            Log("ERROR", "(1137): Lost connection with manager. Setting lock."),
            *self._reconnect(True, now),
        ]

    def oversize(self, now: float) -> list[Command]:
        """The manager announced a frame above the limit: the connection cannot be used any more."""
        return [Log("ERROR", "Corrupt payload (exceeding size) received."), *self.lost(now)]

    def undecryptable(self, now: float) -> list[Command]:
        """A frame could not be opened; the connection goes on, a handshake does not."""
        problem: list[Command] = [
            Log("WARNING", f"(1214): Problem receiving message from '{self.server.address}'.")
        ]
        return problem + self._attempt_failed(now) if self._phase is Phase.HANDSHAKE else problem

    def received(self, message: bytes, now: float) -> list[Command]:
        """A message of the manager, opened and checked."""
        if self._phase is Phase.HANDSHAKE:
            return self._finish_handshake(message, now)
        if self._phase is not Phase.CONNECTED:
            return []
        if not control.is_control(message):
            if self._transfer.is_open:
                self._heard_at = now
            return self._transfer.chunk(message)
        self._heard_at = now
        self._transfer.control_seen()
        return self._obey(control.decode_from_manager(message), now)

    def answered(self, counter: str, body: bytes, now: float) -> list[Command]:
        """The answer to a question asked by `Ask` is ready."""
        if self._phase is not Phase.CONNECTED or not self._answers.finish(counter, body, now, self._is_udp()):
            return []
        return [Send(control.encode_answer(counter, body))]

    def facts_changed(self, facts: Facts, now: float) -> list[Command]:
        """Other sums or labels: told at once, but at most once in `notify_time`, for a manager may answer
        each keepalive with a new bundle."""
        self.facts = facts
        if self._phase is not Phase.CONNECTED or now < self._prompt_after:
            return []
        self._prompt_after = now + self._settings.notify_time_s
        return self._keepalive(now)

    def enrolled(self, entry: KeyEntry | None, now: float) -> list[Command]:
        """The enrollment ended: with `entry`, already stored, or without (the reason has been logged)."""
        if self._phase is not Phase.ENROLLING:
            return []
        if entry is not None:
            self._enroll_pause_s = 0
            self._phase = Phase.SETTLING
            delay_s = self._settings.delay_after_enrollment_s
            self._wake_at = now + delay_s
            return [Log("INFO", f"Waiting {delay_s:g} seconds before server connection")]
        if self._asked_again:
            return self._pause_before_next_server(now)
        self._enroll_at += 1
        if self._enroll_at < len(self._enroll_addresses()):
            return self._enroll_next()
        self._enroll_at = 0
        self._enroll_pause_s = min(self._enroll_pause_s + ENROLL_PAUSE_STEP_S, ENROLL_PAUSE_MOST_S)
        self._phase = Phase.ENROLL_PAUSE
        self._wake_at = now + self._enroll_pause_s
        return []

    def key_loaded(self, entry: KeyEntry | None, now: float) -> list[Command]:
        """client.keys was read again."""
        if self._phase is not Phase.LOADING:
            return []
        self._entry = entry
        if entry is None:
            self._asked_again = False
            return self._enroll_next()
        return self._connect()

    def expire(self, now: float) -> list[Command]:
        """Does what is due at `now`."""
        if self._phase is Phase.CONNECTED:
            return self._expire_connected(now)
        if self._wake_at is None or now < self._wake_at:
            return []
        self._wake_at = None
        if self._phase is Phase.HANDSHAKE:
            return self._attempt_failed(now)
        if self._phase is Phase.RETRY_PAUSE:
            return self._after_pause()
        if self._phase is Phase.ENROLL_PAUSE:
            return self._enroll_next()
        if self._phase is Phase.SETTLING:
            self._phase = Phase.LOADING
            return [LoadKey()]
        return []

    def reconfigure(self, settings: SessionSettings, now: float) -> list[Command]:
        """Other settings from now on. Other servers take effect with the next connection, which is made at
        once when the current server is no longer among them."""
        server = self.server
        self._settings = settings
        if server in settings.servers:
            self._index = settings.servers.index(server)
            return []
        self._index = 0
        return self._reconnect(False, now) if self._phase is Phase.CONNECTED else []

    def stop(self) -> list[Command]:
        """The process ends: say goodbye on whatever connection there is."""
        open_phases = (Phase.HANDSHAKE, Phase.CONNECTED)
        goodbye: list[Command] = [Send(control.SHUTDOWN)] if self._phase in open_phases else []
        self._phase = Phase.ENDED
        return [*goodbye, CloseConnection()]

    # Connecting

    def _place(self) -> str:
        return f"[{self.server.address}]:{self.server.port}/{self.server.protocol}"

    def _is_udp(self) -> bool:
        return self.server.protocol == "udp"

    def _connect(self) -> list[Command]:
        self._phase = Phase.CONNECTING
        self._wake_at = None
        self._tries += 1
        return [
            CloseConnection(),
            Log("INFO", f"Trying to connect to server ({self._place()})."),
            Connect(self.server),
        ]

    def _reconnect(self, is_loss: bool, now: float) -> list[Command]:
        self._is_releasing = self._is_releasing or is_loss
        self._tries = 0
        self._asked_again = False
        self._transfer = Transfer()
        self._answers = OpenAnswers(self._settings.retry_rule)
        closing = Log("INFO", f"Closing connection to server ({self._place()}).")
        if now - self._connected_at >= SHORT_LIFE_S:
            return [closing, *self._connect()]
        self._phase = Phase.RETRY_PAUSE
        self._wake_at = now + SHORT_LIFE_S
        return [closing, CloseConnection()]

    def _attempt_failed(self, now: float) -> list[Command]:
        closing: list[Command] = []
        if self._phase is Phase.HANDSHAKE:
            closing = [Log("INFO", f"Closing connection to server ({self._place()})."), CloseConnection()]
        if self._tries >= self.server.max_retries and self._may_ask_again():
            self._asked_again = True
            self._phase = Phase.ENROLLING
            self._wake_at = None
            return [*closing, Enroll(self.server.address)]
        self._phase = Phase.RETRY_PAUSE
        self._wake_at = now + self.server.retry_interval_s
        return closing

    def _may_ask_again(self) -> bool:
        return self._settings.enrollment_enabled and not self._asked_again

    def _pause_before_next_server(self, now: float) -> list[Command]:
        self._phase = Phase.RETRY_PAUSE
        self._wake_at = now + self.server.retry_interval_s
        return []

    def _after_pause(self) -> list[Command]:
        if self._tries < self.server.max_retries:
            return self._connect()
        waiting = (
            f"(4101): Waiting for server reply (not started). Tried: '{self.server.address}'. "
            f"Ensure that the manager version is '{self._settings.version}' or higher."
        )
        self._tries = 0
        self._asked_again = False
        self._index = (self._index + 1) % len(self._settings.servers)
        if self._index == 0:
            text = Log("WARNING", "Unable to connect to any server.")
        else:
            text = Log("INFO", f"Trying next server ip in the line: '{self.server.address}'.")
        return [Log("WARNING", waiting), text, *self._connect()]

    def _finish_handshake(self, message: bytes, now: float) -> list[Command]:
        order = control.decode_from_manager(message) if control.is_control(message) else None
        if isinstance(order, control.Err):
            text = f"Couldn't connect to server '{self.server.address}': '{printable(order.message)}'"
            return [Log("WARNING", text), *self._attempt_failed(now)]
        if not isinstance(order, control.Ack):
            return self._attempt_failed(now)
        return self._enter_connected(now)

    def _enter_connected(self, now: float) -> list[Command]:
        self._phase = Phase.CONNECTED
        self._was_connected = True
        self._wake_at = None
        self._tries = 0
        self._asked_again = False
        self._heard_at = self._connected_at = self.last_ack_at = now
        self._unanswered_since = None
        commands: list[Command] = [Log("INFO", f"(4102): Connected to the server ({self._place()}).")]
        if self._is_releasing:
            self._is_releasing = False
            commands.append(Log("INFO", "Server responded. Releasing lock."))
        if not self._told_started and self._entry is not None:
            self._told_started = True
            commands.append(Send(started_event(self._entry)))
        if now >= self._keepalive_at or self._settings.keepalive_on_connect:
            commands += self._keepalive(now)
        return commands

    # Connected

    def _expire_connected(self, now: float) -> list[Command]:
        if now >= self._heard_at + self._settings.silence_s:
            return [Log("WARNING", "Server unavailable. Setting lock."), *self._reconnect(True, now)]
        interval_s = self._settings.force_reconnect_interval_s
        if interval_s > 0 and now >= self._connected_at + interval_s:
            text = "Wazuh Agent will be reconnected because the force_reconnect_interval has passed"
            return [Log("INFO", text), *self._reconnect(False, now)]
        commands = self._keepalive(now) if now >= self._keepalive_at else []
        resends, given_up = self._answers.expire(now)
        commands += [Send(control.encode_answer(counter, body)) for counter, body in resends]
        text = "Couldn't send response to manager: number of attempts exceeded."
        return commands + [Log("ERROR", text)] * given_up

    def _keepalive(self, now: float) -> list[Command]:
        self._keepalive_at = now + self._settings.notify_time_s
        self.last_keepalive_at = now
        if self._unanswered_since is None:
            self._unanswered_since = now
        text = keepalive.encode_keepalive(
            uname=self.facts.uname,
            config_sum=self.facts.config_sum,
            labels=self.facts.labels,
            merged_sum=self.facts.merged_sum,
            agent_ip=self._local_ip,
        )
        return [Send(control.PREFIX + text.encode("utf-8", "replace"))]

    def _obey(self, order: object, now: float) -> list[Command]:
        match order:
            case control.Ack():
                self.last_ack_at = now
                self._unanswered_since = None
                return []
            case control.ForceReconnect():
                text = "Wazuh Agent will be reconnected because a reconnect message was received"
                return [Log("INFO", text), *self._reconnect(False, now)]
            case control.FileBegin(md5=md5, name=name):
                return self._transfer.begin(md5, name)
            case control.FileEnd():
                return self._transfer.end()
            case control.Execd(payload=payload):
                return [Respond(payload)]
            case control.Request(counter=counter, target=target, payload=payload):
                return self._ask(counter, target, payload)
            case control.RequestAck(counter=counter):
                self._answers.acknowledge(counter)
                return []
            case control.Unrecognized():
                self._transfer.abort()
                return [Log("WARNING", "Unknown message received from server.")]
            case _:
                return self._for_a_missing_module(type(order).__name__)

    def _for_a_missing_module(self, kind: str) -> list[Command]:
        if kind in self._told_missing:
            return []
        self._told_missing.add(kind)
        text = f"The manager sent an order for a module that this agent does not have ({kind}). Ignoring."
        return [Log("INFO", text)]

    def _ask(self, counter: str, target: str, payload: bytes | None) -> list[Command]:
        if not payload:
            return [Log("ERROR", "Request format is incorrect [payload].")]
        acks: list[Command] = []
        if self._is_udp() and is_known_target(target):
            acks.append(Send(control.encode_answer(counter, b"ack")))
        if self._answers.knows(counter):
            return acks
        if not self._answers.open(counter):
            return [*acks, Send(control.encode_answer(counter, b"err Too many requests"))]
        return [*acks, Ask(counter, target, payload.decode("utf-8", "replace"))]

    # Enrollment

    def _enroll_addresses(self) -> list[str]:
        if self._settings.enrollment_address:
            return [self._settings.enrollment_address]
        return [server.address for server in self._settings.servers]

    def _enroll_next(self) -> list[Command]:
        self._phase = Phase.ENROLLING
        self._wake_at = None
        addresses = self._enroll_addresses()
        self._enroll_at = min(self._enroll_at, len(addresses) - 1)
        return [Enroll(addresses[self._enroll_at])]


def started_event(entry: KeyEntry) -> bytes:
    """The event behind the first handshake of a process."""
    return f"1:wazuh-agent:ossec: Agent started: '{entry.name}->{entry.ip}'.".encode()
