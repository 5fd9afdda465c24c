"""Where a leftmost match begins, as the engines of short texts tell it, and which expressions are not taken."""

from __future__ import annotations

import time

import pytest

from garrison.analysis.linear import finder, search_like_pcre2


def test_all_bytes_are_bytes() -> None:
    find = finder(rb"\xff.[^a]\Z")
    assert find is not None
    assert [find(text) for text in (b"\xff\n\xe9", b"a\xff\xff\n", b"\xff\xffa", b"")] == [0, 1, -1, -1]


def test_a_text_of_64_kib_takes_no_power_of_its_length() -> None:
    find = finder(rb".+a.+b.+c")
    assert find is not None
    began = time.thread_time()
    assert find(b"ab" * 32_000) == -1
    assert time.thread_time() - began < 0.5


@pytest.mark.parametrize(
    "source",
    [rb"a\vb", rb"\p{L}", rb"a{,3}", rb"[[:^alpha:]]", rb"(?x)a b", b"\xe9", rb"\xe9", rb"(a)\1", rb"a++", rb"(?=a)", rb"\h", rb"a\Kb", rb"\0", rb"(*UTF)a"],
)  # fmt: skip
def test_what_libraries_mean_differently_is_not_taken(source: bytes) -> None:
    assert search_like_pcre2(source) is None


@pytest.mark.parametrize(
    "source", [rb"(?i)\\cmd\.exe", rb"^\w+$", rb"a|b", rb"(a?)b{2,3}", rb"\<a", rb"[\]\w]+\b"]
)
def test_what_they_mean_alike_is(source: bytes) -> None:
    assert search_like_pcre2(source) is not None
