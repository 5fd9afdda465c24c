"""The texts of a ruleset before they are understood, in loading order. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from garrison.ground.errors import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One decoder or rule file. `path` is how messages name it."""

    path: str
    text: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """`<alerts>`: the levels from which alerts are written and mailed (0 to 16); shipped values.

    `timeframe_s` is what rules look back without a `timeframe` of their own: `analysisd.default_timeframe`.
    """

    log_alert_level: int = 3
    email_alert_level: int = 12
    timeframe_s: int = 360


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A whole ruleset. `decoders` and `rules` are sorted; `lists` maps the name that rules write to the text.

    `faults` are what loading found, warnings as a rule: a missing file, a missing list.
    """

    decoders: tuple[SourceFile, ...] = ()
    rules: tuple[SourceFile, ...] = ()
    lists: Mapping[str, bytes] = field(default_factory=dict)
    thresholds: Thresholds = Thresholds()
    faults: tuple[Fault, ...] = ()
