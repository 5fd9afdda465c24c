"""The pattern languages against the plain walk of the specification, and what hostile texts may cost."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.analysis import effort as effort_of_events
from garrison.analysis import osregex
from garrison.analysis.effort import EFFORT, MOST_S, Effort, TooMuchWork
from garrison.analysis.linear import search_like_pcre2
from garrison.analysis.osregex import BadPattern
from garrison.analysis.patterns import MatchPattern, Pattern, Pcre2Pattern, RegexPattern
from tests.support import plain_patterns

CLASSES = st.sampled_from(
    [rb"\d", rb"\w", rb"\s", rb"\p", rb"\D", rb"\W", rb"\S", rb"\.", rb"\(", rb"\<", rb"\|"]
)
ITEMS = st.one_of(
    st.tuples(CLASSES, st.sampled_from([b"", b"+", b"*"])).map(b"".join),
    st.sampled_from([b"a", b"B", b":", b" ", b"1", b"-", b".", b"$", b"^", b"=", b"\xc3"]),
)
BODIES = st.lists(ITEMS, max_size=4).map(b"".join)
GROUPS = BODIES.map(lambda body: b"(" + body + b")")
BRANCHES = st.tuples(
    st.sampled_from([b"", b"", b"^"]),
    st.lists(st.one_of(BODIES, GROUPS), max_size=4).map(b"".join),
    st.sampled_from([b"", b"", b"$"]),
).map(b"".join)
PATTERNS = st.one_of(st.lists(BRANCHES, min_size=1, max_size=3).map(b"|".join), st.binary(max_size=8))
SUBJECTS = st.one_of(
    st.text(alphabet="ab1 :-", max_size=20).map(str.encode),
    st.text(alphabet="aB1 =.$^(|_@", max_size=20).map(str.encode),
    st.text(alphabet="aAb1 \n\v", max_size=20).map(str.encode),
    st.binary(max_size=20),
).map(lambda text: text.replace(b"\0", b""))


@contextmanager
def long_from(size: int) -> Iterator[None]:
    """Subjects of more than `size` bytes are searched as long ones are."""
    before = effort_of_events.LONG_BYTES, effort_of_events.OPEN_BYTES
    effort_of_events.LONG_BYTES = effort_of_events.OPEN_BYTES = size
    try:
        yield
    finally:
        effort_of_events.LONG_BYTES, effort_of_events.OPEN_BYTES = before


LONG_FROM = st.sampled_from([1_024, -1])


@settings(max_examples=2_500, deadline=None)
@given(PATTERNS, st.lists(SUBJECTS, min_size=4, max_size=4), LONG_FROM)
def test_osregex_equals_the_plain_walk_of_the_specification(
    source: bytes, subjects: list[bytes], size: int
) -> None:
    try:
        plain_patterns.compile_osregex(source)
    except plain_patterns.NoPattern:
        with pytest.raises(BadPattern):
            RegexPattern(source)
        return
    pattern = RegexPattern(source)
    for subject in subjects:
        plain = plain_patterns.osregex(source, subject, wants_captures=False)
        with long_from(size):
            assert pattern.test(subject) == (plain is not None)
            assert pattern.find(subject) == (plain[0] if plain else None)
            found = pattern.extract(subject)
        told = plain_patterns.osregex(source, subject, wants_captures=True)
        assert (found and (found.last, list(found.captures))) == told
        if plain is not None:
            assert_is_let_through(pattern, subject)


def assert_is_let_through(pattern: Pattern, subject: bytes) -> None:
    """What short cuts ask of a subject holds for one that fits."""
    low = subject.lower()
    required, first = pattern.required(), pattern.first_bytes()
    assert not required or any(text in low for text in required)
    assert first is None or low[0] in first


@settings(max_examples=2_000, deadline=None)
@given(
    st.one_of(st.text(alphabet="abA|^$! ", max_size=10).map(str.encode), st.binary(max_size=6)),
    st.lists(
        st.one_of(st.text(alphabet="abA ^$!", max_size=8).map(str.encode), st.binary(max_size=6)), max_size=4
    ),
    LONG_FROM,
)
def test_osmatch_equals_a_plain_reading(source: bytes, subjects: list[bytes], size: int) -> None:
    pattern = MatchPattern(source)
    for subject in subjects:
        fits = plain_patterns.osmatch(source, subject)
        with long_from(size):
            assert pattern.test(subject) == fits
        if fits:
            assert_is_let_through(pattern, subject)


SHARED = st.recursive(
    st.one_of(
        st.sampled_from(
            [
                b"a",
                b"b",
                b" ",
                b"1",
                rb"\.",
                rb"\d",
                rb"\w",
                rb"\s",
                rb"\S",
                rb"\W",
                b"[ab]",
                b"[^a1]",
                b"[a-z]",
                b".",
                rb"\b",
            ]
        ),
        st.sampled_from([b"ab", rb"\xe9", b"(?=a)", b"(?!b)", b"(?:)"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(b"".join),
        st.tuples(inner, inner).map(lambda two: b"(?:" + two[0] + b"|" + two[1] + b")"),
        inner.map(lambda body: b"(" + body + b")"),
        st.tuples(
            inner.map(lambda body: b"(?:" + body + b")"),
            st.sampled_from([b"?", b"*", b"+", b"{1,2}", b"*?", b"+?"]),
        ).map(b"".join),
    ),
    max_leaves=6,
)


@settings(max_examples=2_000, deadline=None)
@given(
    SHARED,
    st.sampled_from([b"", b"^", b"(?i)", b"(?s)"]),
    st.sampled_from([b"", b"$"]),
    st.lists(SUBJECTS, max_size=4),
    LONG_FROM,
)
def test_pcre2_finds_what_the_shared_part_of_the_language_finds_elsewhere(
    body: bytes, head: bytes, tail: bytes, subjects: list[bytes], size: int
) -> None:
    """What PCRE2 and Python's `re` write and mean alike: one judges the other, positions and captures included."""
    source = head + body + tail
    pattern, plain = Pcre2Pattern(source), re.compile(source)
    is_told_alike = re.search(rb"[*+?}]", body) is None  # captures of repeated groups differ
    for subject in subjects:
        wanted = plain.search(subject)
        with long_from(size):
            assert pattern.test(subject) == (wanted is not None)
            assert pattern.find(subject) == (wanted and wanted.end() - 1)
            found = pattern.extract(subject)
        if found is not None and wanted is not None:
            assert_is_let_through(pattern, subject)
            if is_told_alike:
                groups = list(wanted.groups())
                while groups and groups[-1] is None:
                    groups.pop()
                assert found.captures == tuple(group or b"" for group in groups)


