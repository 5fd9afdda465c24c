"""`garrison init`: lays out the home folder of a node or an agent."""

from __future__ import annotations

import argparse
import shutil
import sys
from importlib import resources
from pathlib import Path

from garrison.config import template
from garrison.config.home import AGENT_FOLDERS, NODE_FOLDERS, Home
from garrison.config.parse import parse_agent, parse_manager
from garrison.ground.errors import ConfigError, Fault
from garrison.ground.files import write_atomic

NODE_TOOLS = {
    "cluster_control": "cluster_control",
    "agent_control": "agent_control",
    "agent_groups": "agent_groups",
    "manage_agents": "manage_agents",
    "garrison-control": "control",
    "wazuh-control": "control",
    "wazuh-logtest": "logtest",
}
AGENT_TOOLS = {"agent-auth": "agent_auth", "garrison-control": "control", "wazuh-control": "control"}

AR_CONF = "".join(
    f"{name}0 - {program} - 0\n"
    for name, program in (
        ("restart-ossec", "restart-ossec.sh"),
        ("restart-ossec", "restart-ossec.cmd"),
        ("restart-wazuh", "restart-ossec.sh"),
        ("restart-wazuh", "restart-ossec.cmd"),
        ("restart-wazuh", "restart-wazuh"),
        ("restart-wazuh", "restart-wazuh.exe"),
    )
)
AGENT_CONF = "<agent_config>\n\n  <!-- Shared agent configuration here -->\n\n</agent_config>\n"

LAUNCHER = """\
#!/bin/sh
# {tool} of this home folder.
here=$(CDPATH= cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd)
GARRISON_HOME=$here exec '{python}' -m garrison.cli.{module} "$@"
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `garrison init`."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="{manager,agent}")
    node = kinds.add_parser("manager", help="a manager node")
    node.add_argument("--home", required=True, help="the folder to lay out")
    node.add_argument("--node-name", default="node01", help="letters, digits, _ and -; every node its own")
    node.add_argument("--node-type", default="master", help="master (may be the master) or worker")
    node.add_argument("--bind", default="0.0.0.0", metavar="ADDRESS", help="address to listen on")
    node.add_argument("--key", required=True, help="32 letters and digits: openssl rand -hex 16")
    node.add_argument("--cluster-name", default="wazuh")
    node.add_argument("--nodes", default="", help="the engine members, comma separated (default: --bind)")
    node.add_argument("--port", type=int, default=1516)
    node.add_argument("--engine-port", type=int, default=1517)
    node.add_argument("--agent-port", type=int, default=1514)
    node.add_argument("--enroll-port", type=int, default=1515)
    node.add_argument("--password", help="agents must give it to enroll")
    node.add_argument("--hidden", action="store_true", help="leave the cluster out of alerts")
    node.add_argument("--logall", action="store_true", help="keep every event in logs/archives/archives.json")
    node.add_argument("--force", action="store_true", help="overwrite an existing configuration")
    agent = kinds.add_parser("agent", help="an agent")
    agent.add_argument("--home", required=True, help="the folder to lay out")
    agent.add_argument(
        "--manager", action="append", required=True, metavar="ADDRESS[:PORT]", help="repeatable"
    )
    agent.add_argument("--name", help="the agent's name (default: the host's)")
    agent.add_argument(
        "--log", action="append", default=[], metavar="FILE", help="log file to follow; repeatable"
    )
    agent.add_argument("--enroll-manager", metavar="ADDRESS", help="where to enroll (default: the managers)")
    agent.add_argument("--enroll-port", type=int, default=1515)
    agent.add_argument("--password", help="enrollment password, kept in etc/authd.pass")
    agent.add_argument("--local-ip", metavar="ADDRESS", help="source address of its connections")
    agent.add_argument("--max-retries", type=int, default=5)
    agent.add_argument("--retry-interval", type=int, default=10, metavar="SECONDS")
    agent.add_argument("--notify-time", type=int, default=20, metavar="SECONDS")
    agent.add_argument("--force", action="store_true", help="overwrite an existing configuration")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 when the folder is laid out; 1 with every fault, and nothing written."""
    home = Home(Path(arguments.home).resolve())
    try:
        if home.conf.exists() and not arguments.force:
            fault = Fault(
                path=str(home.conf), line=0, found="exists already", expected="--force to overwrite it"
            )
            raise ConfigError([fault])
        if arguments.kind == "manager":
            _init_node(home, arguments)
        else:
            _init_agent(home, arguments)
    except ConfigError as error:
        for each in error.faults:
            print(each, file=sys.stderr)
        return 1
    return 0


