"""Records in files: whole, in order, none twice, none lost."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from garrison.alerts.rotation import ALERTS_JSON, ALERTS_TEXT, Rotation, Stream
from garrison.alerts.store import StreamStore
from garrison.ground.errors import StoreError
from tests.alerts.disks import FragileDisk

DAY = date(2026, 11, 25)
NIGHT = date(2026, 11, 26)
FOLDER = "alerts/2026/Nov"


def store(
    logs: Path, disk: FragileDisk, stream: Stream = ALERTS_JSON, rotation: Rotation | None = None
) -> StreamStore:
    end = b"\n\n" if stream is ALERTS_TEXT else b"\n"
    made = StreamStore(logs, stream, rotation or Rotation(), disk, record_end=end)
    made.turn(DAY, 0)
    return made


def flush(subject: StreamStore) -> None:
    subject.take()
    subject.flush()


def text(logs: Path, name: str = "alerts.json") -> bytes:
    return (logs / "alerts" / name).read_bytes()


def test_link_and_modes(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        subject = store(tmp_path, FragileDisk())
        flush(subject)
    finally:
        os.umask(old)
    day_file = tmp_path / FOLDER / "ossec-alerts-25.json"
    assert day_file.samefile(tmp_path / "alerts/alerts.json")
    assert day_file.stat().st_mode & 0o777 == 0o640
    assert [path.stat().st_mode & 0o777 for path in day_file.parents[:3]] == [0o750] * 3


def test_offset_counts_what_is_not_written_yet(tmp_path: Path) -> None:
    subject = store(tmp_path, FragileDisk())
    subject.accept(b"12345\n")
    assert (subject.offset, subject.pending_bytes) == (6, 6)
    flush(subject)
    assert (subject.offset, subject.pending_bytes) == (6, 0)
    again = store(tmp_path, FragileDisk())
    assert again.offset == 6


def test_midnight_moves_the_link_and_removes_an_empty_day(tmp_path: Path) -> None:
    subject = store(tmp_path, FragileDisk())
    flush(subject)
    subject.turn(NIGHT, 60)
    assert subject.offset == 0
    subject.accept(b"new\n")
    flush(subject)
    assert text(tmp_path) == b"new\n"
    assert sorted(path.name for path in (tmp_path / FOLDER).iterdir()) == ["ossec-alerts-26.json"]


def test_records_of_both_days_wait_in_order(tmp_path: Path) -> None:
    disk = FragileDisk(free_bytes=0)
    subject = store(tmp_path, disk)
    subject.accept(b"old\n")
    with pytest.raises(StoreError):
        flush(subject)
    subject.turn(NIGHT, 60)
    subject.accept(b"new\n")
    with pytest.raises(StoreError):
        flush(subject)
    disk.free_bytes = 100
    flush(subject)
    assert (tmp_path / FOLDER / "ossec-alerts-25.json").read_bytes() == b"old\n"
    assert text(tmp_path) == b"new\n"
    assert subject.is_idle


def test_parts_by_size_and_interval(tmp_path: Path) -> None:
    subject = store(tmp_path, FragileDisk(), rotation=Rotation(max_bytes=4, interval_s=7000))
    subject.accept(b"0123456\n")
    subject.turn(DAY, 599)
    subject.accept(b"still\n")
    subject.turn(DAY, 600)
    subject.accept(b"one\n")
    subject.turn(DAY, 7700)
    subject.accept(b"two\n")
    flush(subject)
    parts = [(path.name, path.read_bytes()) for path in sorted((tmp_path / FOLDER).iterdir())]
    assert parts == [
        ("ossec-alerts-25-001.json", b"one\n"),
        ("ossec-alerts-25-002.json", b"two\n"),
        ("ossec-alerts-25.json", b"0123456\nstill\n"),
    ]
    assert text(tmp_path) == b"two\n"
    again = store(tmp_path, FragileDisk(), rotation=Rotation(max_bytes=4))
    again.accept(b"three\n")
    flush(again)
    assert text(tmp_path) == b"three\n"


def test_full_disk_goes_on_at_the_byte_where_it_stopped(tmp_path: Path) -> None:
    disk = FragileDisk()
    subject = store(tmp_path, disk)
    for record in (b"aaaa\n", b"bbbb\n", b"cccc\n"):
        subject.accept(record)
    seen = 0
    for free_bytes, left_bytes in ((12, 3), (0, 3), (1, 2), (0, 2)):
        disk.free_bytes = free_bytes
        with pytest.raises(StoreError, match="No space left"):
            flush(subject)
        assert subject.pending_bytes == left_bytes
        assert len(text(tmp_path)) >= seen, (
            "a file that shrinks is read again as a whole by those who follow it"
        )
        seen = len(text(tmp_path))
    subject.accept(b"dddd\n")
    disk.free_bytes = 1000
    flush(subject)
    assert text(tmp_path) == b"aaaa\nbbbb\ncccc\ndddd\n"


def test_a_half_record_whose_file_was_removed_is_written_whole(tmp_path: Path) -> None:
    disk = FragileDisk(free_bytes=3)
    subject = store(tmp_path, disk)
    subject.accept(b"aaaa\n")
    with pytest.raises(StoreError):
        flush(subject)
    (tmp_path / FOLDER / "ossec-alerts-25.json").unlink()
    (tmp_path / "alerts/alerts.json").unlink()
    disk.free_bytes = 100
    flush(subject)
    assert text(tmp_path) == b"aaaa\n"
    assert subject.pending_bytes == 0


def test_a_failing_open_is_tried_again(tmp_path: Path) -> None:
    disk = FragileDisk()
    disk.can_open = False
    subject = store(tmp_path, disk)
    subject.accept(b"a\n")
    for _ in range(2):
        with pytest.raises(StoreError):
            flush(subject)
    disk.can_open = True
    flush(subject)
    assert text(tmp_path) == b"a\n"


@pytest.mark.parametrize(
    ("stream", "cut", "mended"),
    [
        (ALERTS_JSON, b'{"a":1}\n{"b":', b'{"a":1}\n{"b":\n'),
        (ALERTS_JSON, b'{"a":1}\n', b'{"a":1}\n'),
        (ALERTS_TEXT, b"** Alert 1\nx", b"** Alert 1\nx\n\n"),
        (ALERTS_TEXT, b"** Alert 1\nx\n", b"** Alert 1\nx\n\n"),
        (ALERTS_TEXT, b"** Alert 1\nx\n\n", b"** Alert 1\nx\n\n"),
    ],
)
def test_a_start_after_a_kill_ends_the_last_record(
    tmp_path: Path, stream: Stream, cut: bytes, mended: bytes
) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    (folder / f"ossec-alerts-25{stream.suffix}").write_bytes(cut)
    subject = store(tmp_path, FragileDisk(), stream)
    assert subject.offset == len(mended)
    subject.accept(b"next\n")
    flush(subject)
    assert text(tmp_path, stream.link) == mended + b"next\n"


def test_removed_files_come_back(tmp_path: Path) -> None:
    subject = store(tmp_path, FragileDisk())
    subject.accept(b"gone\n")
    flush(subject)
    (tmp_path / FOLDER / "ossec-alerts-25.json").unlink()
    (tmp_path / "alerts/alerts.json").unlink()
    subject.accept(b"here\n")
    flush(subject)
    assert text(tmp_path) == b"here\n"


def test_writes_are_batched(tmp_path: Path) -> None:
    disk = FragileDisk()
    subject = store(tmp_path, disk)
    for _ in range(20_000):
        subject.accept(b"x" * 99 + b"\n")
    flush(subject)
    assert disk.writes == 2  # 2 MB in pieces of at most 1 MiB
    assert len(text(tmp_path)) == 2_000_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["accept", "flush", "fill", "free", "day"]), st.integers(0, 40)),
        max_size=40,
    ),
    most_bytes=st.integers(1, 30),
)
def test_any_story_ends_with_every_record_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], most_bytes: int
) -> None:
    logs = tmp_path_factory.mktemp("logs")
    disk = FragileDisk(most_bytes=most_bytes)
    subject = store(logs, disk)
    expected = b""
    day = 25
    for count, (step, size) in enumerate(steps):
        if step == "accept":
            record = b"%d:" % count + b"x" * size + b"\n"
            expected += record
            subject.accept(record)
        elif step == "fill":
            disk.free_bytes = size
        elif step == "free":
            disk.free_bytes = 1 << 30
        elif step == "day" and day < 30:
            day += 1
            subject.turn(date(2026, 11, day), count)
        else:
            try:
                flush(subject)
            except StoreError:
                assert disk.free_bytes == 0
    disk.free_bytes = 1 << 30
    flush(subject)
    files = sorted(logs.glob("alerts/2026/*/*.json"))
    assert b"".join(path.read_bytes() for path in files) == expected
    assert subject.pending_bytes == 0
    subject.end()
