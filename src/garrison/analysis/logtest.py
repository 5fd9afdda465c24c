"""A session of the log test: logs in, the answers that tools know out. Pure.

Source: spec/analysis.md 19; the corpus is run with `garrison logtest --jsonl`.
"""

from __future__ import annotations

from garrison.analysis.event import Arrival, Verdict
from garrison.analysis.program import Program
from garrison.analysis.run import Analyzer


class Session:
    """A program with a memory of its own; nothing of it is shared with other sessions or the node."""

    def __init__(self, program: Program, *, host_name: bytes = b"manager") -> None:
        self._analyzer = Analyzer(program, host_name=host_name, is_log_test=True)

    def answer(self, log: bytes, location: bytes, at: float) -> Verdict:
        """The verdict on one log; an event that is refused has no decoder and no rule."""
        verdict = self._analyzer.judge(Arrival(queue="1", location=location, message=log, at=at))
        assert verdict is not None, "log lines are always for the rules"
        return verdict
