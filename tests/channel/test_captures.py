"""Recorded conversations of stock peers, played again: what the agents sent goes in, with the pauses that they made;
what comes out must be what the stock manager sent, connection by connection, in the same order.

The manager's own orders (requests, active responses) are given when the recording shows them, with the counters that it
drew. Left out are `reconnect-silent-manager`, whose manager was stopped by a signal, and event-fim, event-inventory,
where other daemons of the manager answer. One difference is ours: a question to an agent that said over UDP that it
ends is answered at once, the stock manager sends it four times into the void.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from garrison.channel import server as channel_server
from garrison.channel.peer_server import TcpPeer, UdpPeers
from garrison.config.model import InternalOptions
from garrison.ground.tasks import start
from garrison.registry.model import Agent
from garrison.wire import agent_message, control
from garrison.wire.agent_frame import FrameReader
from garrison.wire.client_keys import decode_key_line
from tests.channel.surroundings import Node
from tests.support.reference import vectors

WHOLE = """
session-tcp-start session-tcp-single-ip session-tcp-blowfish session-tcp-multigroup session-udp-start
session-udp-big-bundle event-kinds event-long-lines event-flood error-wrong-key error-wrong-key-udp error-unknown-id
error-version-too-high error-no-prefix-unknown-address error-key-in-use takeover wrong-name-right-key raw-frames
orders-tcp orders-udp reconnect-after-kill
""".split()

TO_MANAGER, TO_AGENT = "agent->manager", "manager->agent"


class ScriptedEntropy:
    """Draws the counters of the recording's requests."""

    def __init__(self, counters: list[int]) -> None:
        self.counters = deque(counters)

    def bytes(self, count: int) -> bytes:
        return bytes(count)

    def below(self, bound: int) -> int:
        return self.counters.popleft() if bound == 1 << 32 else 7


@dataclass
class Heard:
    """What the manager did on one connection: messages (with the clock's time) and its close."""

    envelopes: list[tuple[float, bytes]] = field(default_factory=list)
    closed: bool = False


class Transport(asyncio.Transport):
    """A connection that exists only in memory."""

    def __init__(self, heard: Heard, clock: Any, protocol: Any) -> None:
        super().__init__()
        self.heard, self.clock, self.protocol = heard, clock, protocol
        self.frames = FrameReader()
        self.closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 40000) if name == "peername" else default

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: Any) -> None:
        self.heard.envelopes += [(self.clock.monotonic(), found) for found in self.frames.feed(bytes(data))]

    def close(self) -> None:
        if not self.closing:
            self.closing = self.heard.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def hang_up(self) -> None:
        """The agent closes."""
        if not self.closing:
            self.closing = True
            self.protocol.connection_lost(None)


class Datagrams(asyncio.DatagramTransport):
    """Datagrams in memory; the port of an address is the recording's connection number."""

    def __init__(self, heard: dict[int, Heard], clock: Any) -> None:
        super().__init__()
        self.heard, self.clock = heard, clock

    def is_closing(self) -> bool:
        return False

    def sendto(self, data: Any, addr: Any = None) -> None:
        self.heard.setdefault(addr[1], Heard()).envelopes.append((self.clock.monotonic(), bytes(data)))


