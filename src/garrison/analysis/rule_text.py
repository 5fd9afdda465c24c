"""One `<rule>` as written, checked as far as it can be alone; where it stands in the tree is not known yet. Values only.

Source: spec/analysis.md 9; spec/analysis-2-rules.md 2.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from garrison.analysis.conditions import Value
from garrison.analysis.event import MitreMark
from garrison.analysis.patterns import MatchPattern, Pattern
from garrison.analysis.program import Condition
from garrison.analysis.syntax import Element, Spot

NO_SPOT = Spot(0, 0)
DEFAULT_TIMEFRAME_S = 360

_BOTH = {
    "dstip": "dstip",
    "src_port": "srcport",
    "srcport": "srcport",
    "dst_port": "dstport",
    "dstport": "dstport",
    "srcuser": "srcuser",
    "user": "dstuser",
    "location": "location",
    "field": "field",
}
SAME = {
    **_BOTH,
    "source_ip": "srcip",
    "srcip": "srcip",
    "protocol": "protocol",
    "action": "action",
}
"""What follows `same_`, in any case of letters, and the field that it means; `field` names a dynamic one."""

SAME_EXACT = {word: word for word in "id url data extra_data status system_name srcgeoip dstgeoip".split()}
"""The same, written exactly so."""

DIFFERENT = dict(_BOTH)
"""What follows `different_`, in any case of letters."""

DIFFERENT_EXACT = {
    word: word
    for word in "srcip id url protocol action data extra_data status system_name srcgeoip dstgeoip".split()
}
"""The same, written exactly so."""

NOT_SAME = {"user": "dstuser", "field": "field"}
"""What follows `not_same_`, in any case of letters."""

NOT_SAME_EXACT = {"source_ip": "srcip", "id": "id"}
"""The same, written exactly so."""

LIKENESS = (
    ("same_", SAME, SAME_EXACT, True),
    ("different_", DIFFERENT, DIFFERENT_EXACT, False),
    ("not_same_", NOT_SAME, NOT_SAME_EXACT, False),
)
"""(prefix, words in any case, words in this case, whether equality is asked for)."""


@dataclass(slots=True)
class ListCondition:
    """One `<list>`: resolved when the lists are known."""

    name: str
    spot: Spot
    lookup: str
    value: Value
    check: MatchPattern | None


@dataclass(slots=True, eq=False)
class RuleText:
    """What a `<rule>` says. `frequency` None: not written. `options` are in the order of the file.

    `decoders` are all `<decoded_as>` with their places; the last one counts. `definition` is the same for two texts
    only if they say the same, comments and line numbers aside.
    """

    id: int
    level: int
    path: str
    spot: Spot
    groups: bytes
    sorts_last: bool = False
    description: bytes | None = None
    category: str | None = None
    decoders: list[tuple[bytes, Spot]] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    lists: list[ListCondition] = field(default_factory=list)
    if_sid: tuple[int, ...] | None = None
    if_level: int | None = None
    if_group: bytes | None = None
    matched_sid: int | None = None
    matched_group: bytes | None = None
    matched_regex: Pattern | None = None
    parent_spot: Spot = NO_SPOT
    frequency: int | None = None
    timeframe_s: int | None = None
    ignore_s: int = 0
    is_silent: bool = False
    overwrites: bool = False
    same: set[str] = field(default_factory=set)
    different: set[str] = field(default_factory=set)
    same_fields: list[bytes] = field(default_factory=list)
    different_fields: list[bytes] = field(default_factory=list)
    crosses_agents: bool = False
    keeps_difference: bool = False
    asks_first_seen: bool = False
    options: list[str] = field(default_factory=list)
    info: bytes | None = None
    cve: bytes | None = None
    mitre: MitreMark | None = None
    is_skipped: bool = False
    definition: bytes = b""

    @property
    def decoded_as(self) -> bytes | None:
        """The decoder that the event must have; None: any."""
        return self.decoders[-1][0] if self.decoders else None

    @property
    def is_composite(self) -> bool:
        """True when the rule asks for earlier events."""
        return (
            self.matched_sid is not None or self.matched_group is not None or self.matched_regex is not None
        )

    @property
    def searches(self) -> bool:
        """True when earlier events are looked through: `check_diff` in the same rule takes the place of that."""
        return self.is_composite and not self.keeps_difference


def definition_of(groups: bytes, element: Element) -> bytes:
    """A digest of what `element` says below a group of that name; places and comments are not in it."""
    digest = hashlib.blake2b(groups, digest_size=16)
    waiting = [(0, element)]
    while waiting:
        depth, each = waiting.pop()
        pieces = [b"%d" % depth, each.name.encode("utf-8", "replace"), each.text]
        pieces += (piece for name, value in each.attributes for piece in (name.encode(), value))
        for piece in pieces:
            digest.update(b"%d:" % len(piece) + piece)
        waiting += ((depth + 1, child) for child in reversed(each.children))
    return digest.digest()
