"""Reads the options of one section, gathering every fault instead of stopping at the first. Pure.

An element without text counts as absent. An element that is asked for by nobody is a fault: nothing is dropped in
silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from garrison.config.xml import Element
from garrison.ground.errors import Fault, PeerError

T = TypeVar("T")

_INTERVAL = re.compile(r"(\d{1,9})([smhdw]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZE = re.compile(r"(\d{1,12})([KMGkmg]?)[Bb]?")
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SHOWN_CHARS = 60


class Faults:
    """The faults found so far in one file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.all: list[Fault] = []

    def add(self, line: int, found: str, expected: str, *, is_warning: bool = False) -> None:
        """Notes one fault."""
        self.all.append(
            Fault(path=self.path, line=line, found=found, expected=expected, is_warning=is_warning)
        )

    def warn(self, line: int, found: str, expected: str) -> None:
        """Notes something that is tolerated."""
        self.add(line, found, expected, is_warning=True)

    @property
    def errors(self) -> list[Fault]:
        """What is not tolerated."""
        return [fault for fault in self.all if not fault.is_warning]

    @property
    def warnings(self) -> tuple[Fault, ...]:
        """What is tolerated."""
        return tuple(fault for fault in self.all if fault.is_warning)


class Section:
    """One section's element, asked option by option. Of a repeated option the last one counts."""

    def __init__(self, element: Element, faults: Faults) -> None:
        self.element = element
        self.faults = faults
        self._asked: set[str] = set()

    def last(self, name: str) -> Element | None:
        """The last non-empty element of that name."""
        self._asked.add(name)
        found = [child for child in self.element.named(name) if child.text or child.children]
        return found[-1] if found else None

    def each(self, name: str) -> list[Element]:
        """All non-empty elements of that name."""
        self._asked.add(name)
        return [
            child for child in self.element.named(name) if child.text or child.children or child.attributes
        ]

    def sections(self, name: str) -> list[Section]:
        """All elements of that name as sections."""
        self._asked.add(name)
        return [Section(child, self.faults) for child in self.element.named(name)]

    def has(self, name: str) -> bool:
        """True when the option is given, empty or not."""
        self._asked.add(name)
        return bool(self.element.named(name))

    def text(self, name: str, default: T, check: Callable[[str], str | None] | None = None) -> str | T:
        """The option's text. `check` gives what would be right when it is wrong, None when it is right."""
        element = self.last(name)
        if element is None:
            return default
        if check is not None and (expected := check(element.text)) is not None:
            self.wrong(element, expected)
            return default
        return element.text

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of all elements of that name."""
        return tuple(element.text for element in self.each(name) if element.text)

    def flag(self, name: str, default: bool) -> bool:
        """`yes` or `no`."""
        element = self.last(name)
        if element is None:
            return default
        if element.text not in ("yes", "no"):
            self.wrong(element, "'yes' or 'no'")
            return default
        return element.text == "yes"

    def choice(self, name: str, default: T, values: Iterable[str]) -> str | T:
        """One of `values`."""
        element = self.last(name)
        known = tuple(values)
        if element is None:
            return default
        if element.text not in known:
            self.wrong(element, "one of " + ", ".join(known))
            return default
        return element.text

    def number(self, name: str, default: T, least: int, most: int) -> int | T:
        """A whole number in least..most."""
        element = self.last(name)
        if element is None:
            return default
        if not (element.text.isascii() and element.text.isdigit()) or not least <= int(element.text) <= most:
            self.wrong(element, f"a whole number from {least} to {most}")
            return default
        return int(element.text)

    def interval(self, name: str, default: T, least_s: int = 0) -> int | T:
        """Seconds: a number with `s`, `m`, `h`, `d`, `w` or nothing behind it."""
        element = self.last(name)
        if element is None:
            return default
        match = _INTERVAL.fullmatch(element.text)
        if match is None or (seconds := int(match[1]) * _SECONDS[match[2]]) < least_s:
            self.wrong(element, f"a time such as 30, 30s, 10m, 1h, 2d or 1w, at least {least_s} s")
            return default
        return seconds

    def size(self, name: str, default: T) -> int | T:
        """Bytes: a number with `K`, `M`, `G` or nothing behind it."""
        element = self.last(name)
        if element is None:
            return default
        match = _SIZE.fullmatch(element.text)
        if match is None:
            self.wrong(element, "a size such as 1024, 100K, 10M or 1G")
            return default
        return int(match[1]) * _BYTES[match[2].lower()]

    def value(self, name: str, default: T, read: Callable[[str], T]) -> T:
        """What `read` makes of the option's text; its `PeerError` says what would be right."""
        element = self.last(name)
        if element is None:
            return default
        try:
            return read(element.text)
        except PeerError as error:
            self.wrong(element, error.reason)
            return default

    def wrong(self, element: Element, expected: str) -> None:
        """Notes that this element's value is wrong."""
        shown = element.text if len(element.text) <= _SHOWN_CHARS else element.text[:_SHOWN_CHARS] + "..."
        self.faults.add(element.line, f"invalid value for element '{element.name}': {shown}", expected)

    def ignore(self, *names: str) -> None:
        """Options that are accepted and have no effect."""
        self._asked.update(names)

    def finish(self) -> None:
        """Every option that nobody asked for is a fault."""
        known = ", ".join(sorted(self._asked))
        for child in self.element.children:
            if child.name not in self._asked:
                self.faults.add(
                    child.line,
                    f"invalid element in the configuration: '{child.name}'",
                    f"<{self.element.name}> knows {known}",
                )
