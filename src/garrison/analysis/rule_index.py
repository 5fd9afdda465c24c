"""Which children of a rule are worth a trial for an event: the rest certainly refuse. Pure.

    index_tree(roots)
    node.branches[decoder_name].candidates(event, open_gates)   ->  some of node.children, in the order of trial

Each child is filed once, under the first of these that it has: the exact values that it wants of a field, the gate
of a pattern over the log, a pattern over a field; what has none of them is always tried. What is left out would
have refused before it touched any memory, so trying all children gives the same verdict.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from garrison.analysis import conditions, program
from garrison.analysis.bits import members
from garrison.analysis.conditions import Value
from garrison.analysis.event import Event
from garrison.analysis.patterns import Pattern, exact_values
from garrison.analysis.prefilter import NO_GATE
from garrison.analysis.program import Condition, Rule, RuleNode

FEW = 3
"""So many children are tried without looking anything up."""

MOST_REMEMBERED = 4_096
MOST_REMEMBERED_BYTES = 256
FAIR_TRIALS = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """Where a rule is filed: under a condition on a field, else under a gate; neither: it is always tried."""

    condition: Condition | None = None
    gate: int = NO_GATE


def index_tree(roots: Iterable[RuleNode]) -> None:
    """Fills `branches` of every node below `roots` that has more than a few children."""
    waiting = list(roots)
    seen: set[RuleNode] = set()
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        waiting += node.children
        if len(node.children) > FEW:
            node.branches = _branches(node.children)


def _branches(children: list[RuleNode]) -> dict[bytes | None, program.Branch]:
    names = {child.rule.decoded_as for child in children}
    filings = [_filing(child.rule) for child in children]
    branches: dict[bytes | None, program.Branch] = {}
    for name in (None, *names):
        places = [at for at, child in enumerate(children) if child.rule.decoded_as in (None, name)]
        branches[name] = Branch([children[at] for at in places], [filings[at] for at in places])
    return branches


class Branch:
    """Siblings that one decoder's events may fit, as sets of bits: bit `n` is the n-th sibling."""

    __slots__ = ("_always", "_by_gate", "_fields", "_nodes")

    def __init__(self, nodes: Sequence[RuleNode], filings: Sequence[Filing]) -> None:
        self._nodes = nodes
        self._always = 0
        self._by_gate: dict[int, int] = {}
        self._fields: list[FieldTable] = []
        if len(nodes) <= FEW:
            return
        tables: dict[str | bytes, FieldTable] = {}
        for place, filing in enumerate(filings):
            self._file(1 << place, filing, tables)
        self._fields = list(tables.values())

    def _file(self, bit: int, filing: Filing, tables: dict[str | bytes, FieldTable]) -> None:
        condition = filing.condition
        if condition is not None and condition.subject is not None:
            subject = condition.subject
            tables.setdefault(subject, FieldTable(conditions.value_at(subject))).add(bit, condition)
        elif filing.gate != NO_GATE:
            self._by_gate[filing.gate] = self._by_gate.get(filing.gate, 0) | bit
        else:
            self._always |= bit

    def candidates(self, event: Event, gates: Collection[int]) -> Sequence[RuleNode]:
        """The siblings worth a trial, in order."""
        nodes = self._nodes
        if len(nodes) <= FEW:
            return nodes
        bits = self._always
        by_gate = self._by_gate
        for gate in by_gate.keys() & gates:
            bits |= by_gate[gate]
        for table in self._fields:
            value = table.value_of(event)
            if value is not None:
                bits |= table.bits(value)
        return members(nodes, bits) if bits else ()


class FieldTable:
    """What siblings ask of one field: by exact values, and by patterns whose answers are remembered.

    Most fields repeat (programs, hosts, images of processes). Where they do not, remembering is given up, and
    whoever asks for the field is tried.
    """

    __slots__ = ("_by_value", "_hits", "_known", "_misses", "_patterns", "_some", "value_of")

    def __init__(self, value_of: Value) -> None:
        self.value_of = value_of
        self._by_value: dict[bytes, int] = {}
        self._patterns: list[tuple[int, Pattern, bool]] = []
        self._some = 0
        self._known: dict[bytes, int] = {}
        self._hits = self._misses = 0

    def add(self, bit: int, condition: Condition) -> None:
        """Files a sibling under `condition`."""
        pattern = condition.pattern
        assert pattern is not None
        values = None if condition.negated else exact_values(pattern)
        if values is None:
            self._patterns.append((bit, pattern, condition.negated))
            self._some |= bit
            return
        for value in values:
            self._by_value[value] = self._by_value.get(value, 0) | bit

    def bits(self, value: bytes) -> int:
        """The siblings whose condition may hold for `value`."""
        found = self._by_value.get(value.lower(), 0)
        if not self._patterns:
            return found
        known = self._known.get(value)
        if known is not None:
            self._hits += 1
            return found | known
        self._misses += 1
        if len(value) > MOST_REMEMBERED_BYTES or self._misses > max(self._hits, FAIR_TRIALS):
            return found | self._some
        known = 0
        for bit, pattern, negated in self._patterns:
            if pattern.test(value) != negated:
                known |= bit
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[value] = known
        return found | known


def _filing(rule: Rule) -> Filing:
    on_fields = [each for each in rule.conditions if each.pattern is not None and each.subject != "log"]
    exact = (each for each in on_fields if not each.negated and each.pattern and exact_values(each.pattern))
    condition = next(exact, None)
    if condition is not None:
        return Filing(condition=condition)
    if rule.gate != NO_GATE:
        return Filing(gate=rule.gate)
    return Filing(condition=next(iter(on_fields), None))