class Replay:
    """One recording."""

    def __init__(self, recording: Any, tmp_path: Path) -> None:
        self.events = cut(recording["events"])
        line = recording.get("manager_client_keys_line") or recording["client_keys_line"]
        entry = decode_key_line(line)
        assert entry is not None
        name = recording["name"]
        ip = "any" if name == "error-no-prefix-unknown-address" else entry.ip
        self.agent = Agent(id=entry.id, name=entry.name, ip=ip, key=entry.key, groups=("default",))
        self.opening = agent_message.derive(self.agent.entry)
        self.node = Node(tmp_path, allow_higher_versions=False)
        self.node.known = {} if name == "error-unknown-id" else {self.agent.id: self.agent}
        if name == "error-wrong-key-udp":
            self.node.known[self.agent.id] = Agent(id=entry.id, name=entry.name, ip="any", key="f" * 64)
        self.node.in_engine = {}
        counters = [
            int(event["plaintext"].split()[1], 16)
            for event in self.events
            if event.get("is_order") and event["plaintext"].startswith("#!-req ")
        ]
        around = channel_server.Surroundings(
            keys=self.node, bundles=self, statuses=self.node, cluster=self.node, events=self.node,
            clock=self.node.clock, entropy=ScriptedEntropy(counters), counter_file=tmp_path / "counter",
        )  # fmt: skip
        self.server = channel_server.AgentServer(
            self.node.config, InternalOptions(remoted_response_timeout_s=10_000), around
        )
        self.datagrams = UdpPeers(self.server)
        self.heard: dict[int, Heard] = {}
        self.transports: dict[int, Transport] = {}
        self.offered = deque(self._bundles_by_time())
        self.tasks: list[asyncio.Task[Any]] = []

    def _bundles_by_time(self) -> list[tuple[float, bytes]]:
        """(from when the group has it, its bytes): the first one from the start, unless an earlier keepalive of an agent
        without files got none; the later ones from the keepalive that they are pushed at."""
        found: list[tuple[float, bytes]] = []
        open_, asked_at, begun_at = None, 0.0, 0.0
        keepalives = 0
        for event in self.events:
            text = event.get("plaintext", "")
            if event["dir"] == TO_MANAGER and text.startswith("#!-") and "\n" in text:
                asked_at, keepalives = event["t_ms"], keepalives + 1
            elif event["dir"] == TO_AGENT and text.startswith("#!-up file"):
                open_, begun_at = b"", 0.0 if not found and keepalives == 1 else asked_at
            elif event["dir"] == TO_AGENT and text.startswith("#!-close file"):
                if open_ is not None and (not found or found[-1][1] != open_):
                    found.append((begun_at, open_))
                open_ = None
            elif event["dir"] == TO_AGENT and open_ is not None and not text.startswith("#!-"):
                open_ += event_bytes(event, self.opening)
        return found

    def bundle(self, groups: tuple[str, ...]) -> Any:
        now_ms = self.node.clock.monotonic() * 1000
        while len(self.offered) > 1 and self.offered[1][0] <= now_ms + 0.5:
            self.offered.popleft()
        if not self.offered or self.offered[0][0] > now_ms + 0.5:
            return None
        data = self.offered[0][1]
        return Bundle(data, hashlib.md5(data, usedforsecurity=False).hexdigest())

    async def play(self) -> None:
        self.datagrams.connection_made(Datagrams(self.heard, self.node.clock))
        for event in self.events:
            wait_s = event["t_ms"] / 1000 - self.node.clock.monotonic()
            await self.node.clock.advance(max(0.0, wait_s))
            if event["dir"] == "note":
                self._raw_note(event["note"])
            elif event["dir"] == TO_MANAGER:
                self._from_agent(event)
            elif event.get("is_order"):
                self._order(event["plaintext"].encode())
        await self.node.clock.advance(120)
        for task in self.tasks:
            task.cancel()
        await self.server._end()

    def _raw_note(self, note: str) -> None:
        """What the recording tells only in words: two frames of raw-frames, and the end of the manager's process."""
        self.raw = {"length 65537": 65537, "length 65536 announced, body not sent": 65536}.get(note)
        if note.startswith("manager: wazuh-remoted"):
            for transport in self.transports.values():
                transport.hang_up()

    def _from_agent(self, event: dict[str, Any]) -> None:
        number = event["conn"]
        match event.get("event"):
            case "connect":
                peer = TcpPeer(self.server)
                heard = self.heard.setdefault(number, Heard())
                self.transports[number] = Transport(heard, self.node.clock, peer)
                peer.connection_made(self.transports[number])
                if getattr(self, "raw", None):
                    assert self.raw is not None
                    peer.data_received(self.raw.to_bytes(4, "little"))
            case "close" | "reset":
                if number in self.transports:
                    self.transports[number].hang_up()
            case None:
                data = bytes.fromhex(event["hex"])
                if number not in self.transports:
                    self.datagrams.datagram_received(data, ("127.0.0.1", number))
                elif not self.transports[number].closing:
                    self.transports[number].protocol.data_received(data)

    def _order(self, message: bytes) -> None:
        order = control.decode_from_manager(message)
        if isinstance(order, control.Request):
            ask = self.server.send_request(self.agent.id, order.target, order.payload)
            self.tasks.append(start(ask, name="replay.ask"))
        else:
            assert self.server.send_control(self.agent.id, message)

    def open(self, envelope: bytes) -> bytes:
        if envelope == agent_message.PONG:
            return envelope
        return agent_message.open_envelope(envelope, self.opening).message


@dataclass
class Bundle:
    data: bytes
    md5: str