@pytest.mark.parametrize("source", [rb"\q", rb"(a", rb"a)", rb"(a|b)", rb"((a))"])
def test_what_does_not_compile_says_so(source: bytes) -> None:
    with pytest.raises(BadPattern):
        RegexPattern(source)


@pytest.fixture
def effort() -> Iterator[Effort]:
    """The time of an event, which begins here; the default most of it is what a test may take."""
    EFFORT.begin()
    yield EFFORT
    EFFORT.end()


def test_an_exponential_pattern_is_no_match_and_is_counted(effort: Effort) -> None:
    assert Pcre2Pattern(rb"^(a+)+$").test(b"a" * 60 + b"!") is False
    assert Pcre2Pattern(rb"^(\w+\s?)*$").extract(b"word " * 60 + b"!") is None
    assert effort.cuts == 2


LONG = 65_000
COSTLY: list[Pattern] = [
    *(RegexPattern(source) for source in (
        rb"\.+a\.+b\.+c",
        rb"a\.+a\.+a\.+x",
        rb"(\S+) (\S+) (\d+)",
        rb"a\w+ \d",
        rb"user=(\S+) from (\S+) port (\d+)$",
        rb"\w+\s\w+\d$",
        rb"a\d*a\w+ b|(\.+)a \.+!",
    )),
    *(Pcre2Pattern(source) for source in (
        rb"\w+ foo",
        rb"(\w+\s?)*foo$",
        rb"(?=a)\w+ foo",
        rb"(?<!b)a+b+c+foo",
        rb"(a+)+foo",
        rb".*foo.*bar.*baz",
        rb"(*UTF)\w+a\w+!",
        rb"(?=a)\w+a\w+o",
        rb"^\w+a\w+a\w+!?o$",
        rb"(a|aa)+\1b",
    )),
    MatchPattern(b"^x|" + b"|".join(b"a%d!" % number for number in range(400))),
]  # fmt: skip
LONG_SUBJECTS = [b"a" * LONG, b"ab" * (LONG // 2), b"a " * (LONG // 2), b"user=a from " * (LONG // 12), b"a" * LONG + b"foo", b"foo " * (LONG // 4) + b"bar", b"a1" * (LONG // 2)]  # fmt: skip


@pytest.mark.parametrize("pattern", COSTLY, ids=lambda pattern: pattern.source[:30].decode())
def test_no_pattern_stalls(pattern: Pattern) -> None:
    """What only PCRE2 understands may take the square of the length at one place: shorter texts here."""
    is_linear = not isinstance(pattern, Pcre2Pattern) or search_like_pcre2(pattern.source)
    for subject in LONG_SUBJECTS:
        subject = subject if is_linear else subject[-16_000:]
        EFFORT.begin()
        began = time.thread_time()
        pattern.test(subject)
        pattern.extract(subject)
        assert time.thread_time() - began < 8 * MOST_S
        EFFORT.end()


def test_a_walk_that_goes_back_too_often_is_given_up_and_counted(effort: Effort) -> None:
    pattern = RegexPattern(rb"a\w+ \d()\d")  # nothing stands in for parentheses side by side
    subject = b"a" * 2_000 + b" x"
    with pytest.raises(TooMuchWork):
        osregex.walk(pattern.alternatives[0], subject, captures=False)
    assert pattern.test(subject) is False
    assert effort.cuts == 1
    assert pattern.test(b"a" * 500 + b" x") is False
    assert effort.cuts == 1


@pytest.mark.parametrize("size", [100, 128, 500, 1_024])
@pytest.mark.parametrize("source", [rb"\.+a\.+b\.+c", rb"a\w+a\w+a\w+!", rb"a\w+ \d"])
def test_short_texts_end_soon_as_well(source: bytes, size: int) -> None:
    for subject in (b"a" * size, b"ab" * (size // 2)):
        began = time.thread_time()
        RegexPattern(source).test(subject)
        RegexPattern(source).extract(subject)
        assert time.thread_time() - began < 0.5


def test_when_its_time_is_over_an_event_has_no_further_long_searches(effort: Effort) -> None:
    several: list[Pattern] = [Pcre2Pattern(rb"x.+y"), RegexPattern(rb"x(\d+)y")]
    subject = b"x" * 1_100 + b"1y"
    assert [pattern.extract(subject) is not None for pattern in several] == [True] * 2
    effort.most_s = 0.0
    try:
        effort.begin()
        assert effort.is_spent() is False  # wall time is over, processor time begins
        assert [pattern.extract(subject) for pattern in several] == [None] * 2
        assert effort.end() == 2
        assert [pattern.extract(subject) is not None for pattern in several] == [True] * 2
    finally:
        effort.most_s = MOST_S
