"""A compiled ruleset: what `compile` makes and `run` walks. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field

from garrison.ground.errors import Fault


@dataclass(slots=True, kw_only=True)
class Program:
    """Decoders, rules and lists, linked and ready to run. Never changes; state lives in the `Analyzer`."""

    warnings: tuple[Fault, ...] = ()
    rule_paths: dict[int, str] = field(default_factory=dict)
