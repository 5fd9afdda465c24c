"""The manager's side of port 1514: sockets in front, sessions in the middle, the rest of the node behind ports.

It carries out what sessions say, in order. One live connection an agent, over the whole cluster; unidentified peers are
bounded in number and time; when events find no room the server stops reading from the agents that send them.
Source: spec/agent-channel.md 3, 4, 6.5, 7.1, 9, 10.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from garrison.channel import session as effects_of
from garrison.channel.counter_store import CounterStore
from garrison.channel.peer_server import Host, Peer, TcpPeer, UdpPeers
from garrison.channel.ports import AgentEvent, Bundle, Bundles, Cluster, EventSink, Keys, Statuses
from garrison.channel.proxy_header import is_trusted
from garrison.channel.request_client import CANNOT_SEND, Requests
from garrison.channel.roster import Roster
from garrison.channel.session import Effect, Rules
from garrison.config.model import InternalOptions, RemoteConfig
from garrison.ground.clock import Clock
from garrison.ground.entropy import Entropy
from garrison.ground.errors import ConfigError, Fault, GarrisonError
from garrison.ground.log import ProgramAdapter, RateLimit
from garrison.ground.tasks import Brood, Stop, pause
from garrison.ground.version import PROTOCOL
from garrison.registry.model import Agent
from garrison.wire import control, merged
from garrison.wire.counters import Counters

MOST_UNIDENTIFIED = 4096
UNIDENTIFIED_FOR_S = 60.0
CLAIM_WITHIN_S = 2.0
RESERVED_FILES = 256
UDP_FIRST_CHUNKS = 32
UDP_NEXT_CHUNKS = 31

log = ProgramAdapter(__name__, "wazuh-remoted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the node hands in."""

    keys: Keys
    bundles: Bundles
    statuses: Statuses
    cluster: Cluster
    events: EventSink
    clock: Clock
    entropy: Entropy
    counter_file: Path


