"""Names of files, changes of files, ends of days."""

from __future__ import annotations

from datetime import date

import pytest

from garrison.alerts.rotation import (
    ABSENT,
    ALERTS_JSON,
    ALERTS_TEXT,
    ARCHIVES_JSON,
    ARCHIVES_TEXT,
    FIREWALL_TEXT,
    DayFile,
    Digests,
    Rotation,
    Stream,
    day_ends,
    decode_name,
    resume,
    successor,
    sum_text,
)

DAY = date(2026, 11, 25)
FIRST = DayFile(stream=ALERTS_JSON, day=DAY)


@pytest.mark.parametrize(
    ("stream", "part", "path", "link"),
    [
        (ALERTS_JSON, 0, "alerts/2026/Nov/ossec-alerts-25.json", "alerts/alerts.json"),
        (ALERTS_TEXT, 1, "alerts/2026/Nov/ossec-alerts-25-001.log", "alerts/alerts.log"),
        (ARCHIVES_JSON, 12, "archives/2026/Nov/ossec-archive-25-012.json", "archives/archives.json"),
        (ARCHIVES_TEXT, 0, "archives/2026/Nov/ossec-archive-25.log", "archives/archives.log"),
        (FIREWALL_TEXT, 0, "firewall/2026/Nov/ossec-firewall-25.log", "firewall/firewall.log"),
    ],
)
def test_names(stream: Stream, part: int, path: str, link: str) -> None:
    file = DayFile(stream=stream, day=DAY, part=part)
    assert file.path == path
    assert stream.link_path == link
    found = decode_name(stream, file.name)
    assert found is not None
    assert (found.day, found.part, found.is_compressed, found.is_sum) == (25, part, False, False)


@pytest.mark.parametrize(
    "name",
    [
        "ossec-alerts-25.log",
        "ossec-alerts-5.json",
        "ossec-alerts-25-1.json",
        "x",
        "ossec-alerts-25-001.json.sum",
        ".ossec-alerts-25.json.gz.tmp",
    ],
)
def test_other_names_are_not_ours(name: str) -> None:
    assert decode_name(ALERTS_JSON, name) is None


NIGHT = date(2026, 11, 26)


@pytest.mark.parametrize(
    ("today", "open_for_s", "size", "rotation", "part"),
    [
        (DAY, 90_000, 10**12, Rotation(), None),
        (NIGHT, 5, 0, Rotation(), 0),
        (DAY, 599, 2_000_000, Rotation(max_bytes=1_000_000), None),
        (DAY, 600, 2_000_000, Rotation(max_bytes=1_000_000), 1),
        (DAY, 600, 999_999, Rotation(max_bytes=1_000_000), None),
        (DAY, 3600, 1, Rotation(interval_s=3600), 1),
        (DAY, 3599, 1, Rotation(interval_s=3600), None),
        (DAY, 9999, 0, Rotation(interval_s=3600), None),
    ],
)
def test_successor(today: date, open_for_s: float, size: int, rotation: Rotation, part: int | None) -> None:
    found = successor(FIRST, today=today, open_for_s=open_for_s, size_bytes=size, rotation=rotation)
    assert found == (None if part is None else DayFile(stream=ALERTS_JSON, day=today, part=part))


@pytest.mark.parametrize(
    ("sizes", "part"),
    [
        ({}, 0),
        ({"ossec-alerts-25.json": 10, "ossec-alerts-24-009.json": 1, "ossec-alerts-25-004.log": 1}, 0),
        ({"ossec-alerts-25.json": 10, "ossec-alerts-25-001.json": 10}, 1),
        ({"ossec-alerts-25.json": 10, "ossec-alerts-25-001.json": 2000}, 2),
        ({"ossec-alerts-25.json.gz": 10, "ossec-alerts-25.json.sum": 10}, 1),
        ({"ossec-alerts-25.json": 10, "ossec-alerts-25.json.gz": 10}, 1),
    ],
)
def test_resume(sizes: dict[str, int], part: int) -> None:
    assert resume(ALERTS_JSON, DAY, sizes, Rotation(max_bytes=1000)).part == part


def test_days_that_are_not_finished() -> None:
    months = {
        (2026, 10): ["ossec-alerts-31.json", "ossec-alerts-30.json.gz", "ossec-alerts-99.json"],
        (2026, 11): ["ossec-alerts-24-001.json", "ossec-alerts-24.json", "ossec-alerts-25.json", "other"],
    }
    ends = day_ends(ALERTS_JSON, months, DAY, sign=True, compress=True)
    assert [(end.day, [part.part for part in end.parts], end.sign) for end in ends] == [
        (date(2026, 10, 31), [0], True),
        (date(2026, 11, 24), [0, 1], True),
    ]
    signed = {(2026, 11): ["ossec-alerts-24.json", "ossec-alerts-24.json.sum"]}
    assert [end.sign for end in day_ends(ALERTS_JSON, signed, DAY, sign=True, compress=True)] == [False]
    assert day_ends(ALERTS_JSON, signed, DAY, sign=True, compress=False) == []
    assert [end.parts for end in day_ends(ALERTS_JSON, {}, DAY, sign=True, compress=True)] == [()]
    assert day_ends(ALERTS_JSON, {}, DAY, sign=False, compress=True) == []


def test_sum_text() -> None:
    (end,) = day_ends(ALERTS_JSON, {}, DAY, sign=True, compress=False)
    assert sum_text(end, Digests(md5="a", sha1="b", sha256="c"), ABSENT) == (
        "Current checksum:\n"
        "MD5  (logs/alerts/2026/Nov/ossec-alerts-24) = a\n"
        "SHA1 (logs/alerts/2026/Nov/ossec-alerts-24) = b\n"
        "SHA256 (logs/alerts/2026/Nov/ossec-alerts-24) = c\n"
        "\n"
        "Chained checksum:\n"
        "MD5  (logs/alerts/2026/Nov/ossec-alerts-23.json.sum) = none\n"
        "SHA1 (logs/alerts/2026/Nov/ossec-alerts-23.json.sum) = none\n"
        "SHA256 (logs/alerts/2026/Nov/ossec-alerts-23.json.sum) = none\n"
        "\n"
    )
