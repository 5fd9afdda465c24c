"""`cluster_control`: nodes, agents and health of the cluster, as operators know it.

Source: spec/cluster.md 7.1. Where that section says the reference is broken, ours works: nothing hangs, several words
after a filter are alternatives, and every error ends with a status other than 0.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from garrison.cli import cluster_tables
from garrison.cli.control_client import NotRunning, ask, find_home
from garrison.ground.errors import GarrisonError, Refused

AGENT_STATUSES = ("active", "pending", "never_connected", "disconnected")


def make_parser() -> argparse.ArgumentParser:
    """The options of the tool; the four questions exclude each other."""
    parser = argparse.ArgumentParser(
        prog="cluster_control.py", description="Asks the cluster about its nodes, agents and health."
    )
    question = parser.add_mutually_exclusive_group()
    question.add_argument("-l", "--list-nodes", action="store_true", help="list the nodes of the cluster")
    question.add_argument("-a", "--list-agents", action="store_true", help="list the agents of the cluster")
    question.add_argument(
        "-i",
        "--health",
        nargs="?",
        const="brief",
        metavar="more",
        help="health of the cluster; `more`: all of it",
    )
    question.add_argument("-u", "--usage", action="store_true", help="show the usage text")
    parser.add_argument(
        "-fn", "--filter-node", nargs="*", default=[], metavar="NODE", help="only these nodes"
    )
    parser.add_argument(
        "-fs",
        "--filter-agent-status",
        nargs="*",
        default=[],
        metavar="STATUS",
        help=f"only agents with one of these statuses: {', '.join(AGENT_STATUSES)}",
    )
    parser.add_argument("-d", "--debug", action="store_true", help="show where an error comes from")
    parser.add_argument("--home", help="the node's home folder (default: GARRISON_HOME)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 when the answer was printed, 1 for every error, 2 for unreadable options."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        text = _answer(parser, options, find_home(options.home))
    except NotRunning as error:
        if options.debug:
            print(f"DEBUG: {error}", file=sys.stderr)
        return _complain("Cluster is not running.")
    except Refused as error:
        return _complain(f"Error {error.code} - {error.message}" if error.code else error.message)
    except GarrisonError as error:
        return _complain(str(error))
    if text is None:
        return 1
    print(text)
    return 0


def _answer(parser: argparse.ArgumentParser, options: argparse.Namespace, home: Path) -> str | None:
    if options.usage:
        return cluster_tables.USAGE
    if options.filter_agent_status and not options.list_agents:
        print(f"ERROR: Wrong arguments.\n{cluster_tables.USAGE}", file=sys.stderr)
        return None
    if not (options.list_nodes or options.list_agents or options.health):
        return parser.format_help().rstrip("\n")
    if not ask(home, "role")["cluster_enabled"]:
        raise NotRunning("the cluster is disabled in this node's configuration")
    return _ask_and_render(options, home)


def _ask_and_render(options: argparse.Namespace, home: Path) -> str:
    nodes: list[str] = options.filter_node
    if options.list_nodes:
        return cluster_tables.node_table(ask(home, "nodes", {"names": nodes}))
    if options.list_agents:
        wrong = [word for word in options.filter_agent_status if word not in AGENT_STATUSES]
        if wrong:
            raise Refused(f"'{wrong[0]}' is not a status. Statuses are: {', '.join(AGENT_STATUSES)}", 1729)
        wanted: dict[str, Any] = {"nodes": nodes, "statuses": options.filter_agent_status}
        return cluster_tables.agent_table(ask(home, "agents", wanted))
    health = ask(home, "health", {"nodes": nodes})
    if str(options.health).lower() == "more":
        return cluster_tables.health_full(health)
    return cluster_tables.health_brief(health)


def _complain(text: str) -> int:
    print(f"ERROR: {text}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