class AgentServer(Host):
    """Serves the agents of one secure `<remote>` block."""

    def __init__(self, config: RemoteConfig, options: InternalOptions, around: Surroundings) -> None:
        self._config = config
        self._options = options
        self._around = around
        self.rules = self._make_rules(is_udp=False)
        self.udp_rules = self._make_rules(is_udp=True)
        self.send_buffer_bytes = options.remoted_send_buffer_size
        self._counters = CounterStore(around.counter_file)
        self._requests = Requests(options, around.clock, around.entropy)
        self._roster: Roster[Peer] = Roster(config.connection_overtake_time_s)
        self._unidentified: OrderedDict[TcpPeer, float] = OrderedDict()
        self._peers: set[TcpPeer] = set()
        self._most_peers = most_connections()
        self._brood = Brood("channel")
        self._noise = RateLimit(burst=20, per_s=2)
        self._serial = 0
        self._is_full = False
        self._paused: set[Peer] = set()
        self.listening = asyncio.Event()
        self.dropped_events = 0

    def _make_rules(self, *, is_udp: bool) -> Rules:
        return Rules(
            our_version=f"v{PROTOCOL}",
            allow_higher_versions=self._config.allow_higher_versions,
            verify_counters=bool(self._options.remoted_verify_msg_id),
            is_udp=is_udp,
        )

    # -- life ---------------------------------------------------------------------------------------------------

    async def run(self, stop: Stop) -> None:
        """Serves until `stop`; then stops listening first and closes every connection."""
        loop = asyncio.get_running_loop()
        server: asyncio.Server | None = None
        datagrams: UdpPeers | None = None
        if "tcp" in self._config.protocols:
            server = await loop.create_server(
                self._new_peer, sock=open_socket(self._config, socket.SOCK_STREAM)
            )
        if "udp" in self._config.protocols:
            sock = open_socket(self._config, socket.SOCK_DGRAM)
            _, datagrams = await loop.create_datagram_endpoint(lambda: UdpPeers(self), sock=sock)
        words = ",".join(word.upper() for word in sorted(self._config.protocols))
        log.info(
            "Listening on port %d/%s (secure). Up to %d agents.", self._config.port, words, self._most_peers
        )
        self.listening.set()
        try:
            while await pause(self._around.clock, 1.0, stop):
                self._cut_unidentified()
        finally:
            if server is not None:
                server.close()
            if datagrams is not None:
                datagrams.close()
            await self._end()

    async def _end(self) -> None:
        for peer in list(self._peers):
            peer.close()
        for _ in range(100):
            if not self._peers:
                break
            await asyncio.sleep(0.005)
        for peer in list(self._peers):
            peer.abort()
        await self._brood.end()

    def _new_peer(self) -> TcpPeer:
        self._serial += 1
        return TcpPeer(self, f"{self._serial}")

    def connected(self) -> int:
        """How many agents have a connection here."""
        return len(self._roster)

    # -- what sockets ask -----------------------------------------------------------------------------------------

    def now(self) -> float:
        return self._around.clock.monotonic()

    def at(self) -> float:
        return self._around.clock.now().timestamp()

    def seal_numbers(self) -> tuple[Counters, int]:
        return self._counters.next(), self._around.entropy.below(65536)

    def trusts_proxy(self, source: str) -> bool:
        return self._config.proxy_protocol and is_trusted(source, self._config.proxy_trusted)

    def opened(self, peer: TcpPeer) -> bool:
        if len(self._peers) >= self._most_peers:
            if self._noise.allows("full", self.now()):
                log.error(
                    "This node holds %d connections, as many as its limit of open files lets it.",
                    len(self._peers),
                )
            peer.abort()
            return False
        self._peers.add(peer)
        self._unidentified[peer] = self.now()
        if len(self._unidentified) > MOST_UNIDENTIFIED:
            oldest, _ = self._unidentified.popitem(last=False)
            oldest.abort()
        return True

    def lost(self, peer: Peer) -> None:
        if isinstance(peer, TcpPeer):
            self._peers.discard(peer)
            self._unidentified.pop(peer, None)
        self._paused.discard(peer)
        if peer.session.agent is not None:
            self._roster.leave(peer.session.agent.id, peer)

    def say(self, peer: Peer, level: int, text: str) -> None:
        if self._noise.allows(peer.source, self.now()):
            log.log(level, "%s", text)

    def _cut_unidentified(self) -> None:
        deadline = self.now() - UNIDENTIFIED_FOR_S
        while self._unidentified:
            peer, since = next(iter(self._unidentified.items()))
            if since > deadline:
                break
            del self._unidentified[peer]
            peer.abort()

    # -- what sessions say ------------------------------------------------------------------------------------------

    def perform(self, peer: Peer, effects: list[Effect]) -> None:
        """Carries out the effects in order; answers that are known at once are given at once."""
        queue = list(effects)
        while queue:
            queue = [*self._do(peer, queue.pop(0)), *queue]

    def _do(self, peer: Peer, effect: Effect) -> list[Effect]:
        match effect:
            case effects_of.Deliver(events=events):
                self._deliver(peer, events)
            case effects_of.Alive():
                self._alive(peer, effect)
            case effects_of.Send(message=message):
                peer.send(message)
            case effects_of.Look():
                return self._look(peer, effect)
            case effects_of.Bind(agent=agent):
                return self._bind(peer, agent)
            case effects_of.Greet():
                self._brood.start(self._greet(peer, effect), name="greet")
            case effects_of.Answered(agent=agent, counter=counter, body=body):
                ack = self._requests.take(agent.id, counter, body, is_udp=peer.is_udp)
                if ack is not None:
                    peer.send(ack)
            case effects_of.Ended(agent=agent):
                self._ended(peer, agent)
            case effects_of.RefusedVersion(agent=agent, code=code):
                self._around.statuses.record_refusal(agent.id, code)
            case effects_of.SendClear(data=data):
                peer.send_clear(data)
            case effects_of.Log(level=level, text=text):
                self.say(peer, level, text)
            case effects_of.Close():
                peer.close()
        return []

    def _look(self, peer: Peer, wanted: effects_of.Look) -> list[Effect]:
        keys = self._around.keys
        agent = keys.by_address(wanted.address) if wanted.address else keys.agent(wanted.identity or "")
        if agent is not None:
            return peer.session.known(agent, self.now(), self.at())
        self._brood.start(self._look_further(peer, wanted), name="look")
        return []

    async def _look_further(self, peer: Peer, wanted: effects_of.Look) -> None:
        keys = self._around.keys
        if wanted.identity is not None:
            agent = await keys.find(wanted.identity)
        else:
            agent = await keys.find_address(wanted.address or "")
        if not peer.session.closed:
            self.perform(peer, peer.session.known(agent, self.now(), self.at()))

    def _bind(self, peer: Peer, agent: Agent) -> list[Effect]:
        stays, replaced = self._roster.enter(agent.id, peer, self.now())
        if replaced is not None:
            replaced.close()
        if stays and isinstance(peer, TcpPeer):
            self._unidentified.pop(peer, None)
        return peer.session.bound(stays, self.now(), self.at())

    async def _greet(self, peer: Peer, hello: effects_of.Greet) -> None:
        """Asks the node that held the agent last; one that is gone or does not answer in time is no obstacle."""
        may = True
        try:
            async with asyncio.timeout(CLAIM_WITHIN_S):
                may = await self._around.cluster.may_take(hello.agent.id)
        except (TimeoutError, GarrisonError) as error:
            log.debug("agent %s is taken without an answer of its last node: %s", hello.agent.id, error)
        if peer.session.closed:
            return
        if may:
            self._around.statuses.record_startup(hello.agent.id, session_name(peer), hello.version)
        self.perform(peer, peer.session.greeted(may, self.now(), self.at()))

    def _alive(self, peer: Peer, alive: effects_of.Alive) -> None:
        agent = self._around.keys.agent(alive.agent.id) or alive.agent
        peer.send(control.ACK)
        groups = agent.groups
        if not groups:
            groups = ("default",)
            self._brood.start(self._assign(agent.id), name="assign")
        bundle = self._around.bundles.bundle(groups)
        synced = bundle is None or alive.keepalive.merged_sum == bundle.md5
        self._around.statuses.record_keepalive(agent.id, session_name(peer), alive.keepalive, synced=synced)
        if bundle is not None and not synced and peer.transfer is None:
            peer.transfer = bundle
            self._brood.start(self._push(peer, bundle), name="push")

    async def _assign(self, identity: str) -> None:
        try:
            await self._around.cluster.assign_default_group(identity)
        except GarrisonError as error:
            log.debug("group of agent %s not assigned: %s", identity, error)

    async def _push(self, peer: Peer, bundle: Bundle) -> None:
        """Sends a bundle in order; abandons it when the agent does not take it. The next keepalive starts it again."""
        try:
            peer.send(control.encode_file_begin(bundle.md5, "merged.mg"))
            left = UDP_FIRST_CHUNKS
            for chunk in merged.bundle_chunks(bundle.data):
                if not await self._send_chunk(peer, chunk):
                    return
                left -= 1
                if peer.is_udp and left == 0:
                    left = UDP_NEXT_CHUNKS
                    await self._around.clock.sleep(1.0)
            peer.send(control.FILE_END)
        finally:
            peer.transfer = None

    async def _send_chunk(self, peer: Peer, chunk: bytes) -> bool:
        if peer.session.closed:
            return False
        if peer.send(chunk):
            return True
        await self._around.clock.sleep(self._options.remoted_send_timeout_to_retry_s)
        return not peer.session.closed and peer.send(chunk)

    def _ended(self, peer: Peer, agent: Agent) -> None:
        self._around.statuses.record_shutdown(agent.id, session_name(peer))
        text = f"ossec: Agent stopped: '{agent.name}->{agent.ip}'.".encode()
        self._deliver(peer, (AgentEvent(agent, "1", b"wazuh-remoted", text, self.at()),))

    # -- events -----------------------------------------------------------------------------------------------------

    def _deliver(self, peer: Peer, events: tuple[AgentEvent, ...]) -> None:
        if peer.is_udp and self._is_full:
            if self.dropped_events == 0:
                log.warning("Message queue is full (%d). Events may be lost.", self._config.queue_size)
            self.dropped_events += len(events)
            return
        if self._around.events.offer(events):
            return
        self._paused.add(peer)
        peer.pause()
        if not self._is_full:
            self._is_full = True
            self._brood.start(self._resume_when_there_is_room(), name="room")

    async def _resume_when_there_is_room(self) -> None:
        await self._around.events.room()
        self._is_full = False
        paused, self._paused = self._paused, set()
        for peer in paused:
            peer.resume()

    # -- what the node asks -----------------------------------------------------------------------------------------

    def agent_changed(self, agent: Agent) -> None:
        """The registry has another record of the agent: one that was removed, or has another key, is cut off."""
        peer = self._roster.holder(agent.id)
        known = peer.session.agent if peer is not None else None
        if peer is not None and known is not None and (agent.removed or known.entry != agent.entry):
            log.info(
                "Agent '%s' (%s) is disconnected: its entry was removed or changed.", known.name, known.id
            )
            self._roster.leave(agent.id, peer)
            peer.close()

    def release(self, identity: str) -> bool:
        """Another node wants to serve the agent: False while this node has a fresh connection of it."""
        peer = self._roster.holder(identity)
        if peer is None:
            return True
        if not self._roster.is_stale(identity, self.now()):
            return False
        self._roster.leave(identity, peer)
        peer.close()
        return True

    def send_control(self, identity: str, message: bytes) -> bool:
        """True when the message went out to the agent."""
        peer = self._roster.holder(identity)
        return peer is not None and peer.session.is_greeted and peer.send(message)

    async def send_request(self, identity: str, target: str, payload: bytes | None) -> bytes:
        """The agent's answer to a question, or an `err ...` text."""
        peer = self._roster.holder(identity)
        if peer is None or not peer.session.is_greeted:
            return CANNOT_SEND
        return await self._requests.ask(identity, peer.send, target, payload, is_udp=peer.is_udp)

    def connected_ids(self) -> list[str]:
        """Ids of the agents that are connected here."""
        return [identity for identity, _ in self._roster.holders()]


def session_name(peer: Peer) -> str:
    """What tells one connection of an agent from another in its status."""
    return f"{peer.source}.{peer.name}.{id(peer):x}"


def most_connections() -> int:
    """How many connections the limit of open files leaves; the soft limit is raised to the hard one first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return max(64, soft - RESERVED_FILES)


def open_socket(config: RemoteConfig, kind: socket.SocketKind) -> socket.socket:
    """A bound socket of the configured address; `ConfigError` 1206 when the port cannot be had."""
    address = config.local_ip or ("::" if config.ipv6 else "0.0.0.0")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.bind((address, config.port))
        if kind == socket.SOCK_STREAM:
            sock.listen(4096)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        found = f"(1206): Unable to Bind port '{config.port}' at {address} due to {error.strerror}"
        raise ConfigError([Fault(path="<remote>", line=0, found=found, expected="a free port")]) from error
    return sock
