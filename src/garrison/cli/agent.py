"""`garrison agent --home A`: the agent of that home, in the foreground.

SIGTERM and SIGINT end it (with its goodbye to the manager, within seconds), SIGHUP makes it read its
configuration again.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from garrison.agent.serve import serve
from garrison.cli.control_client import find_home
from garrison.ground.clock import SystemClock
from garrison.ground.entropy import SystemEntropy
from garrison.ground.tasks import Stop


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `run` takes."""
    parser.add_argument("--home", metavar="DIR", help="the agent's home folder (else GARRISON_HOME)")


def run(arguments: argparse.Namespace) -> int:
    """Runs the agent until it is told to end; the exit code."""
    home = find_home(arguments.home)
    if not (home / "etc").is_dir():
        print(f"agent: {home} is no home folder: it has no etc/", file=sys.stderr)
        return 1
    return asyncio.run(_serve(home))


async def _serve(home: Path) -> int:
    stop, reload = Stop(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    return await serve(home, SystemClock(), SystemEntropy(), stop, reload=reload)
