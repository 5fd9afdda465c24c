"""Which children of a rule are worth a trial for an event: the rest certainly refuse. Pure.

    index_tree(roots)
    node.branches[decoder_name].candidates(event, open_gates)   ->  some of node.children, in the order of trial

Each child is filed once, under the first of these that it has: the exact values that it wants of a field, the gate
of a pattern over the log, a field that has to be there; what has none of them is always tried. What is left out
would have refused before it touched any memory, so trying all children gives the same verdict.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from garrison.analysis import conditions, program
from garrison.analysis.conditions import Value
from garrison.analysis.event import Event
from garrison.analysis.patterns import exact_values
from garrison.analysis.prefilter import NO_GATE
from garrison.analysis.program import Rule, RuleNode

FEW = 3
"""So many children are tried without looking anything up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """Where a rule is filed: under `values` of the field `subject`, else a gate, else a field that it needs."""

    subject: str | bytes | None = None
    values: frozenset[bytes] = frozenset()
    gate: int = NO_GATE
    need: bytes | None = None


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

    __slots__ = ("_always", "_by_gate", "_by_need", "_by_value", "_nodes")

    def __init__(self, nodes: Sequence[RuleNode], filings: Sequence[Filing]) -> None:
        self._nodes = nodes
        self._always = 0
        self._by_gate: dict[int, int] = {}
        self._by_need: dict[bytes, int] = {}
        self._by_value: list[tuple[Value, dict[bytes, int]]] = []
        tables: dict[str | bytes, dict[bytes, int]] = {}
        if len(nodes) <= FEW:
            return
        for place, filing in enumerate(filings):
            self._file(1 << place, filing, tables)
        self._by_value = [(conditions.value_at(subject), table) for subject, table in tables.items()]

    def _file(self, bit: int, filing: Filing, tables: dict[str | bytes, dict[bytes, int]]) -> None:
        if filing.subject is not None:
            table = tables.setdefault(filing.subject, {})
            for value in filing.values:
                table[value] = table.get(value, 0) | bit
        elif filing.gate != NO_GATE:
            self._by_gate[filing.gate] = self._by_gate.get(filing.gate, 0) | bit
        elif filing.need is not None:
            self._by_need[filing.need] = self._by_need.get(filing.need, 0) | bit
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
        by_need = self._by_need
        if by_need:
            for name in by_need.keys() & event.by_name.keys():
                bits |= by_need[name]
        for value_of, table in self._by_value:
            value = value_of(event)
            if value is not None:
                bits |= table.get(value.lower(), 0)
        found = []
        while bits:
            lowest = bits & -bits
            found.append(nodes[lowest.bit_length() - 1])
            bits ^= lowest
        return found


def _filing(rule: Rule) -> Filing:
    for condition in rule.conditions:
        pattern, subject = condition.pattern, condition.subject
        if pattern is not None and not condition.negated and subject not in (None, "log"):
            values = exact_values(pattern)
            if values is not None:
                return Filing(subject=subject, values=values)
    if rule.gate != NO_GATE:
        return Filing(gate=rule.gate)
    need = next((each.subject for each in rule.conditions if isinstance(each.subject, bytes)), None)
    return Filing(need=need)
