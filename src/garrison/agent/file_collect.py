"""One followed path: rotation, truncation, restarts. The driver of `tail` and `formats`.

A file is followed by inode. What a rotation moved away is read to its end before it is let go, several
generations if need be; what was cut to nothing is read from its start.
Source: spec/agent-channel.md 8.4; docs/decisions/006-the-agent-does-not-lose-lines.md.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from garrison.agent.commands import Log
from garrison.agent.formats import Format, Place, Text, apply_out_format, make_format
from garrison.agent.outgoing import Outgoing
from garrison.agent.sources import LOGCOLLECTOR, Filter, Surroundings
from garrison.agent.tail import (
    HEAD_BYTES,
    MOST_FILES,
    Position,
    Splitter,
    is_continued_by,
    position,
    too_long_text,
)
from garrison.config.model import LocalfileConfig
from garrison.wire.event_line import Event, encode_event

CHUNK_BYTES = 65536
MOST_GENERATIONS = 16
"""Rotations of one file that may wait to be read; beyond, the oldest is given up with a warning."""
LINGER_S = 10.0
"""How long a file that was moved away is still watched for late writes."""
IDLE_S = 600.0
"""When a file that no pattern names any more, but that still exists, is let go."""


class Generation:
    """One inode behind a followed path, from where it was sent to where it was read."""

    def __init__(self, descriptor: int, start: int, collect: Format) -> None:
        status = os.fstat(descriptor)
        self.descriptor = descriptor
        self.device, self.inode = status.st_dev, status.st_ino
        self.head = os.pread(descriptor, HEAD_BYTES, 0)
        self.sent_to = start
        self.offered_to = start
        self.splitter = Splitter(start)
        self.format = collect
        self.ready: deque[Text] = deque()
        self.superseded_at: float | None = None
        self.read_at = 0.0
        self._mtime_ns = status.st_mtime_ns

    def sent(self, end: int) -> None:
        """Everything before `end` was sent (see `outgoing.Source`)."""
        self.sent_to = max(self.sent_to, end)

    def was_cut(self, status: os.stat_result) -> bool:
        """True when the file holds other content than what was read: shorter, or another beginning."""
        if status.st_size < self.splitter.offset:
            return True
        if status.st_mtime_ns == self._mtime_ns:
            return False
        self._mtime_ns = status.st_mtime_ns
        head = os.pread(self.descriptor, HEAD_BYTES, 0)
        known = min(len(self.head), self.splitter.offset)
        is_other = head[:known] != self.head[:known]
        self.head = head
        return is_other

    def read(self) -> bytes:
        """The next bytes, empty at the end of the file."""
        return os.pread(self.descriptor, CHUNK_BYTES, self.splitter.offset)

    def has_more(self) -> bool:
        """True while something is there that was not offered."""
        return bool(self.ready) or os.fstat(self.descriptor).st_size > self.splitter.offset

    def start_at(self, offset: int) -> None:
        """Goes on at `offset`, as if everything before it had been sent."""
        self.sent_to = self.offered_to = offset
        self.splitter = Splitter(offset)

    def change_format(self, collect: Format) -> None:
        """Lines that were not offered yet are read again, by `collect`."""
        self.ready.clear()
        self.splitter = Splitter(self.offered_to)
        self.format = collect

    def position(self, path: str) -> Position:
        """Where to go on after a restart."""
        if len(self.head) < HEAD_BYTES:
            self.head = os.pread(self.descriptor, HEAD_BYTES, 0)
        return position(path, self.device, self.inode, self.sent_to, self.head)

    def close(self) -> None:
        os.close(self.descriptor)


class Follow:
    """One path and the generations of it that still have something to read."""

    def __init__(self, path: str, config: LocalfileConfig, around: Surroundings, owners: Owners) -> None:
        self.path = path
        self.config = config
        self.events = 0
        self.bytes = 0
        self._around = around
        self._owners = owners
        self._filter = Filter(config)
        self._location = os.fsencode(path)
        self._generations: deque[Generation] = deque()
        self._complaint = ""

    # Where to start

    def begin(self, saved: list[Position]) -> None:
        """Goes on where `saved` says; without it, at the end of what is there (or its start, as configured)."""
        now = self._around.clock.monotonic()
        for one in saved:
            if (descriptor := self._find(one)) is not None:
                self._append(Generation(descriptor, one.offset, self._format()), now)
            else:
                self._tell(
                    "WARNING",
                    f"File '{self.path}' was rotated and is gone, or was rewritten: "
                    f"what it held behind byte {one.offset} cannot be read any more.",
                )
        self._look(now, is_first=not saved)
        self._skip_a_large_backlog()

    def reconfigure(self, config: LocalfileConfig) -> None:
        """Collects in another way from the next line on."""
        old, self.config = self.config, config
        self._filter = Filter(config)
        if (old.log_format, old.labels) != (config.log_format, config.labels):
            for generation in self._generations:
                generation.change_format(self._format())

    def _find(self, saved: Position) -> int | None:
        folder = Path(self.path).parent
        name = Path(self.path).name
        names = [name]
        with contextlib.suppress(OSError):
            names += sorted(entry for entry in os.listdir(folder) if entry.startswith(name) and entry != name)
        for candidate in names[:MOST_FILES]:
            descriptor = _open_regular(folder / candidate)
            if descriptor is None:
                continue
            status = os.fstat(descriptor)
            head = os.pread(descriptor, HEAD_BYTES, 0)
            if is_continued_by(
                saved, device=status.st_dev, inode=status.st_ino, size=status.st_size, head=head
            ):
                return descriptor
            os.close(descriptor)
        return None

    def _skip_a_large_backlog(self) -> None:
        """A file may hold more than `max-size` from while the agent was away: only so much of it is read."""
        most = self.config.max_size
        for generation in self._generations:
            behind = os.fstat(generation.descriptor).st_size - generation.splitter.offset
            if not most or behind <= most:
                continue
            end = os.fstat(generation.descriptor).st_size
            start = _behind_newline(generation.descriptor, end - most)
            skipped = start - generation.splitter.offset
            generation.start_at(start)
            text = f"File '{self.path}' holds more than {most} bytes from before the start: {skipped} are skipped."
            self._tell("WARNING", text)

    # Looking and reading

    def look(self, now: float) -> bool:
        """Notices rotation and truncation and reads nothing; True when there may be something to read."""
        status = self._look(now, is_first=False)
        if status is None or len(self._generations) != 1:
            return bool(self._generations)
        newest = self._generations[0]
        return bool(newest.ready) or status.st_size != newest.splitter.offset

    def _look(self, now: float, *, is_first: bool) -> os.stat_result | None:
        """What the path names now, when that is what is followed already."""
        newest = self._generations[-1] if self._generations else None
        try:
            status = os.stat(self.path)
        except OSError as error:
            self._complain(error)
            if newest is not None and newest.superseded_at is None:
                newest.superseded_at = now
            return None
        if newest is not None and (newest.device, newest.inode) == (status.st_dev, status.st_ino):
            newest.superseded_at = None
            if newest.was_cut(status):
                self._restart(newest)
            return status
        if newest is not None and newest.superseded_at is None:
            newest.superseded_at = now
        self._open_new(now, at_end=is_first and self.config.only_future_events)
        return None

    def _open_new(self, now: float, *, at_end: bool) -> None:
        descriptor = _open_regular(Path(self.path))
        if descriptor is None:
            self._complain(None)
            return
        self._complaint = ""
        status = os.fstat(descriptor)
        owner = self._owners.get((status.st_dev, status.st_ino))
        if owner is not None:
            os.close(descriptor)
            if (moved := owner.release(status.st_dev, status.st_ino)) is not None:
                self._append(moved, now)
            return
        start = _behind_newline(descriptor, status.st_size) if at_end else 0
        self._append(Generation(descriptor, start, self._format()), now)

    def _append(self, generation: Generation, now: float) -> None:
        for older in self._generations:
            if older.superseded_at is None:
                older.superseded_at = now
        generation.superseded_at = None
        self._owners[generation.device, generation.inode] = self
        self._generations.append(generation)
        if len(self._generations) > MOST_GENERATIONS:
            self._tell(
                "WARNING",
                f"File '{self.path}' was rotated {MOST_GENERATIONS} times before its lines could be sent: "
                "the oldest of them are lost.",
            )
            self._drop(self._generations[0])

    def _drop(self, generation: Generation) -> None:
        self._generations.remove(generation)
        self._owners.pop((generation.device, generation.inode), None)
        generation.close()

    def release(self, device: int, inode: int) -> Generation | None:
        """Hands an inode over to the path it was moved to; None while it still is what this path names."""
        with contextlib.suppress(OSError):
            status = os.stat(self.path)
            if (status.st_dev, status.st_ino) == (device, inode):
                return None
        for generation in self._generations:
            if (generation.device, generation.inode) == (device, inode):
                self._generations.remove(generation)
                return generation
        return None

    def _restart(self, cut: Generation) -> None:
        self._tell("INFO", f"File '{self.path}' was truncated. Reading it from its start.")
        descriptor = os.dup(cut.descriptor)
        cut.close()
        self._generations[-1] = Generation(descriptor, 0, self._format())

    def read(self, now: float, room: int) -> int:
        """Offers at most `room` events out of at most one chunk of each generation; returns how many."""
        offered = 0
        for generation in list(self._generations):
            offered += self._read_generation(generation, now, room - offered)
            if self._is_done(generation, now):
                self._drop(generation)
            elif offered >= room or generation.has_more():
                break  # the lines of an older generation come first
        return offered

    def _read_generation(self, generation: Generation, now: float, room: int) -> int:
        if not generation.ready:
            data = generation.read()
            if data:
                generation.read_at = now
                for line in generation.splitter.feed(data):
                    if line.was_cut:
                        self._tell("ERROR", too_long_text(self.path, line))
                    generation.ready.extend(generation.format.feed(line))
            elif self._is_done(generation, now):
                for line in generation.splitter.finish():
                    generation.ready.extend(generation.format.feed(line))
                generation.ready.extend(generation.format.finish())
        offered = 0
        while generation.ready and offered < room:
            text = generation.ready.popleft()
            if self._filter.passes(text.text):
                self._offer(generation, text)
                offered += 1
        return offered

    def _is_done(self, generation: Generation, now: float) -> bool:
        if generation.superseded_at is None or generation.ready or generation.sent_to < generation.offered_to:
            return False  # what waits in the ring is known to a restart by this generation's position only
        quiet_since = max(generation.superseded_at, generation.read_at)
        is_at_end = os.fstat(generation.descriptor).st_size <= generation.splitter.offset
        return is_at_end and now - quiet_since >= LINGER_S

    def _offer(self, generation: Generation, text: Text) -> None:
        shown = text.text
        generation.offered_to = text.end
        if self.config.out_format:
            shown = apply_out_format(self.config.out_format, shown, self._place())
        self.events += 1
        self.bytes += len(shown)
        event = encode_event(Event(queue="1", location=self._location, text=shown))
        self._around.offer(Outgoing(event, generation, text.end))

    def _place(self) -> Place:
        stamp = self._around.clock.now().astimezone().strftime("%b %d %H:%M:%S")
        return Place(location=self.path, hostname=self._around.hostname, timestamp=stamp)

    def has_more(self) -> bool:
        """True when something is there that `read` did not take yet."""
        return any(generation.has_more() for generation in self._generations)

    def positions(self) -> list[Position]:
        """Where each generation stands, oldest first."""
        return [generation.position(self.path) for generation in self._generations]

    @property
    def is_gone(self) -> bool:
        """True when nothing of that path is left to read."""
        return not self._generations

    def is_idle(self, now: float) -> bool:
        """True when nothing was read for long and nothing waits."""
        return not self.has_more() and all(now - one.read_at > IDLE_S for one in self._generations)

    def close(self) -> None:
        """Lets go of all its files."""
        for generation in list(self._generations):
            self._drop(generation)

    def _format(self) -> Format:
        collect = make_format(self.config.log_format, _labels(self.config))
        assert collect is not None, "sources of unknown formats are refused before"
        return collect

    def _complain(self, error: OSError | None) -> None:
        text = f"[({error.errno})-({error.strerror})]" if error else "[not a regular file, or not readable]"
        if text != self._complaint:
            self._complaint = text
            self._tell("ERROR", f"(1103): Could not open file '{self.path}' due to {text}.")

    def _tell(self, level: str, text: str) -> None:
        self._around.tell(Log(level, text, LOGCOLLECTOR))


def _labels(config: LocalfileConfig) -> Mapping[str, str]:
    return {label.key: label.value for label in config.labels}


def _open_regular(path: Path) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def _behind_newline(descriptor: int, end: int) -> int:
    """The offset behind the last newline before `end`: a line that is being written is not cut in two."""
    start = max(0, end - CHUNK_BYTES)
    newline = os.pread(descriptor, end - start, start).rfind(b"\n")
    return start + newline + 1 if newline >= 0 or start == 0 else end


Owners = dict[tuple[int, int], Follow]
"""Which path follows an inode: a file that is moved between two followed paths is read once."""
