"""What must occur before a PCRE2 pattern can match: samples, and a property against the real library."""

from __future__ import annotations

import pcre2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.analysis.pcre2_literals import required_literals

SAMPLES: list[tuple[bytes, set[bytes]]] = [
    (rb"^user (?:root|admin)\d+ login", {b" login"}),
    (rb"(?:root|admin) in|out", {b"root", b"admin", b"out"}),
    (rb"\d+", set()),
    (rb"ab+c", {b"ab"}),
    (rb"ab?cde", {b"cde"}),
    (rb"(?i)Foo\.bar{2}x", {b"foo.bar"}),
    (rb"(?x) a b", set()),
    (rb"a(?=bcdef)gh", {b"gh"}),
    (rb"(?!never)gh", {b"gh"}),
    (rb"[[:alpha:]]]abc", {b"]abc"}),
    (rb"[]abc]xyz", {b"xyz"}),
    (rb"[^]abc]xyz", {b"xyz"}),
    (rb"a{,3}bcd", set()),
    (rb"x{y}abc", {b"x{y}abc"}),
    (rb"\Qa.b\E", set()),
    (rb"(?:abc)?def", {b"def"}),
    (rb"(abc){2,}d", {b"abc"}),
    (rb"(abc){0}d", {b"d"}),
    (rb"(?<name>abcd)\k<name>", set()),
    (rb"(?<name>abcd)e", {b"abcd"}),
    (rb"(?(1)abc|def)", set()),
    (rb"(*UCP)abc", set()),
    (rb"(?#note)abc", {b"abc"}),
    (rb"abc|", set()),
    (rb"(", set()),
    (rb"a)", set()),
]


@pytest.mark.parametrize(("source", "texts"), SAMPLES)
def test_samples(source: bytes, texts: set[bytes]) -> None:
    assert required_literals(source) == texts


atoms = st.sampled_from(
    [
        b"a",
        b"B",
        b"foo",
        b"\\d",
        b".",
        b"[ab]",
        b"[^x]",
        b"\\.",
        b"(?i)",
        b"x{2}",
        b"\\b",
        b"$",
        b"^",
        b"=",
        b"\\(",
    ]
)
patterns = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map(b"".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: b"(?:" + b"|".join(parts) + b")"),
        st.tuples(inner, st.sampled_from([b"?", b"*", b"+", b"{2}", b"{0,3}", b"+?", b"*+"])).map(
            lambda pair: b"(" + pair[0] + b")" + pair[1]
        ),
        inner.map(lambda part: b"(?=" + part + b")"),
    ),
    max_leaves=8,
)


@settings(max_examples=1500, deadline=None)
@given(patterns, st.text("aAbBfoOx.=(1 ", max_size=14).map(str.encode))
def test_a_match_holds_one_of_the_texts(source: bytes, subject: bytes) -> None:
    try:
        found = pcre2.compile(source).search(subject)
    except pcre2.LibraryError:
        return
    texts = required_literals(source)
    if found is not None and texts:
        assert any(text in subject.lower() for text in texts), (source, texts)
