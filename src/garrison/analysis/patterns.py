"""One face for all pattern languages. Pure.

    pattern.test(subject)      does it fit?
    pattern.find(subject)      index of the last byte matched, None without a match
    pattern.extract(subject)   the same with the captures

`required` tells an over-all filter what must occur in a log before a pattern can fit at all.
Source: spec/analysis.md 5; spec/analysis-1-decoding.md 3.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import pcre2

from garrison.analysis import effort, osmatch, osregex
from garrison.analysis.effort import EFFORT, TooMuchWork
from garrison.analysis.linear import Finder, Search, finder, search_like_pcre2
from garrison.analysis.osregex import Alternative, BadPattern, Found
from garrison.analysis.osregex_shape import Shape, Tail, first_members, longest_literal, shape_of
from garrison.analysis.pcre2_literals import required_literals

MOST_SCANNED_AT_A_PLACE = 1_000_000_000
"""Bytes that PCRE2 may go over at one place of a long subject, of which each of its counted steps may be many."""

OSMATCH, OSREGEX, PCRE2, STRING = "osmatch", "osregex", "pcre2", "string"


class Pattern(Protocol):
    """A compiled pattern of any language."""

    source: bytes
    language: str

    def test(self, subject: bytes) -> bool:
        """True when `subject` fits."""
        ...

    def find(self, subject: bytes) -> int | None:
        """The index of the last byte matched (-1 for an empty match at the start), None without a match."""
        ...

    def extract(self, subject: bytes) -> Found | None:
        """The match with its captures, None without a match."""
        ...

    def required(self) -> frozenset[bytes]:
        """Lower-case texts, one of which surely occurs in every subject that fits; empty when none is known."""
        ...

    def first_bytes(self) -> frozenset[int] | None:
        """The lower-case bytes of which a subject that fits begins with one; None when that is not known."""
        ...


class MatchPattern:
    """OS_Match. It has neither captures nor a position; `find` gives 0."""

    language = OSMATCH

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.compiled = osmatch.compile_match(source)
        self.test: Callable[[bytes], bool] = self.compiled.test

    def find(self, subject: bytes) -> int | None:
        return 0 if self.test(subject) else None

    def extract(self, subject: bytes) -> Found | None:
        return Found(0) if self.test(subject) else None

    def required(self) -> frozenset[bytes]:
        choices = self.compiled.choices
        if self.compiled.is_negated or any(not choice.text for choice in choices):
            return frozenset()
        return frozenset(choice.text for choice in choices)

    def first_bytes(self) -> frozenset[int] | None:
        choices = self.compiled.choices
        if self.compiled.is_negated or not all(choice.at_start and choice.text for choice in choices):
            return None
        return frozenset(choice.text[0] for choice in choices)


class StringPattern:
    """Plain equality of bytes, letter case included."""

    language = STRING

    def __init__(self, source: bytes) -> None:
        self.source = source

    def test(self, subject: bytes) -> bool:
        return subject == self.source

    def find(self, subject: bytes) -> int | None:
        return len(subject) - 1 if subject == self.source else None

    def extract(self, subject: bytes) -> Found | None:
        return Found(len(subject) - 1) if subject == self.source else None

    def required(self) -> frozenset[bytes]:
        return frozenset({self.source.lower()} - {b""})

    def first_bytes(self) -> frozenset[int] | None:
        return frozenset(self.source.lower()[:1]) or None


class RegexPattern:
    """OS_Regex: stand-ins where they are proven, else the walk."""

    language = OSREGEX

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.alternatives = osregex.parse(source)
        self._has_groups = osregex.alternative_has_groups(self.alternatives)
        self.test: Callable[[bytes], bool] = self._first_test

    @cached_property
    def _shapes(self) -> tuple[Shape, ...]:
        return tuple(shape_of(alternative) for alternative in self.alternatives)

    def _first_test(self, subject: bytes) -> bool:
        """Most patterns of a ruleset are never asked: the quickest way is looked for when one is."""
        self.test = self._fast_test()
        return self.test(subject)

    def _fast_test(self) -> Callable[[bytes], bool]:
        if any(not alternative.items and not alternative.at_end for alternative in self.alternatives):
            return lambda subject: True
        values = self.exact_values()
        if values is not None:
            return lambda subject: subject.lower() in values
        if all(shape.is_exact for shape in self._shapes):
            return self._exact_test()
        if all(shape.loose_source is not None for shape in self._shapes):
            return self._guarded_test()
        return self._slow_test

    def exact_values(self) -> frozenset[bytes] | None:
        """The lower-case texts that fit, where the pattern is a list of `^text$`."""
        values: set[bytes] = set()
        for alternative in self.alternatives:
            if not (alternative.at_start and alternative.at_end and alternative.items):
                return None
            if any(item.kind > osregex.ONE or len(item.members) != 1 for item in alternative.items):
                return None
            if any(item.kind == osregex.PAREN for item in alternative.items):
                return None
            values.add(b"".join(bytes(item.members) for item in alternative.items))
        return frozenset(values)

    def _exact_test(self) -> Callable[[bytes], bool]:
        if len(self.alternatives) == 1:
            alternative = self.alternatives[0]
            literal = longest_literal(alternative)
            if len(literal) == len(alternative.items) and not alternative.at_end:
                if alternative.at_start:
                    return lambda subject: subject.lower().startswith(literal)
                return lambda subject: literal in subject.lower()
        search, find = re.compile(self._joined_loose(), re.DOTALL).search, self._find_long

        def test(subject: bytes) -> bool:
            if len(subject) > effort.LONG_BYTES:
                return find(subject.lower()) >= 0
            return search(subject.lower()) is not None

        return test

    def _joined_loose(self) -> bytes:
        return b"|".join(shape.loose_source for shape in self._shapes if shape.loose_source is not None)

    def _guarded_test(self) -> Callable[[bytes], bool]:
        search, find = re.compile(self._joined_loose(), re.DOTALL).search, self._find_long
        slow = self._slow_test

        def test(subject: bytes) -> bool:
            if len(subject) > effort.OPEN_BYTES:
                return find(subject.lower()) >= 0 and slow(subject)
            return search(subject.lower()) is not None and slow(subject)

        return test

    def _find_long(self, low: bytes) -> int:
        """Where any alternative's `loose` begins in a long subject, -1 for nowhere; 0 where that is not known."""
        if EFFORT.is_spent():
            EFFORT.cut()
            return -1
        find = self._long_finder
        return find(low) if find is not None else 0

    @cached_property
    def _long_finder(self) -> Finder | None:
        return finder(self._joined_loose())

    def _slow_test(self, subject: bytes) -> bool:
        return self._search(subject, captures=False) is not None

    def find(self, subject: bytes) -> int | None:
        found = self._search(subject, captures=False)
        return None if found is None else found.last

    def extract(self, subject: bytes) -> Found | None:
        return self._search(subject, captures=True)

    def _search(self, subject: bytes, *, captures: bool) -> Found | None:
        low = subject.lower()
        is_long = len(low) > effort.LONG_BYTES
        for plan in self._plans:
            start = 0
            if is_long and plan.is_exact:
                start = plan.first_place(low)
                if start < 0:
                    continue
            match = None
            if plan.attempt is not None:
                if plan.begin is not None:
                    begin = plan.begin(low)
                    if begin is None:
                        continue
                    start = begin.start()
                match = plan.attempt(low, start)
                if match is None and plan.is_exact:
                    continue
            if match is None or (plan.tail is not None and _is_scant_tail(match, len(low))):
                walked = self._walk(plan, low, captures=captures)
                if walked is None:
                    continue
                return Found(walked[0], osregex.captures_of(subject, walked[1]) if captures else ())
            last = match.end() - 1
            if plan.tail is not None:
                last = plan.tail.last(*match.regs[-1], len(subject))
            if not captures:
                return Found(last)
            return Found(last, tuple([subject[start:end] for start, end in match.regs[1 : plan.groups + 1]]))
        return None

    def _walk(self, plan: Plan, low: bytes, *, captures: bool) -> tuple[int, list[int]] | None:
        if len(low) > effort.OPEN_BYTES:
            if plan.first_place(low) < 0:
                return None
        elif plan.loose is not None and plan.loose(low) is None:
            return None
        try:
            return osregex.walk(plan.alternative, low, captures=captures and self._has_groups)
        except TooMuchWork:
            EFFORT.cut()
            return None

    @cached_property
    def _plans(self) -> tuple[Plan, ...]:
        return tuple(map(_plan, self.alternatives, self._shapes))

    def required(self) -> frozenset[bytes]:
        texts = frozenset(map(longest_literal, self.alternatives))
        return frozenset() if b"" in texts else texts

    def first_bytes(self) -> frozenset[int] | None:
        found: frozenset[int] = frozenset()
        for alternative in self.alternatives:
            members = first_members(alternative)
            if members is None:
                return None
            found |= members
        return found


