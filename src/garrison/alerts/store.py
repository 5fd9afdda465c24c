"""One output's files: whole records are appended in order, and none is lost, doubled or cut.

Two sides share a `StreamStore`. The *accepting* side (the event loop) names the file that each record goes to and
counts its offset; it never waits for the disk. The *flushing* side (a thread, one flush at a time) opens
those files and writes. What could not be written stays in memory and comes first at the next flush.

    accept ──▶ waiting ──take──▶ writing ──flush──▶ day file ◀── hard link alerts.json

A write that stops in the middle of a record goes on at that byte when the disk takes it. Nothing is cut back: programs
that follow a file take one that shrinks for a new one and read it all again. A record that a kill left half is ended
when the file is opened again.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Protocol

from garrison.alerts.rotation import DayFile, Rotation, Stream, resume, successor
from garrison.ground.errors import StoreError

FILE_MODE = 0o640
FOLDER_MODE = 0o750
WRITE_BYTES = 1 << 20


class Disk(Protocol):
    """The system calls that can fail for want of space. Tests hand in a disk that is full."""

    def open(self, path: Path) -> int: ...
    def write(self, descriptor: int, data: memoryview) -> int: ...
    def sync(self, descriptor: int) -> None: ...


class SystemDisk:
    """The machine's own."""

    def open(self, path: Path) -> int:
        """A descriptor that reads anywhere and appends."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(path, flags, FILE_MODE)

    def write(self, descriptor: int, data: memoryview) -> int:
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        os.fdatasync(descriptor)


@dataclass(slots=True)
class _Batch:
    """Records that go to one file."""

    file: DayFile
    records: list[bytes] = field(default_factory=list)


class StreamStore:
    """Appends the records of one stream; `record_end` is what each record ends with."""

    def __init__(
        self, logs: Path, stream: Stream, rotation: Rotation, disk: Disk, *, record_end: bytes = b"\n"
    ) -> None:
        self.stream = stream
        self._logs = logs
        self._rotation = rotation
        self._disk = disk
        self._record_end = record_end
        # the accepting side
        self._file: DayFile | None = None
        self._since_s = 0.0
        self.offset = 0
        self._waiting: list[_Batch] = []
        self._accepted_bytes = 0
        # the flushing side
        self._writing: deque[_Batch] = deque()
        self._flushed_bytes = 0
        self._open_file: DayFile | None = None
        self._descriptor = -1
        self._begun_bytes = 0  # of the first record in `_writing`: what is in the file already
        self._is_dirty = False

    @property
    def pending_bytes(self) -> int:
        """What is accepted and not yet in a file."""
        return self._accepted_bytes - self._flushed_bytes

    @property
    def is_idle(self) -> bool:
        """True when every accepted record and every change of file is done."""
        return not self._waiting and not self._writing

    def turn(self, today: date, now_s: float) -> None:
        """Makes sure that `offset` and the next record belong to the right file. `now_s` is monotonic."""
        if self._file is None:
            self._begin(today, now_s)
            return
        following = successor(
            self._file,
            today=today,
            open_for_s=now_s - self._since_s,
            size_bytes=self.offset,
            rotation=self._rotation,
        )
        if following is not None:
            if following.day != self._file.day:
                self._begin(following.day, now_s)
            else:
                self._go_on_with(following, 0, now_s)

    def _begin(self, today: date, now_s: float) -> None:
        """The first file of a day, or the one to go on with after a restart."""
        folder = self._logs / DayFile(stream=self.stream, day=today).folder
        file = resume(self.stream, today, _sizes(folder), self._rotation)
        self._go_on_with(file, _whole_size(self._logs / file.path, self._record_end), now_s)

    def _go_on_with(self, file: DayFile, offset: int, now_s: float) -> None:
        self._file, self.offset, self._since_s = file, offset, now_s
        self._waiting.append(_Batch(file))

    def accept(self, record: bytes) -> None:
        """Takes one whole record, its end included; `turn` came before."""
        assert self._file is not None
        if not self._waiting:
            self._waiting.append(_Batch(self._file))
        self._waiting[-1].records.append(record)
        self._accepted_bytes += len(record)
        self.offset += len(record)

    def take(self) -> None:
        """Hands what waits to the flushing side; never while a flush runs."""
        self._writing.extend(self._waiting)
        self._waiting = []

    def flush(self) -> None:
        """Writes everything taken, or raises `StoreError` and keeps what is left for the next time."""
        try:
            while self._writing:
                batch = self._writing[0]
                self._switch(batch.file)
                while batch.records:
                    self._write(batch.records)
                self._writing.popleft()
        except OSError as error:
            path = self._logs / (self._writing[0].file.path if self._writing else self.stream.link_path)
            raise StoreError(str(path), error.strerror or str(error)) from error

    def _switch(self, file: DayFile) -> None:
        """Makes `file` the open one: its last record is ended, the link names it."""
        if self._descriptor >= 0:
            if file == self._open_file and os.fstat(self._descriptor).st_nlink:
                return
            self._close()
        path = self._logs / file.path
        _make_folders(self._logs, path.parent)
        descriptor = self._disk.open(path)
        try:
            size = os.fstat(descriptor).st_size
            if size == 0:
                os.fchmod(descriptor, FILE_MODE)  # whatever the umask says
            missing = memoryview(_missing_end(descriptor, size, self._record_end))
            while missing:
                missing = missing[self._disk.write(descriptor, missing) :]
            _link(path, self._logs / self.stream.link_path)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor, self._open_file = descriptor, file
        self._flushed_bytes -= self._begun_bytes  # a begun record is written whole to a file that is new
        self._begun_bytes = 0

    def _write(self, records: list[bytes]) -> None:
        """Writes the first of `records` and takes them out; on an error, those that are whole in the file."""
        count = _fitting(records)
        data = memoryview(b"".join(records[:count]))
        done = self._begun_bytes
        try:
            while done < len(data):
                done += self._disk.write(self._descriptor, data[done:])
        finally:
            self._is_dirty = True
            self._flushed_bytes += done - self._begun_bytes
            whole_bytes, count = _whole_records(records[:count], done)
            self._begun_bytes = done - whole_bytes
            del records[:count]

    def _close(self) -> None:
        """Ends the open file; one that stayed empty is removed."""
        descriptor, file = self._descriptor, self._open_file
        self.sync()
        self._descriptor, self._open_file = -1, None
        is_empty = os.fstat(descriptor).st_size == 0
        os.close(descriptor)
        if is_empty and file is not None:
            (self._logs / file.path).unlink(missing_ok=True)

    def sync(self) -> None:
        """What was written is on the disk afterwards; raises OSError. Not while a flush runs."""
        if self._is_dirty and self._descriptor >= 0:
            self._disk.sync(self._descriptor)
            self._is_dirty = False

    def lend_dirty(self) -> int | None:
        """A copy of the descriptor when something is to be synced; the caller syncs and closes it.

        Taken between flushes, so that a slow sync does not hold up the next flush.
        """
        if not self._is_dirty or self._descriptor < 0:
            return None
        self._is_dirty = False
        return os.dup(self._descriptor)

    def end(self) -> None:
        """Syncs and closes; records that are still pending are gone. Raises OSError when the sync fails."""
        if self._descriptor >= 0:
            descriptor = self._descriptor
            try:
                self.sync()
            finally:
                os.close(descriptor)
                self._descriptor, self._open_file = -1, None


def _fitting(records: list[bytes]) -> int:
    """How many of `records` make up one write of about WRITE_BYTES, at least one."""
    size = 0
    for count, record in enumerate(records):
        size += len(record)
        if size > WRITE_BYTES:
            return max(1, count)
    return len(records)


def _whole_records(records: list[bytes], done: int) -> tuple[int, int]:
    """Bytes and number of the records that lie wholly in the first `done` bytes."""
    size = 0
    for count, record in enumerate(records):
        if size + len(record) > done:
            return size, count
        size += len(record)
    return size, len(records)


def _sizes(folder: Path) -> dict[str, int]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat(follow_symlinks=False).st_size for entry in entries}
    except OSError:
        return {}  # not there yet, or the flush will say what is wrong with it


def _whole_size(path: Path, record_end: bytes) -> int:
    """The size that the file at `path` has once a half record at its end is ended."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        size = os.fstat(descriptor).st_size
        return size + len(_missing_end(descriptor, size, record_end))
    finally:
        os.close(descriptor)


def _missing_end(descriptor: int, size_bytes: int, record_end: bytes) -> bytes:
    """What is missing at the end of the file to end its last record."""
    if size_bytes == 0:
        return b""
    length = min(len(record_end), size_bytes)
    tail = os.pread(descriptor, length, size_bytes - length)
    if tail == record_end:
        return b""
    present = next((n for n in range(length, 0, -1) if tail.endswith(record_end[:n])), 0)
    return record_end[present:]


def _make_folders(logs: Path, folder: Path) -> None:
    """`folder` below `logs`, each step with our mode whatever the umask says."""
    missing: list[Path] = []
    while folder != logs and not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for step in reversed(missing):
        step.mkdir(exist_ok=True, parents=True)
        step.chmod(FOLDER_MODE)


def _link(path: Path, link: Path) -> None:
    """`link` names the file at `path` from now on; a reader finds the old or the new one, never none."""
    if link.exists() and not link.is_symlink() and link.samefile(path):
        return
    aside = link.with_name(f".{link.name}.tmp")
    aside.unlink(missing_ok=True)
    aside.hardlink_to(path)
    aside.replace(link)
