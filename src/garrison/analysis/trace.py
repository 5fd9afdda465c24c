"""Watching one event on its way: which decoders and rules were tried, and what refused. Pure, slow, same verdicts.

    analyzer = TracingAnalyzer(program, host_name=b"gate", is_log_test=True)
    verdict, trace = analyzer.judge_watched(arrival)

Nothing is left out by short cuts here: every decoder and rule is tried in its order, as the specification tells it.
Source: spec/analysis-2-rules.md 4 (order of trial); spec/analysis-3-outputs.md 8.4 (texts of `debug_lines`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from garrison.analysis import conditions
from garrison.analysis.decode import Attempt, Decoding
from garrison.analysis.event import Arrival, Event, Verdict
from garrison.analysis.patterns import Pattern
from garrison.analysis.program import DecoderForest, DecoderNode, Program, Rule, RuleNode, Search
from garrison.analysis.run import Analyzer, Walk


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderTry:
    """One pattern of a decoder that was tried: its `option` (`program_name`, `prematch`, `regex`) and whether it fits."""

    decoder: DecoderNode
    option: str
    text: bytes
    fits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a rule refused: the option, what it asks for, what the event has (None: nothing), and where it is written."""

    option: str
    text: bytes = b""
    value: bytes | None = None
    line: int = 0
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many earlier events a composite rule has seen, of how many that it needs, within how many seconds."""

    seen: int
    needed: int
    timeframe_s: int


@dataclass(slots=True, kw_only=True)
class RuleTry:
    """One rule that was tried at `depth` of the tree; `refusal` None: it fits."""

    rule: Rule
    depth: int
    has_children: bool
    refusal: Refusal | None = None
    count: Count | None = None


@dataclass(slots=True)
class Trace:
    """All steps in order. `program_roots` is how many roots asked for the event's program."""

    decoders: list[DecoderTry] = field(default_factory=list)
    rules: list[RuleTry] = field(default_factory=list)


class TracingAnalyzer(Analyzer):
    """An analyzer that can be watched."""

    def __init__(self, program: Program, *, host_name: bytes, is_log_test: bool = False, **more: Any) -> None:
        super().__init__(program, host_name=host_name, is_log_test=is_log_test, tries_all=True, **more)
        self._watched = _WatchedDecoding(program.decoders)
        self._decoding = self._watched
        self._trace = Trace()

    def judge_watched(self, arrival: Arrival) -> tuple[Verdict | None, Trace]:
        """The verdict and the way to it."""
        self._trace = self._watched.trace = Trace()
        return self.judge(arrival), self._trace

    def begin_walk(self, event: Event, node: DecoderNode | None, gates: Collection[int] | None) -> Walk:
        return _WatchedWalk(self, event, node, self._trace)


class _WatchedDecoding(Decoding):
    def __init__(self, forest: DecoderForest) -> None:
        super().__init__(forest)
        self.trace = Trace()

    def begin(self, event: Event, hits: Collection[int] | None, follows_byte: bool) -> Attempt:
        return _WatchedAttempt(event, hits, follows_byte, self.trace)


class _WatchedAttempt(Attempt):
    __slots__ = ("_trace",)

    def __init__(self, event: Event, hits: Collection[int] | None, follows_byte: bool, trace: Trace) -> None:
        super().__init__(event, hits, follows_byte)
        self._trace = trace

    def _note(self, node: DecoderNode, option: str, text: bytes, fits: bool) -> None:
        self._trace.decoders.append(DecoderTry(decoder=node, option=option, text=text, fits=fits))

    def enters(self, root: DecoderNode) -> bool:
        fits = super().enters(root)
        option, pattern = "prematch", root.prematch
        if pattern is None:
            option, pattern = "program_name", root.program_name
        self._note(root, option, pattern.source if pattern is not None else b"", fits)
        return fits

    def child_end(self, child: DecoderNode, prematch: Pattern, after_root: int) -> int | None:
        end = super().child_end(child, prematch, after_root)
        self._note(child, "prematch", prematch.source, end is not None)
        return end

    def assign(self, node: DecoderNode, start: int) -> int | None:
        end = super().assign(node, start)
        assert node.regex is not None
        self._note(node, "regex", node.regex.source, end is not None)
        return end


class _WatchedWalk(Walk):
    __slots__ = ("_depth", "_trace", "_watched")

    def __init__(
        self, analyzer: TracingAnalyzer, event: Event, node: DecoderNode | None, trace: Trace
    ) -> None:
        super().__init__(analyzer, event, node, None)
        self._watched = analyzer
        self._trace = trace
        self._depth = -1

    def check(self, node: RuleNode) -> Rule | None:
        rule = node.rule
        attempt = RuleTry(rule=rule, depth=self._depth + 1, has_children=bool(node.children))
        self._trace.rules.append(attempt)
        attempt.refusal = self._plain_refusal(rule)
        if attempt.refusal is not None:
            return None
        if rule.search is not None:
            attempt.count = self._count(rule.search, rule)
        self._depth += 1
        attempt.refusal = self._memory_refusal(rule)
        try:
            return super().check(node)
        finally:
            self._depth -= 1

    def holds_in_memory(self, rule: Rule) -> bool:
        holds = super().holds_in_memory(rule)
        if holds:
            attempt = next(each for each in reversed(self._trace.rules) if each.rule is rule)
            attempt.refusal = None
        return holds

    def _plain_refusal(self, rule: Rule) -> Refusal | None:
        event = self._event
        if rule.decoded_as is not None and rule.decoded_as != self._name:
            return Refusal(option="decoded_as", text=rule.decoded_as, value=self._name, line=rule.card.line)
        for condition in rule.conditions:
            if not condition.test(event):
                subject = condition.subject
                value = None if subject is None else conditions.value_at(subject)(event)
                return Refusal(
                    option=condition.option,
                    text=condition.text,
                    value=value,
                    line=condition.line,
                    negated=condition.negated,
                )
        return None

    def _count(self, search: Search, rule: Rule) -> Count:
        seen = self._watched.state.earlier.count_alike(search, rule.card.level, self._event)
        return Count(seen=seen + 1, needed=search.needed + 2, timeframe_s=search.timeframe_s)

    def _memory_refusal(self, rule: Rule) -> Refusal | None:
        """What refuses if memory does: taken back by `holds_in_memory` when it does not."""
        line = rule.card.line
        if not all(lookup(self._event) for lookup in rule.lookups):
            return Refusal(option="list", line=line)
        if rule.asks_first_seen:
            return Refusal(option="if_fts", line=line)
        if rule.keeps_difference:
            return Refusal(option="check_diff", line=line)
        return Refusal(option="frequency", line=line) if rule.search is not None else None


def debug_lines(trace: Trace) -> list[str]:
    """`rules_debug` of the log test: one text a step."""
    lines: list[str] = []
    for attempt in trace.rules:
        card = attempt.rule.card
        lines.append(f"Trying rule: {card.id} - {card.description.decode('utf-8', 'surrogateescape')}")
        if attempt.refusal is None:
            lines.append(f"*Rule {card.id} matched")
            if attempt.has_children:
                lines.append("*Trying child rules")
    return lines
