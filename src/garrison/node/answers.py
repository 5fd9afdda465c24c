"""What the node answers to its tools, as plain values. Pure.

Source: spec/cluster.md 7.1 to 7.3 (what the tools show).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from garrison.cluster import membership
from garrison.fabric.presence import NodeCard
from garrison.registry.model import Agent
from garrison.registry.status import AgentStatus
from garrison.shared.sync import RoundReport

MANAGER_ID = "000"


def node_row(card: NodeCard, holder: str | None) -> dict[str, Any]:
    """One row of the node list."""
    return {
        "name": card.name,
        "type": membership.effective_type(card.name, holder),
        "version": card.version,
        "address": card.address,
    }


def manager_row(host_name: str, version: str, node: str) -> dict[str, Any]:
    """The manager itself, as agent 000."""
    return {
        "id": MANAGER_ID,
        "name": host_name,
        "ip": "127.0.0.1",
        "status": "active",
        "version": f"Wazuh v{version}",
        "node": node,
    }


def agent_row(agent: Agent, status: AgentStatus | None) -> dict[str, Any]:
    """One row of the agent list."""
    return {
        "id": agent.id,
        "name": agent.name,
        "ip": agent.ip,
        "status": status.state if status is not None else "never_connected",
        "version": status.version if status is not None else None,
        "node": (status.node or None) if status is not None else None,
    }


def agent_details(agent: Agent, status: AgentStatus | None) -> dict[str, Any]:
    """All that is known of one agent."""
    found = status or AgentStatus(id=agent.id)
    return {
        **agent_row(agent, status),
        "os": found.uname,
        "config_sum": found.config_sum,
        "merged_sum": found.merged_sum,
        "last_keep_alive": int(found.last_keepalive) or None,
        "groups": list(agent.groups),
        "synced": found.group_synced,
    }


def wanted(
    rows: Iterable[dict[str, Any]], nodes: Sequence[str], statuses: Sequence[str]
) -> list[dict[str, Any]]:
    """The rows on one of `nodes` with one of `statuses`; an empty filter lets all through."""
    return [
        row
        for row in rows
        if (not nodes or row["node"] in nodes) and (not statuses or row["status"] in statuses)
    ]


def iso(at: datetime | None) -> str | None:
    """`2026-11-25T01:52:05.124616Z`, or None."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def iso_of(seconds: float) -> str | None:
    """The same of seconds since 1970; None for 0."""
    return iso(datetime.fromtimestamp(seconds, UTC)) if seconds else None


def period(begin: datetime | None, end: datetime | None, **more: int) -> dict[str, Any] | None:
    """A period of the health report; None before the first."""
    if begin is None or end is None:
        return None
    return {"start": iso(begin), "end": iso(end), "duration_s": (end - begin).total_seconds(), **more}


def own_health(card: NodeCard, report: RoundReport, active_agents: int) -> dict[str, Any]:
    """What a node says of its own health when another one asks."""
    checked = period(report.checked_from, report.checked_to)
    synced = period(
        report.synced_from,
        report.synced_to,
        shared=report.updated,
        missing=report.created,
        extra=report.deleted,
    )
    return {
        "name": card.name,
        "address": card.address,
        "version": card.version,
        "active_agents": active_agents,
        "last_keep_alive": iso_of(card.refreshed_at),
        "integrity_check": checked,
        "integrity_sync": synced,
        "agents_info": None,
        "agent_groups": None,
        "agent_groups_full": None,
    }


def unanswered_health(card: NodeCard) -> dict[str, Any]:
    """What is known of a node that did not answer."""
    return own_health(card, RoundReport(), 0)
