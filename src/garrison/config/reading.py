"""Reads the options of one section, gathering every fault instead of stopping at the first. Pure.

An element without text counts as absent. Nothing is dropped in silence: an element that nobody asks for is an error, and
so are elements inside an option; text between the options, an attribute without effect, and an option that is overruled
by a later one are warnings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from garrison.config.xml import Element
from garrison.ground.errors import Fault
from garrison.ground.log import printable

T = TypeVar("T")

_INTERVAL = re.compile(r"([0-9]{1,9})([smhdw]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZE = re.compile(r"([0-9]{1,12})([KMGkmg]?)[Bb]?")
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SHOWN_CHARS = 60
_MOST_FAULTS = 500


def whole(text: str) -> int | None:
    """The number that ASCII digits say; None for anything else, absurdly long ones included."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


class Faults:
    """The faults found so far in one file; bounded."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.all: list[Fault] = []
        self._counts = {True: 0, False: 0}

    def add(self, line: int, found: str, expected: str, *, is_warning: bool = False) -> None:
        """Notes one fault. Beyond some hundreds of a kind one line says that there are more."""
        self._counts[is_warning] += 1
        if self._counts[is_warning] > _MOST_FAULTS:
            return
        if self._counts[is_warning] == _MOST_FAULTS:
            found, expected = "and more of this kind", "these come first"
        self.all.append(
            Fault(path=self.path, line=line, found=found, expected=expected, is_warning=is_warning)
        )

    def warn(self, line: int, found: str, expected: str) -> None:
        """Notes something that is tolerated."""
        self.add(line, found, expected, is_warning=True)

    @property
    def error_count(self) -> int:
        """How many errors were noted, those beyond the bound included."""
        return self._counts[False]

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
        self._single: set[str] = set()
        self._texts: set[str] = set()
        self._attributes: dict[str, tuple[str, ...]] = {}

    def last(self, name: str) -> Element | None:
        """The last non-empty element of that name."""
        self._asked.add(name)
        self._single.add(name)
        self._texts.add(name)
        found = [child for child in self.element.named(name) if child.text or child.children]
        return found[-1] if found else None

    def each(self, name: str) -> list[Element]:
        """All non-empty elements of that name."""
        self._asked.add(name)
        self._texts.add(name)
        return [
            child for child in self.element.named(name) if child.text or child.children or child.attributes
        ]

    def sections(self, name: str) -> list[Section]:
        """All elements of that name as sections."""
        self._asked.add(name)
        return [Section(child, self.faults) for child in self.element.named(name)]

    def only(self, name: str) -> Section | None:
        """The last element of that name as a section; earlier ones are told to be overruled."""
        self._single.add(name)
        found = self.sections(name)
        return found[-1] if found else None

    def allow(self, name: str, *attributes: str) -> None:
        """Elements of that name may carry these attributes."""
        self._attributes[name] = attributes

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
        number = whole(element.text)
        if number is None or not least <= number <= most:
            self.wrong(element, f"a whole number from {least} to {most}")
            return default
        return number

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

    def wrong(self, element: Element, expected: str) -> None:
        """Notes that this element's value is wrong."""
        shown = printable(element.text, _SHOWN_CHARS)
        self.faults.add(element.line, f"invalid value for element '{element.name}': {shown}", expected)

    def wrong_attribute(self, element: Element, name: str, expected: str) -> None:
        """Notes that the value of this attribute is wrong."""
        shown = printable(element.attributes[name], _SHOWN_CHARS)
        self.faults.add(element.line, f"invalid value for attribute '{name}': {shown}", expected)

    def ignore(self, *names: str) -> None:
        """Options that are accepted and have no effect, and of which nothing needs to be said."""
        self._asked.update(names)

    def tell_unused(self, *names: str) -> None:
        """Options that are accepted and have no effect: one warning names those that are set."""
        self._asked.update(names)
        given = [child for child in self.element.children if child.name in names and any(child.leaves())]
        if given:
            words = ", ".join(dict.fromkeys(child.name for child in given))
            self.faults.warn(
                given[0].line, f"options of {self.element.name} without effect here: {words}", ""
            )

    def tell_old(self, name: str, new: str) -> None:
        """One warning for each use of a spelling that has a successor."""
        for element in self.element.named(name):
            if element.text or element.children:
                self.faults.warn(element.line, f"{name} is deprecated", new)

    def finish(self) -> None:
        """Tells everything in this section that has not been asked for."""
        known = ", ".join(sorted(self._asked))
        if self.element.text:
            self.faults.warn(
                self.element.line, f"text between the options of {self.element.name}", "elements only"
            )
        seen: dict[str, int] = {}
        for child in self.element.children:
            name = child.name
            if name not in self._asked:
                self.faults.add(
                    child.line,
                    f"invalid element in the configuration: '{printable(name, _SHOWN_CHARS)}'",
                    f"<{self.element.name}> knows {known}",
                )
                continue
            if name in self._texts and child.children:
                self.faults.add(child.line, f"elements inside '{name}'", "its value alone")
            if name in self._single and (child.text or child.children):
                if name in seen:
                    found = f"'{name}' is given again, after line {seen[name]}"
                    self.faults.warn(child.line, found, "only the last one is used")
                seen[name] = child.line
            tell_attributes(child, self._attributes.get(name, ()), self.faults)


def tell_attributes(element: Element, known: Iterable[str], faults: Faults) -> None:
    """One warning for each attribute of `element` that is not known."""
    for name in element.attributes:
        if name not in known:
            shown = printable(name, _SHOWN_CHARS)
            faults.warn(element.line, f"attribute '{shown}' of '{element.name}' has no effect", "")
