"""`garrison import-keys FILE`: takes over the agents of an existing `client.keys`, ids and keys kept."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from garrison.cli.control_client import NotRunning, ask, find_home
from garrison.ground.errors import Refused

LINES_AT_ONCE = 400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `garrison import-keys`."""
    parser.add_argument("file", metavar="FILE", help="a client.keys of another manager")
    parser.add_argument("--home", help="home folder of a running node (default: GARRISON_HOME)")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 when every line was taken or was there already; 1 when some were not, each with its reason."""
    path = Path(arguments.file)
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1
    home = find_home(arguments.home)
    added = present = faulty = 0
    for start in range(0, len(lines), LINES_AT_ONCE):
        text = "\n".join(lines[start : start + LINES_AT_ONCE])
        try:
            report = ask(home, "import_keys", {"text": text, "path": path.name}, timeout_s=120.0)
        except (NotRunning, Refused) as error:
            print(f"ERROR: {error}", file=sys.stderr)
            return 1
        added, present = added + report["added"], present + report["present"]
        for fault in report["faults"]:
            faulty += 1
            print(
                f"{path}:{start + fault['line']}: error: {fault['found']}; {fault['expected']}",
                file=sys.stderr,
            )
    print(f"{added} agents added, {present} were registered already, {faulty} lines not taken.")
    return 1 if faulty else 0
