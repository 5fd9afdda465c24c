"""The manager's side of port 1514: sockets in front, sessions in the middle, the rest of the node behind ports.

It carries out what sessions say, in order. One live connection an agent, over the whole cluster; unidentified peers are
bounded in number, time and memory; when events find no room the server stops reading from the agents that send them,
and when that lasts it hands its agents over: an agent that is refused holds its lines back, one that is kept waiting
loses them.
Source: spec/agent-channel.md 3, 4, 6.5, 7.1, 9, 10.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import OrderedDict, deque
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path

from garrison.channel import effects as effects_of
from garrison.channel.bundle_client import Pushes
from garrison.channel.counter_store import CounterStore, ReceivedStore
from garrison.channel.effects import Effect
from garrison.channel.listen_server import BACKLOG, most_connections, open_socket
from garrison.channel.noise import Noise
from garrison.channel.peer_server import Host, Peer, TcpPeer, UdpPeers
from garrison.channel.ports import AgentEvent, Bundles, Cluster, EventSink, Keys, Statuses
from garrison.channel.proxy_header import is_trusted
from garrison.channel.request_client import CANNOT_SEND, Requests
from garrison.channel.roster import Roster
from garrison.channel.session import Rules
from garrison.channel.waiting_room import WaitingRoom
from garrison.config.model import InternalOptions, RemoteConfig
from garrison.ground.clock import Clock
from garrison.ground.entropy import Entropy
from garrison.ground.errors import ConfigError, GarrisonError
from garrison.ground.log import ProgramAdapter
from garrison.ground.tasks import Brood, Stop, pause
from garrison.ground.version import PROTOCOL
from garrison.registry.model import Agent
from garrison.wire import control
from garrison.wire.counters import Counters

MOST_UNIDENTIFIED = 4096
MOST_UNIDENTIFIED_OF_SOURCE = 1024
MOST_UNIDENTIFIED_BYTES = 8 * 1024 * 1024
UNIDENTIFIED_FOR_S = 60.0
CLAIM_WITHIN_S = 2.0
LINGER_FOR_S = 5.0
SICK_AFTER_S = 10.0
"""So long may events find no room before the agents are handed over."""

NO_ROOM = "events find no room"

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
    """Serves the agents of one secure `<remote>` block. With `reuse_port` several processes share its port."""

    def __init__(
        self,
        config: RemoteConfig,
        options: InternalOptions,
        around: Surroundings,
        *,
        reuse_port: bool = False,
    ) -> None:
        self._config = config
        self._options = options
        self._around = around
        self._reuse_port = reuse_port
        self.rules = self._make_rules(is_udp=False)
        self.udp_rules = self._make_rules(is_udp=True)
        self.send_buffer_bytes = options.remoted_send_buffer_size
        self._counters = CounterStore(around.counter_file)
        self._received = ReceivedStore(around.counter_file.parent) if self.rules.verify_counters else None
        self._requests = Requests(options, around.clock, around.entropy)
        self._pushes = Pushes(options, around.clock)
        self._roster: Roster[Peer] = Roster(config.connection_overtake_time_s)
        self._unidentified: WaitingRoom[TcpPeer] = WaitingRoom(
            most=MOST_UNIDENTIFIED,
            most_of_source=MOST_UNIDENTIFIED_OF_SOURCE,
            most_bytes=MOST_UNIDENTIFIED_BYTES,
            stay_s=UNIDENTIFIED_FOR_S,
        )
        self._peers: set[TcpPeer] = set()
        self._lingering: OrderedDict[TcpPeer, float] = OrderedDict()
        self._most_peers = most_connections()
        self._brood = Brood("channel")
        self._noise = Noise()
        self._life = around.entropy.bytes(4).hex()
        self._serial = 0
        self._assigning: set[str] = set()
        self._is_full = False
        self._paused: set[Peer] = set()
        self._server: asyncio.Server | None = None
        self._datagrams: UdpPeers | None = None
        self._shut: set[str] = set()
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
        await self._listen()
        try:
            while await pause(self._around.clock, 1.0, stop):
                await self._tick()
        finally:
            self._stop_listening()
            await self._end()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        if "tcp" in self._config.protocols:
            sock = open_socket(self._config, self._options, socket.SOCK_STREAM, reuse_port=self._reuse_port)
            self._server = await loop.create_server(lambda: TcpPeer(self), sock=sock, backlog=BACKLOG)
        if "udp" in self._config.protocols:
            try:
                sock = open_socket(
                    self._config, self._options, socket.SOCK_DGRAM, reuse_port=self._reuse_port
                )
            except ConfigError:
                self._stop_listening()
                raise
            _, self._datagrams = await loop.create_datagram_endpoint(lambda: UdpPeers(self), sock=sock)
        words = ",".join(word.upper() for word in sorted(self._config.protocols))
        log.info(
            "Listening on port %d/%s (secure). Up to %d agents.", self._config.port, words, self._most_peers
        )
        self.listening.set()

    def _stop_listening(self) -> None:
        self.listening.clear()
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._datagrams is not None:
            self._datagrams.close()
            self._datagrams = None

    async def _tick(self) -> None:
        now = self.now()
        for peer in self._unidentified.expire(now):
            peer.abort()
        while self._lingering and next(iter(self._lingering.values())) <= now:
            peer, _ = self._lingering.popitem(last=False)
            peer.abort()
        if self._datagrams is not None:
            self._datagrams.sweep(now)
        self._note_received()
        if count := self._noise.held_back(now):
            log.warning("%d lines about peers were held back since the last such line.", count)
        if not self._shut and not self.listening.is_set():
            try:
                await self._listen()
            except ConfigError as error:
                log.error("%s", error)

    async def _end(self) -> None:
        for peer in list(self._peers):
            peer.close()
        for _ in range(100):
            if not self._peers:
                break
            await asyncio.sleep(0.005)
        for peer in list(self._peers):
            peer.abort()
        self._note_received()
        await self._brood.end()

    def connected(self) -> int:
        """How many agents have a connection here."""
        return len(self._roster)

    def hand_over(self, reason: str) -> None:
        """Until `take_agents` with the same reason nobody is served here: agents find themselves another node."""
        if reason in self._shut:
            return
        self._shut.add(reason)
        log.warning("Agents are handed over to other nodes, and none are taken: %s.", reason)
        for _, holder in self._roster.holders():
            if holder.is_udp:
                holder.send(control.FORCE_RECONNECT)
        self._stop_listening()
        for peer in list(self._peers):
            peer.close()
        for identity, holder in self._roster.holders():
            if holder.is_udp:
                holder.close()
                self._roster.leave(identity, holder)

    def take_agents(self, reason: str) -> None:
        """What `hand_over` said is no longer so; when nothing else keeps them out, agents are taken again."""
        if reason in self._shut:
            self._shut.discard(reason)
            if not self._shut:
                log.info("Agents are taken again.")

    # -- what sockets ask -----------------------------------------------------------------------------------------

    def now(self) -> float:
        return self._around.clock.monotonic()

    def at(self) -> float:
        return self._around.clock.now().timestamp()

    def next_number(self) -> int:
        self._serial += 1
        return self._serial

    def seal_numbers(self) -> tuple[Counters, int]:
        return self._counters.next(), self._around.entropy.below(65536)

    def trusts_proxy(self, source: str) -> bool:
        return self._config.proxy_protocol and is_trusted(source, self._config.proxy_trusted)

    def opened(self, peer: TcpPeer) -> bool:
        if self._shut:
            peer.abort()
            return False
        if len(self._peers) >= self._most_peers:
            if self._noise.allows("full", self.now()):
                log.error(
                    "(1242): Couldn't accept TCP connections: this node holds %d, as many as its limit of open "
                    "files lets it.",
                    len(self._peers),
                )
            peer.abort()
            return False
        self._peers.add(peer)
        is_crowd = self.trusts_proxy(peer.source)
        for other in self._unidentified.enter(peer, peer.source, self.now(), is_crowd=is_crowd):
            other.abort()
        return True

    def lingers(self, peer: TcpPeer) -> None:
        self._lingering.setdefault(peer, self.now() + LINGER_FOR_S)

    def lost(self, peer: Peer) -> None:
        if isinstance(peer, TcpPeer):
            self._peers.discard(peer)
            self._unidentified.leave(peer)
            self._lingering.pop(peer, None)
        self._leave(peer)

    def _leave(self, peer: Peer) -> None:
        self._paused.discard(peer)
        agent = peer.session.agent
        if agent is not None and self._roster.leave(agent.id, peer):
            self._note_pair(peer)

    def say(self, peer: Peer, level: int, text: str) -> None:
        if self._noise.allows(peer.source, self.now()):
            log.log(level, "%s", text)

    # -- counters of agents, where they are checked -----------------------------------------------------------------

    def _last_pair(self, agent: Agent | None) -> Counters | None:
        if self._received is None or agent is None:
            return None
        holder = self._roster.holder(agent.id)
        if holder is not None:
            self._note_pair(holder)
        return self._received.last(agent.id)

    def _note_pair(self, peer: Peer) -> None:
        session = peer.session
        if self._received is not None and session.agent is not None and session.counters is not None:
            self._received.note(session.agent.id, session.counters)

    def _note_received(self) -> None:
        if self._received is not None:
            for _, peer in self._roster.holders():
                self._note_pair(peer)
            self._received.flush()

    # -- what sessions say ------------------------------------------------------------------------------------------

    def perform(self, peer: Peer, effects: list[Effect]) -> None:
        """Carries out the effects in order; answers that are known at once are given at once."""
        queue = deque(effects)
        while queue:
            if answers := self._do(peer, queue.popleft()):
                queue.extendleft(reversed(answers))
        self._settle(peer)

    def _settle(self, peer: Peer) -> None:
        """Reads on from a peer that nothing waits for."""
        session = peer.session
        if isinstance(peer, TcpPeer) and not session.is_bound and not session.closed:
            if not self._unidentified.holds(peer, session.held_bytes):
                self.say(peer, logging.WARNING, f"Peer {peer.source} sends too much before it is known.")
                peer.abort()
                return
        if session.is_waiting or session.has_backlog or peer in self._paused:
            peer.pause()
        else:
            peer.resume()

    def _do(self, peer: Peer, effect: Effect) -> list[Effect]:
        match effect:
            case effects_of.Deliver(events=events):
                self._deliver(peer, events)
            case effects_of.More():
                self._go_on_later(peer)
            case effects_of.Send(message=message):
                peer.send(message)
            case effects_of.SendClear(data=data):
                peer.send_clear(data)
            case effects_of.Look():
                return self._look(peer, effect)
            case effects_of.Bind(agent=agent):
                return self._bind(peer, agent)
            case effects_of.Greet():
                self._ask(peer, self._greet(peer, effect), "greet")
            case effects_of.Log(level=level, text=text):
                self.say(peer, level, text)
            case effects_of.Close():
                peer.close()
            case _:
                self._hear(peer, effect)
        return []

    def _hear(self, peer: Peer, effect: Effect) -> None:
        """What an agent says about itself."""
        match effect:
            case effects_of.Alive():
                self._alive(peer, effect)
            case effects_of.Answered(agent=agent, counter=counter, body=body):
                ack = self._requests.take(agent.id, counter, body, is_udp=peer.is_udp)
                if ack is not None:
                    peer.send(ack)
            case effects_of.Ended(agent=agent):
                self._ended(peer, agent)
            case effects_of.Released():
                self._leave(peer)
            case effects_of.RefusedVersion(agent=agent, code=code):
                self._around.statuses.record_refusal(agent.id, code)
            case _:
                raise AssertionError(f"nobody carries out {effect}")

    def _go_on_later(self, peer: Peer) -> None:
        if peer not in self._paused:
            asyncio.get_running_loop().call_soon(self._go_on, peer)

    def _go_on(self, peer: Peer) -> None:
        if peer not in self._paused:
            self.perform(peer, peer.session.go_on(self.now(), self.at()))

    def _ask(self, peer: Peer, question: Coroutine[None, None, None], name: str) -> None:
        """The session waits for the answer; when our own bug keeps it away the peer must not wait forever."""

        async def answer() -> None:
            try:
                await question
            except BaseException:
                peer.close()
                raise

        self._brood.start(answer(), name=name)

    def _look(self, peer: Peer, wanted: effects_of.Look) -> list[Effect]:
        keys = self._around.keys
        agent = keys.by_address(wanted.address) if wanted.address else keys.agent(wanted.identity or "")
        if agent is not None:
            return peer.session.known(agent, self.now(), self.at(), self._last_pair(agent))
        self._ask(peer, self._look_further(peer, wanted), "look")
        return []

    async def _look_further(self, peer: Peer, wanted: effects_of.Look) -> None:
        keys = self._around.keys
        agent: Agent | None = None
        try:
            if wanted.identity is not None:
                agent = await keys.find(wanted.identity)
            else:
                agent = await keys.find_address(wanted.address or "")
        except GarrisonError as error:
            log.debug("nobody can say who %s is: %s", peer.source, error)
        if not peer.session.closed:
            known = peer.session.known(agent, self.now(), self.at(), self._last_pair(agent))
            self.perform(peer, known)

    def _bind(self, peer: Peer, agent: Agent) -> list[Effect]:
        stays, replaced = self._roster.enter(agent.id, peer, self.now())
        if replaced is not None:
            replaced.close()
        if stays and isinstance(peer, TcpPeer):
            self._unidentified.leave(peer)
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
        if may and hello.is_hello:
            self._around.statuses.record_startup(hello.agent.id, self._session_name(peer), hello.version)
        self.perform(peer, peer.session.greeted(may, self.now(), self.at()))

    def _session_name(self, peer: Peer) -> str:
        """What tells one connection of an agent from another in its status, over restarts of this node too."""
        return f"{peer.source}.{self._life}.{peer.number}"

    def _alive(self, peer: Peer, alive: effects_of.Alive) -> None:
        agent = self._around.keys.agent(alive.agent.id) or alive.agent
        peer.send(control.ACK)
        groups = agent.groups
        if not groups:
            groups = ("default",)
            if agent.id not in self._assigning:
                self._assigning.add(agent.id)
                self._brood.start(self._assign(agent.id), name="assign")
        bundle = self._around.bundles.bundle(groups)
        synced = bundle is None or alive.keepalive.merged_sum == bundle.md5
        name = self._session_name(peer)
        self._around.statuses.record_keepalive(agent.id, name, alive.keepalive, synced=synced)
        if bundle is not None and not synced and peer.transfer is None:
            peer.transfer = bundle
            self._brood.start(self._pushes.push(peer, agent.id, bundle), name="push")

    async def _assign(self, identity: str) -> None:
        try:
            await self._around.cluster.assign_default_group(identity)
        except GarrisonError as error:
            log.debug("group of agent %s not assigned: %s", identity, error)
        finally:
            self._assigning.discard(identity)

    def _ended(self, peer: Peer, agent: Agent) -> None:
        self._around.statuses.record_shutdown(agent.id, self._session_name(peer))
        text = f"ossec: Agent stopped: '{agent.name}->{agent.ip}'.".encode()
        self._deliver(peer, (AgentEvent(agent, "1", b"wazuh-remoted", text, self.at()),))
        if peer.is_udp:
            self._leave(peer)

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
        waits = Brood("room")
        try:
            room = waits.start(self._around.events.room(), name="room")
            limit = waits.start(self._around.clock.sleep(SICK_AFTER_S), name="limit")
            await asyncio.wait({room, limit}, return_when=asyncio.FIRST_COMPLETED)
            if not room.done():
                self.hand_over(NO_ROOM)
            await room
        finally:
            await waits.end()
        self._is_full = False
        paused, self._paused = self._paused, set()
        for peer in paused:
            if peer.session.has_backlog:
                self._go_on_later(peer)
            else:
                self._settle(peer)
        self.take_agents(NO_ROOM)

    # -- what the node asks -----------------------------------------------------------------------------------------

    def agent_changed(self, agent: Agent) -> None:
        """The registry has another record of the agent: one that was removed, or has another key, is cut off."""
        peer = self._roster.holder(agent.id)
        known = peer.session.agent if peer is not None else None
        if peer is not None and known is not None and (agent.removed or known.entry != agent.entry):
            log.info(
                "Agent '%s' (%s) is disconnected: its entry was removed or changed.", known.name, known.id
            )
            self._leave(peer)
            peer.close()
        if agent.removed and self._received is not None:
            self._received.forget(agent.id)

    def release(self, identity: str) -> bool:
        """Another node wants to serve the agent: False while this node has a fresh connection of it."""
        peer = self._roster.holder(identity)
        if peer is None:
            return True
        if not self._roster.is_stale(identity, self.now()):
            return False
        self._leave(peer)
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
