"""The table of ATT&CK that comes with the package, and a word about ids that it does not know."""

from __future__ import annotations

import logging
from functools import cache, lru_cache
from pathlib import Path

from garrison.alerts.attack import AttackTable, parse_table
from garrison.analysis.event import MitreMark

TABLE = Path(__file__).parent / "attack.tsv"
MOST_MARKS = 4096
"""Marks whose object is remembered; a ruleset of the field names some hundred different ones."""

log = logging.getLogger(__name__)


@cache
def attack_table() -> AttackTable:
    """The table, read once."""
    return parse_table(TABLE.read_text("utf-8"))


@lru_cache(MOST_MARKS)
def shown_mitre(mark: MitreMark) -> dict[str, list[str]] | None:
    """The object `mitre` of an alert, for `Context`; callers leave it as it is. Unknown ids are told once a mark."""
    table = attack_table()
    for name in table.unknown(mark):
        log.warning("ATT&CK: a rule names %s, which is not known", ascii(name))
    return table.shown(mark)
