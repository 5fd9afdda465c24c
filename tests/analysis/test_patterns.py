"""The pattern languages against the plain walk of the specification, and what hostile texts may cost."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    st.binary(max_size=20),
).map(lambda text: text.replace(b"\0", b""))


@settings(max_examples=2_500, deadline=None)
@given(PATTERNS, st.lists(SUBJECTS, min_size=4, max_size=4))
def test_osregex_equals_the_plain_walk_of_the_specification(source: bytes, subjects: list[bytes]) -> None:
    try:
        plain_patterns.compile_osregex(source)
    except plain_patterns.NoPattern:
        with pytest.raises(BadPattern):
            RegexPattern(source)
        return
    pattern = RegexPattern(source)
    for subject in subjects:
        plain = plain_patterns.osregex(source, subject, wants_captures=False)
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
)
def test_osmatch_equals_a_plain_reading(source: bytes, subjects: list[bytes]) -> None:
    pattern = MatchPattern(source)
    for subject in subjects:
        fits = plain_patterns.osmatch(source, subject)
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
    st.sampled_from([b"", b"^", b"(?i)", b"(?s)", b"(?m)^"]),
    st.sampled_from([b"", b"$"]),
    st.lists(SUBJECTS, max_size=4),
)
def test_pcre2_finds_what_the_shared_part_of_the_language_finds_elsewhere(
    body: bytes, head: bytes, tail: bytes, subjects: list[bytes]
) -> None:
    """What PCRE2 and Python's `re` write and mean alike: one judges the other, positions and captures included."""
    source = head + body + tail
    pattern, plain = Pcre2Pattern(source), re.compile(source)
    is_told_alike = re.search(rb"[*+?}]", body) is None  # captures of repeated groups differ
    for subject in subjects:
        wanted = plain.search(subject)
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


def test_an_exponential_pattern_is_no_match_and_ends() -> None:
    assert Pcre2Pattern(rb"^(a+)+$").test(b"a" * 60 + b"!") is False
    assert Pcre2Pattern(rb"^(\w+\s?)*$").extract(b"word " * 60 + b"!") is None


def test_long_subjects_are_walked_in_bounded_time() -> None:
    subject = b"x" * 65000
    assert RegexPattern(rb"\.+a\.+b\.+c").test(subject) is False
    assert RegexPattern(rb"(\S+) (\S+) (\d+)").extract(subject) is None
