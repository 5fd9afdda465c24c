"""The ATT&CK marks of a rule: technique ids, or pairs of tactic and technique. Pure.

    <mitre> <id>T1110</id> <id>T1021</id> </mitre>
    <mitre> <tacticID>TA0006</tacticID> <techniqueID>T1110</techniqueID> </mitre>

A block that breaks these forms is left out with a warning; ids are left out where a rule also has pairs.
Source: spec/analysis-2-rules.md 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from garrison.analysis.event import MitreMark
from garrison.analysis.reading import Reading, shown
from garrison.analysis.syntax import Element

_PAIR = "<tacticID>TA0006</tacticID> <techniqueID>T1110</techniqueID>"
_FORMS = f"<id>T1110</id>, or one {_PAIR}"


@dataclass(slots=True)
class Marks:
    """What the `<mitre>` blocks of one rule say so far."""

    _ids: list[bytes] = field(default_factory=list)
    _pairs: list[tuple[bytes, bytes]] = field(default_factory=list)
    _told: bool = False

    def take(self, block: Element, reading: Reading) -> None:
        """Adds one block."""
        texts: dict[str, list[bytes]] = {"id": [], "tacticid": [], "techniqueid": []}
        wrong = "" if block.children else "<mitre> is empty"
        for child in block.children:
            name = child.name.lower()
            if name not in texts:
                wrong = wrong or f"unknown element <{shown(child.name)}> in <mitre>"
            elif not child.text:
                wrong = wrong or f"<{child.name}> in <mitre> is empty"
            else:
                texts[name].append(child.text)
        ids, tactics, techniques = texts["id"], texts["tacticid"], texts["techniqueid"]
        if not wrong and ids and (tactics or techniques):
            wrong = "<mitre> mixes ids with tactics and techniques"
        if not wrong and not ids and (len(tactics), len(techniques)) != (1, 1):
            wrong = f"<mitre> with {len(tactics)} tacticID and {len(techniques)} techniqueID"
        if wrong:
            reading.warn(block.spot, f"{wrong}: the block is left out", _FORMS)
            return
        self._ids += [each for each in dict.fromkeys(ids) if each not in self._ids]
        self._pairs += [pair for pair in zip(tactics, techniques, strict=True) if pair not in self._pairs]
        if self._ids and self._pairs and not self._told:
            self._told = True
            reading.warn(block.spot, "<mitre> in both forms: the ids are left out", f"only {_PAIR}")

    def mark(self) -> MitreMark | None:
        """The rule's mark, None without any."""
        if self._pairs:
            return MitreMark(pairs=tuple(self._pairs))
        return MitreMark(ids=tuple(self._ids)) if self._ids else None
