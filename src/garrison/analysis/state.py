"""All that an analyzer remembers between events, and how it passes to another program. Pure.

    state = fresh(program, memory_size)
    state = carried(state, old_program, new_program, memory_size)      the ruleset was changed

A rule of the new program succeeds the rule of the same id whose definition is the same to the letter. What such a rule
counted, since when it is ignored, and the events that ended with it stay: a burst that began before a reload is still
seen. Events of rules that changed or went are no longer counted by id or group; their logs are still looked through.
First-seen lines, kept logs and added-up fields belong to decoders, hosts and ids of rules, and stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from garrison.analysis.memory import Accumulator, Differences, FirstSeenLines
from garrison.analysis.modules import ModuleMemory
from garrison.analysis.program import Program, Rule
from garrison.analysis.window import EarlierEvents


@dataclass(slots=True, kw_only=True)
class State:
    """What one analyzer remembers. `fired` has a place for each rule by its number.

    `ignored_since` maps numbers of rules to the second in which their `ignore` began; `hour_ends_at` is when the
    counters of `fired` begin anew.
    """

    earlier: EarlierEvents
    fired: list[int]
    ignored_since: dict[int, int] = field(default_factory=dict)
    first_seen: FirstSeenLines = field(default_factory=FirstSeenLines)
    differences: Differences = field(default_factory=Differences)
    accumulator: Accumulator = field(default_factory=Accumulator)
    modules: ModuleMemory = field(default_factory=ModuleMemory)
    hour_ends_at: float = 0.0
    unfinished: int = 0
    """Events of which patterns were given up because they took too long."""

    def forgotten(self) -> Mapping[str, int]:
        """How much of each kind had to go to keep memory and time bounded."""
        return {
            "events": self.earlier.forgotten,
            "first_seen": self.first_seen.forgotten,
            "differences": self.differences.forgotten,
            "accumulated": self.accumulator.forgotten,
            "unfinished": self.unfinished,
            "modules": self.modules.forgotten,
        }


def fresh(
    program: Program,
    memory_size: int,
    *,
    first_seen: FirstSeenLines | None = None,
    differences: Differences | None = None,
) -> State:
    """The state of an analyzer that has seen nothing, but for what former runs left."""
    return State(
        earlier=EarlierEvents(program, memory_size),
        fired=[0] * len(program.rules),
        first_seen=first_seen or FirstSeenLines(),
        differences=differences or Differences(),
    )


def carried(state: State, old: Program, new: Program, memory_size: int) -> State:
    """The state for `new` that goes on from `state`, which belonged to `old` and is not used any more."""
    successors = _successors(old.rules, new.rules)
    fired = [0] * len(new.rules)
    ignored: dict[int, int] = {}
    for number, rule in successors.items():
        fired[rule.number] = state.fired[number]
        if number in state.ignored_since:
            ignored[rule.number] = state.ignored_since[number]
    return State(
        earlier=state.earlier.carried(new, memory_size, lambda rule: successors.get(rule.number)),
        fired=fired,
        ignored_since=ignored,
        first_seen=state.first_seen,
        differences=state.differences,
        accumulator=state.accumulator,
        modules=state.modules,
        hour_ends_at=state.hour_ends_at,
        unfinished=state.unfinished,
    )


def _successors(old: Sequence[Rule], new: Sequence[Rule]) -> dict[int, Rule]:
    """By the number of an old rule the new one that says the same; of several, the first takes the first."""
    waiting: dict[tuple[int, bytes], list[Rule]] = {}
    for rule in reversed(new):
        waiting.setdefault((rule.card.id, rule.definition), []).append(rule)
    found: dict[int, Rule] = {}
    for rule in old:
        same = waiting.get((rule.card.id, rule.definition))
        if same:
            found[rule.number] = same.pop()
    return found
