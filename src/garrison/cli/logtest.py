"""`garrison logtest`: what the ruleset says to logs, one line each.

    garrison logtest                       reads logs, prints the three phases that operators know
    garrison logtest --jsonl --ruleset D   reads {"id", "log", "location"}, prints {"id", "decoder", "rule_id", ...}

Source: spec/analysis.md 19.2.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from garrison.alerts.json_text import encode_json
from garrison.alerts.record import Context, log_test_object
from garrison.analysis.compile import compile_program
from garrison.analysis.event import Verdict
from garrison.analysis.load import load_folder, load_ruleset
from garrison.analysis.logtest import Session
from garrison.analysis.program import Program
from garrison.cli.control_client import find_home
from garrison.config.load import load_manager
from garrison.ground.errors import ConfigError, RuleError
from garrison.ruleset import FOLDER

CONTEXT = Context(manager_name="manager", cluster_name="wazuh", node_name="node01")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `garrison logtest`."""
    parser.add_argument("--home", help="home folder whose ruleset is used (default: GARRISON_HOME)")
    parser.add_argument(
        "--ruleset", metavar="FOLDER", help="a folder with decoders/, rules/ and lists/ instead"
    )
    parser.add_argument("--jsonl", action="store_true", help="one JSON object a line in, one a line out")
    parser.add_argument("-l", "--location", default="stdin", help="where the logs are said to come from")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 at the end of the input; 1 with every fault when the ruleset does not load."""
    try:
        program = _program(arguments)
    except (RuleError, ConfigError) as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return 1
    if arguments.jsonl:
        return _json_lines(program, sys.stdin.buffer)
    return _phases(program, sys.stdin.buffer, arguments.location.encode())


def _program(arguments: argparse.Namespace) -> Program:
    if arguments.ruleset:
        return compile_program(load_folder(Path(arguments.ruleset)))
    home = find_home(arguments.home)
    if (home / "etc/ossec.conf").is_file():
        config = load_manager(home).config
        timeframe_s = config.internal.analysisd_default_timeframe_s
        return compile_program(load_ruleset(config.ruleset, config.alerts, home, timeframe_s=timeframe_s))
    return compile_program(load_folder(FOLDER))


def _json_lines(program: Program, lines: Iterable[bytes]) -> int:
    status = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            question = json.loads(line)
            logs = question["log"] if isinstance(question["log"], list) else [question["log"]]
            location = str(question.get("location", "stdin"))
            answer = answer_all(program, [str(log) for log in logs], location)
        except (ValueError, KeyError, TypeError) as error:
            print(f"line {number}: not a question: {error!r}", file=sys.stderr)
            status = 1
            continue
        sys.stdout.buffer.write(encode_json({"id": question.get("id"), **answer}) + b"\n")
    sys.stdout.buffer.flush()
    return status


def answer_all(program: Program, logs: Sequence[str], location: str) -> dict[str, Any]:
    """The answers to logs that share one fresh session; decoder, rule and level are those of the last."""
    session = Session(program)
    answers, verdict = [], None
    for log in logs:
        now = time.time()
        verdict = session.answer(log.encode("utf-8", "surrogateescape"), location.encode(), now)
        answers.append(
            {"alert": verdict.is_alert, "output": log_test_object(verdict, CONTEXT, f"{int(now)}.0")}
        )
    return {**_last(verdict), "answers": answers}


def _last(verdict: Verdict | None) -> dict[str, Any]:
    if verdict is None:
        return {"decoder": None, "rule_id": None, "level": None}
    decoder = verdict.event.decoder
    rule = verdict.rule
    return {
        "decoder": decoder.name.decode("utf-8", "replace") if decoder else None,
        "rule_id": str(rule.id) if rule else None,
        "level": rule.level if rule else None,
    }


def _phases(program: Program, lines: Iterable[bytes], location: bytes) -> int:
    session = Session(program)
    print("Type one log per line\n")
    for line in lines:
        log = line.rstrip(b"\r\n")
        if log:
            now = time.time()
            verdict = session.answer(log, location, now)
            print(phases_text(log_test_object(verdict, CONTEXT, f"{int(now)}.0"), verdict.is_alert))
    return 0


def phases_text(output: Mapping[str, Any], is_alert: bool) -> str:
    """The three phases: pre-decoding, decoding, rules."""
    header = dict(output.get("predecoder", {}))
    lines = ["**Phase 1: Completed pre-decoding."]
    if "full_log" in output:
        lines.append(_line("full event", output["full_log"]))
    lines += [
        _line(name, header.pop(name)) for name in ("timestamp", "hostname", "program_name") if name in header
    ]
    lines += [_line(name, value) for name, value in header.items()]
    lines += ["", "**Phase 2: Completed decoding."]
    decoder = dict(output.get("decoder", {}))
    if not decoder:
        lines.append("\tNo decoder matched.")
    lines += [_line(name, decoder.pop(name)) for name in ("name", "parent") if name in decoder]
    lines += [_line(name, value) for name, value in sorted(decoder.items())]
    lines += [_line(name, value) for name, value in _flat(output.get("data", {}))]
    rule = dict(output.get("rule", {}))
    if rule:
        lines += ["", "**Phase 3: Completed filtering (rules)."]
        first = ("id", "level", "description", "groups", "firedtimes")
        lines += [_line(name, rule.pop(name)) for name in first if name in rule]
        lines += [_line(name, value) for name, value in _flat(rule)]
        if is_alert:
            lines.append("**Alert to be generated.")
    return "\n".join(lines) + "\n"


def _line(name: str, value: object) -> str:
    return f"\t{name}: '{value}'"


def _flat(members: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in sorted(members.items()):
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((prefix + name, value))
    return found


def main() -> int:
    """As `wazuh-logtest`."""
    parser = argparse.ArgumentParser(prog="wazuh-logtest")
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
