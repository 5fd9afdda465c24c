"""The operators' tools against a node with prepared answers: texts to the byte, statuses, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from garrison.cli import agent_control, agent_groups, cluster_control, manage_agents
from garrison.ground.errors import EngineAway, Refused
from tests.support.answering import answering

MASTER = {"node": "m", "type": "master", "master_address": "10.0.0.1", "cluster_enabled": True}
WORKER = {**MASTER, "node": "w", "type": "worker"}
AGENTS = [
    {
        "id": "000",
        "name": "manager-host",
        "ip": "127.0.0.1",
        "status": "active",
        "version": "Wazuh v4.14.7",
        "node": "m",
    },
    {
        "id": "001",
        "name": "agent-a",
        "ip": "any",
        "status": "active",
        "version": "Wazuh v4.14.7",
        "node": "w",
    },
    {
        "id": "002",
        "name": "agent-b",
        "ip": "10.0.0.12",
        "status": "disconnected",
        "version": None,
        "node": None,
    },
    {"id": "003", "name": "agent-c", "ip": "any", "status": "never_connected", "version": None, "node": None},
]
DETAILS = {
    **AGENTS[1], "os": "Linux |host |5.15", "config_sum": "ab", "merged_sum": "4a",
    "last_keep_alive": 1732499484, "groups": ["default"], "synced": True,
}  # fmt: skip

Printed = pytest.CaptureFixture[str]


def run(tool: Any, home: Path, answers: dict[str, Any], *words: str) -> tuple[int, list[Any]]:
    with answering(home, answers) as asked:
        return tool.main([*words, "--home", str(home)]), asked


def test_cluster_control_lists_and_filters(tmp_path: Path, capsys: Printed) -> None:
    nodes = [{"name": "m", "type": "master", "version": "4.14.7", "address": "10.0.0.1"}]
    status, asked = run(cluster_control, tmp_path, {"role": MASTER, "nodes": nodes}, "-l", "-fn", "m", "w")
    assert status == 0 and asked[-1] == ("nodes", {"names": ["m", "w"]})
    assert capsys.readouterr().out == "NAME  TYPE    VERSION  ADDRESS   \nm     master  4.14.7   10.0.0.1  \n"
    status, asked = run(
        cluster_control, tmp_path, {"role": MASTER, "agents": AGENTS[1:2]}, "-a", "-fs", "active", "pending"
    )
    assert asked[-1] == ("agents", {"nodes": [], "statuses": ["active", "pending"]})
    assert capsys.readouterr().out.splitlines()[1] == "001  agent-a  any  active  Wazuh v4.14.7  w          "


@pytest.mark.parametrize(
    ("answers", "words", "told"),
    [
        (
            {"role": MASTER, "nodes": Refused("Node does not exist", 1730)},
            ["-l", "-fn", "nope"],
            "ERROR: Error 1730 - Node does not exist\n",
        ),
        ({"role": {**MASTER, "cluster_enabled": False}}, ["-l"], "ERROR: Cluster is not running.\n"),
        (
            {"role": MASTER, "nodes": EngineAway("x")},
            ["-l"],
            "ERROR: Error 3023 - The cluster engine is away: x\n",
        ),
        ({"role": MASTER}, ["-fs", "active"], "ERROR: Wrong arguments.\n"),
        ({"role": MASTER}, ["-a", "-fs", "alive"], "ERROR: Error 1729 - 'alive' is not a status."),
    ],
)
def test_cluster_control_s_errors_end_with_a_status(
    answers: dict[str, Any], words: list[str], told: str, tmp_path: Path, capsys: Printed
) -> None:
    status, _ = run(cluster_control, tmp_path, answers, *words)
    assert status == 1 and capsys.readouterr().err.startswith(told)


def test_without_a_node_nothing_hangs(tmp_path: Path, capsys: Printed) -> None:
    assert cluster_control.main(["-l", "--home", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "ERROR: Cluster is not running.\n"
    assert agent_control.main(["-l", "--home", str(tmp_path)]) == 1
    assert "The node is not running. Start it first" in capsys.readouterr().err
    assert manage_agents.main(["-l", "--home", str(tmp_path)]) == 1
    assert agent_groups.main(["-l", "--home", str(tmp_path)]) == 1
    assert "Error 3012 - Cluster is not running" in capsys.readouterr().out


REFUSAL = (
    "agent_control: ERROR: Wazuh is running in cluster mode: agent_control is not available in worker nodes. "
    "Please, try again in the master node: 10.0.0.1.\n"
)


@pytest.mark.parametrize("words", [["-l"], ["-h"], [], ["-R", "-u", "001"], ["--nonsense"]])
def test_agent_control_is_refused_on_a_worker_before_anything_else(
    words: list[str], tmp_path: Path, capsys: Printed
) -> None:
    status, asked = run(agent_control, tmp_path, {"role": WORKER}, *words)
    assert status == 1 and capsys.readouterr().err.endswith(REFUSAL)
    assert [name for name, _ in asked] == ["role"]


def test_agent_control_lists_in_three_forms(tmp_path: Path, capsys: Printed) -> None:
    answers = {"role": MASTER, "agents": AGENTS}
    run(agent_control, tmp_path, answers, "-l")
    assert capsys.readouterr().out == (
        "\nWazuh agent_control. List of available agents:\n"
        "   ID: 000, Name: manager-host (server), IP: 127.0.0.1, Active/Local\n"
        "   ID: 001, Name: agent-a, IP: any, Active\n"
        "   ID: 002, Name: agent-b, IP: 10.0.0.12, Disconnected\n"
        "   ID: 003, Name: agent-c, IP: any, Never connected\n"
        "\nList of agentless devices:\n\n"
    )
    run(agent_control, tmp_path, answers, "-lc")
    assert "agent-b" not in capsys.readouterr().out
    run(agent_control, tmp_path, answers, "-ln")
    assert capsys.readouterr().out == (
        "\nWazuh agent_control. List of available agents:\n\n   ID: 002, Name: agent-b, IP: 10.0.0.12, Disconnected\n\n"
    )
    run(agent_control, tmp_path, answers, "-l", "-s")
    assert capsys.readouterr().out.splitlines()[:2] == [
        "000,manager-host (server),127.0.0.1,Active/Local,",
        "001,agent-a,any,Active,",
    ]
    run(agent_control, tmp_path, answers, "-l", "-j")
    found = json.loads(capsys.readouterr().out)
    assert found["error"] == 0 and found["data"][0] == {
        "id": "000",
        "name": "manager-host",
        "ip": "127.0.0.1",
        "status": "Active",
    }


def test_agent_control_shows_one_agent(tmp_path: Path, capsys: Printed) -> None:
    status, asked = run(agent_control, tmp_path, {"role": MASTER, "agent": DETAILS}, "-i", "1")
    assert status == 0 and asked[-1] == ("agent", {"id": "001"})
    assert capsys.readouterr().out == (
        "\nWazuh agent_control. Agent information:\n"
        "   Agent ID:   001\n   Agent Name: agent-a\n   IP address: any\n   Status:     Active\n\n"
        "   Operating system:    Linux |host |5.15\n   Client version:      Wazuh v4.14.7\n"
        "   Configuration hash:  ab\n   Shared file hash:    4a\n   Last keep alive:     1732499484\n\n"
        "   Syscheck last started at:  Unknown\n   Syscheck last ended at:    Unknown\n"
    )
    status, _ = run(
        agent_control, tmp_path, {"role": MASTER, "agent": Refused("Agent does not exist", 1701)}, "-i", "999"
    )
    assert status == 1 and capsys.readouterr().out.startswith(
        "\n** Invalid agent id '999'.\n\nWazuh agent_control: Control"
    )


@pytest.mark.parametrize(
    ("words", "outcome", "status", "told"),
    [
        (["-R", "-u", "001"], {"reached": ["001"], "missed": []}, 0, "\nWazuh agent_control: Restarting agent: 001\n"),
        (["-R", "001"], {"reached": ["001"], "missed": []}, 0, "\nWazuh agent_control: Restarting agent: 001\n"),
        (["-R", "-a"], {"reached": [], "missed": ["002"]}, 0, "\nWazuh agent_control: Restarting agent: (all)\n"),
        (["-R", "-u", "001"], {"reached": [], "missed": ["001"]}, 1, "\n** Unable to restart agent: 001\n"),
        (["-R"], {}, 1, "\n** Agent not specified.\n"),
        (["-r", "-u", "001"], {"reached": ["001"], "missed": []}, 0, "\nWazuh agent_control: Restarting Syscheck/Rootcheck on agent: 001\n"),
        (["-r", "-a"], {"reached": [], "missed": []}, 0, "\nWazuh agent_control: Restarting Syscheck/Rootcheck on all agents.\n"),
        (["-b", "1.2.3.4", "-u", "001"], {}, 1, "\n** Invalid argument combination.\n"),
        (["-b", "1.2.3.4", "-f", "x600", "-u", "001"], {"reached": ["001"], "missed": []}, 0,
         "\nWazuh agent_control: Running active response 'x600' on: 001\n"),
    ],
)  # fmt: skip
def test_orders_to_agents(
    words: list[str], outcome: Any, status: int, told: str, tmp_path: Path, capsys: Printed
) -> None:
    answers = {"role": MASTER, **dict.fromkeys(("restart_agent", "scan_agent", "respond"), outcome)}
    assert run(agent_control, tmp_path, answers, *words)[0] == status
    assert capsys.readouterr().out.startswith(told)


def test_responses_are_listed(tmp_path: Path, capsys: Printed) -> None:
    run(agent_control, tmp_path, {"role": MASTER, "responses": [{"name": "x600", "command": "x"}]}, "-L")
    assert capsys.readouterr().out.endswith("   Response name: x600, command: x\n")
    run(agent_control, tmp_path, {"role": MASTER, "responses": []}, "-L")
    assert capsys.readouterr().out.endswith("   No active response available.\n")


def test_manage_agents(tmp_path: Path, capsys: Printed) -> None:
    answers: dict[str, Any] = {
        "role": MASTER, "agents": AGENTS[:2], "add_agent": {"id": "004", "key": "k"}, "remove_agent": {"id": "001"},
        "agent_line": {"line": "001 agent-a any 1111"},
    }  # fmt: skip
    status, asked = run(manage_agents, tmp_path, answers, "-a", "any", "-n", "web-01")
    out = capsys.readouterr().out
    assert status == 0 and asked[-1] == ("add_agent", {"name": "web-01", "ip": "any", "force": None})
    assert out.startswith(
        "\n\n****************************************\n* Wazuh v4.14.7 Agent manager.         *\n"
    )
    assert "Confirm adding it?(y/n): Agent added with ID 004.\n\nmanage_agents: Exiting.\n" in out
    run(manage_agents, tmp_path, answers, "-a", "any", "-n", "web-01", "-j")
    assert capsys.readouterr().out == '{"error":0,"data":{"id":"004","message":"Agent added"}}\n'
    run(manage_agents, tmp_path, answers, "-l")
    assert capsys.readouterr().out == "\nAvailable agents: \n   ID: 001, Name: agent-a, IP: any\n\n"
    run(manage_agents, tmp_path, answers, "-e", "001")
    assert (
        capsys.readouterr().out == "\nAgent key information for '001' is: \nMDAxIGFnZW50LWEgYW55IDExMTE=\n\n"
    )
    run(manage_agents, tmp_path, answers, "-r", "001")
    assert (
        "Confirm deleting it?(y/n): y\nAgent '001' removed.\n\nmanage_agents: Exiting.\n"
        in capsys.readouterr().out
    )
    bulk = tmp_path / "bulk"
    bulk.write_text("any,web-02\nbroken\n")
    assert run(manage_agents, tmp_path, answers, "-f", str(bulk))[0] == 1
    assert "** Syntax error at file" in capsys.readouterr().out


def test_manage_agents_refusals(tmp_path: Path, capsys: Printed) -> None:
    assert run(manage_agents, tmp_path, {"role": WORKER}, "-l")[0] == 1
    assert "manage_agents is not available in worker nodes" in capsys.readouterr().err
    duplicate = {"role": MASTER, "add_agent": Refused("Duplicate agent name: x", 9008), "agents": AGENTS}
    assert run(manage_agents, tmp_path, duplicate, "-a", "any", "-n", "x", "-j")[0] == 1
    assert json.loads(capsys.readouterr().out)["error"] == 75
    assert run(manage_agents, tmp_path, {"role": MASTER}, "-i", "key")[0] == 1
    assert "CRITICAL: Key import only available on an agent." in capsys.readouterr().err
    assert run(manage_agents, tmp_path, {"role": MASTER}, "-R", "x")[0] == 1
    missing = {"role": MASTER, "agent_line": Refused("Agent does not exist", 1701)}
    assert run(manage_agents, tmp_path, missing, "-e", "9")[0] == 1


GROUP_ANSWERS: dict[str, Any] = {
    "groups": [{"name": "default", "count": 2}, {"name": "web", "count": 0}],
    "group_members": [{"id": "001", "groups": ["default"]}, {"id": "002", "groups": []}],
    "group_agents": lambda arguments: (
        [{"id": "001", "name": "agent-a"}] if arguments["group"] == "default" else []
    ),
    "group_files": [{"name": "agent.conf", "md5": "a" * 32}, {"name": "merged.mg", "md5": "b" * 32}],
    "agent_groups": {"name": "agent-a", "groups": ["default", "db"]},
    "group_synced": {"synced": False},
    "add_group": {"group": "web"},
    "remove_group": {"group": "web"},
    "assign_group": {"groups": ["db"]},
    "unassign_group": {"removed": ["db"]},
}


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ([], 0, "Groups (2):\n  default (2)\n  web (0)\nUnassigned agents: 1.\n"),
        (["-l", "-g", "default"], 0, "1 agent(s) in group 'default':\n  ID: 001  Name: agent-a.\n"),
        (["-l", "-g", "web"], 0, "No agents found in group 'web'.\n"),
        (["-c", "-g", "web"], 0, f"2 files for 'web' group:\n  agent.conf  [{'a' * 32}]\n  merged.mg   [{'b' * 32}]\n"),
        (["-c"], 1, "Invalid options: Missing group.\nTry '--help' for more information.\n\n"),
        (["-s", "-i", "1"], 0, "The agent 'agent-a' with ID '001' belongs to groups: default, db.\n"),
        (["-S", "-i", "001"], 0, "Agent '001' is not synchronized. \n"),
        (["-a", "-g", "web", "-q"], 0, "Group 'web' created.\n"),
        (["-a", "-i", "001", "-g", "db", "-q"], 0, "Group 'db' added to agent '001'.\n"),
        (["-r", "-i", "001", "-g", "db", "-q"], 0, "Agent '001' removed from db.\n"),
        (["-r", "-g", "web", "-q"], 0, "Group web removed.\n"),
        (["-a", "-i", "001", "-q"], 1, "Invalid options: Missing agent ID or group.\nTry '--help' for more information.\n\n"),
        (["-s"], 1, "Invalid options: Missing agent ID.\nTry '--help' for more information.\n\n"),
    ],
)  # fmt: skip
def test_agent_groups(words: list[str], status: int, told: str, tmp_path: Path, capsys: Printed) -> None:
    assert run(agent_groups, tmp_path, GROUP_ANSWERS, *words)[0] == status
    assert capsys.readouterr().out == told


def test_agent_groups_asks_and_its_errors_end_with_a_status(
    tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[str] = []
    monkeypatch.setattr("builtins.input", lambda question: questions.append(question) or "n")
    assert run(agent_groups, tmp_path, GROUP_ANSWERS, "-a", "-g", "db")[0] == 0
    assert capsys.readouterr().out == "Cancelled.\n" and questions == [
        "Do you want to create the group 'db'? [y/N]: "
    ]
    exists = {**GROUP_ANSWERS, "add_group": Refused("The group already exists: web", 1711)}
    assert run(agent_groups, tmp_path, exists, "-a", "-g", "web", "-q")[0] == 1
    assert capsys.readouterr().out == "Error 1711 - The group already exists: web\n"
