"""Lines out of a growing file, and positions that survive a restart."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.agent.tail import (
    MAX_LINE_BYTES,
    Splitter,
    decode_positions,
    encode_positions,
    expand_date,
    is_continued_by,
    is_glob,
    position,
    too_long_text,
)

SAMPLES = {
    b"one\ntwo\n": [b"one", b"two"],
    b"with carriage return\r\n": [b"with carriage return\r"],
    b"\n   \nta\tb\n": [b"", b"   ", b"ta\tb"],
    b"before\nhas \0 a NUL\nafter\n": [b"before", b"after"],
    b"done\nnot done": [b"done"],
    b"caf\xe9 \xff\xc0\xaf\n": [b"caf\xe9 \xff\xc0\xaf"],
}


@pytest.mark.parametrize("content", SAMPLES, ids=repr)
def test_lines_whole_and_byte_by_byte(content: bytes) -> None:
    whole = Splitter(0).feed(content)
    one = Splitter(0)
    single = [line for at in range(len(content)) for line in one.feed(content[at : at + 1])]
    assert [line.text for line in whole] == SAMPLES[content]
    assert single == whole


def test_offsets_point_behind_the_newline() -> None:
    one = Splitter(100)
    lines = one.feed(b"ab\ncde\nf")
    assert [line.end for line in lines] == [103, 107]
    assert one.offset == 108
    assert one.holds_partial
    assert [line.end for line in one.feed(b"\n")] == [109]


@pytest.mark.parametrize("size", [65276, 65277, 65278, 65279, 65280, 131000])
def test_the_line_limit(size: int) -> None:
    lines = Splitter(0).feed(b"x" * size + b"\nafter\n")
    assert len(lines[0].text) == min(size, MAX_LINE_BYTES)
    assert lines[0].was_cut == (size > MAX_LINE_BYTES)
    assert lines[0].end == size + 1
    assert lines[1].text == b"after"


def test_what_the_log_says_of_a_long_line() -> None:
    line = Splitter(0).feed(b"L70:" + b"0123456789" * 7000 + b"\n")[0]
    assert too_long_text("/var/log/app.log", line) == (
        "Large message size from file '/var/log/app.log' (length = 65279): "
        "'L70:012345678901234567890123456789012345678901234567890123456789'..."
    )


def test_the_end_of_a_file_that_will_not_grow() -> None:
    one = Splitter(0)
    one.feed(b"a\nrest")
    assert [(line.text, line.end) for line in one.finish()] == [(b"rest", 6)]
    assert one.finish() == []


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=6))
def test_any_split_gives_the_same_lines(content: bytes, cuts: list[int]) -> None:
    one, lines, start = Splitter(0), [], 0
    for cut in [*sorted(cuts), len(content)]:
        cut = max(start, min(cut, len(content)))
        lines += one.feed(content[start:cut])
        start = cut
    assert lines == Splitter(0).feed(content)
    assert one.offset == len(content)


@given(st.binary(max_size=400))
def test_going_on_behind_any_line_gives_the_rest(content: bytes) -> None:
    lines = Splitter(0).feed(content)
    for at, line in enumerate(lines):
        assert Splitter(line.end).feed(content[line.end :]) == lines[at + 1 :]


def test_positions_come_back() -> None:
    saved = [position("/var/log/a", 1, 2, 300, b"h" * 256), position("/var/log/a", 1, 3, 0, b"")]
    assert decode_positions(encode_positions(saved)) == saved


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b'{"version":2,"files":[]}', b'{"version":1,"files":[1]}',
     b'{"version":1,"files":[{"path":"/a","device":1,"inode":true,"offset":0,"head_bytes":0,"head_sha1":""}]}',
     b'{"version":1,"files":[{"path":1,"device":1,"inode":1,"offset":0,"head_bytes":0,"head_sha1":""}]}',
     b'{"version":1,"files":[{"path":"/a","device":1,"inode":1,"offset":-1,"head_bytes":0,"head_sha1":""}]}'],
)  # fmt: skip
def test_a_broken_file_of_positions_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        decode_positions(text)


def test_a_file_is_known_by_inode_size_and_beginning() -> None:
    saved = position("/a", 1, 2, 5, b"hello world")
    same = {"device": 1, "inode": 2, "size": 11, "head": b"hello world"}
    assert is_continued_by(saved, **same)  # type: ignore[arg-type]
    assert not is_continued_by(saved, **same | {"inode": 3})  # type: ignore[arg-type]
    assert not is_continued_by(saved, **same | {"size": 4})  # type: ignore[arg-type]
    assert not is_continued_by(saved, **same | {"head": b"other world"})  # type: ignore[arg-type]
    assert is_continued_by(saved, **same | {"head": b"hello there"})  # type: ignore[arg-type]


def test_dates_and_patterns() -> None:
    day = time.struct_time((2026, 11, 25, 1, 51, 24, 2, 329, 0))
    assert expand_date("/var/log/app-%Y-%m-%d.log", day) == "/var/log/app-2026-11-25.log"
    assert expand_date("/var/log/100%.log", day) == "/var/log/100%.log"
    assert is_glob("/var/log/*.log")
    assert not is_glob("/var/log/app.log")
