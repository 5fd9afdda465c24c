"""`garrison balancer-config nginx|haproxy`: a working configuration from the live members."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from garrison.cli.control_client import NotRunning, ask, find_home
from garrison.cluster.balancer import BalancedNode, Balancing, haproxy_conf, nginx_conf
from garrison.ground.errors import Refused


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `garrison balancer-config`."""
    parser.add_argument("kind", choices=("nginx", "haproxy"))
    parser.add_argument("--home", help="home folder of a running node (default: GARRISON_HOME)")
    parser.add_argument("--bind", default="0.0.0.0", help="address that the balancer listens on")
    parser.add_argument("--agent-port", type=int, default=1514)
    parser.add_argument("--enroll-port", type=int, default=1515)
    parser.add_argument("--send-proxy", action="store_true", help="tell nodes the agents' own addresses")
    parser.add_argument(
        "--hash-by-client", action="store_true", help="an agent always to the same node, not to the emptiest"
    )
    parser.add_argument(
        "--no-load-module", action="store_true", help="for an nginx that has its stream module built in"
    )
    parser.add_argument("--folder", default="/var/run", help="for its pid file and log")


def run(arguments: argparse.Namespace) -> int:
    """Prints the configuration; exit status 1 when no node answers."""
    how = Balancing(
        bind=arguments.bind,
        agent_port=arguments.agent_port,
        enroll_port=arguments.enroll_port,
        send_proxy=arguments.send_proxy,
        hash_by_client=arguments.hash_by_client,
        load_module=not arguments.no_load_module,
        folder=Path(arguments.folder).absolute(),
    )
    try:
        nodes = [BalancedNode(**row) for row in ask(find_home(arguments.home), "balanced_nodes")]
        print((nginx_conf if arguments.kind == "nginx" else haproxy_conf)(nodes, how), end="")
    except (NotRunning, Refused) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0
