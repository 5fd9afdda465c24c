"""Many questions to a ruleset, one JSON object a line: how a corpus is run.

    {"id": "...", "log": "..." or ["...", ...], "location": "..."}
        ->  {"id", "decoder", "rule_id", "level", "answers": [{"alert": true, "output": {...}}, ...]}

All state is forgotten between lines; the logs of one line share it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from garrison.alerts.json_text import encode_json
from garrison.alerts.record import Context, log_test_object
from garrison.analysis.event import Arrival, Verdict
from garrison.analysis.explain import explain_lines
from garrison.analysis.program import Program
from garrison.analysis.run import Analyzer
from garrison.analysis.trace import Trace, TracingAnalyzer

CONTEXT = Context(manager_name="manager", cluster_name="wazuh", node_name="node01")
HOST = b"manager"


def answer_lines(program: Program, lines: Iterable[bytes], *, explains: bool = False) -> int:
    """Answers each line on standard output; exit status 1 when a line was no question, which standard error tells."""
    status = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            identity, logs, location = _question(line)
        except (ValueError, RecursionError) as error:
            print(f"line {number}: not a question: {error}", file=sys.stderr)
            status = 1
            continue
        answer = answer_all(program, logs, location, explains=explains)
        sys.stdout.buffer.write(encode_json({"id": identity, **answer}) + b"\n")
    sys.stdout.buffer.flush()
    return status


def _question(line: bytes) -> tuple[Any, list[str], str]:
    question = json.loads(line)
    if not isinstance(question, dict):
        raise ValueError("expected an object")
    logs = question.get("log")
    logs = [logs] if isinstance(logs, str) else logs
    if not isinstance(logs, list) or not all(isinstance(log, str) for log in logs):
        raise ValueError("'log' must be a text or a list of texts")
    location = question.get("location", "stdin")
    if not isinstance(location, str):
        raise ValueError("'location' must be a text")
    return question.get("id"), logs, location


def answer_all(
    program: Program, logs: Sequence[str], location: str, *, explains: bool = False
) -> dict[str, Any]:
    """The answers to logs that share one fresh session; decoder, rule and level are those of the last."""
    watched = TracingAnalyzer(program, host_name=HOST, is_log_test=True) if explains else None
    analyzer = watched or Analyzer(program, host_name=HOST, is_log_test=True)
    answers: list[dict[str, Any]] = []
    verdict: Verdict | None = None
    for log in logs:
        arrival = Arrival(
            queue="1",
            location=location.encode("utf-8", "surrogateescape"),
            message=log.encode("utf-8", "surrogateescape"),
            at=time.time(),
        )
        trace = Trace()
        if watched is not None:
            verdict, trace = watched.judge_watched(arrival)
        else:
            verdict = analyzer.judge(arrival)
        answers.append(_answer(verdict, int(arrival.at)))
        if watched is not None and verdict is not None:
            answers[-1]["explain"] = explain_lines(verdict, trace)
    return {**_last(verdict), "answers": answers}


def _answer(verdict: Verdict | None, at: int) -> dict[str, Any]:
    """A message that is no event (a location of an agent that does not end) has an empty output."""
    if verdict is None:
        return {"alert": False, "output": {}}
    return {"alert": verdict.is_alert, "output": log_test_object(verdict, CONTEXT, f"{at}.0")}


def _last(verdict: Verdict | None) -> dict[str, Any]:
    if verdict is None:
        return {"decoder": None, "rule_id": None, "level": None}
    decoder, rule = verdict.event.decoder, verdict.rule
    return {
        "decoder": decoder.name.decode("utf-8", "replace") if decoder else None,
        "rule_id": str(rule.id) if rule else None,
        "level": rule.level if rule else None,
    }
