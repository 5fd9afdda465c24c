"""The commands of the control socket, and the few that other nodes may give.

Each takes checked arguments and returns plain values; `Refused` carries the number and text that operators know. What
concerns an agent on another node is passed to that node.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from garrison.channel.server import AgentServer
from garrison.cluster import membership
from garrison.config.home import Home
from garrison.config.model import ForceConfig, ManagerConfig
from garrison.fabric.client import EngineLink
from garrison.fabric.lease import Lease
from garrison.fabric.presence import NodeCard, Presence
from garrison.ground import version
from garrison.ground.errors import FabricError, PeerError, Refused
from garrison.node import answers, arguments
from garrison.node.arguments import Arguments
from garrison.node.control_server import Command
from garrison.registry.model import Agent
from garrison.registry.status_store import StatusBoard
from garrison.registry.store import EnrollOrder, Registry
from garrison.shared.sync import SharedFiles
from garrison.wire import control
from garrison.wire.address import parse_registered
from garrison.wire.names import MOST_GROUPS, is_valid_name

CALL_WITHIN_S = 5.0
REQUEST_WITHIN_S = 70.0
RESTART = b'{"version":1,"origin":{"name":"","module":""},"command":"restart-wazuh0",' + (
    b'"parameters":{"extra_args":[],"alert":{"data":{"srcip":"null"}}}}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What commands work on."""

    home: Home
    config: ManagerConfig
    host_name: str
    link: EngineLink
    lease: Lease
    presence: Presence
    registry: Registry
    board: StatusBoard
    shared: SharedFiles
    agents: AgentServer | None
    reload: Callable[[], Awaitable[dict[str, Any]]]
    status: Callable[[], dict[str, Any]]
    end: Callable[[], None]


