"""`garrison check-config`: every fault of a configuration, printed as a compiler prints them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from garrison.cli.control_client import find_home
from garrison.config.agent_conf import AgentIdentity, apply
from garrison.config.load import load_agent, load_manager
from garrison.config.model import AgentConfig
from garrison.config.parse import parse_agent, parse_manager
from garrison.ground.errors import ConfigError, Fault


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `garrison check-config`."""
    parser.add_argument("--home", help="home folder whose configuration is checked (default: GARRISON_HOME)")
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="ossec.conf or agent.conf files to check instead"
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status 1 when there is an error; warnings alone are 0."""
    files = [Path(name) for name in arguments.files]
    faults: list[Fault] = []
    if files:
        for path in files:
            faults += check_file(path)
    else:
        home = find_home(arguments.home)
        files = [home / "etc/ossec.conf"]
        faults += _check_home(home)
    for fault in faults:
        print(fault, file=sys.stderr if not fault.is_warning else sys.stdout)
    errors = sum(not fault.is_warning for fault in faults)
    print(
        f"{len(files)} file{'s' * (len(files) != 1)} read: {errors} errors, {len(faults) - errors} warnings"
    )
    return 1 if errors else 0


def _check_home(home: Path) -> list[Fault]:
    conf = home / "etc/ossec.conf"
    is_agent = conf.is_file() and "<client>" in conf.read_text("utf-8", "replace")
    try:
        return list((load_agent(home) if is_agent else load_manager(home)).warnings)
    except ConfigError as error:
        return list(error.faults)


def check_file(path: Path) -> list[Fault]:
    """The faults of one file; what kind it is tells its content."""
    try:
        text = path.read_text("utf-8")
        if "<agent_config" in text:
            identity = AgentIdentity(name="", os="")
            return list(apply(AgentConfig(), text, identity, str(path))[1])
        parse = parse_agent if "<client>" in text else parse_manager
        return list(parse(text, str(path)).warnings)
    except ConfigError as error:
        return list(error.faults)
    except UnicodeDecodeError:
        return [Fault(path=str(path), line=0, found="not UTF-8 text", expected="UTF-8")]
    except OSError as error:
        return [Fault(path=str(path), line=0, found=error.strerror or str(error), expected="a readable file")]
