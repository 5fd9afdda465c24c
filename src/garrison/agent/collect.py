"""All sources of one agent: which files and commands there are, and whose turn it is.

Names and dates in a pattern are looked up again every RESCAN_S. While the ring has no room or the manager is away
nothing is read: the file holds the lines, and its rotations are watched so that none of them gets away.

Looking costs one `stat` a file. Measured at POLL_S: 200 quiet files take 0.5 % of a core, 1,000 take 2 %; a line is
on its way 0.1 s after it was written on average. The reference looks every two seconds.
Source: spec/agent-channel.md 8.4; docs/decisions/006-the-agent-does-not-lose-lines.md.
"""

from __future__ import annotations

import asyncio
import glob
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from garrison.agent.command_collect import CommandSource
from garrison.agent.commands import Log
from garrison.agent.file_collect import Follow, Owners
from garrison.agent.formats import COMMANDS, make_format
from garrison.agent.requests import Collected, FileCount
from garrison.agent.sources import LOGCOLLECTOR, Filter, Surroundings, pipeline
from garrison.agent.tail import MOST_FILES, Position, expand_date, is_glob
from garrison.config.model import LocalfileConfig
from garrison.ground.tasks import Brood, Stop, pause

POLL_S = 0.2
RESCAN_S = 2.0
SAVE_S = 5.0
"""How often positions are written; after a kill (not after a regular end) so much may be sent twice."""
INTERVAL_S = 60.0
"""Span of the `interval` statistics."""


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
        follows = [follow for follow in self._follows.values() if follow.look(now)]
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
