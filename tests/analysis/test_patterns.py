"""The pattern languages against the plain walk of the specification, and what hostile texts may cost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.analysis import osregex
from garrison.analysis.osregex import BadPattern
from garrison.analysis.patterns import MatchPattern, Pcre2Pattern, RegexPattern

ITEMS = st.sampled_from(
    [
        rb"\d",
        rb"\d+",
        rb"\w",
        rb"\w+",
        rb"\s",
        rb"\s*",
        rb"\S+",
        rb"\.",
        rb"\.*",
        rb"\.+",
        b"a",
        b"b",
        b":",
        b" ",
        rb"\p",
    ]
)
BODIES = st.lists(ITEMS, min_size=1, max_size=6).map(b"".join)
GROUPED = st.tuples(BODIES, BODIES, BODIES).map(lambda parts: parts[0] + b"(" + parts[1] + b")" + parts[2])
PATTERNS = st.lists(st.one_of(BODIES, GROUPED), min_size=1, max_size=2).map(b"|".join)
SUBJECTS = st.text(alphabet="ab1 2:-_X", max_size=24).map(str.encode)


@settings(max_examples=1500, deadline=None)
@given(PATTERNS, SUBJECTS, st.booleans(), st.booleans())
def test_osregex_equals_the_walk_of_the_specification(
    source: bytes, subject: bytes, start: bool, end: bool
) -> None:
    source = (b"^" if start else b"") + source + (b"$" if end else b"")
    pattern = RegexPattern(source)
    plain = osregex.interpret(osregex.parse(source), subject)
    assert pattern.test(subject) == (plain is not None)
    found = pattern.extract(subject)
    walked = osregex.interpret(osregex.parse(source), subject, captures=True)
    assert (found is None) == (walked is None)
    if found is not None and walked is not None:
        assert found.captures == walked.captures


def plain_match(source: bytes, subject: bytes) -> bool:
    negated = source.startswith(b"!")
    low = subject.lower()
    fits = False
    for choice in (source[1:] if negated else source).lower().split(b"|"):
        at_start = choice.startswith(b"^")
        choice = choice[1:] if at_start else choice
        at_end = choice.endswith(b"$")
        choice = choice[:-1] if at_end else choice
        if at_start and at_end and choice:
            fits |= low == choice
        elif at_start:
            fits |= low.startswith(choice)
        elif at_end:
            fits |= low.endswith(choice)
        else:
            fits |= choice in low
    return fits != negated


@settings(max_examples=800, deadline=None)
@given(
    st.text(alphabet="abA|^$! ", min_size=1, max_size=10).map(str.encode),
    st.text(alphabet="abA ^$", max_size=8).map(str.encode),
)
def test_osmatch_equals_a_plain_reading(source: bytes, subject: bytes) -> None:
    choices = source.lstrip(b"!").split(b"|")
    if any(choice in (b"^$",) for choice in choices) or source.startswith(b"!!"):
        return
    assert MatchPattern(source).test(subject) == plain_match(source, subject)


@pytest.mark.parametrize("source", [rb"\q", rb"(a", rb"a)", rb"(a|b)", rb"((a))"])
def test_what_does_not_compile_says_so(source: bytes) -> None:
    with pytest.raises(BadPattern):
        RegexPattern(source)


def test_an_exponential_pattern_is_no_match_and_ends() -> None:
    assert Pcre2Pattern(rb"^(a+)+$").test(b"a" * 60 + b"!") is False
    assert Pcre2Pattern(rb"^(\w+\s?)*$").extract(b"word " * 60 + b"!") is None


def test_long_subjects_are_walked_in_bounded_time() -> None:
    subject = b"x" * 65000
    assert RegexPattern(rb"\.+a\.+b\.+c").test(subject) is False
    assert RegexPattern(rb"(\S+) (\S+) (\d+)").extract(subject) is None
