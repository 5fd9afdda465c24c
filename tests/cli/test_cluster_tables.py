"""The tables and texts of `cluster_control`, to the byte (spec/cluster.md 7.1)."""

from __future__ import annotations

import pytest

from garrison.cli import cluster_tables


def test_nodes_as_the_specification_prints_them() -> None:
    nodes = [
        {"name": "master-01", "type": "master", "version": "4.14.7", "address": "10.0.0.1"},
        {"name": "worker-01", "type": "worker", "version": "4.14.7", "address": "10.0.0.11"},
        {"name": "worker-00", "type": "worker", "version": "4.14.7", "address": "10.0.0.10"},
    ]
    assert cluster_tables.node_table(nodes) == (
        "NAME       TYPE    VERSION  ADDRESS    \n"
        "master-01  master  4.14.7   10.0.0.1   \n"
        "worker-01  worker  4.14.7   10.0.0.11  \n"
        "worker-00  worker  4.14.7   10.0.0.10  "
    )


def test_agents_as_the_specification_prints_them() -> None:
    def agent(*cells: str | None) -> dict[str, str | None]:
        return dict(zip(("id", "name", "ip", "status", "version", "node"), cells, strict=True))

    agents = [
        agent("000", "localhost", "127.0.0.1", "active", None, None),
        agent("001", "agent-a", "10.0.0.11", "active", "Wazuh v4.14.7", "worker-01"),
        agent("002", "agent-b", "any", "active", "Wazuh v4.14.7", None),
        agent("003", "agent-c", "any", "never_connected", None, None),
    ]
    assert cluster_tables.agent_table(agents) == (
        "ID   NAME       IP         STATUS           VERSION        NODE NAME  \n"
        "000  localhost  127.0.0.1  active           unknown        unknown    \n"
        "001  agent-a    10.0.0.11  active           Wazuh v4.14.7  worker-01  \n"
        "002  agent-b    any        active           Wazuh v4.14.7  unknown    \n"
        "003  agent-c    any        never_connected  unknown        unknown    "
    )


def test_an_empty_result_prints_the_header_only() -> None:
    assert cluster_tables.node_table([]) == "NAME  TYPE  VERSION  ADDRESS  "
    assert cluster_tables.agent_table([]) == "ID  NAME  IP  STATUS  VERSION  NODE NAME  "


def period(start: str | None, end: str | None, seconds: float | None, **more: int) -> dict[str, object]:
    return {"start": start, "end": end, "duration_s": seconds, **more}


HEALTH = {
    "cluster": "wazuh",
    "nodes": [
        {
            "name": "master-01",
            "address": "10.0.0.1",
            "version": "4.14.7",
            "type": "master",
            "active_agents": 0,
        },
        {
            "name": "worker-01",
            "address": "10.0.0.11",
            "version": "4.14.7",
            "type": "worker",
            "active_agents": 1,
            "last_keep_alive": "2026-11-25T01:51:29.052486Z",
            "integrity_check": period("2026-11-25T01:52:05.120432Z", "2026-11-25T01:52:05.124616Z", 0.004184),
            "integrity_sync": period(
                "2026-11-25T01:51:38.082123Z",
                "2026-11-25T01:51:38.088469Z",
                0.006346,
                shared=2,
                missing=4,
                extra=2,
            ),
            "agents_info": period(
                "2026-11-25T01:51:39.148675Z", "2026-11-25T01:51:39.243913Z", 0.0952, chunks=3
            ),
            "agent_groups": period("2026-11-25T01:52:05.141650Z", None, None, chunks=0),
            "agent_groups_full": None,
        },
    ],
}


def test_health_in_brief() -> None:
    assert cluster_tables.health_brief(HEALTH) + "\n" == (
        "Cluster name: wazuh\n"
        "\n"
        "Last completed synchronization for connected nodes (1):\n"
        "    worker-01 (10.0.0.11): Integrity check: 2026-11-25T01:52:05.124616Z | "
        "Integrity sync: 2026-11-25T01:51:38.088469Z | Agents-info: 2026-11-25T01:51:39.243913Z | "
        "Agent-groups: n/a | Agent-groups full: n/a | Last keep alive: 2026-11-25T01:51:29.052486Z.\n"
        "\n"
    )


def test_health_in_full() -> None:
    assert cluster_tables.health_full(HEALTH) + "\n" == (
        """Cluster name: wazuh

Connected nodes (1):

    master-01 (10.0.0.1)
        Version: 4.14.7
        Type: master
        Active agents: 0

    worker-01 (10.0.0.11)
        Version: 4.14.7
        Type: worker
        Active agents: 1
        Status:
            Last keep Alive:
                Last received: 2026-11-25T01:51:29.052486Z.
            Integrity check:
                Last integrity check: 0.004s (2026-11-25T01:52:05.120432Z - 2026-11-25T01:52:05.124616Z).
                Permission to check integrity: True.
            Integrity sync:
                Last integrity synchronization: 0.006s (2026-11-25T01:51:38.082123Z - 2026-11-25T01:51:38.088469Z).
                Synchronized files: Shared: 2 | Missing: 4 | Extra: 2.
            Agents-info:
                Last synchronization: 0.095s (2026-11-25T01:51:39.148675Z - 2026-11-25T01:51:39.243913Z).
                Number of synchronized chunks: 3.
                Permission to synchronize agent-info: True.
            Agents-groups:
                Last synchronization: n/a (2026-11-25T01:52:05.141650Z - n/a).
                Number of synchronized chunks: 0.
            Agents-groups full:
                Last synchronization: n/a (n/a - n/a).
                Number of synchronized chunks: 0.

"""
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "n/a"), (0.0, "0.001s"), (0.0004, "0.001s"), (0.1, "0.1s"), (0.0042, "0.004s")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert cluster_tables.duration(seconds) == text


def test_the_usage_text_is_indented_as_known() -> None:
    lines = (cluster_tables.USAGE + "\n").split("\n")
    assert lines[0] == "" and lines[1].startswith("    cluster_control.py [-h]")
    assert lines[3].startswith("    \t-l  ") and lines[-2] == "    "