@dataclass(slots=True, kw_only=True)
class Plan:
    """How one alternative is looked for: `attempt` from where `begin` is found; what they leave open is walked."""

    alternative: Alternative
    attempt: Callable[[bytes, int], re.Match[bytes] | None] | None
    begin: Callable[[bytes], re.Match[bytes] | None] | None
    loose: Callable[[bytes], re.Match[bytes] | None] | None
    is_exact: bool
    tail: Tail | None
    groups: int
    loose_source: bytes | None
    long_finder: Finder | None = None
    is_finder_made: bool = False

    def first_place(self, low: bytes) -> int:
        """Where `loose` begins in a long subject, -1 for nowhere; 0 where that is not known."""
        if EFFORT.is_spent():
            EFFORT.cut()
            return -1
        if not self.is_finder_made:
            self.long_finder = finder(self.loose_source) if self.loose_source is not None else None
            self.is_finder_made = True
        return self.long_finder(low) if self.long_finder is not None else 0


def _plan(alternative: Alternative, shape: Shape) -> Plan:
    attempt = None
    if shape.strict is not None:
        attempt = shape.strict.search if shape.is_exact else shape.strict.match
    return Plan(
        alternative=alternative,
        attempt=attempt,
        begin=shape.begin.search if shape.begin is not None and not shape.is_exact else None,
        loose=shape.loose.search if shape.loose is not None else None,
        is_exact=shape.is_exact,
        tail=shape.tail,
        groups=alternative.groups,
        loose_source=shape.loose_source,
    )


