"""One node put together from its configuration: the place where all parts meet.

The order of life: engine (members only), link, registry and status, shared files, lease and presence, then the
outputs and the analysis, at last the ports of the agents and of the tools. They end in the opposite order.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from dataclasses import dataclass
from typing import Any

from garrison.alerts.attack_load import shown_mitre
from garrison.alerts.labels import Labels, labels_of_keepalive, shown_labels
from garrison.alerts.plan import sink_plan
from garrison.alerts.record import Context
from garrison.alerts.sink import AlertSink
from garrison.analysis.load import load_ruleset
from garrison.analysis.source import Source
from garrison.channel import server as channel_server
from garrison.channel.server import AgentServer
from garrison.channel.syslog_server import SyslogServer
from garrison.cluster.serve import AgentWatch
from garrison.config.home import Home
from garrison.config.load import Loaded, load_manager
from garrison.config.model import ClusterConfig, ManagerConfig, RemoteConfig
from garrison.enrollment.server import EnrollmentServer
from garrison.enrollment.server import Surroundings as EnrollmentSurroundings
from garrison.fabric.client import EngineLink
from garrison.fabric.engine import Engine, find_binary, own_member
from garrison.fabric.engine_conf import EngineSettings, replicas
from garrison.fabric.identity import IdentityFiles, derive_authority, issue_leaf, write_identity
from garrison.fabric.lease import Lease
from garrison.fabric.presence import NodeCard, Presence
from garrison.ground import version
from garrison.ground.clock import Clock
from garrison.ground.entropy import Entropy
from garrison.ground.errors import FabricError, Refused
from garrison.ground.tasks import Stop
from garrison.node.commands import Commands, Parts
from garrison.node.control_server import ControlServer
from garrison.node.event_sink import EventPipeline
from garrison.node.judging_serve import Judging
from garrison.node.logtest import Sessions
from garrison.node.logtest_server import LogTestServer
from garrison.registry.model import Agent
from garrison.registry.status_store import StatusBoard
from garrison.registry.store import Registry
from garrison.shared.sync import SharedFiles

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
LOCAL_AGENT = "000"
CLAIM_WITHIN_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Where this node sits in the cluster: its key, the engine's members, and which of them it is."""

    key: str
    cluster: ClusterConfig
    members: tuple[str, ...]
    own: str | None
    address: str


def seat_of(config: ManagerConfig, home: Home, entropy: Entropy) -> Seat:
    """The seat; a node without a cluster is the only member of one of its own, on loopback, with a key of its own."""
    cluster = config.cluster
    if cluster.present and not cluster.disabled:
        is_everywhere = cluster.bind_addr in ("0.0.0.0", "::")
        own = own_member(cluster.nodes, cluster.bind_addr) if is_everywhere else _listed(cluster)
        address = own or (_outward_address(cluster.nodes[0]) if is_everywhere else cluster.bind_addr)
        return Seat(key=cluster.key, cluster=cluster, members=cluster.nodes, own=own, address=address)
    return Seat(
        key=_lone_key(home, entropy), cluster=cluster, members=(LOOPBACK,), own=LOOPBACK, address=LOOPBACK
    )


def _listed(cluster: ClusterConfig) -> str | None:
    """This node's own entry of `<nodes>` when it listens on one address only."""
    return cluster.bind_addr if cluster.bind_addr in cluster.nodes else None


def _lone_key(home: Home, entropy: Entropy) -> str:
    path = home.engine / "lone.key"
    if not path.is_file():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(0o600)
        path.write_text(entropy.bytes(16).hex())
    return path.read_text().strip()


