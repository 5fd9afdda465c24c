"""Windows event channel events (queue f): XML inside JSON becomes the JSON that rules in the field are written for. Pure.

    {"Message":"An account ...","Event":"<Event ...><System>...</System><EventData>...</EventData></Event>"}
        ->  {"win":{"system":{"providerName":...,"eventID":"4625",...},"eventdata":{"targetUserName":"eve",...}}}

That JSON is the event's log and full log; its members become the fields. What comes from a peer is bounded: no document
types, no entities, few levels and elements. Source: spec/analysis.md 18.5; spec/analysis-3-outputs.md 7.6.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from garrison.analysis import cjson
from garrison.analysis.event import DecoderCard, Event
from garrison.analysis.module_json import NoEvent, encoded, member, read_object
from garrison.analysis.plugins import decode_json
from garrison.analysis.program import DecoderNode
from garrison.analysis.windows_audit import CATEGORIES, CHANGES, SUBCATEGORIES

MOST_LEVELS = 16
MOST_ELEMENTS = 2_000

CARD = DecoderCard(name=b"windows_eventchannel")
_NODE = DecoderNode(card=CARD, written_name=CARD.name)

_ATTRIBUTES = {
    "Provider": {"Name": "providerName", "Guid": "providerGuid", "EventSourceName": "eventSourceName"},
    "TimeCreated": {"SystemTime": "systemTime"},
    "Execution": {"ProcessID": "processID", "ThreadID": "threadID"},
}
_DROPPED = frozenset({"Correlation", "Security"})
_LEVELS = {"1": "CRITICAL", "2": "ERROR", "3": "WARNING", "4": "INFORMATION", "5": "VERBOSE"}
_AUDIT_FAILURE, _AUDIT_SUCCESS = 0x10000000000000, 0x20000000000000
_NOTHING = frozenset({"", "-", "(NULL)"})


@dataclass(slots=True)
class Element:
    """One element of the XML."""

    name: str
    attributes: dict[str, str]
    text: str = ""
    children: list[Element] = field(default_factory=list)


def decode(event: Event) -> None:
    """Fills the event; raises `NoEvent` where it is none."""
    message = read_object(event.log)
    xml, spoken = member(message, "Event"), member(message, "Message")
    if not isinstance(xml, str):
        raise NoEvent("no Event")
    shown = {"win": _window(read_xml(xml), spoken if isinstance(spoken, str) else None)}
    event.full_log = event.log = encoded(cjson.print_compact(shown))
    event.size = len(event.log)
    event.timestamp = event.program_name = None
    event.decoder, event.category = CARD, "ossec"
    decode_json(event, event.log, _NODE)


def read_xml(text: str) -> Element:
    """The root element; raises `NoEvent` for anything that is no plain, small XML."""
    root = Element("", {})
    waiting = [root]
    count = 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > MOST_ELEMENTS or len(waiting) > MOST_LEVELS:
            raise NoEvent("XML with too many elements or levels")
        element = Element(name, attributes)
        waiting[-1].children.append(element)
        waiting.append(element)

    def data(text: str) -> None:
        waiting[-1].text += text

    def refuse(*given: object) -> None:
        raise NoEvent("XML with a document type")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = begin
    parser.EndElementHandler = lambda name: waiting.pop() and None
    parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        raise NoEvent(f"XML: {error}") from error
    return root.children[0]


def _window(root: Element, message: str | None) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for section in root.children:
        if section.name == "System":
            shown["system"] = _system(section, message)
        elif section.name == "EventData":
            shown["eventdata"] = _event_data(section)
        else:
            _other(section, shown)
    return {name: value for name, value in shown.items() if value}


def _small(name: str) -> str:
    """With a small first letter."""
    return name[:1].lower() + name[1:]


def _system(section: Element, message: str | None) -> dict[str, str]:
    shown: dict[str, str] = {}
    for element in section.children:
        if element.name in _ATTRIBUTES:
            for attribute, name in _ATTRIBUTES[element.name].items():
                if value := element.attributes.get(attribute):
                    shown[name] = value
        elif element.name not in _DROPPED and element.text:
            shown[_small(element.name)] = element.text
    if "level" in shown and "keywords" in shown:
        shown["severityValue"] = severity(shown["level"], shown["keywords"])
    if message is not None:
        shown["message"] = f'"{message}"'
    return shown


def severity(level: str, keywords: str) -> str:
    """The word for a level; level 0 is told by two bits of the keywords."""
    if level != "0":
        return _LEVELS.get(level, "UNKNOWN")
    try:
        bits = int(keywords[:20], 16)
    except ValueError:
        return "UNKNOWN"
    if bits & _AUDIT_FAILURE:
        return "AUDIT_FAILURE"
    return "AUDIT_SUCCESS" if bits & _AUDIT_SUCCESS else "UNKNOWN"


def _event_data(section: Element) -> dict[str, str]:
    shown: dict[str, str] = {}
    unnamed: list[str] = []
    for element in section.children:
        value = element.text.rstrip()
        if value in _NOTHING:
            continue
        if element.name != "Data":
            shown[_small(element.name)] = value
        elif name := element.attributes.get("Name"):
            shown[_small(name)] = value
        else:
            unnamed.append(value)
    _spell_out(shown)
    if unnamed:
        shown["data"] = ", ".join(unnamed)
    return shown


def _spell_out(shown: dict[str, str]) -> None:
    """Adds the names of an audit policy's numbers."""
    category = CATEGORIES.get(shown.get("categoryId", ""))
    if category:
        shown["category"] = category
    subcategory = SUBCATEGORIES.get(shown.get("subcategoryId", ""))
    if subcategory:
        shown["subcategory"] = subcategory
    if raw := shown.pop("auditPolicyChanges", None):
        shown["auditPolicyChangesId"] = raw
        words = [CHANGES[word] for word in raw.replace(",", " ").split() if word in CHANGES]
        if words:
            shown["auditPolicyChanges"] = ", ".join(words)


def _other(section: Element, shown: dict[str, Any]) -> None:
    """`UserData` and the like: objects named after the elements inside."""
    for element in section.children:
        if element.children:
            inner = {_small(child.name): child.text.rstrip() for child in element.children}
            shown[_small(element.name)] = {name: value for name, value in inner.items() if value}
        elif element.text.strip():
            own = shown.setdefault(_small(section.name), {})
            own[_small(element.name)] = element.text.rstrip()
