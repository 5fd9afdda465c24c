"""Follows log files and runs commands; hands their lines to the ring. The driver of `tail` and `formats`.

A file is followed by inode. What a rotation moved away is read to its end before it is let go, several
generations if need be; what was cut to nothing is read from its start; names and dates in a pattern are
looked up again every RESCAN_S. While the ring has no room or the manager is away nothing is read: the file
holds the lines, and its rotations are watched so that none of them gets away.

Looking costs one `stat` a file, some 2 µs: at POLL_S a thousand files take one percent of a core, and a line
is on its way after a tenth of a second on average. The reference looks every two seconds.
Source: spec/agent-channel.md 8.4; docs/decisions/006-the-agent-does-not-lose-lines.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import glob
import os
import re
import shlex
import signal
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from garrison.agent.commands import Log
from garrison.agent.formats import (
    COMMANDS,
    Format,
    Place,
    Text,
    apply_out_format,
    command_texts,
    make_format,
)
from garrison.agent.outgoing import Outgoing
from garrison.agent.requests import Collected, FileCount
from garrison.agent.tail import (
    HEAD_BYTES,
    MOST_FILES,
    Position,
    Splitter,
    expand_date,
    is_continued_by,
    is_glob,
    position,
    too_long_text,
)
from garrison.config.model import LocalfileConfig
from garrison.ground.clock import Clock
from garrison.ground.tasks import Brood, Stop, pause
from garrison.wire.event_line import Event, encode_event

LOGCOLLECTOR = "wazuh-logcollector"
POLL_S = 0.2
RESCAN_S = 2.0
CHUNK_BYTES = 65536
MOST_GENERATIONS = 16
"""Rotations of one file that may wait to be read; beyond, the oldest is given up with a warning."""
LINGER_S = 10.0
"""How long a file that was moved away is still watched for late writes."""
IDLE_S = 600.0
"""When a file that no pattern names any more, but that still exists, is let go."""
MOST_OUTPUT_BYTES = 1024 * 1024
COMMAND_TIMEOUT_S = 60.0
SAVE_S = 5.0
"""How often positions are written; after a kill (not after a regular end) so much may be sent twice."""
INTERVAL_S = 60.0
"""Span of the `interval` statistics."""

Tell = Callable[[Log], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all sources of one agent share."""

    clock: Clock
    tell: Tell
    hostname: str
    offer: Callable[[Outgoing], bool]
    """Puts an event into the ring; False when it was full and the event is lost."""
    room: Callable[[], int]
    """How many events may be offered now: 0 while the ring is full or the manager is away."""


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


class Filter:
    """`<restrict>` and `<ignore>` of one source. Raises ValueError for a pattern that is none."""

    def __init__(self, config: LocalfileConfig) -> None:
        try:
            self._restrict = [re.compile(os.fsencode(pattern)) for pattern in config.restrict]
            self._ignore = [re.compile(os.fsencode(pattern)) for pattern in config.ignore]
        except re.error as error:
            raise ValueError(str(error)) from error

    def passes(self, text: bytes) -> bool:
        """True when every `restrict` is found in `text`, and no `ignore`."""
        return all(one.search(text) for one in self._restrict) and not any(
            one.search(text) for one in self._ignore
        )


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

    def look(self, now: float) -> None:
        """Notices rotation and truncation; reads nothing."""
        self._look(now, is_first=False)

    def _look(self, now: float, *, is_first: bool) -> None:
        newest = self._generations[-1] if self._generations else None
        try:
            status = os.stat(self.path)
        except OSError as error:
            self._complain(error)
            if newest is not None and newest.superseded_at is None:
                newest.superseded_at = now
            return
        if newest is not None and (newest.device, newest.inode) == (status.st_dev, status.st_ino):
            newest.superseded_at = None
            if newest.was_cut(status):
                self._restart(newest)
            return
        if newest is not None and newest.superseded_at is None:
            newest.superseded_at = now
        self._open_new(now, at_end=is_first and self.config.only_future_events)

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


