"""The starter ruleset, compiled once, and fresh analyzers on it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from garrison.analysis.compile import compile_program
from garrison.analysis.event import Arrival, Verdict
from garrison.analysis.load import load_folder
from garrison.analysis.program import Program
from garrison.analysis.run import Analyzer
from garrison.ruleset import FOLDER

START = 1795576975.0


@cache
def program() -> Program:
    """The compiled starter ruleset."""
    return compile_program(load_folder(FOLDER))


def judge_all(
    messages: Iterable[tuple[bytes, bytes]], every_s: float = 1.0, queue: str = "1"
) -> list[Verdict]:
    """The verdicts on (location, message), one `every_s` seconds, by one fresh analyzer. `queue` 1 is for logs."""
    analyzer = Analyzer(program(), host_name=b"manager.example")
    verdicts = []
    for count, (location, message) in enumerate(messages):
        verdict = analyzer.judge(
            Arrival(queue=queue, location=location, message=message, at=START + count * every_s)
        )
        assert verdict is not None, message
        verdicts.append(verdict)
    return verdicts
