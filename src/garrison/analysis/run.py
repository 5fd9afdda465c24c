"""Events meet a program. Pure but for the memory of earlier events that the analyzer keeps."""

from __future__ import annotations

from garrison.analysis.event import Arrival, Verdict
from garrison.analysis.program import Program


class Analyzer:
    """A program with memory: counters, windows of earlier events, first-time-seen lines."""

    def __init__(
        self, program: Program, *, host_name: bytes, memory_size: int = 8192, is_log_test: bool = False
    ) -> None:
        raise NotImplementedError

    def judge(self, arrival: Arrival) -> Verdict | None:
        """What the ruleset says; None where the message is no event (refused, or not for the rules)."""
        raise NotImplementedError