def cut(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events that are played, the manager's orders marked; connections that nobody took are left out."""
    refused = {event["conn"] for event in events if event.get("event") == "refused"}
    end = next(
        (
            n
            for n, e in enumerate(events)
            if e.get("note") == "manager, local request to the agent that is gone"
        ),
        len(events),
    )
    asked: set[str] = set()
    for event in events:
        text = event.get("plaintext", "")
        if event["dir"] == TO_AGENT and text.startswith("#!-"):
            event["is_order"] = is_order(text, asked)
    return [event for event in events[:end] if event.get("conn") not in refused]


def is_order(text: str, asked: set[str]) -> bool:
    """True for what an operator or another part of the manager sent; a request that is sent again is no other one."""
    if text.startswith("#!-req "):
        counter = text.split()[1]
        is_new = counter not in asked and not text.endswith(" ack")
        asked.add(counter)
        return is_new
    return not text.startswith(("#!-agent ack", "#!-err", "#!-up file", "#!-close file"))


def event_bytes(event: dict[str, Any], key: agent_message.ChannelKey) -> bytes:
    envelope = bytes.fromhex(event["hex"])
    if event.get("plaintext", "").startswith("#pong"):
        return b"#pong"
    if envelope[:1] not in (b"#", b":"):
        envelope = envelope[4:]
    return agent_message.open_envelope(envelope, key).message


def expected_of(replay: Replay) -> dict[int, list[tuple[float, bytes]]]:
    found: dict[int, list[tuple[float, bytes]]] = {}
    for event in replay.events:
        if event["dir"] == TO_AGENT and "hex" in event:
            is_tcp = event["conn"] in replay.transports
            data = bytes.fromhex(event["hex"])[4 if is_tcp else 0 :]
            found.setdefault(event["conn"], []).append((event["t_ms"] / 1000, replay.open(data)))
    return found


def closed_by_manager(replay: Replay) -> set[int]:
    """Connections that the manager closed first, its process alive."""
    closed: set[int] = set()
    over: set[int] = set()
    for event in replay.events:
        if event.get("note", "").startswith("manager: wazuh-remoted"):
            over |= replay.transports.keys()
        if event.get("event") in ("close", "reset") and event["conn"] not in over:
            over.add(event["conn"])
            if event["dir"] == TO_AGENT:
                closed.add(event["conn"])
    return closed


@pytest.mark.parametrize("name", WHOLE)
def test_a_recording_gives_the_same_messages_and_closes(name: str, tmp_path: Path) -> None:
    replay = Replay(vectors(f"captures/{name}.json"), tmp_path)
    asyncio.run(replay.play())
    expected = expected_of(replay)
    heard = {number: log for number, log in replay.heard.items() if log.envelopes}
    for number in sorted(expected.keys() | heard.keys()):
        ours = [replay.open(envelope) for _, envelope in heard.get(number, Heard()).envelopes]
        theirs = [message for _, message in expected.get(number, [])]
        assert ours == theirs, f"connection {number}"
    ended = closed_by_manager(replay)
    assert {number for number, log in replay.heard.items() if log.closed} == ended


def test_the_pauses_of_a_big_bundle_over_udp_are_the_recorded_ones(tmp_path: Path) -> None:
    replay = Replay(vectors("captures/session-udp-big-bundle.json"), tmp_path)
    asyncio.run(replay.play())
    theirs = [at for at, _ in expected_of(replay)[1]]
    ours = [at for at, _ in replay.heard[1].envelopes]
    assert len(ours) == len(theirs) > 60
    assert all(abs(a - b) < 0.3 for a, b in zip(ours, theirs, strict=True))


SOCKET = re.compile(r"(socket \[?)\d+")
SAME_LOG = """
error-wrong-key error-wrong-key-udp error-unknown-id error-version-too-high error-no-prefix-unknown-address
error-key-in-use takeover wrong-name-right-key raw-frames session-tcp-start session-udp-start
""".split()


@pytest.mark.parametrize("name", SAME_LOG)
def test_a_recording_gives_the_same_warnings(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recording = vectors(f"captures/{name}.json")
    asyncio.run(Replay(recording, tmp_path).play())
    ours = [
        f"wazuh-remoted: {record.levelname}: {SOCKET.sub(lambda found: found[1] + 'N', record.getMessage())}"
        for record in caplog.records
        if record.name.startswith("garrison.channel") and record.levelno >= logging.WARNING
    ]
    theirs = [line for line in recording["manager_log"] if ": INFO: " not in line]
    assert ours == theirs
