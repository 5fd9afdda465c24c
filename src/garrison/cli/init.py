"""`garrison init`: lays out the home folder of a node or an agent.

Answers are judged by writing the configuration and parsing it: what is wrong is told all at once, and nothing is written.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from importlib import resources
from pathlib import Path

from garrison.config import template
from garrison.config.home import AGENT_FOLDERS, NODE_FOLDERS, Home
from garrison.config.parse import parse_agent, parse_manager
from garrison.ground.errors import ConfigError, Fault, StoreError
from garrison.ground.files import write_atomic
from garrison.ruleset import FORMER_NAMES

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
GARRISON_HOME=$(CDPATH= cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd) || exit 1
export GARRISON_HOME
exec {python} -m garrison.cli.{module} "$@"
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
    node.add_argument(
        "--nodes", default="", help="the engine members, comma separated (a master's default: --bind)"
    )
    node.add_argument("--port", default="1516")
    node.add_argument("--engine-port", default="1517")
    node.add_argument("--agent-port", default="1514")
    node.add_argument("--enroll-port", default="1515")
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
    agent.add_argument("--enroll-port", default="1515")
    agent.add_argument("--password", help="enrollment password, kept in etc/authd.pass")
    agent.add_argument("--local-ip", metavar="ADDRESS", help="source address of its connections")
    agent.add_argument("--max-retries", default="5")
    agent.add_argument("--retry-interval", default="10", metavar="SECONDS")
    agent.add_argument("--notify-time", default="20", metavar="SECONDS")
    agent.add_argument("--force", action="store_true", help="overwrite an existing configuration")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 when the folder is laid out; 1 with every fault, and nothing written."""
    home = Home(Path(arguments.home).resolve())
    text = _manager_text(arguments) if arguments.kind == "manager" else _agent_text(arguments)
    parse = parse_manager if arguments.kind == "manager" else parse_agent
    faults = _faults_around(home, arguments)
    try:
        parse(text, "the configuration that would be written")
    except ConfigError as error:
        faults += error.faults
    if faults:
        for each in faults:
            print(each, file=sys.stderr)
        return 1
    try:
        _write(home, text, arguments)
    except (StoreError, OSError) as failure:
        print(f"ERROR: {failure}", file=sys.stderr)
        return 1
    for line in _told(home, arguments):
        print(line)
    return 0


def _faults_around(home: Home, arguments: argparse.Namespace) -> list[Fault]:
    """What is wrong besides the text of the configuration."""
    faults = []
    if os.path.lexists(home.conf) and not arguments.force:
        found, expected = "exists already", "--force to overwrite it"
        faults.append(Fault(path=str(home.conf), line=0, found=found, expected=expected))
    password = arguments.password
    if password is not None and not _is_password(password):
        expected = "one line of 2 to 2000 characters"
        faults.append(Fault(path="--password", line=0, found="not a password", expected=expected))
    return faults


def _is_password(text: str) -> bool:
    return bool(text.strip()) and text.isprintable() and 2 <= len(text) <= 2000


def _manager_text(arguments: argparse.Namespace) -> str:
    nodes = tuple(node.strip() for node in arguments.nodes.split(",") if node.strip())
    if not nodes and arguments.node_type == "master":
        nodes = (arguments.bind,)
    return template.manager_conf(
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


def _agent_text(arguments: argparse.Namespace) -> str:
    return template.agent_conf(
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


def _server(word: str) -> template.ServerAnswer:
    """`ADDRESS`, `ADDRESS:PORT`, or `[ADDRESS]:PORT` for IPv6; the parser judges what comes of it."""
    if word.startswith("[") and "]" in word:
        address, _, rest = word[1:].partition("]")
        return template.ServerAnswer(address=address, port=rest.removeprefix(":") if rest else 1514)
    address, colon, port = word.rpartition(":")
    if colon and ":" not in address:
        return template.ServerAnswer(address=address, port=port)
    return template.ServerAnswer(address=word)


def _write(home: Home, text: str, arguments: argparse.Namespace) -> None:
    is_node = arguments.kind == "manager"
    _lay_out(home, NODE_FOLDERS if is_node else AGENT_FOLDERS, NODE_TOOLS if is_node else AGENT_TOOLS)
    if is_node:
        _write_new(home.shared / "default/agent.conf", AGENT_CONF, 0o660)
        _write_new(home.ar_conf, AR_CONF, 0o660)
        _copy_ruleset(home)
    if arguments.password is not None:
        write_atomic(home.authd_pass, f"{arguments.password}\n".encode(), 0o640)
    write_atomic(home.conf, text.encode(), 0o640)


def _told(home: Home, arguments: argparse.Namespace) -> list[str]:
    """What was made, and what to type next."""
    start = f"Start it with: {home.bin}/garrison-control start"
    if arguments.kind == "agent":
        address = arguments.enroll_manager or _server(arguments.manager[0]).address
        return [
            f"Laid out {home.root}: an agent of {', '.join(arguments.manager)}.",
            f"Configuration: {home.conf}",
            f"Get its key with: {home.bin}/agent-auth -m {address}   (or let it enroll by itself)",
            start,
        ]
    role = "candidate for master" if arguments.node_type == "master" else "worker"
    return [
        f"Laid out {home.root}: node '{arguments.node_name}' ({role}) of cluster '{arguments.cluster_name}'.",
        f"Configuration: {home.conf}",
        f"Tools: {home.bin}/ ({', '.join(NODE_TOOLS)})",
        start,
        f"Then look at the cluster with: {home.bin}/cluster_control -l",
        "Further nodes take the same --key, --cluster-name, --nodes and --port, and a --node-name of their own.",
    ]


def _lay_out(home: Home, folders: list[str], tools: dict[str, str]) -> None:
    _make_folder(home.root)
    for folder in folders:
        _make_folder(home.root / folder)
    for tool, module in tools.items():
        launcher = LAUNCHER.format(tool=tool, python=shlex.quote(sys.executable), module=module)
        write_atomic(home.bin / tool, launcher.encode(), 0o750)


def _make_folder(folder: Path) -> None:
    """The folder and those above it; the mode of one that is there stays."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir()
        folder.chmod(0o750)


def _write_new(path: Path, text: str, mode: int) -> None:
    """Writes a file that operators change later: one that is there stays, with --force too."""
    if not path.exists():
        write_atomic(path, text.encode(), mode)


def _copy_ruleset(home: Home) -> None:
    """The starter ruleset; files of that name in the home folder are renewed, those of former names go, others stay."""
    for name in FORMER_NAMES:
        (home.ruleset / name).unlink(missing_ok=True)
    with resources.as_file(resources.files("garrison") / "ruleset") as source:
        for kind in ("decoders", "rules"):
            for path in sorted((source / kind).glob("*.xml")):
                write_atomic(home.ruleset / kind / path.name, path.read_bytes(), 0o640, durable=False)
