"""`garrison logtest`, also `wazuh-logtest`: what the ruleset says to logs, and why.

    garrison logtest --home H              asks the node that runs in H, prints the three phases that operators know
    garrison logtest --ruleset FOLDER      the same for a folder with decoders/, rules/ and lists/, without any node
    garrison logtest --explain             adds what was tried and what refused
    garrison logtest --jsonl --ruleset D   reads {"id", "log", "location"}, prints {"id", "decoder", "rule_id", ...}

Without --jsonl all text goes to standard error, as operators know it; standard output gets one line end a prompt.
Source: spec/analysis.md 19.2; spec/analysis-3-outputs.md 8.5.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from garrison.analysis.compile import compile_program
from garrison.analysis.load import load_folder, load_ruleset
from garrison.analysis.program import Program
from garrison.cli.control_client import find_home
from garrison.cli.logtest_client import Asker, LocalAsker, NodeAsker, NoNode
from garrison.cli.logtest_jsonl import answer_lines
from garrison.cli.logtest_phases import phases_text, verdict_of, warnings_text
from garrison.config.load import load_manager
from garrison.ground import version
from garrison.ground.errors import ConfigError, RuleError
from garrison.ruleset import FOLDER

TOOL = "wazuh-logtest"
NO_NODE = "** Wazuh-logtest error when connecting with wazuh-analysisd"
LICENSE = "Licensed under the Apache License, Version 2.0."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `garrison logtest`."""
    parser.add_argument("--home", help="home folder of the node (default: GARRISON_HOME)")
    parser.add_argument(
        "--ruleset", metavar="FOLDER", help="a folder with decoders/, rules/ and lists/, no node"
    )
    parser.add_argument("--jsonl", action="store_true", help="one JSON object a line in, one a line out")
    parser.add_argument("--explain", action="store_true", help="show what was tried and what refused")
    parser.add_argument(
        "-V", "--version", action="store_true", dest="shows_version", help="version and license"
    )
    parser.add_argument("-d", "--debug", action="store_true", help="show requests and replies")
    parser.add_argument(
        "-U",
        "--ut",
        metavar="RULE:LEVEL:DECODER",
        help="the exit status says whether the last log gives these",
    )
    parser.add_argument("-l", "--location", default="stdin", help="where the logs are said to come from")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing")
    parser.add_argument("-v", "--verbose", action="store_true", help="show which rules were tried")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 at the end of the input (with -U see `_status`); 1 with every fault of a broken ruleset."""
    if arguments.shows_version:
        print(f"Wazuh v{version.PROTOCOL} - Garrison v{version.GARRISON}\n\n{LICENSE}")
        return 0
    wanted = arguments.ut.split(":") if arguments.ut is not None else None
    if wanted is not None and len(wanted) != 3:
        print(f"Unit test configuration wrong syntax: {arguments.ut}", file=sys.stderr)
        return 1
    try:
        if arguments.jsonl:
            return answer_lines(_program(arguments), sys.stdin.buffer, explains=arguments.explain)
        asker = _asker(arguments)
    except (RuleError, ConfigError) as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return 1
    return Conversation(asker, arguments, wanted).run(sys.stdin.buffer)


def _program(arguments: argparse.Namespace) -> Program:
    if arguments.ruleset:
        return compile_program(load_folder(Path(arguments.ruleset)))
    home = find_home(arguments.home)
    if (home / "etc/ossec.conf").is_file():
        config = load_manager(home).config
        timeframe_s = config.internal.analysisd_default_timeframe_s
        return compile_program(load_ruleset(config.ruleset, config.alerts, home, timeframe_s=timeframe_s))
    return compile_program(load_folder(FOLDER))


def _asker(arguments: argparse.Namespace) -> Asker:
    """The node's socket where a node runs, else the same ruleset in this process."""
    if not arguments.ruleset:
        asker = NodeAsker(find_home(arguments.home))
        if asker.is_there():
            return asker
        if not arguments.quiet:
            print("(no node runs here: the ruleset is read by this tool)", file=sys.stderr)
    return LocalAsker(_program(arguments))


class Conversation:
    """Logs in, phases out, one session."""

    def __init__(self, asker: Asker, arguments: argparse.Namespace, wanted: list[str] | None) -> None:
        self._asker = asker
        self._arguments = arguments
        self._wanted = wanted
        self._token: str | None = None
        self._last = ["", "", ""]

    def run(self, lines: Iterable[bytes]) -> int:
        """The exit status; the session is removed at the end."""
        self._say(f"Starting {TOOL} v{version.PROTOCOL}\nType one log per line\n")
        try:
            self._prompt()
            for line in lines:
                log = line.rstrip(b"\r\n")
                if log:
                    self._one(log)
                    self._prompt()
        except KeyboardInterrupt:
            pass
        except NoNode:
            self._say(NO_NODE)
        self._end()
        return self._status()

    def _say(self, text: str) -> None:
        if not self._arguments.quiet:
            print(text, file=sys.stderr)

    def _prompt(self) -> None:
        if not self._arguments.quiet:
            print(flush=True)

    def _debug(self, what: str, value: Any) -> None:
        if self._arguments.debug:
            for line in json.dumps(value, indent=4, ensure_ascii=False).splitlines():
                self._say(f"{datetime.now():%Y-%m-%d %H:%M:%S} {TOOL}[DEBUG] {what}: {line}")

    def _one(self, log: bytes) -> None:
        options = {}
        if self._arguments.verbose:
            options["rules_debug"] = True
        if self._arguments.explain:
            options["explain"] = True
        parameters: dict[str, Any] = {
            "location": self._arguments.location,
            "log_format": "syslog",
            "event": log.decode("utf-8", "surrogateescape"),
        }
        if self._token is not None:
            parameters["token"] = self._token
        if options:
            parameters["options"] = options
        self._debug("Request", parameters)
        reply = self._asker.ask("log_processing", parameters)
        self._debug("Reply", reply)
        self._show(reply)

    def _show(self, reply: dict[str, Any]) -> None:
        data = reply.get("data", {})
        code = reply.get("error") or min(data.get("codemsg", 0), 0)
        if code:
            texts = [reply["message"]] if "message" in reply else data.get("messages", [])
            self._say(f"** Wazuh-logtest error {code}: " + "\n\t".join(texts))
            return
        if self._token is not None and data["token"] != self._token:
            self._say(f'New session was created with token "{data["token"]}"')
        self._token = data["token"]
        if warnings := warnings_text(data.get("messages", [])):
            self._say(warnings)
        self._say(phases_text(data["output"], alert=data["alert"], debug=data.get("rules_debug")))
        if "explain" in data:
            self._say(
                "\n**Explanation:\n" + "\n".join(f"\t{line}" if line else "" for line in data["explain"])
            )
        self._last = verdict_of(data["output"])
        if self._wanted is not None:
            is_right = self._last == self._wanted
            self._say(
                "\nUnit test OK"
                if is_right
                else f"\nUnit test FAIL. Expected {self._wanted} , Result {self._last}"
            )

    def _end(self) -> None:
        if self._token is not None:
            try:
                self._asker.ask("remove_session", {"token": self._token})
            except NoNode:
                self._say(NO_NODE)

    def _status(self) -> int:
        """With -U: the number of empty words where the last log gave what was wanted, else 1."""
        if self._wanted is None:
            return 0
        return self._wanted.count("") if self._last == self._wanted else 1


def main() -> int:
    """As `wazuh-logtest`."""
    parser = argparse.ArgumentParser(prog=TOOL)
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
