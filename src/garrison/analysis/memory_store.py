"""What the analysis remembers over a restart, in the files that are known for it.

    queue/fts/fts-queue                           a first-seen line each
    queue/diff/<host>/<rule id>/last-entry        the last log of a `check_diff` rule, with a final zero byte

Earlier events, counters of rules and ignored times end with the process, as they always did. `load` reads both at the
start; `save` adds what is new and may run in a thread. Names of hosts come from logs: only plain ones become folders,
all others a digest. Source: spec/analysis-2-rules.md 5.7, 5.8; spec/analysis-1-decoding.md 6.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from garrison.analysis.memory import (
    MOST_DIFFERENCE_BYTES,
    MOST_DIFFERENCES,
    MOST_LINES,
    MOST_LINES_BYTES,
    DifferenceKey,
    Differences,
    FirstSeenLines,
)
from garrison.ground.errors import StoreError
from garrison.ground.files import write_atomic

FILE_MODE, FOLDER_MODE = 0o640, 0o750
HOST_FILE = ".host"

_PLAIN = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


class MemoryStore:
    """The files below `queue` of one node."""

    def __init__(self, queue: Path) -> None:
        self._lines = queue / "fts/fts-queue"
        self._differences = queue / "diff"
        self._written_bytes = 0

    def load(self) -> tuple[FirstSeenLines, Differences]:
        """What former runs left; what cannot be read is as if it were not there."""
        return FirstSeenLines(self._read_lines()), Differences(dict(self._read_differences()))

    def _read_lines(self) -> list[bytes]:
        """The newest lines, up to the bound."""
        try:
            with self._lines.open("rb") as file:
                self._written_bytes = os.fstat(file.fileno()).st_size
                file.seek(max(0, self._written_bytes - MOST_LINES_BYTES))
                lines = file.read(MOST_LINES_BYTES).split(b"\n")
        except OSError:
            return []
        if self._written_bytes > MOST_LINES_BYTES:
            del lines[0]  # begins in the middle
        return [line for line in lines if line][-MOST_LINES:]

    def _read_differences(self) -> Iterator[tuple[DifferenceKey, bytes]]:
        left = MOST_DIFFERENCES
        for folder in _folders(self._differences):
            host = _host_of(folder)
            for place in _folders(folder):
                if host is None or not place.name.isascii() or not place.name.isdigit() or left == 0:
                    continue
                log = _read(place / "last-entry", MOST_DIFFERENCE_BYTES)
                if log is not None:
                    left -= 1
                    yield (host, int(place.name[:10])), log.removesuffix(b"\0")

    def save(self, lines: Sequence[bytes], differences: Mapping[DifferenceKey, bytes | None]) -> None:
        """Adds `lines`, and writes or removes each of `differences`; raises `StoreError`."""
        try:
            if lines:
                self._append(b"".join(line + b"\n" for line in lines))
            for (host, rule_id), log in differences.items():
                self._write_difference(host, rule_id, log)
        except OSError as error:
            raise StoreError(str(error.filename or self._lines), error.strerror or str(error)) from error

    @property
    def is_overgrown(self) -> bool:
        """True when the file of lines holds much that was forgotten: `rewrite` it."""
        return self._written_bytes > 2 * MOST_LINES_BYTES

    def rewrite(self, lines: Sequence[bytes]) -> None:
        """The file of lines holds exactly `lines`; raises `StoreError`."""
        content = b"".join(line + b"\n" for line in lines)
        write_atomic(self._lines, content, FILE_MODE)
        self._written_bytes = len(content)

    def _append(self, content: bytes) -> None:
        self._lines.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._lines, flags, FILE_MODE)
        try:
            view = memoryview(content)
            while view:
                written = os.write(descriptor, view)
                self._written_bytes += written
                view = view[written:]
        finally:
            os.close(descriptor)

    def _write_difference(self, host: bytes, rule_id: int, log: bytes | None) -> None:
        folder = self._differences / _folder_name(host)
        place = folder / str(rule_id)
        if log is None:
            (place / "last-entry").unlink(missing_ok=True)
            return
        place.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        if folder.name.startswith("#") and not (folder / HOST_FILE).exists():
            write_atomic(folder / HOST_FILE, host, FILE_MODE, durable=False)
        write_atomic(place / "last-entry", log + b"\0", FILE_MODE, durable=False)


def _folder_name(host: bytes) -> str:
    if _PLAIN.fullmatch(host):
        return host.decode("ascii")
    return "#" + hashlib.blake2b(host, digest_size=16).hexdigest()


def _host_of(folder: Path) -> bytes | None:
    """The host that a folder belongs to; None where it is none of ours."""
    if folder.name.startswith("#"):
        host = _read(folder / HOST_FILE, MOST_DIFFERENCE_BYTES)
        return host if host is not None and _folder_name(host) == folder.name else None
    name = os.fsencode(folder.name)
    return name if _PLAIN.fullmatch(name) else None


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted; at most as many as are remembered."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry, _ in zip(entries, range(2 * MOST_DIFFERENCES), strict=False)]
    except OSError:
        return []
    found = (folder / name for name in sorted(names))
    return [path for path in found if path.is_dir() and not path.is_symlink()]


def _read(path: Path, most: int) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(most + 1)
    except OSError:
        return None
    return content if len(content) <= most else None
