"""A compiled ruleset: what `compile` makes and `run` walks. Values only.

Decoders form two lists of roots, each with one level of children; rules form a tree. Both hold `gate` numbers:
a gate is a necessary condition on the whole log, and one pass over the log (`prefilter`) tells which gates are
open. -1 stands for no gate.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from garrison.analysis.event import DecoderCard, Event, RuleCard
from garrison.analysis.patterns import Pattern
from garrison.analysis.prefilter import NO_GATE, Prefilter
from garrison.ground.errors import Fault

AFTER_PARENT, AFTER_PREMATCH, AFTER_REGEX = "after_parent", "after_prematch", "after_regex"

Test = Callable[[Event], bool]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Condition:
    """One plain condition of a rule. Running needs `test`; the rest says what is asked, and where it is written.

    `option` is the element's name (`match`, `field`, `srcip`, `time`, ...), `text` what it asks for. `subject` is
    what `pattern` looks at: `log`, a name that `conditions.value_of` knows, or a dynamic field's name in lower
    case as bytes; None where there is no pattern.
    """

    test: Test
    option: str
    line: int
    text: bytes = b""
    subject: str | bytes | None = None
    pattern: Pattern | None = None
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSeen:
    """`<fts>` of a decoder: the fixed words, and its own dynamic fields in the order of extraction."""

    words: frozenset[str]
    dynamic: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderWord:
    """One word of `<order>`: the static field it fills, or the name of a dynamic one."""

    static: str | None
    name: bytes


@dataclass(slots=True, kw_only=True, eq=False)
class DecoderNode:
    """One `<decoder>`; `goes_on` says that the physically next sibling continues it.

    `first_bytes` are those, in lower case, that a log must begin with; None where that is not known.
    """

    card: DecoderCard
    written_name: bytes
    path: str = ""
    line: int = 0
    category: str = "syslog"
    program_name: Pattern | None = None
    prematch: Pattern | None = None
    prematch_is_after_parent: bool = False
    regex: Pattern | None = None
    regex_offset: str | None = None
    order: tuple[OrderWord, ...] = ()
    plugin: str | None = None
    plugin_offset: str | None = None
    first_seen: FirstSeen | None = None
    discards_null: bool = False
    joins_arrays: bool = False
    goes_on: bool = False
    children: list[DecoderNode] = field(default_factory=list)
    gate: int = NO_GATE
    regex_gate: int = NO_GATE
    first_bytes: frozenset[int] | None = None


@dataclass(slots=True, kw_only=True)
class DecoderForest:
    """The roots that ask for a program name, and those that do not, in loading order."""

    named: list[DecoderNode] = field(default_factory=list)
    unnamed: list[DecoderNode] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """What `same_*` and `different_*` ask of an earlier event."""

    same: tuple[str, ...] = ()
    different: tuple[str, ...] = ()
    same_fields: tuple[bytes, ...] = ()
    different_fields: tuple[bytes, ...] = ()
    crosses_agents: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The look at earlier events of a composite rule.

    `window` is the number of the list it reads, None for the list of all events. `needed` earlier events are
    counted before one more makes the match (the rule's `frequency` less two).
    """

    window: int | None
    needed: int
    timeframe_s: int
    pattern: Pattern | None
    likeness: Likeness


@dataclass(slots=True, kw_only=True, eq=False)
class Rule:
    """One rule, ready to run; `number` counts rules from 0 and is where its state lies.

    `tests` are those of the plain `conditions`. Then come, in this order and with effects on memory, `keeps_difference`
    (check_diff), `asks_first_seen` (if_fts), `lookups` (lists) and `search`. `feeds` are the windows that get
    an event which ends with this rule, one entry for each time. `definition` is equal for two rules of two programs
    only if their texts say the same.
    """

    number: int
    card: RuleCard
    category: str
    decoded_as: bytes | None = None
    tests: tuple[Test, ...] = ()
    conditions: tuple[Condition, ...] = ()
    keeps_difference: bool = False
    asks_first_seen: bool = False
    lookups: tuple[Test, ...] = ()
    search: Search | None = None
    is_silent: bool = False
    ignore_s: int = 0
    describe: Callable[[Event], bytes] = field(default=lambda event: b"")
    feeds: tuple[int, ...] = ()
    gate: int = NO_GATE
    definition: bytes = b""


class Branch(Protocol):
    """Siblings of which only some are worth a trial."""

    def candidates(self, event: Event, gates: Collection[int]) -> Sequence[RuleNode]:
        """Those that may fit `event`, in the order of trial; the rest certainly refuse."""
        ...


@dataclass(slots=True, eq=False)
class RuleNode:
    """A place of a rule in the tree; a rule may have several. Children are in the order of trial.

    `branches` are the children by name of the event's decoder (None: any other), where there are many.
    """

    rule: Rule
    children: list[RuleNode] = field(default_factory=list)
    branches: dict[bytes | None, Branch] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Program:
    """Decoders, rules and lists, linked and ready to run. Never changes; state lives in the `Analyzer`."""

    decoders: DecoderForest = field(default_factory=DecoderForest)
    roots: list[RuleNode] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    windows: int = 0
    prefilter: Prefilter | None = None
    largest_frequency: int = 0
    log_alert_level: int = 3
    decoder_names: frozenset[bytes] = frozenset()
    lists: Mapping[str, Mapping[bytes, bytes]] = field(default_factory=dict)
    warnings: tuple[Fault, ...] = ()