def _outward_address(towards: str) -> str:
    """The address from which this host reaches `towards`; nothing is sent."""
    try:
        found = socket.getaddrinfo(towards, 9, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError:
        return LOOPBACK


class Node:
    """All parts of one node, wired."""

    def __init__(self, home: Home, loaded: Loaded[ManagerConfig], clock: Clock, entropy: Entropy) -> None:
        self.home = home
        self.config = loaded.config
        self._digest = loaded.digest
        self._clock = clock
        self._entropy = entropy
        self.host_name = socket.gethostname()
        self.seat = seat_of(self.config, home, entropy)
        self._files = self._write_identity()
        self.stop = Stop()
        self.is_ready = False
        self.engine = self._make_engine()
        self.link = self._make_link()
        self.board = StatusBoard(self.link, self.node_name, clock)
        self.registry = Registry(self.link, home, clock, entropy, self.board.get)
        instance = entropy.bytes(8).hex()
        is_candidate = self.config.cluster.node_type == "master" or self.config.cluster.disabled
        self.lease = Lease(self.link, clock, instance, is_candidate=is_candidate)
        self.shared = SharedFiles(self.link, home.root, clock, self.lease.is_held)
        self.presence = Presence(self.link, clock, self._card(instance))
        self.judging = Judging(home, self.config, self.host_name)
        plan = sink_plan(self.config.global_, self.config.internal)
        self.outputs = AlertSink(home.logs, plan, self._context(), clock)
        self.pipeline = EventPipeline(self.judging.analyzer, self.outputs, lambda: clock.now().timestamp())
        self.judging.swap = self.pipeline.swap
        self.agents = self._make_agent_server()
        self.syslog = [
            SyslogServer(remote, self.config.internal, self.pipeline, clock)
            for remote in self.config.remotes
            if remote.connection == "syslog"
        ]
        self.enrollment = self._make_enrollment()
        self.watch = AgentWatch(
            self.board,
            self.registry.agent,
            self.config.global_,
            clock,
            self.lease.is_held,
            self.pipeline.tell,
        )
        self.logtest = self._make_logtest()
        self.commands = Commands(self._parts())
        self.control = ControlServer(home.control_socket, self.commands.table())
        self._wire()

    @property
    def node_name(self) -> str:
        """This node's name in the cluster."""
        return self.config.cluster.node_name

    # -- making parts -----------------------------------------------------------------------------------------------

    def _write_identity(self) -> IdentityFiles:
        cluster = self.config.cluster
        authority = derive_authority(self.seat.key, cluster.name)
        leaf = issue_leaf(authority, cluster.node_name, cluster.node_type, [self.seat.address], self._entropy)
        return write_identity(self.home.engine / "tls", authority, leaf)

    def _make_engine(self) -> Engine | None:
        seat, cluster = self.seat, self.config.cluster
        if seat.own is None:
            return None
        settings = EngineSettings(
            cluster_name=cluster.name,
            node_name=cluster.node_name,
            bind_address=seat.own if cluster.bind_addr == "0.0.0.0" else cluster.bind_addr,
            port=cluster.port,
            engine_port=cluster.engine_port,
            members=seat.members,
            folder=self.home.engine,
            log_path=self.home.engine_log,
        )
        binary = find_binary(cluster.engine_path)
        return Engine(settings, self._files, clock=self._clock, entropy=self._entropy, binary=binary)

    def _make_link(self) -> EngineLink:
        return EngineLink(
            self.config.cluster.node_name,
            self.seat.members,
            self.config.cluster.port,
            self._files,
            replicas=replicas(self.seat.members),
            clock=self._clock,
            entropy=self._entropy,
        )

    def _remote(self) -> RemoteConfig | None:
        return next((remote for remote in self.config.remotes if remote.connection == "secure"), None)

    def _card(self, instance: str) -> NodeCard:
        remote = self._remote()
        return NodeCard(
            name=self.config.cluster.node_name,
            instance=instance,
            type=self.config.cluster.node_type,
            version=version.PROTOCOL,
            address=self.seat.address,
            joined_at=time.time(),
            agent_port=remote.port if remote else 1514,
            enroll_port=self.config.auth.port,
            can_enroll=not self.config.auth.disabled and self.config.auth.remote_enrollment,
            is_member=self.seat.own is not None,
            config_digest=self._digest,
        )

    def _context(self) -> Context:
        cluster = self.config.cluster
        is_shown = cluster.present and not cluster.disabled and not cluster.hidden
        return Context(
            manager_name=self.host_name,
            cluster_name=cluster.name if is_shown else None,
            node_name=cluster.node_name if is_shown else None,
            agent_ip=self._agent_ip,
            labels=self._labels,
            mitre=shown_mitre,
        )

    def _agent_ip(self, identity: str) -> str | None:
        status = self.board.get(identity)
        return status.address if status is not None else None

    def _labels(self, identity: str) -> Labels | None:
        shows_hidden = bool(self.config.internal.analysisd_show_hidden_labels)
        if identity == LOCAL_AGENT:
            own = ((label.key, label.value, label.hidden) for label in self.config.labels)
            return shown_labels(own, shows_hidden=shows_hidden) if self.config.labels else None
        status = self.board.get(identity)
        if status is None or not status.labels:
            return None
        return labels_of_keepalive(status.labels, shows_hidden=shows_hidden)

    def _make_agent_server(self) -> AgentServer | None:
        remote = self._remote()
        if remote is None:
            return None
        around = channel_server.Surroundings(
            keys=self.registry,
            bundles=self.shared,
            statuses=self.board,
            cluster=self,
            events=self.pipeline,
            clock=self._clock,
            entropy=self._entropy,
            counter_file=self.home.sender_counter,
        )
        return AgentServer(remote, self.config.internal, around)

    def _make_enrollment(self) -> EnrollmentServer | None:
        auth = self.config.auth
        if auth.disabled or not auth.remote_enrollment:
            return None
        around = EnrollmentSurroundings(
            root=self.home.root,
            registry=self.registry,
            group_exists=self.shared.group_exists,
            host_name=self.host_name,
            clock=self._clock,
        )
        return EnrollmentServer(auth, around)

    def _make_logtest(self) -> LogTestServer | None:
        wanted = self.config.rule_test
        if not wanted.enabled:
            return None
        sessions = Sessions(wanted, self.host_name.encode(), self._context())
        path = self.home.logtest_socket
        return LogTestServer(path, sessions, self._read_ruleset, self._clock, self._entropy)

    def _read_ruleset(self) -> Source:
        """The ruleset as configuration and files are now: what the log test judges by, before any reload."""
        config = load_manager(self.home).config
        timeframe_s = config.internal.analysisd_default_timeframe_s
        return load_ruleset(config.ruleset, config.alerts, self.home.root, timeframe_s=timeframe_s)

    def _parts(self) -> Parts:
        return Parts(
            home=self.home,
            config=self.config,
            host_name=self.host_name,
            link=self.link,
            lease=self.lease,
            presence=self.presence,
            registry=self.registry,
            board=self.board,
            shared=self.shared,
            agents=self.agents,
            reload=self.reload,
            status=self.status,
            end=self.stop.set,
        )

    def _wire(self) -> None:
        self.registry.on_change(self._agent_changed)
        self.shared.on_change(self._shared_changed)
        self.commands.serve_nodes()

    def _agent_changed(self, agent: Agent) -> None:
        if self.agents is not None:
            self.agents.agent_changed(agent)
        if agent.removed:
            self.board.forget(agent.id)
        self.presence.change(agents=self.agents.connected() if self.agents is not None else 0)

    # -- what the channel asks of the cluster (its port `Cluster`) --------------------------------------------------

    async def may_take(self, identity: str) -> bool:
        """False while another live node holds a fresh connection of the agent."""
        status = self.board.get(identity)
        if status is None or not status.is_live or status.node in ("", self.node_name):
            return True
        if not self.presence.is_live(status.node):
            return True
        try:
            question = json.dumps({"id": identity}).encode()
            answer = await self.link.call(status.node, "release", question, CLAIM_WITHIN_S)
        except (FabricError, Refused):
            return True
        return json.loads(answer).get("free") is not False

    async def assign_default_group(self, identity: str) -> None:
        """An agent without a group belongs to `default` from now on."""
        agent = self.registry.agent(identity)
        if agent is not None and not agent.groups:
            await self.registry.set_groups(identity, ("default",))

    # -- the ruleset ------------------------------------------------------------------------------------------------

    def _shared_changed(self, kind: str) -> None:
        if kind in ("rules", "decoders", "lists"):
            self.judging.files_changed()

    # -- what tools ask ---------------------------------------------------------------------------------------------

    async def reload(self) -> dict[str, Any]:
        """Takes over what changed in `etc/ossec.conf` as far as that goes; says what needs a restart."""
        loaded = await asyncio.to_thread(load_manager, self.home)
        changed = [
            name
            for name in ("global_", "alerts", "cluster", "auth", "remotes", "ruleset", "labels", "internal")
            if getattr(loaded.config, name) != getattr(self.config, name)
        ]
        reloaded = []
        if await self.judging.reload(loaded.config):
            reloaded.append("ruleset")
        needs_restart = [name.rstrip("_") for name in changed if name not in ("ruleset", "alerts")]
        self.presence.change(config_digest=loaded.digest)
        return {"reloaded": reloaded, "needs_restart": needs_restart, "faults": list(self.judging.faults)}

    def status(self) -> dict[str, Any]:
        """Whether each part runs, and what is wrong."""
        running = {
            "wazuh-clusterd": self.link.is_connected(),
            "wazuh-monitord": True,
            "wazuh-remoted": self.agents is not None and self.agents.listening.is_set(),
            "wazuh-analysisd": self.judging.is_judging and self.outputs.healthy(),
            "wazuh-db": True,
            "wazuh-authd": self.enrollment is not None and self.enrollment.listening.is_set(),
        }
        if not (self.config.cluster.present and not self.config.cluster.disabled):
            del running["wazuh-clusterd"]
        if self.enrollment is None:
            del running["wazuh-authd"]
        problems = [text for text in (self.judging.fault, self.outputs.reason()) if text]
        if not self.link.is_connected():
            problems.append("the cluster engine is away: known agents are served, enrollment is not possible")
        if self.presence.refusal:
            problems.append(self.presence.refusal)
        return {
            "node": self.node_name,
            "version": version.GARRISON,
            "ready": self.is_ready,
            "engine": "connected" if self.link.is_connected() else "away",
            "parts": [{"name": name, "running": is_up} for name, is_up in running.items()],
            "problems": problems,
            "agents": self.agents.connected() if self.agents is not None else 0,
            "events": self.pipeline.received,
            "alerts": self.pipeline.alerts,
            "rules": len(self.judging.program.rules),
            "forgotten": dict(self.judging.forgotten()),
        }