def _init_node(home: Home, arguments: argparse.Namespace) -> None:
    nodes = tuple(node.strip() for node in arguments.nodes.split(",") if node.strip()) or (arguments.bind,)
    text = template.manager_conf(
        template.ManagerAnswers(
            node_name=arguments.node_name,
            node_type=arguments.node_type,
            key=arguments.key,
            bind=arguments.bind,
            cluster_name=arguments.cluster_name,
            nodes=nodes,
            port=arguments.port,
            engine_port=arguments.engine_port,
            agent_port=arguments.agent_port,
            enroll_port=arguments.enroll_port,
            use_password=arguments.password is not None,
            hidden=arguments.hidden,
            logall=arguments.logall,
        )
    )
    parse_manager(text, "the configuration that would be written")
    _check_password(arguments.password)
    _lay_out(home, NODE_FOLDERS, NODE_TOOLS)
    write_atomic(home.shared / "default/agent.conf", AGENT_CONF.encode(), 0o660)
    write_atomic(home.ar_conf, AR_CONF.encode(), 0o660)
    if arguments.password is not None:
        write_atomic(home.authd_pass, f"{arguments.password}\n".encode(), 0o640)
    _copy_ruleset(home)
    write_atomic(home.conf, text.encode(), 0o640)
    role = "candidate for master" if arguments.node_type == "master" else "worker"
    print(
        f"Laid out {home.root}: node '{arguments.node_name}' ({role}) of cluster '{arguments.cluster_name}'."
    )
    print(f"Configuration: {home.conf}")
    print(f"Start it with: {home.bin}/garrison-control start")


def _init_agent(home: Home, arguments: argparse.Namespace) -> None:
    text = template.agent_conf(
        template.AgentAnswers(
            servers=tuple(_server(word) for word in arguments.manager),
            name=arguments.name,
            logs=tuple(str(Path(log).absolute()) for log in arguments.log),
            enroll_manager=arguments.enroll_manager,
            enroll_port=arguments.enroll_port,
            local_ip=arguments.local_ip,
            max_retries=arguments.max_retries,
            retry_interval_s=arguments.retry_interval,
            notify_time_s=arguments.notify_time,
        )
    )
    parse_agent(text, "the configuration that would be written")
    _check_password(arguments.password)
    _lay_out(home, AGENT_FOLDERS, AGENT_TOOLS)
    if arguments.password is not None:
        write_atomic(home.authd_pass, f"{arguments.password}\n".encode(), 0o640)
    write_atomic(home.conf, text.encode(), 0o640)
    print(f"Laid out {home.root}: an agent of {', '.join(arguments.manager)}.")
    print(f"Get its key with: {home.bin}/agent-auth -m MANAGER   (or let it enroll by itself)")
    print(f"Start it with: {home.bin}/garrison-control start")


def _server(word: str) -> template.ServerAnswer:
    address, colon, port = word.rpartition(":")
    if colon and port.isdigit() and ":" not in address:
        return template.ServerAnswer(address=address, port=int(port))
    return template.ServerAnswer(address=word)


def _check_password(password: str | None) -> None:
    if password is not None and (not password.strip() or "\n" in password or len(password) > 2000):
        fault = Fault(path="--password", line=0, found="not a password", expected="one line of text")
        raise ConfigError([fault])


def _lay_out(home: Home, folders: list[str], tools: dict[str, str]) -> None:
    for folder in folders:
        (home.root / folder).mkdir(mode=0o750, parents=True, exist_ok=True)
    for tool, module in tools.items():
        launcher = LAUNCHER.format(tool=tool, python=sys.executable, module=module)
        write_atomic(home.bin / tool, launcher.encode(), 0o750)
    home.root.chmod(0o750)


def _copy_ruleset(home: Home) -> None:
    """The starter ruleset; files of that name in the home folder are renewed, others stay."""
    with resources.as_file(resources.files("garrison") / "ruleset") as source:
        for kind in ("decoders", "rules"):
            for path in sorted((source / kind).glob("*.xml")):
                shutil.copyfile(path, home.ruleset / kind / path.name)
