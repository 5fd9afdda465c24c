"""Events of agents' modules: by the queue that they come on, the decoder that knows them. Pure, but for the memory.

    8 file integrity   9 rootcheck   d inventory   e CIS-CAT   f Windows event channel   p configuration assessment

All are of category `ossec`. A decoder raises `NoEvent` for what is none: it is counted, and nothing is written of it.
Source: spec/analysis.md 18; spec/analysis-3-outputs.md 7.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from garrison.analysis import configuration_assessment, file_integrity, inventory, rootcheck, windows_event
from garrison.analysis.configuration_assessment import Results
from garrison.analysis.event import DecoderCard, Event
from garrison.analysis.module_json import NoEvent, member, read_object
from garrison.analysis.plugins import decode_json
from garrison.analysis.program import DecoderNode

MOST_KNOWN = 200_000

_CISCAT = DecoderCard(name=b"ciscat")
_CISCAT_NODE = DecoderNode(card=_CISCAT, written_name=_CISCAT.name)
_CISCAT_PLACE = b"wodle_cis-cat"


class KnownTexts:
    """Which texts an agent has sent before, by digest; bounded, the oldest go first."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self.forgotten = 0

    def is_new(self, agent: bytes, text: bytes) -> bool:
        """True the first time."""
        digest = blake2b(agent + b"\0" + text, digest_size=16).digest()
        is_new = digest not in self._known
        self._known[digest] = None
        self._known.move_to_end(digest)
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
            self.forgotten += 1
        return is_new


@dataclass(slots=True)
class ModuleMemory:
    """What the manager has to remember about modules' messages. `refused` counts those that were no events."""

    results: Results = field(default_factory=Results)
    rootcheck: KnownTexts = field(default_factory=KnownTexts)
    refused: int = 0

    @property
    def forgotten(self) -> int:
        """How much had to go to keep this bounded."""
        return self.results.forgotten + self.rootcheck.forgotten


Decode = Callable[[Event, ModuleMemory], None]


def _rootcheck(event: Event, memory: ModuleMemory) -> None:
    event.is_first_seen = memory.rootcheck.is_new(event.agent_id, event.log)
    rootcheck.decode(event)


def _ciscat(event: Event, memory: ModuleMemory) -> None:
    if event.location.rpartition(b"->")[2] != _CISCAT_PLACE:
        raise NoEvent("not from the CIS-CAT module")
    if not isinstance(member(read_object(event.log), "type"), str):
        raise NoEvent("no type")
    event.decoder, event.category = _CISCAT, "ossec"
    decode_json(event, event.log, _CISCAT_NODE)


DECODERS: Mapping[str, Decode] = {
    "8": lambda event, memory: file_integrity.decode(event),
    "9": _rootcheck,
    "d": lambda event, memory: inventory.decode(event),
    "e": _ciscat,
    "f": lambda event, memory: windows_event.decode(event),
    "p": lambda event, memory: configuration_assessment.decode(event, memory.results),
}
