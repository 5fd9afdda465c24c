"""One peer of port 1514, without its socket. Pure: bytes and answers in, effects out.

    receive(data) ──▶ [Effect ...]            the driver carries them out in order
    known(agent), bound(ok), greeted(ok)      the driver's answers to Look, Bind and Greet

A session knows an agent once an envelope opened with that agent's key. Until the driver has answered, later envelopes
wait here, bounded. Every failure of section 9.1 is a log text and the end of this connection only.
Source: spec/agent-channel.md 3.3, 3.7, 4.1, 4.2, 5.3, 9.1; vectors manager-control.json, secure-messages-reject.json.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from garrison.channel.ports import AgentEvent
from garrison.ground.errors import PeerError
from garrison.ground.log import printable
from garrison.registry.model import Agent
from garrison.wire import agent_message, control, counters
from garrison.wire.address import covers
from garrison.wire.agent_frame import FrameReader, FrameTooBig
from garrison.wire.agent_message import ById, ChannelKey, Method, Opened, OpenFailure, Ping
from garrison.wire.counters import Counters, Verdict
from garrison.wire.enroll_line import HIGHER_VERSION
from garrison.wire.event_line import decode_event
from garrison.wire.keepalive import Keepalive
from garrison.wire.names import compare_versions

MOST_WAITING_BYTES = 512 * 1024

NO_VERSION = "Couldn't retrieve version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a session goes by. `our_version` is the newest protocol level, such as `v4.14.7`."""

    our_version: str
    allow_higher_versions: bool = True
    verify_counters: bool = False
    is_udp: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """Find the agent of this id, or registered with this address; answer with `known`."""

    identity: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Bind:
    """An envelope of this agent opened: is this its one connection? Answer with `bound`."""

    agent: Agent


@dataclass(frozen=True, slots=True)
class Greet:
    """The agent says hello: may it be served here? Answer with `greeted`."""

    agent: Agent
    version: str | None


@dataclass(frozen=True, slots=True)
class Send:
    """Seal and send this message."""

    message: bytes


