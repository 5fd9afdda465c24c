"""One peer of port 1514, without its socket. Pure: bytes and answers in, effects out.

    receive(data) ──▶ [Effect ...]            the driver carries them out in order
    known(agent), bound(ok), greeted(ok)      the driver's answers to Look, Bind and Greet
    go_on()                                   the driver's answer to More

A session knows an agent once an envelope opened with that agent's key. Until the driver has answered, later envelopes
wait here, bounded. One call works off a bounded number of messages, so that one peer's burst, or messages that inflate
a hundredfold, neither fill memory nor keep the others waiting: what is left is announced by More. Every failure of
section 9.1 is a log text and the end of this connection only.
Source: spec/agent-channel.md 3.3, 3.7, 4.1, 4.2, 5.3, 9.1; vectors manager-control.json, secure-messages-reject.json.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum, auto

from garrison.channel.effects import (
    Alive,
    Answered,
    Bind,
    Close,
    Deliver,
    Effect,
    Ended,
    Greet,
    Log,
    Look,
    More,
    RefusedVersion,
    Released,
    Send,
    SendClear,
)
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

MOST_STRANGER_BYTES = 32 * 1024
"""What may wait of a peer that has not shown a key; an agent's hello has 300 bytes and it waits for the answer."""

MOST_WAITING_BYTES = 512 * 1024
"""What may wait of an agent while other nodes are asked about it."""

STEP_MESSAGES = 128
STEP_BYTES = 256 * 1024
"""What one call works off at most: some milliseconds, judged events included."""

NO_VERSION = "Couldn't retrieve version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a session goes by. `our_version` is the newest protocol level, such as `v4.14.7`."""

    our_version: str
    allow_higher_versions: bool = True
    verify_counters: bool = False
    is_udp: bool = False


class _Waiting(Enum):
    NOTHING = auto()
    KNOWN = auto()
    BOUND = auto()
    GREETED = auto()


