"""Events meet a program. Pure but for the memory of earlier events that the analyzer keeps.

    arrival ─▶ header cut off ─▶ decoders ─▶ accumulator ─▶ rule tree ─▶ verdict

The tree is walked depth first: the first branch that matches wins, its deepest matching rule answers.
Source: spec/analysis.md 1, 2, 11, 13.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from functools import cached_property

from garrison.analysis.decode import Decoding
from garrison.analysis.effort import EFFORT
from garrison.analysis.event import FORWARDED, LOCAL_AGENT, Arrival, Event, Verdict
from garrison.analysis.header_forms import meant_header
from garrison.analysis.module_json import NoEvent
from garrison.analysis.modules import DECODERS as MODULES
from garrison.analysis.modules import Decode
from garrison.analysis.predecode import cut_header
from garrison.analysis.program import DecoderNode, Program, Rule, RuleNode
from garrison.analysis.state import State, fresh

NOT_FOR_RULES = frozenset("5u")
"""Queues whose messages are no events for the rules."""

ARCHIVED_ONLY = frozenset("3")
"""Host information of agents of long ago: kept in the archives, no rule looks at it."""

MOST_PLACE_BYTES = 254
"""Of a place that a forwarded alert has added its own to."""


class Analyzer:
    """A program with memory: counters, windows of earlier events, first-time-seen lines. `state` is that memory.

    `tries_all` leaves every short cut out: the slow way to the same verdicts, which tests compare with.
    """

    def __init__(
        self,
        program: Program,
        *,
        host_name: bytes,
        memory_size: int = 8192,
        is_log_test: bool = False,
        tries_all: bool = False,
        state: State | None = None,
    ) -> None:
        self.program = program
        self._short_name = host_name.partition(b".")[0]
        self._is_log_test = is_log_test
        self._decoding = Decoding(program.decoders)
        self._scanner = program.prefilter.scanner() if program.prefilter and not tries_all else None
        self.state = state or fresh(program, memory_size)
        self._fired = self.state.fired

    def judge(self, arrival: Arrival) -> Verdict | None:
        """What the ruleset says; None where the message is no event (refused, or not for the rules).

        It ends within about twice `effort.MOST_S`, whatever the message: what was not looked for by then does not fit.
        """
        EFFORT.begin()
        verdict = self._judge(arrival)
        if EFFORT.end():
            self.state.unfinished += 1
        return verdict

    def _judge(self, arrival: Arrival) -> Verdict | None:
        if arrival.queue in NOT_FOR_RULES:
            return None
        if arrival.at >= self.state.hour_ends_at and not self._is_log_test:
            self._begin_hour(arrival.at)
        event = self._event(arrival)
        if event is None:
            return None
        if arrival.queue in ARCHIVED_ONLY:
            return Verdict(event=event)
        module = MODULES.get(arrival.queue)
        if module is not None and not self._took(module, event):
            return None
        gates: Collection[int] | None = self._scanner.scan(event.log) if self._scanner is not None else None
        node = None
        if module is None:
            node = self._decoding.decode(event, gates, follows_byte=self._follows_byte)
            if node is None:
                node, gates = self._decode_as_meant(event, gates)
        if node is not None and event.decoder is not None and event.decoder.accumulates:
            self.state.accumulator.add_up(event)
        walk = self.begin_walk(event, node, gates)
        if event.category == FORWARDED:
            return self._answer_of_another(event, walk)
        for root in self.program.roots:
            if root.rule.category == event.category:
                answer = walk.check(root)
                if answer is not None:
                    return self._verdict(event, answer, walk)
        return Verdict(event=event)

    def _answer_of_another(self, event: Event, walk: Walk) -> Verdict:
        """The rule that a forwarded alert names answers without a test; none in a log test, and none that is unknown."""
        said = event.forwarded
        rule = None if said is None or self._is_log_test else self._rules_by_id.get(said.rule_id)
        if said is None or rule is None:
            return Verdict(event=event)
        event.location = b"%s|%s" % (event.location, said.place)
        event.hostname = b"%s|%s" % (event.hostname, said.place)
        event.location, event.hostname = event.location[:MOST_PLACE_BYTES], event.hostname[:MOST_PLACE_BYTES]
        event.full_log = event.log = said.log
        for name, value in (("srcip", said.srcip), ("dstuser", said.dstuser)):
            if value is not None:
                event.static[name] = value
        self._fired[rule.number] += 1
        return self._verdict(event, rule, walk)

    @cached_property
    def _rules_by_id(self) -> dict[int, Rule]:
        return {rule.card.id: rule for rule in reversed(self.program.rules) if not rule.is_silent}

    def _decode_as_meant(
        self, event: Event, gates: Collection[int] | None
    ) -> tuple[DecoderNode | None, Collection[int] | None]:
        """A second look at an event that no decoder took: its header read as its writer meant it, if that helps."""
        if event.program_name is not None and event.full_log[:1].isupper():
            return None, gates  # the usual header of syslog, read well
        header = meant_header(event.full_log)
        if header is None or (header.program_name, header.log) == (event.program_name, event.log):
            return None, gates
        before = event.timestamp, event.program_name, event.log
        event.timestamp, event.program_name, event.log = header.timestamp, header.program_name, header.log
        open_gates = self._scanner.scan(event.log) if self._scanner is not None else None
        node = self._decoding.decode(event, open_gates, follows_byte=True)
        if node is None:
            event.timestamp, event.program_name, event.log = before
            return None, gates
        event.size = len(event.log)
        if event.agent_id == LOCAL_AGENT and header.hostname is not None:
            event.hostname = header.hostname
        return node, open_gates

    def _took(self, module: Decode, event: Event) -> bool:
        """False for a message of a module that is no event."""
        try:
            module(event, self.state.modules)
        except NoEvent:
            self.state.modules.refused += 1
            return False
        return True

    def begin_walk(self, event: Event, node: DecoderNode | None, gates: Collection[int] | None) -> Walk:
        """The way of one event through the rules; whoever wants to watch it hands out one that notes its steps."""
        return Walk(self, event, node, gates)

    def _event(self, arrival: Arrival) -> Event | None:
        message = arrival.message.partition(b"\0")[0]
        header = cut_header(message)
        self._follows_byte = header.follows_byte
        agent, location, hostname = LOCAL_AGENT, arrival.location, header.hostname
        if location.startswith(b"["):
            agent, closed, rest = location[1:].partition(b"]")
            if not closed:
                return None
            location = rest[1:]
            hostname = b""
            if location.startswith(b"("):
                name, closed, _ = location[1:].partition(b")")
                hostname = name if closed else b""
        elif hostname is None:
            hostname = self._short_name
        return Event(
            at=arrival.at,
            queue=arrival.queue,
            agent_id=agent,
            location=location,
            hostname=hostname,
            full_log=message,
            log=header.log,
            size=len(header.log),
            timestamp=header.timestamp,
            program_name=header.program_name,
        )

    def _verdict(self, event: Event, rule: Rule, walk: Walk) -> Verdict:
        """What comes of an event that ends with `rule`: while that is ignored, its parent answers instead."""
        fired = self._fired[rule.number]
        previous = tuple(walk.previous[at] for at in sorted(walk.previous))
        is_recorded = rule.card.level > 0
        if is_recorded and rule.ignore_s and self._is_ignored(event, rule):
            if self._is_log_test:
                is_recorded = False
            elif walk.parent is None:
                return Verdict(event=event)
            else:
                rule, previous = walk.parent, ()
        card = rule.card
        verdict = Verdict(
            event=event,
            rule=card,
            description=rule.describe(event),
            fired_times=fired,
            previous=previous,
            previous_log=walk.previous_log,
        )
        if is_recorded:
            self.state.earlier.record(event, rule)
            verdict.is_recorded = True
            verdict.is_alert = card.is_logged
            verdict.is_mailed = card.is_mailed
            if self._is_log_test:
                verdict.is_alert = card.level >= self.program.log_alert_level
        return verdict

    def _is_ignored(self, event: Event, rule: Rule) -> bool:
        """True within `ignore_s` of the alert that began the time. The log test ends a time without beginning one."""
        now, began = int(event.at), self.state.ignored_since
        since = began.get(rule.number)
        if since is not None and now - since < rule.ignore_s:
            return True
        if since is not None and self._is_log_test:
            del began[rule.number]
        else:
            began[rule.number] = now
        return False

    def _begin_hour(self, at: float) -> None:
        """Counters of how often each rule fired begin anew with every full hour of the local clock."""
        local = time.localtime(at)
        self.state.hour_ends_at = int(at) - local.tm_min * 60 - local.tm_sec + 3_600
        self._fired[:] = [0] * len(self._fired)

    @property
    def forgotten(self) -> int:
        """How much had to go, all kinds together, to keep the memory bounded."""
        return sum(self.state.forgotten().values())


class Walk:
    """One event on its way through the rule tree."""

    __slots__ = ("_analyzer", "_event", "_gates", "_name", "_node", "parent", "previous", "previous_log")

    def __init__(
        self, analyzer: Analyzer, event: Event, node: DecoderNode | None, gates: Collection[int] | None
    ) -> None:
        self._analyzer = analyzer
        self._event = event
        self._gates = gates
        self._node = node
        self._name = event.decoder.name if event.decoder else None
        self.previous: dict[int, bytes] = {}
        self.previous_log: bytes | None = None
        self.parent: Rule | None = None

    def check(self, node: RuleNode) -> Rule | None:
        """The rule that answers below `node`, its own included; None when its conditions do not hold."""
        rule = node.rule
        if rule.decoded_as is not None and rule.decoded_as != self._name:
            return None
        event = self._event
        for test in rule.tests:
            if not test(event):
                return None
        if not self.holds_in_memory(rule):
            return None
        children: Sequence[RuleNode] = node.children
        if self._gates is not None and node.branches:
            branch = node.branches.get(self._name) or node.branches[None]
            children = branch.candidates(event, self._gates)
        for child in children:
            answer = self.check(child)
            if answer is not None:
                if self.parent is None:
                    self.parent = rule
                return answer
        if rule.is_silent:
            return None
        self._analyzer._fired[rule.number] += 1
        return rule

    def _is_first(self) -> bool:
        event = self._event
        if event.is_first_seen is not None:
            return event.is_first_seen
        return self._node is not None and self._analyzer.state.first_seen.is_first(event, self._node)

    def holds_in_memory(self, rule: Rule) -> bool:
        state, event = self._analyzer.state, self._event
        if rule.keeps_difference:
            before = state.differences.differs(event, rule.card.id)
            if before is None:
                return False
            self.previous_log = before
            self.previous = {0: b"Previous output:", 1: before}
        if rule.asks_first_seen and not self._is_first():
            return False
        for lookup in rule.lookups:
            if not lookup(event):
                return False
        if rule.search is not None:
            return state.earlier.search(rule.search, rule.card.level, event, self.previous)
        return True
