"""`garrison check-rules`: every fault of a ruleset, printed as a compiler prints them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from garrison.analysis.compile import compile_program
from garrison.analysis.load import load_folder, load_ruleset
from garrison.analysis.source import Source
from garrison.cli.control_client import find_home
from garrison.cli.fault_text import pointed, texts_of
from garrison.config.load import load_manager
from garrison.ground.errors import ConfigError, RuleError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `garrison check-rules`."""
    parser.add_argument(
        "folder",
        metavar="DIR",
        nargs="?",
        help="a folder with decoders/, rules/ and lists/, or a node's home",
    )
    parser.add_argument("--home", help="home folder whose ruleset is checked (default: GARRISON_HOME)")
    parser.add_argument("-q", "--quiet", action="store_true", help="errors only")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 1 when there is an error; warnings alone are 0."""
    try:
        source = _source(arguments)
    except (RuleError, ConfigError) as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return 1
    if source is None:
        return 1
    try:
        program = compile_program(source, filters=False)
    except RuleError as error:
        faults, rules = error.faults, 0
    else:
        faults, rules = program.warnings, len(program.rules)
    texts = texts_of(source)
    for fault in faults:
        if not (fault.is_warning and arguments.quiet):
            print(pointed(fault, texts), file=sys.stderr)
    errors = sum(not fault.is_warning for fault in faults)
    told = f"{_count(errors, 'error')}, {_count(len(faults) - errors, 'warning')}"
    files = _count(len(source.decoders) + len(source.rules), "file")
    if errors:
        print(f"{told} in {files}: the ruleset does not load")
        return 1
    print(f"{_count(rules, 'rule')} of {files} loaded, {told}")
    return 0


def _source(arguments: argparse.Namespace) -> Source | None:
    """The texts to check; None, with a word, where there are none."""
    folder = Path(arguments.folder) if arguments.folder else None
    if folder is None or (folder / "etc/ossec.conf").is_file():
        home = find_home(str(folder) if folder is not None else arguments.home)
        config = load_manager(home).config
        timeframe_s = config.internal.analysisd_default_timeframe_s
        return load_ruleset(config.ruleset, config.alerts, home, timeframe_s=timeframe_s)
    if not folder.is_dir():
        print(f"{folder}: not a folder", file=sys.stderr)
        return None
    if not (folder / "ruleset.json").is_file() and not (folder / "rules").is_dir():
        print(f"{folder}: neither rules/ nor ruleset.json in it, nor etc/ossec.conf", file=sys.stderr)
        return None
    return load_folder(folder)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
