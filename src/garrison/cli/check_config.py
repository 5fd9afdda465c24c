"""`garrison check-config`: every fault of a configuration, printed as a compiler prints them.

What a file is, and whether it is right, is asked of the parser that a node and an agent use.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

from garrison.cli.control_client import find_home
from garrison.config import agent_conf
from garrison.config.home import Home
from garrison.config.load import load_agent, load_kind, load_manager, load_text
from garrison.config.parse import kind_of, parse_agent, parse_manager
from garrison.config.xml import decode_xml
from garrison.ground.errors import ConfigError, Fault


@dataclass(slots=True)
class Report:
    """What was read, and what is wrong with it."""

    files: int = 0
    options: int = 0
    faults: list[Fault] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Both together."""
        self.files += other.files
        self.options += other.options
        self.faults += other.faults


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `garrison check-config`."""
    parser.add_argument("--home", help="home folder whose configuration is checked (default: GARRISON_HOME)")
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="ossec.conf or agent.conf files to check instead"
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status 1 when there is an error; warnings alone are 0."""
    report = Report()
    if arguments.files:
        for name in arguments.files:
            report.add(check_file(Path(name)))
    else:
        report = check_home(Home(find_home(arguments.home)))
    for fault in report.faults:
        print(fault, file=sys.stdout if fault.is_warning else sys.stderr)
    errors = sum(not fault.is_warning for fault in report.faults)
    print(
        f"{_count(report.files, 'file')}, {_count(report.options, 'option')} read: "
        f"{_count(errors, 'error')}, {_count(len(report.faults) - errors, 'warning')}"
    )
    return 1 if errors else 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def check_home(home: Home) -> Report:
    """`etc/ossec.conf`, the internal options and every `agent.conf` of a home folder."""
    try:
        loaded = load_agent(home) if load_kind(home) == "agent" else load_manager(home)
        report = Report(len(loaded.files), loaded.options, list(loaded.warnings))
    except ConfigError as error:
        files = [home.conf, home.internal_options, home.local_internal_options]
        report = Report(sum(path.is_file() for path in files), _options(home.conf), list(error.faults))
    for path in [home.agent_conf, *sorted(home.shared.glob("*/agent.conf"))]:
        if path.is_file():
            report.add(check_file(path))
    return report


def check_file(path: Path) -> Report:
    """One file; what kind it is tells its content."""
    report = Report()
    try:
        text = load_text(path)
        report.files, report.options = 1, _options(path)
        kind = "agent_conf" if path.name == "agent.conf" else kind_of(text, str(path))
        if kind == "agent_conf":
            report.faults += agent_conf.check(text, str(path))
        else:
            report.faults += (parse_agent if kind == "agent" else parse_manager)(text, str(path)).warnings
    except ConfigError as error:
        report.faults += error.faults
    return report


def _options(path: Path) -> int:
    """How many options a file sets; 0 for one that cannot be read, of which others tell."""
    try:
        return sum(1 for _ in decode_xml(load_text(path), str(path)).leaves())
    except ConfigError:
        return 0