@dataclass(frozen=True, slots=True)
class SendClear:
    """Send this without sealing it."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Alive:
    """A keepalive came: acknowledge, note it, look at the bundle."""

    agent: Agent
    keepalive: Keepalive


@dataclass(frozen=True, slots=True)
class RefusedVersion:
    """A hello was refused for its version: 1 too high, 2 none."""

    agent: Agent
    code: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The agent says that it ends."""

    agent: Agent


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to a request, or its acknowledgment over UDP."""

    agent: Agent
    counter: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Deliver:
    """Events, in the order in which they came."""

    events: tuple[AgentEvent, ...]


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the log; everything a peer chose in it is escaped."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Close:
    """This connection is over."""


Effect = (
    Look | Bind | Greet | Send | SendClear | Alive | RefusedVersion | Ended | Answered | Deliver | Log | Close
)


class _Waiting(Enum):
    NOTHING = auto()
    KNOWN = auto()
    BOUND = auto()
    GREETED = auto()


class Session:
    """One connection, or one agent's datagrams."""

    __slots__ = (
        "_events",
        "_held",
        "_key",
        "_queue",
        "_queued_bytes",
        "_reader",
        "_rules",
        "_source",
        "_waiting",
        "agent",
        "closed",
        "counters",
        "is_bound",
        "is_greeted",
        "last_valid_at",
        "method",
    )

    def __init__(self, rules: Rules, source: str) -> None:
        self._rules = rules
        self._source = source
        self._reader = FrameReader()
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._waiting = _Waiting.NOTHING
        self._held: tuple[bytes, Opened | None] | None = None
        self._key: ChannelKey | None = None
        self._events: list[AgentEvent] = []
        self.agent: Agent | None = None
        self.counters: Counters | None = None
        self.method = Method.AES
        self.is_bound = False
        self.is_greeted = False
        self.closed = False
        self.last_valid_at = 0.0

    @property
    def key(self) -> ChannelKey:
        """The keys of the agent that this session knows."""
        assert self._key is not None, "nothing is sealed for a peer that is not known"
        return self._key

    # -- what comes in ------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float, at: float) -> list[Effect]:
        """Bytes of the stream. `now` is monotonic, `at` seconds since 1970."""
        if self.closed:
            return []
        try:
            frames = self._reader.feed(data)
        except FrameTooBig as error:
            effects = self._take(error.frames, now, at)
            if self.closed:
                return effects
            return effects + self._end(logging.WARNING, "Too big message size from socket.")
        return self._take(frames, now, at)

    def receive_datagram(self, envelope: bytes, now: float, at: float) -> list[Effect]:
        """One datagram."""
        return self._take([envelope], now, at)

    def known(self, agent: Agent | None, now: float, at: float) -> list[Effect]:
        """The answer to `Look`."""
        assert self._waiting is _Waiting.KNOWN and self._held is not None
        envelope, _ = self._held
        self._waiting, self._held = _Waiting.NOTHING, None
        effects = self._unknown(envelope) if agent is None else self._of_agent(agent, envelope, now, at)
        return effects + self._work(now, at)

    def bound(self, ok: bool, now: float, at: float) -> list[Effect]:
        """The answer to `Bind`."""
        assert self._waiting is _Waiting.BOUND and self._held is not None and self.agent is not None
        _, opened = self._held
        self._waiting, self._held = _Waiting.NOTHING, None
        if not ok:
            return self._in_use()
        self.is_bound = True
        assert opened is not None
        return self._message(self.agent, opened, at) + self._work(now, at)

    def greeted(self, ok: bool, now: float, at: float) -> list[Effect]:
        """The answer to `Greet`."""
        assert self._waiting is _Waiting.GREETED and self.agent is not None
        self._waiting = _Waiting.NOTHING
        if not ok:
            return self._in_use()
        self.is_greeted = True
        return [Send(control.ACK), *self._work(now, at)]

    def _in_use(self) -> list[Effect]:
        assert self.agent is not None
        return self._end(logging.WARNING, f"Agent key already in use: agent ID '{self.agent.id}'")

    # -- envelopes ----------------------------------------------------------------------------------------------

    def _take(self, envelopes: list[bytes], now: float, at: float) -> list[Effect]:
        self._queue.extend(envelopes)
        if self._waiting is not _Waiting.NOTHING:
            self._queued_bytes += sum(map(len, envelopes)) + 64 * len(envelopes)
            if self._queued_bytes > MOST_WAITING_BYTES:
                return self._end(logging.WARNING, f"Peer {self._source} sends too much before it is known.")
            return []
        return self._work(now, at)

    def _work(self, now: float, at: float) -> list[Effect]:
        effects: list[Effect] = []
        while self._queue and self._waiting is _Waiting.NOTHING and not self.closed:
            effects += self._envelope(self._queue.popleft(), now, at)
        if self._waiting is _Waiting.NOTHING:
            self._queued_bytes = 0
        return self._with_events(effects)

    def _with_events(self, effects: list[Effect]) -> list[Effect]:
        if self._events:
            effects.append(Deliver(tuple(self._events)))
            self._events = []
        return effects

    def _envelope(self, envelope: bytes, now: float, at: float) -> list[Effect]:
        try:
            found = agent_message.classify(envelope)
        except OpenFailure:
            return self._end(logging.ERROR, self._text_1403("(unknown)"))
        if isinstance(found, Ping):
            return [SendClear(agent_message.PONG)]
        agent = self.agent
        if agent is not None and (not isinstance(found, ById) or found.id == agent.id):
            return self._of_agent(agent, envelope, now, at)
        if agent is not None:
            return self._end(logging.WARNING, f"Connection of agent '{agent.id}' spoke for another agent.")
        self._waiting, self._held = _Waiting.KNOWN, (envelope, None)
        return [Look(identity=found.id) if isinstance(found, ById) else Look(address=self._source)]

    def _unknown(self, envelope: bytes) -> list[Effect]:
        found = agent_message.classify(envelope)
        if isinstance(found, ById):
            text = f"(1408): Invalid ID {found.id} for the source ip: '{self._source}' (name 'unknown')."
            return self._end(logging.WARNING, text)
        text = (
            f"(1213): Message from '{self._source}' not allowed. Cannot find the ID of the agent. "
            "Source agent ID is unknown."
        )
        return self._end(logging.WARNING, text)

    def _of_agent(self, agent: Agent, envelope: bytes, now: float, at: float) -> list[Effect]:
        found = agent_message.classify(envelope)
        assert not isinstance(found, Ping)
        if not covers(agent.ip, self._source):
            text = f"(1408): Invalid ID {agent.id} for the source ip: '{self._source}' (name '{agent.name}')."
            return self._end(logging.WARNING, text)
        if not found.rest:
            return self._end(logging.WARNING, "Received message is empty")
        if self._key is None or self.agent is not agent:
            self._key = agent_message.derive(agent.entry)
        try:
            opened = agent_message.open_envelope(found.rest, self._key)
            self._check_counters(opened)
        except OpenFailure as failure:
            return self._not_opened(agent, failure)
        self.agent = agent
        self.method = opened.method
        self.last_valid_at = now
        if self.is_bound:
            return self._message(agent, opened, at)
        self._waiting, self._held = _Waiting.BOUND, (envelope, opened)
        return [Bind(agent)]

    def _check_counters(self, opened: Opened) -> None:
        if self._rules.verify_counters:
            verdict = counters.judge(self.counters, opened.counters)
            if verdict is Verdict.DUPLICATE:
                raise OpenFailure(1407, "counter was used before")
            if verdict is Verdict.OLDER:
                raise OpenFailure(1404, "counter is older", wrong_key=True)
        self.counters = opened.counters

    def _not_opened(self, agent: Agent, failure: OpenFailure) -> list[Effect]:
        texts = {
            1403: (logging.ERROR, self._text_1403(agent.id, agent.ip)),
            1404: (
                logging.WARNING,
                "(1404): Authentication error. Wrong key or corrupt payload. "
                f"Message received from agent '{agent.id}' at '{agent.ip}'.",
            ),
            1406: (
                logging.ERROR,
                f"(1406): Checksum mismatch. Message received from agent '{agent.id}' at '{agent.ip}'.",
            ),
            1407: (logging.ERROR, f"(1407): Duplicated counter for '{agent.name}'."),
            2202: (
                logging.WARNING,
                f"(2202): Error uncompressing string. Message received from agent '{agent.id}' at '{agent.ip}'.",
            ),
        }
        level, text = texts.get(
            failure.number, (logging.WARNING, f"Message of agent '{agent.id}': {failure.reason}.")
        )
        effects: list[Effect] = [Log(level, text)]
        if not self._rules.is_udp:
            effects.append(Log(logging.WARNING, "Decrypt the message fail, closing the connection"))
        return effects + self._close()

    def _text_1403(self, identity: str, host: str | None = None) -> str:
        return (
            f"(1403): Incorrectly formatted message from agent '{identity}' (host '{host or self._source}')."
        )

    # -- messages -----------------------------------------------------------------------------------------------

    def _message(self, agent: Agent, opened: Opened, at: float) -> list[Effect]:
        message = opened.message
        if not control.is_control(message):
            self._event(agent, message, at)
            return []
        before = self._with_events([])
        return before + self._control(agent, message)

    def _event(self, agent: Agent, message: bytes, at: float) -> None:
        try:
            event = decode_event(message)
        except PeerError:
            return
        if message.startswith(b"keepalive", 2):
            return
        self._events.append(AgentEvent(agent, event.queue, event.location, event.text, at))

    def _control(self, agent: Agent, message: bytes) -> list[Effect]:
        match control.decode_from_agent(message):
            case control.Startup() as startup:
                return self._startup(agent, startup)
            case Keepalive() as keepalive:
                return [Alive(agent, keepalive)]
            case control.Shutdown():
                return [Ended(agent)]
            case control.Answer(counter=counter, body=body):
                return [Answered(agent, counter, body)]
            case control.Unrecognized(text=text):
                shown = printable(text, 60)
                return [
                    Log(logging.WARNING, f"Invalid message from agent: '{agent.name}' ({agent.id}): {shown}")
                ]

    def _startup(self, agent: Agent, startup: control.Startup) -> list[Effect]:
        if startup.problem == "no version":
            return [RefusedVersion(agent, 2), Send(control.encode_err(NO_VERSION))]
        is_higher = startup.version and compare_versions(startup.version, self._rules.our_version) > 0
        if is_higher and not self._rules.allow_higher_versions:
            return [RefusedVersion(agent, 1), Send(control.encode_err(HIGHER_VERSION))]
        version = startup.version[:32] if startup.version else None
        self._waiting = _Waiting.GREETED
        return [Greet(agent, version)]

    # -- the end ------------------------------------------------------------------------------------------------

    def _end(self, level: int, text: str) -> list[Effect]:
        return [*self._with_events([]), Log(level, text), *self._close()]

    def _close(self) -> list[Effect]:
        self._queue.clear()
        if self._rules.is_udp:
            return []
        self.closed = True
        return [Close()]