def _is_scant_tail(match: re.Match[bytes], length: int) -> bool:
    """True for a repeated class at the end that took nothing, or one byte, at the end of the subject.

    Whether its closing parenthesis was passed depends on how the run was entered: the walk must tell.
    """
    start, end = match.regs[-1]
    return end == length and end - start <= 1


class Pcre2Pattern:
    """PCRE2 over bytes with options 0 and the library's own limits; an error while matching is no match.

    The library bounds roughly what one place of a subject may cost. Long subjects are searched in linear time where
    that is possible; else their places are tried one by one, so that there is an end to the sum of their costs.
    """

    language = PCRE2

    def __init__(self, source: bytes) -> None:
        self.source = source
        try:
            self._compiled: Any = pcre2.compile(source)
        except pcre2.PatternError as error:
            raise BadPattern(str(error)) from error
        self._search = self._compiled.search
        self._by_size: dict[int, Any] = {}

    def _match(self, subject: bytes) -> Any:
        try:
            if len(subject) > effort.LONG_BYTES:
                if EFFORT.is_spent():
                    raise TooMuchWork
                return self._match_long(subject)
            return self._search(subject)
        except (pcre2.LibraryError, TooMuchWork):
            EFFORT.cut()
            return None

    @cached_property
    def _linear(self) -> Search | None:
        return search_like_pcre2(self.source)

    @cached_property
    def _costs_little(self) -> bool:
        """True where only the start of a subject is tried, or where nothing repeats."""
        source = self.source
        if source.startswith(b"^") and b"|" not in source and b"(?m" not in source:
            return True
        plain = source.removeprefix(b"(*UTF)").replace(rb"\N{U+", b"")
        return not any(byte in b"*+{" for byte in plain)

    @cached_property
    def _required(self) -> frozenset[bytes]:
        return required_literals(self.source)

    def _counted(self, length: int) -> Any:
        """The same with a limit for subjects of about `length` bytes.

        It does without the library's compiler, whose code counts little of what it does and runs for minutes.
        """
        size = 1 << length.bit_length()
        found = self._by_size.get(size)
        if found is None:
            limit = max(2 * size, MOST_SCANNED_AT_A_PLACE // size)
            found = self._by_size[size] = pcre2.compile(b"(*LIMIT_MATCH=%d)" % limit + self.source, jit=False)
        return found

    def _match_long(self, subject: bytes) -> Any:
        if self._required and not _holds_any(subject.lower(), self._required):
            return None
        if self._linear is not None and b"\v" not in subject and not subject.endswith(b"\n"):
            return self._linear(subject)
        counted = self._counted(len(subject))
        if self._costs_little:
            return counted.search(subject)
        for start in range(len(subject) + 1):
            if EFFORT.is_spent():
                raise TooMuchWork
            found = counted.match(subject, start)
            if found is not None:
                return found
        return None

    def test(self, subject: bytes) -> bool:
        if len(subject) > effort.LONG_BYTES:
            return self._match(subject) is not None
        try:
            return self._search(subject) is not None
        except pcre2.LibraryError:
            EFFORT.cut()
            return False

    def find(self, subject: bytes) -> int | None:
        match = self._match(subject)
        return None if match is None else match.end() - 1

    def extract(self, subject: bytes) -> Found | None:
        match = self._match(subject)
        if match is None:
            return None
        groups = list(match.groups())
        while groups and groups[-1] is None:
            groups.pop()
        return Found(match.end() - 1, tuple(group or b"" for group in groups))

    def required(self) -> frozenset[bytes]:
        return self._required

    def first_bytes(self) -> frozenset[int] | None:
        return None


def _holds_any(low: bytes, texts: frozenset[bytes]) -> bool:
    return any(text in low for text in texts)


def exact_values(pattern: Pattern) -> frozenset[bytes] | None:
    """The lower-case texts of which a subject in lower case must be one; None where no such list is known."""
    if isinstance(pattern, RegexPattern):
        return pattern.exact_values()
    if isinstance(pattern, MatchPattern):
        return pattern.compiled.exact_values()
    return frozenset({pattern.source.lower()}) if isinstance(pattern, StringPattern) else None


def compile_pattern(source: bytes, language: str) -> Pattern:
    """The pattern; raises `BadPattern` with the reason."""
    if language == OSMATCH:
        return MatchPattern(source)
    if language == OSREGEX:
        return RegexPattern(source)
    if language == PCRE2:
        return Pcre2Pattern(source)
    return StringPattern(source)
