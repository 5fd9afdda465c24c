"""The two plain pattern languages: OS_Match, and OS_WordMatch of `if_group`. Pure.

    ^root$|admin|!x        alternatives by `|`, no escapes; `^` starts with, `$` ends with, both: equal
    !^root                 a leading `!` negates the whole pattern

Letter case of ASCII is ignored. Source: spec/analysis.md 5.1, 5.2; spec/analysis-1-decoding.md 3.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from garrison.analysis import effort
from garrison.analysis.linear import Finder, finder

Test = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One alternative: `text` is in lower case and without its anchors."""

    text: bytes
    at_start: bool
    at_end: bool

    def expression(self) -> bytes:
        """The same as an ordinary regular expression over lower-case text."""
        start = rb"\A" if self.at_start else b""
        end = rb"\Z" if self.at_end else b""
        return start + b"".join(b"\\x%02x" % byte for byte in self.text) + end


@dataclass(frozen=True, slots=True, kw_only=True)
class OsMatch:
    """A compiled pattern. `test` says whether a subject fits."""

    source: bytes
    is_negated: bool
    choices: tuple[Choice, ...]
    test: Test = field(compare=False)

    def exact_values(self) -> frozenset[bytes] | None:
        """The lower-case texts that fit, when the pattern is a plain list of them, else None."""
        if self.is_negated or not all(choice.at_start and choice.at_end for choice in self.choices):
            return None
        return frozenset(choice.text for choice in self.choices)


def compile_match(source: bytes) -> OsMatch:
    """Every text is a valid pattern."""
    is_negated = source.startswith(b"!")
    body = source[1:] if is_negated else source
    choices = tuple(_choice(text) for text in body.lower().split(b"|"))
    plain = _plain_test(choices)
    return OsMatch(
        source=source, is_negated=is_negated, choices=choices, test=_negation(plain) if is_negated else plain
    )


def compile_word_match(source: bytes) -> Test:
    """OS_WordMatch: `^x` starts with, else contains; neither `$` nor `!` mean anything."""
    starts: list[bytes] = []
    parts: list[bytes] = []
    for text in source.lower().split(b"|"):
        (starts if text.startswith(b"^") else parts).append(text.removeprefix(b"^"))
    first = tuple(starts)

    def test(subject: bytes) -> bool:
        low = subject.lower()
        return low.startswith(first) or any(part in low for part in parts)

    return test


def _choice(text: bytes) -> Choice:
    at_start = text.startswith(b"^")
    rest = text[1:] if at_start else text
    at_end = rest.endswith(b"$")
    return Choice(text=rest[:-1] if at_end else rest, at_start=at_start, at_end=at_end)


def _negation(test: Test) -> Test:
    return lambda subject: not test(subject)


def _plain_test(choices: tuple[Choice, ...]) -> Test:
    equal = frozenset(c.text for c in choices if c.at_start and c.at_end)
    starts = tuple(c.text for c in choices if c.at_start and not c.at_end)
    ends = tuple(c.text for c in choices if c.at_end and not c.at_start)
    parts = tuple(c.text for c in choices if not c.at_start and not c.at_end)
    if b"" in starts or b"" in ends or b"" in parts:
        return lambda subject: True
    if len(equal) == len(set(choices)):
        return lambda subject: subject.lower() in equal
    if len(starts) == len(choices):
        return lambda subject: subject.lower().startswith(starts)
    if len(ends) == len(choices):
        return lambda subject: subject.lower().endswith(ends)
    if len(parts) == 1 == len(choices):
        only = parts[0]
        return lambda subject: only in subject.lower()
    return _mixed_test(b"|".join(c.expression() for c in choices), parts)


def _mixed_test(source: bytes, parts: tuple[bytes, ...]) -> Test:
    """Choices of several kinds: one expression, and for long subjects one that does not try each at every place."""
    search = re.compile(source).search
    find: Finder | None = None

    def test(subject: bytes) -> bool:
        nonlocal find
        if len(subject) <= effort.LONG_BYTES or not parts:
            return search(subject.lower()) is not None
        find = find or finder(source)
        if find is None:
            return search(subject.lower()) is not None
        return find(subject.lower()) >= 0

    return test