class Session:
    """One connection, or one agent's datagrams. `number` tells it from others in the log."""

    __slots__ = (
        "_backlog",
        "_events",
        "_first",
        "_held",
        "_held_keepalive",
        "_is_doomed",
        "_key",
        "_number",
        "_prefix",
        "_queued_bytes",
        "_reader",
        "_rules",
        "_source",
        "_spent_bytes",
        "_waiting",
        "agent",
        "closed",
        "counters",
        "is_bound",
        "is_greeted",
        "last_valid_at",
        "method",
    )

    def __init__(self, rules: Rules, source: str, number: int = 0) -> None:
        self._rules = rules
        self._source = source
        self._number = number
        self._reader = FrameReader()
        self._backlog: list[bytes] = []
        self._first = 0
        self._queued_bytes = 0
        self._spent_bytes = 0
        self._is_doomed = False
        self._waiting = _Waiting.NOTHING
        self._held: tuple[bytes, Opened | None] | None = None
        self._held_keepalive: Keepalive | None = None
        self._key: ChannelKey | None = None
        self._prefix = b""
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

    @property
    def is_waiting(self) -> bool:
        """True while the driver owes an answer to Look, Bind or Greet."""
        return self._waiting is not _Waiting.NOTHING

    @property
    def has_backlog(self) -> bool:
        """True while complete messages wait for the next step."""
        return self._first < len(self._backlog)

    @property
    def held_bytes(self) -> int:
        """What this peer keeps in memory here: a frame that is not whole, and messages that wait."""
        return self._reader.buffered_bytes + self._queued_bytes

    # -- what comes in ------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float, at: float) -> list[Effect]:
        """Bytes of the stream. `now` is monotonic, `at` seconds since 1970."""
        if self.closed or self._is_doomed:
            return []
        try:
            frames = self._reader.feed(data)
        except FrameTooBig as error:
            self._is_doomed = True
            return self._take(error.frames, now, at)
        return self._take(frames, now, at) if frames else []

    def receive_datagram(self, envelope: bytes, now: float, at: float) -> list[Effect]:
        """One datagram."""
        return [] if self.closed else self._take([envelope], now, at)

    def go_on(self, now: float, at: float) -> list[Effect]:
        """The next step of what is left."""
        return [] if self.closed or self.is_waiting else self._work(now, at)

    def known(
        self, agent: Agent | None, now: float, at: float, counters: Counters | None = None
    ) -> list[Effect]:
        """The answer to `Look`, with the agent's last pair of counters where they are checked."""
        assert self._waiting is _Waiting.KNOWN and self._held is not None
        envelope, _ = self._held
        self._waiting, self._held = _Waiting.NOTHING, None
        self.counters = counters
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
        self._prefix = b"!" + self.agent.id.encode() + b"!"
        assert opened is not None
        return self._message(self.agent, opened, at) + self._work(now, at)

    def greeted(self, ok: bool, now: float, at: float) -> list[Effect]:
        """The answer to `Greet`."""
        assert self._waiting is _Waiting.GREETED and self.agent is not None
        keepalive, self._held_keepalive = self._held_keepalive, None
        self._waiting = _Waiting.NOTHING
        if not ok:
            return self._in_use()
        self.is_greeted = True
        answer = Send(control.ACK) if keepalive is None else Alive(self.agent, keepalive)
        return [answer, *self._work(now, at)]

    def _in_use(self) -> list[Effect]:
        assert self.agent is not None
        effects = self._end(logging.WARNING, f"Agent key already in use: agent ID '{self.agent.id}'")
        if self._rules.is_udp and self.is_bound:
            effects.append(Released(self.agent))
        self.is_bound = self.is_greeted = False
        return effects

    # -- envelopes ----------------------------------------------------------------------------------------------

    def _take(self, envelopes: list[bytes], now: float, at: float) -> list[Effect]:
        if self.is_waiting:
            return self._let_wait(envelopes)
        if self._backlog:
            self._backlog += envelopes
        else:
            self._backlog = envelopes
        return self._work(now, at)

    def _let_wait(self, envelopes: list[bytes]) -> list[Effect]:
        queued = self._queued_bytes + sum(map(len, envelopes)) + 64 * len(envelopes)
        if queued > (MOST_WAITING_BYTES if self.is_bound else MOST_STRANGER_BYTES):
            if self._rules.is_udp:
                return []
            return self._end(logging.WARNING, f"Peer {self._source} sends too much before it is known.")
        self._queued_bytes = queued
        self._backlog += envelopes
        return []

    def _work(self, now: float, at: float) -> list[Effect]:
        """Works off one step of the backlog."""
        effects: list[Effect] = []
        backlog, place = self._backlog, self._first
        last = min(len(backlog), place + STEP_MESSAGES)
        self._spent_bytes = 0
        while (
            place < last
            and self._waiting is _Waiting.NOTHING
            and self._spent_bytes < STEP_BYTES
            and not self.closed
        ):
            self._first = place = place + 1
            effects += self._envelope(backlog[place - 1], now, at)
        self._with_events(effects)
        if self.closed or place >= len(backlog):
            self._backlog, self._first, self._queued_bytes = [], 0, 0
        elif self.is_waiting:
            effects += self._shed()
        else:
            effects.append(More())
        if self._is_doomed and not (self.closed or self.has_backlog or self.is_waiting):
            effects += self._end(logging.WARNING, f"Too big message size from socket [{self._number}].")
        return effects

    def _shed(self) -> list[Effect]:
        """What is left of this read now waits for an answer, within the bound."""
        rest, self._backlog, self._first = self._backlog[self._first :], [], 0
        self._queued_bytes = 0
        return self._let_wait(rest)

    def _with_events(self, effects: list[Effect]) -> list[Effect]:
        if self._events:
            effects.append(Deliver(tuple(self._events)))
            self._events = []
        return effects

    def _envelope(self, envelope: bytes, now: float, at: float) -> list[Effect]:
        prefix = self._prefix
        if self.is_bound and envelope.startswith(prefix) and len(envelope) > len(prefix):
            assert self.agent is not None
            return self._open(self.agent, envelope[len(prefix) :], now, at)
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
        return self._open(agent, found.rest, now, at)

    def _open(self, agent: Agent, sealed: bytes, now: float, at: float) -> list[Effect]:
        if self._key is None or self.agent is not agent:
            self._key = agent_message.derive(agent.entry)
        try:
            opened = agent_message.open_envelope(sealed, self._key)
        except OpenFailure as failure:
            return self._not_opened(agent, sealed, failure)
        if self._rules.verify_counters and (refusal := self._check_counters(agent, opened)):
            return refusal
        self._spent_bytes += len(opened.message)
        self.counters = opened.counters
        self.agent = agent
        self.method = opened.method
        self.last_valid_at = now
        if self.is_bound:
            return self._message(agent, opened, at)
        self._waiting, self._held = _Waiting.BOUND, (b"", opened)
        return [Bind(agent)]

    def _check_counters(self, agent: Agent, opened: Opened) -> list[Effect]:
        verdict = counters.judge(self.counters, opened.counters)
        if verdict is Verdict.ACCEPT:
            return []
        if verdict is Verdict.OLDER:
            return self._refuse(logging.WARNING, _text_1404(agent.id, self._source))
        assert self.counters is not None
        warning = (
            f"Duplicate error:  global: {opened.counters.global_}, local: {opened.counters.local}, "
            f"saved global: {self.counters.global_}, saved local:{self.counters.local}"
        )
        refusal = self._refuse(logging.ERROR, f"(1407): Duplicated counter for '{agent.name}'.")
        return [Log(logging.WARNING, warning), *refusal]

    def _not_opened(self, agent: Agent, sealed: bytes, failure: OpenFailure) -> list[Effect]:
        """The number says what failed. A failure before decryption shows the registered address, as agents' keepers
        know it; one that needed the plaintext shows the source. Blowfish has no padding to fail on."""
        by = f"Message received from agent '{agent.id}' at '{agent.ip}'."
        match failure.number:
            case 1403:
                return self._refuse(logging.ERROR, self._text_1403(agent.id))
            case 1404:
                is_after = sealed.startswith(Method.BLOWFISH.value)
                return self._refuse(
                    logging.WARNING, _text_1404(agent.id, self._source if is_after else agent.ip)
                )
            case 1406:
                return self._refuse(logging.ERROR, f"(1406): Checksum mismatch. {by}")
            case 2202:
                return self._refuse(logging.WARNING, f"(2202): Error uncompressing string. {by}")
        return self._refuse(logging.WARNING, f"Message of agent '{agent.id}': {failure.reason}.")

    def _refuse(self, level: int, text: str) -> list[Effect]:
        """An envelope that did not open."""
        effects: list[Effect] = [Log(level, text)]
        if not self._rules.is_udp:
            effects.append(Log(logging.WARNING, f"Decrypt the message fail, socket {self._number}"))
        return [*self._with_events([]), *effects, *self._close()]

    def _text_1403(self, identity: str) -> str:
        return f"(1403): Incorrectly formatted message from agent '{identity}' (host '{self._source}')."

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
            case Keepalive() as keepalive if self.is_greeted:
                return [Alive(agent, keepalive)]
            case Keepalive() as keepalive:
                self._waiting, self._held_keepalive = _Waiting.GREETED, keepalive
                return [Greet(agent, None, is_hello=False)]
            case control.Shutdown():
                if self._rules.is_udp:
                    self.is_bound = self.is_greeted = False
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
        if self._rules.is_udp:
            return []
        self.closed = True
        return [Close()]


def _text_1404(identity: str, address: str) -> str:
    return (
        "(1404): Authentication error. Wrong key or corrupt payload. "
        f"Message received from agent '{identity}' at '{address}'."
    )
