"""`garrison`: the command of which everything else is a part."""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from garrison.cli import agent, balancer_config, check_config, check_rules, import_keys, init, logtest, node
from garrison.demo import command as demo
from garrison.ground import version


@dataclass(frozen=True, slots=True)
class Part:
    """One subcommand."""

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


PARTS = {
    "init": Part("lay out the home folder of a node or an agent", init.add_arguments, init.run),
    "node": Part("run a manager node in the foreground", node.add_arguments, node.run),
    "agent": Part("run an agent in the foreground", agent.add_arguments, agent.run),
    "check-config": Part(
        "print every fault of a configuration", check_config.add_arguments, check_config.run
    ),
    "check-rules": Part("print every fault of a ruleset", check_rules.add_arguments, check_rules.run),
    "logtest": Part("see what the ruleset says to a log", logtest.add_arguments, logtest.run),
    "balancer-config": Part(
        "print a configuration for nginx or HAProxy", balancer_config.add_arguments, balancer_config.run
    ),
    "import-keys": Part("take over the agents of a client.keys", import_keys.add_arguments, import_keys.run),
    "demo": Part("watch three managers, agents and a failover", demo.add_arguments, demo.run),
}


def make_parser() -> argparse.ArgumentParser:
    """The parser of all subcommands."""
    parser = argparse.ArgumentParser(
        prog="garrison",
        description="A cluster of security-monitoring managers that speaks the Wazuh 4.x protocols.",
    )
    parser.add_argument("--version", action="version", version=f"garrison {version.GARRISON}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, part in PARTS.items():
        part.add_arguments(commands.add_parser(name, help=part.help, description=part.help))
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one subcommand; its exit status."""
    options = make_parser().parse_args(arguments)
    return PARTS[options.command].run(options)


def run() -> None:
    """The entry point that is installed as `garrison`."""
    sys.exit(main())


def installed_version() -> str:
    """The version that the package's metadata says."""
    return importlib.metadata.version("garrison")


if __name__ == "__main__":
    run()
