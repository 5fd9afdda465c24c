"""What goes into the analysis and what comes out of it. Values only; all text is bytes, as it came in.

    Arrival  --judge-->  Verdict(event=Event(...), rule=RuleCard(...) | None, ...)

Source: spec/analysis.md 1, 2, 6, 13, 14.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LOCAL_AGENT = b"000"

STATIC_FIELDS = (
    "protocol",
    "action",
    "srcip",
    "srcport",
    "srcuser",
    "dstip",
    "dstport",
    "dstuser",
    "id",
    "status",
    "url",
    "data",
    "extra_data",
    "system_name",
)
"""The fields with fixed names, in the order in which outputs show them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One message of the event queue.

    `queue` is its one-character kind (`1` log line, `2` network syslog, `8` file integrity ...). `location` is
    unescaped: `[001] (web01) 10.0.0.5->/var/log/auth.log` from an agent, any other text from this host.
    `at` is the time of receipt in seconds since 1970.
    """

    queue: str
    location: bytes
    message: bytes
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderCard:
    """What outputs and rules see of the decoder that an event ended with."""

    name: bytes
    parent: bytes | None = None
    accumulates: bool = False
    fts_comment: bytes | None = None


FORWARDED = "forwarded-alert"
"""The category of what another manager forwarded as an alert: no rule asks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded:
    """An alert of another manager: the rule that it names answers, if this ruleset has it; the rest is the event's."""

    rule_id: int
    place: bytes
    log: bytes
    srcip: bytes | None = None
    dstuser: bytes | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Event:
    """A decoded event. The analysis fills it; whoever holds a `Verdict` only reads it.

    `location` is without the `[001] ` of agents. `hostname` is the event's host (of the log's header, of the
    agent, or this machine's own up to the first dot). `static` holds those of STATIC_FIELDS that exist, empty
    ones too. `dynamic` holds all other fields in the order of extraction; where a name comes twice (without
    regard to case) the first counts, and `by_name` (names in lower case) has that one.
    """

    at: float
    queue: str
    agent_id: bytes
    location: bytes
    hostname: bytes
    full_log: bytes
    log: bytes
    size: int
    timestamp: bytes | None = None
    program_name: bytes | None = None
    decoder: DecoderCard | None = None
    category: str = "syslog"
    static: dict[str, bytes] = field(default_factory=dict)
    dynamic: list[tuple[bytes, bytes]] = field(default_factory=list)
    by_name: dict[bytes, bytes] = field(default_factory=dict)
    mark: int = 0
    """Level of the composite rule that has used this event; composites of that level or less stop at it."""
    extra: Mapping[str, Any] | None = None
    """Object `syscheck` of file integrity events, ready for output; None for all others."""
    forwarded: Forwarded | None = None
    """What an event of category FORWARDED says, where it could be read."""
    is_first_seen: bool | None = None
    """What `if_fts` is told where the event itself knows it (rootcheck); None: the decoder's `fts` decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MitreMark:
    """What a rule says about ATT&CK: `ids` alone, or pairs of tactic and technique ids."""

    ids: tuple[bytes, ...] = ()
    pairs: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RuleCard:
    """What outputs see of a rule. `groups` is the raw comma list, `sshd,pci_dss_10.2.4,`.

    `frequency` is the number in the rule's text for rules that search earlier events, else None. `is_logged`
    and `is_mailed` already weigh the level thresholds against the rule's options.
    """

    id: int
    level: int
    description: bytes
    groups: bytes
    path: str
    line: int
    frequency: int | None = None
    timeframe_s: int = 360
    is_logged: bool = False
    is_mailed: bool = False
    shows_full_log: bool = True
    shows_counter: bool = True
    allows_response: bool = True
    cve: bytes | None = None
    info: bytes | None = None
    mitre: MitreMark | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Verdict:
    """What the ruleset says about one event.

    `rule` is the rule that answers, level 0 included, None when none matched. `description` has its fields
    filled in. `previous` are the full logs that a composite rule counted, newest first. `is_recorded` says
    that the event counts for later composites; `is_alert` that an alert is to be written (the rule's log
    flag); `is_mailed` that it asks for an e-mail.
    """

    event: Event
    rule: RuleCard | None = None
    description: bytes = b""
    fired_times: int = 0
    previous: tuple[bytes, ...] = ()
    previous_log: bytes | None = None
    is_recorded: bool = False
    is_alert: bool = False
    is_mailed: bool = False

    @property
    def level(self) -> int:
        """The rule's level, 0 without a rule."""
        return self.rule.level if self.rule else 0
