"""Where the readers of ruleset files put what is wrong, and the small texts they share. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from garrison.analysis.patterns import OSMATCH, OSREGEX, PCRE2
from garrison.analysis.syntax import Element, Spot
from garrison.ground.errors import Fault
from garrison.ground.log import printable

CATEGORIES = ("firewall", "ids", "syslog", "web-log", "squid", "windows", "host-information", "ossec")
LANGUAGES = (OSMATCH, OSREGEX, PCRE2)


@dataclass(slots=True)
class Reading:
    """The faults of one file, in the order in which they were met.

    `about` is what is read, `rule 100001`, empty for none; `broken` are ids of rules that could not be used.
    """

    path: str
    faults: list[Fault] = field(default_factory=list)
    about: str = ""
    broken: set[int] = field(default_factory=set)

    def error(self, place: Spot | int, found: str, expected: str = "") -> None:
        """Something that keeps the ruleset from loading. `place` may be a bare line."""
        self._tell(place, found, expected, is_warning=False)

    def warn(self, place: Spot | int, found: str, expected: str = "") -> None:
        """Something that is tolerated."""
        self._tell(place, found, expected, is_warning=True)

    @property
    def has_errors(self) -> bool:
        """True when the file cannot be used."""
        return any(not fault.is_warning for fault in self.faults)

    @property
    def in_order(self) -> list[Fault]:
        """The faults from the top of the file to its end."""
        return sorted(self.faults, key=lambda fault: fault.line)

    def _tell(self, place: Spot | int, found: str, expected: str, *, is_warning: bool) -> None:
        spot = place if isinstance(place, Spot) else Spot(place)
        about = f"{self.about}: " if self.about else ""
        self.faults.append(
            Fault(
                path=self.path,
                line=spot.line,
                column=spot.column,
                found=about + found,
                expected=expected,
                is_warning=is_warning,
            )
        )


def shown(text: bytes | str) -> str:
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
        element.spot,
        f"type {shown(value)!r} of <{element.name}>",
        f"{default} is used; known are {', '.join(allowed)}",
    )
    return default
