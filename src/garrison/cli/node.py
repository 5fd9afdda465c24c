"""`garrison node --home H`: a manager node in the foreground, for service managers and containers."""

from __future__ import annotations

import argparse
import os
import sys

import uvloop

from garrison.cli.control_client import find_home
from garrison.config.home import Home
from garrison.ground.clock import SystemClock
from garrison.ground.entropy import SystemEntropy
from garrison.node.serve import open_logs, serve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `garrison node`."""
    parser.add_argument("--home", help="the node's home folder (default: GARRISON_HOME)")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 when it was told to end, 1 when it cannot start."""
    home = Home(find_home(arguments.home))
    if not home.conf.is_file():
        print(f"{home.conf}: not there; lay out a home folder with: garrison init manager", file=sys.stderr)
        return 1
    open_logs(home, to_terminal="GARRISON_BACKGROUND" not in os.environ)
    return uvloop.run(serve(home, SystemClock(), SystemEntropy()))