class CommandSource:
    """A command run now and then; its output becomes events. Never through a shell (see `pipeline`)."""

    def __init__(self, config: LocalfileConfig, around: Surroundings) -> None:
        assert config.command is not None
        self.config = config
        self.name = config.alias or config.command
        self.events = 0
        self.bytes = 0
        self._around = around
        self._filter = Filter(config)
        self._stages = pipeline(config.command)
        self.due_at = float("-inf")

    async def run(self, now: float) -> None:
        """Runs the command once and offers what it printed; what does not fit into the ring is lost."""
        self.due_at = now + max(1.0, self.config.frequency_s)
        try:
            output = await _run_pipeline(self._stages)
        except OSError as error:
            text = f"Command '{self.name}' could not be run: {error.strerror}"
            self._around.tell(Log("ERROR", text, LOGCOLLECTOR))
            return
        for printed in command_texts(self.config.log_format, self.name, output):
            if self._filter.passes(printed):
                self._offer(printed)

    def _offer(self, text: bytes) -> None:
        if self.config.out_format:
            stamp = self._around.clock.now().astimezone().strftime("%b %d %H:%M:%S")
            place = Place(
                location=self.name, hostname=self._around.hostname, timestamp=stamp, command=self.name
            )
            text = apply_out_format(self.config.out_format, text, place)
        self.events += 1
        self.bytes += len(text)
        location = self.name.encode("utf-8", "surrogateescape")
        self._around.offer(Outgoing(encode_event(Event(queue="1", location=location, text=text))))