class Commands:
    """All commands of one node."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def table(self) -> Mapping[str, Command]:
        """What tools on this host may ask for, by name."""
        return {
            "role": self.role,
            "status": self.status,
            "stop": self.stop,
            "reload": self.reload,
            "nodes": self.nodes,
            "agents": self.agents,
            "health": self.health,
            "agent": self.agent,
            "agent_line": self.agent_line,
            "add_agent": self.add_agent,
            "remove_agent": self.remove_agent,
            "import_keys": self.import_keys,
            "groups": self.groups,
            "group_members": self.group_members,
            "group_agents": self.group_agents,
            "group_files": self.group_files,
            "group_synced": self.group_synced,
            "agent_groups": self.agent_groups,
            "add_group": self.add_group,
            "remove_group": self.remove_group,
            "assign_group": self.assign_group,
            "unassign_group": self.unassign_group,
            "restart_agent": self.restart_agent,
            "scan_agent": self.scan_agent,
            "reconnect_agent": self.reconnect_agent,
            "respond": self.respond,
            "responses": self.responses,
            "request_agent": self.request_agent,
            "balanced_nodes": self.balanced_nodes,
        }

    def serve_nodes(self) -> None:
        """What other nodes may ask for; everything else is refused by the link."""
        link = self._parts.link
        link.serve("own_health", _call(self._own_health))
        link.serve("send_control", _call(self._send_control))
        link.serve("send_request", _call(self._send_request))
        link.serve("release", _call(self._release))
        link.serve("add_group", _call(self.add_group))
        link.serve("remove_group", _call(self.remove_group))

    # -- the node itself ------------------------------------------------------------------------------------------

    async def role(self, given: Arguments) -> Any:
        parts = self._parts
        holder = parts.lease.holder()
        name = parts.link.node_name
        is_cluster = parts.config.cluster.present and not parts.config.cluster.disabled
        cards = parts.presence.nodes()
        return {
            "node": name,
            "type": membership.effective_type(name, holder) if is_cluster else "master",
            "master_address": membership.master_address(cards, holder, parts.config.cluster.nodes),
            "cluster_enabled": is_cluster,
        }

    async def status(self, given: Arguments) -> Any:
        return self._parts.status()

    async def stop(self, given: Arguments) -> Any:
        self._parts.end()
        return {}

    async def reload(self, given: Arguments) -> Any:
        return await self._parts.reload()

    # -- the cluster ----------------------------------------------------------------------------------------------

    def _cards(self, names: list[str]) -> list[NodeCard]:
        cards = membership.in_listing_order(self._parts.presence.nodes(), self._parts.lease.holder())
        known = {card.name for card in cards}
        if any(name not in known for name in names):
            raise Refused("Node does not exist", 1730)
        return [card for card in cards if not names or card.name in names]

    async def nodes(self, given: Arguments) -> Any:
        holder = self._parts.lease.holder()
        return [answers.node_row(card, holder) for card in self._cards(arguments.names(given, "names"))]

    async def balanced_nodes(self, given: Arguments) -> Any:
        """Workers first: they are there to carry agents."""
        return [
            {
                "name": card.name,
                "address": card.address,
                "agent_port": card.agent_port,
                "enroll_port": card.enroll_port,
                "can_enroll": card.can_enroll,
            }
            for card in reversed(self._cards([]))
        ]

    async def agents(self, given: Arguments) -> Any:
        parts = self._parts
        nodes, states = arguments.names(given, "nodes"), arguments.names(given, "statuses")
        if nodes:
            self._cards(nodes)
        rows = [answers.manager_row(parts.host_name, version.PROTOCOL, parts.link.node_name)]
        rows += [answers.agent_row(agent, parts.board.get(agent.id)) for agent in parts.registry.agents()]
        return answers.wanted(rows, nodes, states)

    async def health(self, given: Arguments) -> Any:
        cards = self._cards(arguments.names(given, "nodes"))
        holder = self._parts.lease.holder()
        reports = await asyncio.gather(*(self._health_of(card) for card in cards))
        for card, report in zip(cards, reports, strict=True):
            report["type"] = membership.effective_type(card.name, holder)
        return {"cluster": self._parts.config.cluster.name, "nodes": list(reports)}

    async def _health_of(self, card: NodeCard) -> dict[str, Any]:
        if card.name == self._parts.link.node_name:
            return await self._own_health({})
        try:
            return dict(await self._ask(card.name, "own_health", {}))
        except (FabricError, Refused):
            return answers.unanswered_health(card)

    async def _own_health(self, given: Arguments) -> dict[str, Any]:
        parts = self._parts
        active = parts.board.live_on(parts.link.node_name)
        return answers.own_health(parts.presence.card(), parts.shared.report, active)

    async def _ask(
        self, node: str, command: str, given: Mapping[str, Any], within_s: float = CALL_WITHIN_S
    ) -> Any:
        data = json.dumps(given).encode()
        return json.loads(await self._parts.link.call(node, command, data, within_s))

    # -- agents ---------------------------------------------------------------------------------------------------

    def _agent(self, identity: str) -> Agent:
        agent = self._parts.registry.agent(identity)
        if agent is None:
            raise Refused("Agent does not exist", 1701)
        return agent

    async def agent(self, given: Arguments) -> Any:
        identity = arguments.agent_id(given)
        parts = self._parts
        if identity == answers.MANAGER_ID:
            row = answers.manager_row(parts.host_name, version.PROTOCOL, parts.link.node_name)
            blank = dict.fromkeys(("os", "config_sum", "merged_sum", "last_keep_alive"))
            return {**row, **blank, "groups": [], "synced": True}
        return answers.agent_details(self._agent(identity), parts.board.get(identity))

    async def agent_line(self, given: Arguments) -> Any:
        return {"line": self._agent(arguments.agent_id(given)).entry.line()}

    async def add_agent(self, given: Arguments) -> Any:
        name = arguments.text(given, "name", most=256)
        if not is_valid_name(name):
            expected = "2 to 128 letters, digits, '.', '_', '-', not beginning with a dot"
            raise Refused(f"Invalid name '{name[:60]}' given. Name must contain {expected}.", 9005)
        text = arguments.text(given, "ip", most=80, default="any")
        try:
            ip = parse_registered(text)
        except PeerError as error:
            raise Refused(f"Invalid IP '{text}'. Please enter a valid IP Address.", 9006) from error
        identity = arguments.text(given, "id", most=8, default="") or None
        if identity is not None and not identity.isdigit():
            raise Refused(f"Invalid ID '{identity}' given. ID must be numeric (max 8 digits).", 9010)
        order = EnrollOrder(
            name=name,
            ip=ip,
            id=identity.zfill(3) if identity else None,
            key=arguments.text(given, "key", most=128, default="") or None,
            force=_force(given.get("force"), self._parts.config.auth.force),
            reserved_name=self._parts.host_name,
        )
        agent = await self._parts.registry.enroll(order)
        return {"id": agent.id, "key": agent.key}

    async def remove_agent(self, given: Arguments) -> Any:
        identity = arguments.agent_id(given)
        purge = arguments.flag(given, "purge") or self._parts.config.auth.purge
        await self._parts.registry.remove(identity, purge)
        return {"id": identity}

    async def import_keys(self, given: Arguments) -> Any:
        text = arguments.text(given, "text", most=60_000)
        plan = await self._parts.registry.import_keys(
            text, arguments.text(given, "path", default="client.keys")
        )
        faults = [
            {"line": fault.line, "found": fault.found, "expected": fault.expected} for fault in plan.faults
        ]
        return {"added": len(plan.add), "present": plan.present, "faults": faults}

    # -- groups ---------------------------------------------------------------------------------------------------

    async def groups(self, given: Arguments) -> Any:
        members = [_groups_of(agent) for agent in self._parts.registry.agents()]
        return [
            {"name": name, "count": sum(name in groups for groups in members)}
            for name in self._parts.shared.groups()
        ]

    async def group_members(self, given: Arguments) -> Any:
        return [
            {"id": agent.id, "groups": list(_groups_of(agent))} for agent in self._parts.registry.agents()
        ]

    def _group(self, given: Arguments) -> str:
        group = arguments.text(given, "group", most=255)
        if not self._parts.shared.group_exists(group):
            raise Refused("The group does not exist", 1710)
        return group

    async def group_agents(self, given: Arguments) -> Any:
        group = self._group(given)
        agents = self._parts.registry.agents()
        return [{"id": agent.id, "name": agent.name} for agent in agents if group in _groups_of(agent)]

    async def group_files(self, given: Arguments) -> Any:
        files = self._parts.shared.files_of(self._group(given))
        return [{"name": name, "md5": md5} for name, md5 in files]

    async def group_synced(self, given: Arguments) -> Any:
        identity = arguments.agent_id(given)
        self._agent(identity)
        status = self._parts.board.get(identity)
        return {"synced": status is not None and status.group_synced}

    async def agent_groups(self, given: Arguments) -> Any:
        agent = self._agent(arguments.agent_id(given))
        return {"name": agent.name, "groups": list(_groups_of(agent))}

    async def add_group(self, given: Arguments) -> Any:
        group = arguments.text(given, "group", most=255)
        if not self._is_master():
            return await self._ask(self._master(), "add_group", {"group": group})
        await self._parts.shared.create_group(group)
        return {"group": group}

    async def remove_group(self, given: Arguments) -> Any:
        group = arguments.text(given, "group", most=255)
        if not self._is_master():
            return await self._ask(self._master(), "remove_group", {"group": group})
        await self._parts.shared.remove_group(group)
        for agent in self._parts.registry.agents():
            if group in agent.groups:
                left = tuple(name for name in agent.groups if name != group) or ("default",)
                await self._parts.registry.set_groups(agent.id, left)
        return {"group": group}

    def _is_master(self) -> bool:
        return self._parts.lease.is_held()

    def _master(self) -> str:
        holder = self._parts.lease.holder()
        if holder is None:
            raise Refused("Worker node is not connected to master", 3023)
        return holder

    async def assign_group(self, given: Arguments) -> Any:
        identity = arguments.agent_id(given)
        if identity == answers.MANAGER_ID:
            raise Refused("Action not available for Manager (agent 000)", 1703)
        agent, group = self._agent(identity), self._group(given)
        before = _groups_of(agent)
        if arguments.flag(given, "replace"):
            after: tuple[str, ...] = (group,)
        elif group in before:
            raise Refused("Could not assign agent to group", 1751)
        else:
            after = (*before, group)
        if len(after) > MOST_GROUPS:
            raise Refused(f"Maximum multigroup reached: Limit is {MOST_GROUPS}", 1737)
        await self._parts.registry.set_groups(identity, after)
        return {"groups": list(after)}

    async def unassign_group(self, given: Arguments) -> Any:
        identity = arguments.agent_id(given)
        agent = self._agent(identity)
        group = arguments.text(given, "group", most=255, default="") or None
        before = _groups_of(agent)
        if group is not None and group not in before:
            raise Refused("Error removing agent from group", 1734)
        removed = before if group is None else (group,)
        left = tuple(name for name in before if name not in removed) or ("default",)
        await self._parts.registry.set_groups(identity, left)
        return {"removed": list(removed)}

    # -- orders to agents -----------------------------------------------------------------------------------------

    async def restart_agent(self, given: Arguments) -> Any:
        return await self._order(given, control.encode_execd(RESTART))

    async def scan_agent(self, given: Arguments) -> Any:
        return await self._order(given, control.SYSCHECK_RESTART)

    async def reconnect_agent(self, given: Arguments) -> Any:
        return await self._order(given, control.FORCE_RECONNECT)

    async def respond(self, given: Arguments) -> Any:
        name = arguments.text(given, "response", most=128)
        ip = arguments.text(given, "ip", most=80)
        if name not in {row["name"] for row in await self.responses({})}:
            raise Refused("Selected active response does not exist.", 1655)
        payload = {
            "version": 1,
            "origin": {"name": "", "module": ""},
            "command": name,
            "parameters": {"extra_args": [], "alert": {"data": {"srcip": ip}}},
        }
        return await self._order(
            given, control.encode_execd(json.dumps(payload, separators=(",", ":")).encode())
        )

    async def responses(self, given: Arguments) -> Any:
        path = self._parts.home.ar_conf
        rows = []
        for line in path.read_text("utf-8", "replace").splitlines() if path.is_file() else []:
            words = [word.strip() for word in line.split(" - ")]
            if len(words) == 3:
                rows.append({"name": words[0], "command": words[1]})
        return rows

    async def _order(self, given: Arguments, message: bytes) -> dict[str, list[str]]:
        target = arguments.agent_id_or_all(given)
        agents = self._parts.registry.agents() if target == "all" else [self._agent(target)]
        live = [agent for agent in agents if (status := self._parts.board.get(agent.id)) and status.is_live]
        sent = await asyncio.gather(*(self._send(agent.id, message) for agent in live))
        reached = [agent.id for agent, ok in zip(live, sent, strict=True) if ok]
        asked = live if target == "all" else agents
        return {"reached": reached, "missed": [agent.id for agent in asked if agent.id not in reached]}

    async def _send(self, identity: str, message: bytes) -> bool:
        node = self._node_of(identity)
        if node == self._parts.link.node_name:
            return self._parts.agents is not None and self._parts.agents.send_control(identity, message)
        try:
            answer = await self._ask(
                node, "send_control", {"id": identity, "message": message.decode("latin-1")}
            )
        except (FabricError, Refused):
            return False
        return bool(answer["sent"])

    def _node_of(self, identity: str) -> str:
        status = self._parts.board.get(identity)
        if status is None or not status.is_live or not status.node:
            raise Refused("Agent is not active", 1707)
        return status.node

    async def _send_control(self, given: Arguments) -> dict[str, bool]:
        message = arguments.text(given, "message", most=60_000).encode("latin-1", "replace")
        if not control.is_control(message):
            raise Refused("not a control message", 1000)
        agents = self._parts.agents
        return {"sent": agents is not None and agents.send_control(arguments.agent_id(given), message)}

    async def request_agent(self, given: Arguments) -> Any:
        identity = arguments.agent_id(given)
        self._agent(identity)
        node = self._node_of(identity)
        question = {
            "id": identity,
            "target": arguments.text(given, "target", most=64),
            "payload": arguments.text(given, "payload", most=60_000),
        }
        if node == self._parts.link.node_name:
            return await self._send_request(question)
        return await self._ask(node, "send_request", question, REQUEST_WITHIN_S)

    async def _send_request(self, given: Arguments) -> dict[str, str]:
        target = arguments.text(given, "target", most=64)
        payload = arguments.text(given, "payload", most=60_000)
        if not target.isidentifier() or self._parts.agents is None:
            raise Refused("not a module of an agent", 1000)
        answer = await self._parts.agents.send_request(arguments.agent_id(given), target, payload.encode())
        return {"answer": answer.decode("utf-8", "replace")}

    async def _release(self, given: Arguments) -> dict[str, bool]:
        agents = self._parts.agents
        return {"free": agents is None or agents.release(arguments.agent_id(given))}


def _groups_of(agent: Agent) -> tuple[str, ...]:
    """An agent without groups of its own belongs to `default`, from its first keepalive on."""
    return agent.groups or ("default",)


def _force(given: object, configured: ForceConfig) -> ForceConfig:
    if not isinstance(given, dict):
        return replace(configured, enabled=False)
    return replace(
        configured,
        enabled=True,
        disconnected_time_s=arguments.seconds(given, "disconnected_time_s", configured.disconnected_time_s),
        after_registration_time_s=arguments.seconds(
            given, "after_registration_time_s", configured.after_registration_time_s
        ),
    )


def _call(command: Command) -> Callable[[bytes], Awaitable[bytes]]:
    """A command as other nodes call it: JSON there, JSON back."""

    async def answer(data: bytes) -> bytes:
        try:
            given = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise Refused("the question is not JSON", 1000) from error
        if not isinstance(given, dict):
            raise Refused("the question is not an object", 1000)
        return json.dumps(await command(given)).encode()

    return answer
