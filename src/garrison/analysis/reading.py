"""Where the readers of ruleset files put what is wrong, and the small texts they share. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from garrison.analysis.patterns import OSMATCH, OSREGEX, PCRE2
from garrison.analysis.syntax import Element
from garrison.ground.errors import Fault
from garrison.ground.log import printable

CATEGORIES = ("firewall", "ids", "syslog", "web-log", "squid", "windows", "host-information", "ossec")
LANGUAGES = (OSMATCH, OSREGEX, PCRE2)


@dataclass(slots=True)
class Reading:
    """The faults of one file, in the order in which they were met."""

    path: str
    faults: list[Fault] = field(default_factory=list)

    def error(self, line: int, found: str, expected: str = "") -> None:
        """Something that keeps the ruleset from loading."""
        self.faults.append(Fault(path=self.path, line=line, found=found, expected=expected))

    def warn(self, line: int, found: str, expected: str = "") -> None:
        """Something that is tolerated."""
        self.faults.append(Fault(path=self.path, line=line, found=found, expected=expected, is_warning=True))


def shown(text: bytes) -> str:
    """A piece of a ruleset file, fit for a message."""
    return printable(text, 80)


def language_of(element: Element, default: str, allowed: tuple[str, ...], reading: Reading) -> str:
    """The pattern language that attribute `type` asks for."""
    value = element.attribute("type")
    if value is None:
        return default
    word = value.lower().decode("latin-1")
    if word in allowed:
        return word
    reading.warn(
        element.line,
        f"type {shown(value)!r} of <{element.name}>",
        f"{default} is used; known are {', '.join(allowed)}",
    )
    return default
