"""Which file an output goes to, when the next one begins, and what is done with a day that is over. Pure.

    logs/alerts/alerts.json                              hard link to the file in use
    logs/alerts/2026/Nov/ossec-alerts-25.json            the day's first file
    logs/alerts/2026/Nov/ossec-alerts-25-001.json        its next, after `rotate_interval` or `max_output_size`
    logs/alerts/2026/Nov/ossec-alerts-24.json.sum        digests of a day that is over, chained day by day
    logs/alerts/2026/Nov/ossec-alerts-24.json.gz         its files, compressed

Paths here are relative to `logs/`. Source: spec/analysis-3-outputs.md 4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

MINUTE_S = 60
LEAST_INTERVAL_S = 10 * MINUTE_S
COMPRESSED = ".gz"
SIGNED = ".sum"

# strftime's %b follows the locale; the names in the field are English.
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One output: `link` in `folder` always names the file in use."""

    folder: str
    stem: str
    suffix: str
    link: str

    @property
    def link_path(self) -> str:
        return f"{self.folder}/{self.link}"


ALERTS_JSON = Stream(folder="alerts", stem="ossec-alerts", suffix=".json", link="alerts.json")
ALERTS_TEXT = Stream(folder="alerts", stem="ossec-alerts", suffix=".log", link="alerts.log")
ARCHIVES_JSON = Stream(folder="archives", stem="ossec-archive", suffix=".json", link="archives.json")
ARCHIVES_TEXT = Stream(folder="archives", stem="ossec-archive", suffix=".log", link="archives.log")
FIREWALL_TEXT = Stream(folder="firewall", stem="ossec-firewall", suffix=".log", link="firewall.log")


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFile:
    """One file of a stream; `part` 0 is the day's first."""

    stream: Stream
    day: date
    part: int = 0

    @property
    def folder(self) -> str:
        return _day_folder(self.stream, self.day)

    @property
    def name(self) -> str:
        part = f"-{self.part:03d}" if self.part else ""
        return f"{self.stream.stem}-{self.day.day:02d}{part}{self.stream.suffix}"

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.name}"

    def next_part(self) -> DayFile:
        """The file that follows on the same day."""
        return DayFile(stream=self.stream, day=self.day, part=self.part + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """When a new file begins before midnight; 0 switches a reason off.

    A file that grew over `max_bytes` is still kept for `least_interval_s`, so that a flood of alerts does
    not become a flood of files.
    """

    interval_s: float = 0
    max_bytes: int = 0
    least_interval_s: float = LEAST_INTERVAL_S


def successor(
    current: DayFile, *, today: date, open_for_s: float, size_bytes: int, rotation: Rotation
) -> DayFile | None:
    """The file that the next record goes to, None while it is `current`."""
    if today != current.day:
        return DayFile(stream=current.stream, day=today)
    if size_bytes == 0:
        return None
    is_full = 0 < rotation.max_bytes <= size_bytes and open_for_s >= rotation.least_interval_s
    is_old = 0 < rotation.interval_s <= open_for_s
    return current.next_part() if is_full or is_old else None


def resume(stream: Stream, day: date, sizes: Mapping[str, int], rotation: Rotation) -> DayFile:
    """The file to go on with, where the day's folder holds `sizes` (name to bytes).

    The last file there is appended to, unless it is over the size or compressed already.
    """
    parts: dict[int, int] = {}
    for name, size in sizes.items():
        if (found := decode_name(stream, name)) is not None and found.day == day.day:
            is_closed = found.is_compressed or 0 < rotation.max_bytes <= size
            parts[found.part] = max(parts.get(found.part, 0), found.part + is_closed)
    last = parts[max(parts)] if parts else 0
    return DayFile(stream=stream, day=day, part=last)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundName:
    """What the name of a file in a month's folder says."""

    day: int
    part: int
    is_compressed: bool
    is_sum: bool


def decode_name(stream: Stream, name: str) -> FoundName | None:
    """The parts of `name`, None when it is no file of `stream`."""
    pattern = rf"{re.escape(stream.stem)}-(\d\d)(?:-(\d{{3,6}}))?{re.escape(stream.suffix)}(\.gz|\.sum)?"
    found = re.fullmatch(pattern, name, re.ASCII)
    if found is None or (found[3] == SIGNED and found[2]):
        return None
    return FoundName(
        day=int(found[1]),
        part=int(found[2] or 0),
        is_compressed=found[3] == COMPRESSED,
        is_sum=found[3] == SIGNED,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DayEnd:
    """What is to do for one day of one stream: sign first, then compress."""

    stream: Stream
    day: date
    parts: tuple[DayFile, ...]
    sign: bool
    compress: bool

    @property
    def sum_path(self) -> str:
        return sum_path(self.stream, self.day)

    @property
    def chained_path(self) -> str:
        return sum_path(self.stream, self.day - timedelta(days=1))


def sum_path(stream: Stream, day: date) -> str:
    """Where the digests of `day` stand."""
    return DayFile(stream=stream, day=day).path + SIGNED


def day_ends(
    stream: Stream,
    months: Mapping[tuple[int, int], Iterable[str]],
    today: date,
    *,
    sign: bool,
    compress: bool,
) -> list[DayEnd]:
    """The days before `today` that are not finished, oldest first; `months` holds names by (year, month).

    A day is unfinished while an uncompressed file of it is there, and yesterday also while it is unsigned: a day
    without a file is signed as such, so that the chain goes on.
    """
    plain: dict[date, list[int]] = {}
    signed: set[date] = set()
    for (year, month), names in months.items():
        for name in names:
            if (found := decode_name(stream, name)) is None:
                continue
            try:
                day = date(year, month, found.day)
            except ValueError:
                continue
            if found.is_sum:
                signed.add(day)
            elif not found.is_compressed:
                plain.setdefault(day, []).append(found.part)
    yesterday = today - timedelta(days=1)
    days = {day for day in plain if day < today and (compress or (sign and day not in signed))}
    if sign and yesterday not in signed:
        days.add(yesterday)
    return [
        DayEnd(
            stream=stream,
            day=day,
            parts=tuple(DayFile(stream=stream, day=day, part=part) for part in sorted(plain.get(day, ()))),
            sign=sign and day not in signed,
            compress=compress,
        )
        for day in sorted(days)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """Hex digests of one content."""

    md5: str = "none"
    sha1: str = "none"
    sha256: str = "none"


ABSENT = Digests()


def sum_text(end: DayEnd, current: Digests, chained: Digests) -> str:
    """The content of the `.sum` file: the day's own digests, and those of the day before's `.sum`."""
    own = "logs/" + DayFile(stream=end.stream, day=end.day).path.removesuffix(end.stream.suffix)
    return (
        f"Current checksum:\n{_digest_lines(own, current)}\nChained checksum:\n"
        f"{_digest_lines('logs/' + end.chained_path, chained)}\n"
    )


def _digest_lines(path: str, digests: Digests) -> str:
    return (
        f"MD5  ({path}) = {digests.md5}\nSHA1 ({path}) = {digests.sha1}\nSHA256 ({path}) = {digests.sha256}\n"
    )


def _day_folder(stream: Stream, day: date) -> str:
    return f"{stream.folder}/{day.year:04d}/{MONTHS[day.month - 1]}"