def pipeline(command: str) -> list[list[str]]:
    """The programs and arguments of a command, joined by `|` alone. Raises ValueError for other shell syntax."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    stages: list[list[str]] = [[]]
    for word in lexer:
        if word == "|":
            stages.append([])
        elif word and all(char in "|&;<>()" for char in word):
            raise ValueError(f"'{word}' needs a shell, and commands are run without one")
        else:
            stages[-1].append(word)
    if not all(stages):
        raise ValueError("a program is missing")
    return stages


async def _run_pipeline(stages: list[list[str]]) -> bytes:
    processes: list[asyncio.subprocess.Process] = []
    source: int = asyncio.subprocess.DEVNULL
    try:
        for at, stage in enumerate(stages):
            is_last = at == len(stages) - 1
            reading, writing = (-1, asyncio.subprocess.PIPE) if is_last else os.pipe()
            try:
                process = await asyncio.create_subprocess_exec(
                    *stage,
                    stdin=source,
                    stdout=writing,
                    stderr=asyncio.subprocess.DEVNULL,
                    start_new_session=True,
                )
            finally:
                if source >= 0:
                    os.close(source)
                if not is_last:
                    os.close(writing)
                source = reading
            processes.append(process)
        return await _read_output(processes[-1])
    finally:
        if source >= 0:
            os.close(source)
        for process in processes:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _read_output(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    output = bytearray()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            while len(output) < MOST_OUTPUT_BYTES:
                part = await process.stdout.read(CHUNK_BYTES)
                if not part:
                    await process.wait()
                    break
                output += part
    return bytes(output)


class Collector:
    """All sources of one agent."""

    def __init__(self, around: Surroundings, saved: list[Position]) -> None:
        self._around = around
        self._follows: dict[str, Follow] = {}
        self._commands: list[CommandSource] = []
        self._saved: dict[str, list[Position]] = {}
        for one in saved:
            self._saved.setdefault(one.path, []).append(one)
        self._localfiles: tuple[LocalfileConfig, ...] = ()
        self._rescan_at = float("-inf")
        self._owners: Owners = {}
        self._fresh: set[LocalfileConfig] = set()
        self._turn = 0
        self._brood = Brood("commands")
        self._running: set[int] = set()
        self._told: set[str] = set()
        self._started = around.clock.now()
        self._span: tuple[Collected, Collected] | None = None
        self._before: dict[str, tuple[int, int]] = {}

    def configure(self, localfiles: tuple[LocalfileConfig, ...]) -> None:
        """Follows exactly `localfiles` from now on; what stays configured goes on where it stands."""
        before = set(self._localfiles)
        sources = (replace(one, line=0) for one in localfiles)
        self._localfiles = tuple(one for one in sources if self._can_collect(one))
        self._fresh = set(self._localfiles) - before
        kept = {source.config: source for source in self._commands}
        self._commands = []
        for config in self._localfiles:
            if config.log_format not in COMMANDS:
                continue
            if config in kept:
                self._commands.append(kept[config])
                continue
            source = CommandSource(config, self._around)
            full = "full output" if config.log_format == "full_command" else "output"
            self._tell("INFO", f"Monitoring {full} of command({config.frequency_s:g}): {config.command}")
            self._commands.append(source)
        self._rescan_at = float("-inf")
        self._rescan(self._around.clock.monotonic())
        self._fresh.clear()
        self._saved.clear()

    def _can_collect(self, config: LocalfileConfig) -> bool:
        where = config.command or config.location
        if "agent" not in config.targets:
            return False
        try:
            Filter(config)
        except ValueError as error:
            self._tell(
                "ERROR", f"'{where}' is not collected: its ignore or restrict pattern is wrong: {error}."
            )
            return False
        if config.log_format in COMMANDS:
            try:
                pipeline(config.command or "")
            except ValueError as error:
                self._tell("ERROR", f"Command '{where}' is not run: {error}.")
                return False
            return True
        if make_format(config.log_format, {}) is None:
            text = f"Log format '{config.log_format}' of '{where}' is not supported: it is not collected."
            self._tell("ERROR", text)
            return False
        return True

    async def run(self, stop: Stop) -> None:
        """Collects until `stop` is set."""
        while True:
            has_more = self.round(self._around.clock.monotonic())
            if has_more and self._around.room() > 0:
                await asyncio.sleep(0)
                if stop.is_set():
                    break
            elif not await pause(self._around.clock, POLL_S / 4 if has_more else POLL_S, stop):
                break
        await self._brood.end()

    def round(self, now: float) -> bool:
        """One look at everything; True when there is more to read at once."""
        self._rescan(now)
        for follow in self._follows.values():
            follow.look(now)
        follows = list(self._follows.values())
        self._turn += 1
        has_more = False
        for at in range(len(follows)):
            room = self._around.room()
            if room <= 0:
                has_more = True
                break
            follow = follows[(at + self._turn) % len(follows)]
            share = max(1, min(room, room // 2 if len(follows) > 1 else room))
            follow.read(now, share)
            has_more = follow.has_more() or has_more
        self._start_commands(now)
        return has_more

    def _start_commands(self, now: float) -> None:
        for source in self._commands:
            if source.due_at > now or id(source) in self._running or self._around.room() <= 0:
                continue
            self._running.add(id(source))
            self._brood.start(self._run_command(source, now), name=source.name[:40])

    async def _run_command(self, source: CommandSource, now: float) -> None:
        try:
            await source.run(now)
        finally:
            self._running.discard(id(source))

    def _rescan(self, now: float) -> None:
        if now < self._rescan_at:
            return
        began = time.perf_counter()
        wanted = dict(self._wanted())
        for path, follow in list(self._follows.items()):
            if path in wanted:
                continue
            if follow.config not in self._localfiles or follow.is_gone or follow.is_idle(now):
                self._follows.pop(path).close()
        for path, config in wanted.items():
            if path not in self._follows:
                self._add(path, config)
            elif self._follows[path].config != config:
                self._follows[path].reconfigure(config)
        took_s = time.perf_counter() - began
        self._rescan_at = now + max(RESCAN_S, 50 * took_s)

    def _add(self, path: str, config: LocalfileConfig) -> None:
        if len(self._follows) >= MOST_FILES:
            self._tell_once("WARNING", f"More than {MOST_FILES} files: not all that match are followed.")
            return
        follow = Follow(path, config, self._around, self._owners)
        self._follows[path] = follow
        self._tell("INFO", f"(1950): Analyzing file: '{path}'.")
        saved = self._saved.pop(path, [])
        if saved or config in self._fresh:
            follow.begin(saved)

    def _wanted(self) -> Iterator[tuple[str, LocalfileConfig]]:
        local_time = self._around.clock.now().astimezone().timetuple()
        for config in self._localfiles:
            if config.log_format in COMMANDS or not config.location:
                continue
            pattern = expand_date(config.location, local_time)
            if not is_glob(pattern):
                yield pattern, config
                continue
            excluded = expand_date(config.exclude, local_time) if config.exclude else ""
            unwanted = set(glob.glob(excluded)) if excluded else set()
            for path in sorted(glob.glob(pattern)):
                if path not in unwanted:
                    yield path, config

    def positions(self) -> list[Position]:
        """Where everything stands, the generations of one path from the oldest on."""
        return [one for follow in self._follows.values() for one in follow.positions()]

    def statistics(self) -> tuple[Collected, Collected] | None:
        """What was collected since the start and in the last whole interval."""
        return self._span

    def count(self) -> None:
        """Ends an interval of the statistics."""
        now = self._around.clock.now()
        sources = [(f.path, f.events, f.bytes) for f in self._follows.values()]
        sources += [(c.name, c.events, c.bytes) for c in self._commands]
        start, stamp = _stamp(self._started), _stamp(now)
        total = [FileCount(location=name, events=events, bytes=size) for name, events, size in sources]
        last = [
            FileCount(
                location=name,
                events=events - self._before.get(name, (0, 0))[0],
                bytes=size - self._before.get(name, (0, 0))[1],
            )
            for name, events, size in sources
        ]
        before = self._span[1].end if self._span else start
        self._before = {name: (events, size) for name, events, size in sources}
        self._span = (
            Collected(start=start, end=stamp, files=total),
            Collected(start=before, end=stamp, files=last),
        )

    def close(self) -> None:
        """Lets go of every file."""
        for follow in self._follows.values():
            follow.close()

    def _tell(self, level: str, text: str) -> None:
        self._around.tell(Log(level, text, LOGCOLLECTOR))

    def _tell_once(self, level: str, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(level, text)


def _stamp(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
