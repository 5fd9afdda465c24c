"""ATT&CK: what the ids that rules name are called. Pure.

    TA0006<tab>Credential Access
    T1110<tab>Brute Force<tab>TA0006        the last column: ids of all its tactics, blanks between

`{"id": ["T1110"], "tactic": ["Credential Access"], "technique": ["Brute Force"]}` is what alerts show.
Source: spec/analysis-3-outputs.md 2; spec/analysis.md 14.
"""

from __future__ import annotations

from dataclasses import dataclass

from garrison.analysis.event import MitreMark


@dataclass(frozen=True, slots=True, kw_only=True)
class Technique:
    """A technique's name and its tactics' ids, in the order of the source."""

    name: str
    tactics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackTable:
    """Names of tactics and techniques by id."""

    tactics: dict[str, str]
    techniques: dict[str, Technique]

    def shown(self, mark: MitreMark) -> dict[str, list[str]] | None:
        """The object `mitre` of an alert; None when nothing that the mark names is known.

        A mark of ids shows all of them, unknown ones too. A mark of pairs shows those whose tactic is one of the
        technique's, each technique once.
        """
        return self._of_pairs(mark) if mark.pairs else self._of_ids(mark)

    def unknown(self, mark: MitreMark) -> tuple[str, ...]:
        """Ids of techniques and tactics that are not in the table."""
        named = [*mark.ids, *(part for pair in mark.pairs for part in pair)]
        ids = (part.decode("utf-8", "surrogateescape") for part in named)
        return tuple(part for part in ids if part not in self.techniques and part not in self.tactics)

    def _of_ids(self, mark: MitreMark) -> dict[str, list[str]] | None:
        ids = [part.decode("utf-8", "surrogateescape") for part in mark.ids]
        known = [self.techniques[part] for part in ids if part in self.techniques]
        tactics = dict.fromkeys(self.tactics[tactic] for found in known for tactic in found.tactics)
        if not tactics:
            return None
        return {"id": ids, "tactic": list(tactics), "technique": [found.name for found in known]}

    def _of_pairs(self, mark: MitreMark) -> dict[str, list[str]] | None:
        tactics: dict[str, None] = {}
        techniques: dict[str, str] = {}
        for pair in mark.pairs:
            tactic, technique = (part.decode("utf-8", "surrogateescape") for part in pair)
            found = self.techniques.get(technique)
            if found is not None and tactic in found.tactics:
                tactics[self.tactics[tactic]] = None
                techniques[technique] = found.name
        if not techniques:
            return None
        return {"id": list(techniques), "tactic": list(tactics), "technique": list(techniques.values())}


def parse_table(text: str) -> AttackTable:
    """The table of a text as shown above; lines with `#` in front are left out. ValueError on any other line."""
    tactics: dict[str, str] = {}
    techniques: dict[str, Technique] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match line.split("\t"):
            case [tactic, name]:
                tactics[tactic] = name
            case [technique, name, listed] if all(part in tactics for part in listed.split()):
                techniques[technique] = Technique(name=name, tactics=tuple(listed.split()))
            case _:
                raise ValueError(f"neither a tactic nor a technique: {line}")
    return AttackTable(tactics=tactics, techniques=techniques)
