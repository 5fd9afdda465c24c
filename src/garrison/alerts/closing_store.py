"""Days that are over: their files are signed, then compressed. Blocking; runs in a thread.

A kill at any point leaves either the plain file or its whole `.gz`, and a day is taken up again at the next turn.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from garrison.alerts.rotation import (
    ABSENT,
    COMPRESSED,
    MONTHS,
    DayEnd,
    Digests,
    Stream,
    day_ends,
    sum_text,
)
from garrison.ground.errors import StoreError
from garrison.ground.files import write_atomic

FILE_MODE = 0o640
COMPRESSION_LEVEL = 6


def close_days(logs: Path, streams: Iterable[Stream], today: date, *, sign: bool, compress: bool) -> None:
    """Signs and compresses the days before `today` that are not yet; raises `StoreError` at the first failure."""
    for stream in streams:
        for end in day_ends(stream, _months(logs / stream.folder), today, sign=sign, compress=compress):
            try:
                _close_day(logs, end)
            except OSError as error:
                raise StoreError(str(logs / end.sum_path), error.strerror or str(error)) from error


def _close_day(logs: Path, end: DayEnd) -> None:
    if end.sign:
        current = _digests([logs / part.path for part in end.parts])
        chained = _digests([logs / end.chained_path])
        path = logs / end.sum_path
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
        write_atomic(path, sum_text(end, current, chained).encode(), FILE_MODE)
    if end.compress:
        for part in end.parts:
            _compress(logs / part.path)


def _digests(paths: list[Path]) -> Digests:
    present = [path for path in paths if path.is_file()]
    if not present:
        return ABSENT
    # MD5 and SHA-1 are what the format names; SHA-256 is the one that proves something.
    sums = [hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False), hashlib.sha256()]
    for path in present:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                for digest in sums:
                    digest.update(block)
    md5, sha1, sha256 = (digest.hexdigest() for digest in sums)
    return Digests(md5=md5, sha1=sha1, sha256=sha256)


def _compress(path: Path) -> None:
    goal = path.with_name(path.name + COMPRESSED)
    aside = path.with_name(f".{goal.name}.tmp")
    try:
        with path.open("rb") as plain, aside.open("wb") as raw:
            os.fchmod(raw.fileno(), FILE_MODE)
            with gzip.GzipFile(path.name, "wb", COMPRESSION_LEVEL, raw) as packed:
                shutil.copyfileobj(plain, packed, 1 << 20)
            raw.flush()
            os.fsync(raw.fileno())
        aside.replace(goal)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    path.unlink()


def _months(folder: Path) -> dict[tuple[int, int], list[str]]:
    """The names in each month's folder below `folder`."""
    months: dict[tuple[int, int], list[str]] = {}
    if not folder.is_dir():
        return months
    for year in folder.iterdir():
        if not (year.name.isascii() and year.name.isdigit() and year.is_dir()):
            continue
        for number, name in enumerate(MONTHS, start=1):
            month = year / name
            if month.is_dir():
                months[int(year.name), number] = [path.name for path in month.iterdir()]
    return months
