"""Messages of syslog senders: each sample whole, byte by byte and with bytes trailing; then any split."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.wire.syslog_frame import MOST_BYTES, SyslogStream, message_of

SAMPLES: list[tuple[str, bytes, list[bytes]]] = [
    ("a line", b"<34>Oct 11 22:14:15 gate su: x\n", [b"Oct 11 22:14:15 gate su: x"]),
    ("without priority", b"plain text\n", [b"plain text"]),
    ("carriage return", b"<1>a\r\n<2>b\r\n", [b"a", b"b"]),
    ("ended by NUL", b"<1>a\0\n", [b"a"]),
    ("empty lines", b"\n\n<3>\nx\n", [b"x"]),
    ("counted", b"6 <34>ab7 <34>c\nd", [b"ab", b"c\nd"]),
    ("counted, then a line", b"5 <1>ab<2>line\n", [b"ab", b"line"]),
    ("a number in front of a line", b"12 monkeys\n2026-11-25 x\n", [b"12 monkeys", b"2026-11-25 x"]),
    ("no priority after all", b"<abc>text\n<>x\n", [b"<abc>text", b"<>x"]),
    ("long digits", b"123456789 <1>a\n", [b"123456789 <1>a"]),
]


@pytest.mark.parametrize(("raw", "messages"), [row[1:] for row in SAMPLES], ids=[row[0] for row in SAMPLES])
def test_samples(raw: bytes, messages: list[bytes]) -> None:
    assert SyslogStream().feed(raw) == messages
    stream = SyslogStream()
    assert [found for at in range(len(raw)) for found in stream.feed(raw[at : at + 1])] == messages
    trailing = SyslogStream()
    assert trailing.feed(raw + b"<5>rest") == messages
    assert trailing.end() == [b"rest"]


def test_a_connection_that_ends_inside_a_counted_message_keeps_what_came() -> None:
    stream = SyslogStream()
    assert stream.feed(b"40 <1>cut off") == [] and stream.end() == [b"cut off"]


@pytest.mark.parametrize("head", [b"", b"%d " % (MOST_BYTES + 5_000)])
def test_what_is_too_long_is_cut_and_its_rest_passed_over(head: bytes) -> None:
    long = b"<1>" + b"x" * (MOST_BYTES + 4_997)
    stream = SyslogStream()
    data = head + long + (b"" if head else b"\n") + b"<2>next\n"
    found = [each for at in range(0, len(data), 1000) for each in stream.feed(data[at : at + 1000])]
    assert [len(found[0]), found[1:]] == [MOST_BYTES - 3, [b"next"]] and stream.cut == 1


def test_a_line_without_end_costs_bounded_memory() -> None:
    stream = SyslogStream()
    for _ in range(1_000):
        stream.feed(b"y" * 10_000)
    assert len(stream._held) <= MOST_BYTES and stream.cut == 1 and stream.end() == []


def test_a_datagram_is_one_message() -> None:
    assert message_of(b"<13>two\nlines\n") == b"two\nlines"
    assert message_of(b"<13>\n") == b"" == message_of(b"")
    assert len(message_of(b"z" * 70_000)) == MOST_BYTES


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_any_split_equals_the_whole(raw: bytes, cuts: list[int]) -> None:
    whole, split = SyslogStream(), SyslogStream()
    places = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    pieces = [raw[a:b] for a, b in itertools.pairwise(places)]
    expected = whole.feed(raw) + whole.end()
    assert [found for piece in pieces for found in split.feed(piece)] + split.end() == expected
