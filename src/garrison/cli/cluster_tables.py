"""The texts of `cluster_control`, to the byte. Pure: the node's answers in, text out.

Source: spec/cluster.md 7.1. Cells are left aligned, every column two wider than its longest cell, the last one too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

USAGE = """
    cluster_control.py [-h] [-d] [-fn [FILTER_NODE ...]] [-fs [FILTER_STATUS ...]][-a | -l | -i [HEALTH]]
    Usage:
    \t-l                                    # List all nodes present in a cluster
    \t-l -fn <node_name>                    # List certain nodes that belong to the cluster
    \t-a                                    # List all agents connected to the cluster
    \t-a -fn <node_name>                    # Check which agents are reporting to certain nodes
    \t-a -fs <agent_status>                 # List agents with certain status
    \t-a -fn <node_name> <agent_status>     # List agents reporting to certain node and with certain status
    \t-i                                    # Check cluster health
    \t-i -fn <node_name>                    # Check certain node's health


    Params:
    \t-l, --list
    \t-d, --debug
    \t-h, --help
    \t-fn, --filter-node
    \t-fs, --filter-agent-status
    \t-a, --list-agents
    \t-i, --health

    """


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Header and rows as lines, each cell padded to its column's width plus two."""
    lines = [[name.upper() for name in header], *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) + 2 for column in range(len(header))]
    return "\n".join(
        "".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )


def node_table(nodes: Iterable[Mapping[str, Any]]) -> str:
    """The answer to `-l`."""
    rows = [[node["name"], node["type"], node["version"], node["address"]] for node in nodes]
    return table(["name", "type", "version", "address"], rows)


def agent_table(agents: Iterable[Mapping[str, Any]]) -> str:
    """The answer to `-a`; what is not known reads `unknown`."""
    rows = [
        [
            agent["id"],
            agent["name"],
            agent["ip"],
            agent["status"],
            agent["version"] or "unknown",
            agent["node"] or "unknown",
        ]
        for agent in agents
    ]
    return table(["id", "name", "ip", "status", "version", "node name"], rows)


def health_brief(health: Mapping[str, Any]) -> str:
    """The answer to `-i`: one line for each worker. Printed with its newline it ends with an empty line."""
    workers = _workers(health)
    text = f"Cluster name: {health['cluster']}\n\n"
    text += f"Last completed synchronization for connected nodes ({len(workers)}):\n"
    for node in sorted(workers, key=lambda node: str(node["name"])):
        text += (
            f"    {node['name']} ({node['address']}): "
            f"Integrity check: {_end(node['integrity_check'])} | "
            f"Integrity sync: {_end(node['integrity_sync'])} | "
            f"Agents-info: {_end(node['agents_info'])} | "
            f"Agent-groups: {_end(node['agent_groups'])} | "
            f"Agent-groups full: {_end(node['agent_groups_full'])} | "
            f"Last keep alive: {node['last_keep_alive'] or 'n/a'}.\n"
        )
    return text


def health_full(health: Mapping[str, Any]) -> str:
    """The answer to `-i more`: a block for each node by name, the master without a status part."""
    text = f"Cluster name: {health['cluster']}\n\nConnected nodes ({len(_workers(health))}):\n\n"
    for node in sorted(health["nodes"], key=lambda node: str(node["name"])):
        text += _node_block(node) + "\n"
    return text.removesuffix("\n")


def _node_block(node: Mapping[str, Any]) -> str:
    text = f"    {node['name']} ({node['address']})\n"
    text += f"        Version: {node['version']}\n"
    text += f"        Type: {node['type']}\n"
    text += f"        Active agents: {node['active_agents']}\n"
    if node["type"] == "worker":
        text += _status_part(node)
    return text


def _status_part(node: Mapping[str, Any]) -> str:
    sync = node["integrity_sync"] or {}
    info = node["agents_info"] or {}
    shared, missing, extra = (sync.get(name, 0) for name in ("shared", "missing", "extra"))
    lines = [
        "        Status:",
        "            Last keep Alive:",
        f"                Last received: {node['last_keep_alive'] or 'n/a'}.",
        "            Integrity check:",
        f"                Last integrity check: {_span(node['integrity_check'])}.",
        "                Permission to check integrity: True.",
        "            Integrity sync:",
        f"                Last integrity synchronization: {_span(node['integrity_sync'])}.",
        f"                Synchronized files: Shared: {shared} | Missing: {missing} | Extra: {extra}.",
        "            Agents-info:",
        f"                Last synchronization: {_span(node['agents_info'])}.",
        f"                Number of synchronized chunks: {info.get('chunks', 0)}.",
        "                Permission to synchronize agent-info: True.",
    ]
    for title, key in (("Agents-groups", "agent_groups"), ("Agents-groups full", "agent_groups_full")):
        lines += [
            f"            {title}:",
            f"                Last synchronization: {_span(node[key])}.",
            f"                Number of synchronized chunks: {(node[key] or {}).get('chunks', 0)}.",
        ]
    return "\n".join(lines) + "\n"


def duration(seconds: float | None) -> str:
    """Seconds with up to three decimals, at least `0.001s`; `n/a` where unknown."""
    if seconds is None:
        return "n/a"
    return "0.001s" if seconds < 0.0005 else f"{round(seconds, 3)}s"


def _span(period: Mapping[str, Any] | None) -> str:
    period = period or {}
    begin, end = period.get("start") or "n/a", period.get("end") or "n/a"
    return f"{duration(period.get('duration_s'))} ({begin} - {end})"


def _end(period: Mapping[str, Any] | None) -> str:
    return str((period or {}).get("end") or "n/a")


def _workers(health: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [node for node in health["nodes"] if node["type"] == "worker"]
