"""Runs active responses: start the program, talk to it over its pipes, take the response back in time.

Bounded: at most MOST_AT_WORK responses are remembered, a program that does not end within PROGRAM_TIMEOUT_S
is killed, and of its output one line is read.
Source: spec/agent-channel.md 7.2.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from garrison.agent.commands import Log
from garrison.agent.responses import (
    Entry,
    Order,
    candidates,
    decode_keys,
    decode_order,
    decode_table,
    program_input,
)
from garrison.ground.clock import Clock
from garrison.ground.log import printable
from garrison.ground.tasks import Brood, Stop, pause

MOST_AT_WORK = 256
PROGRAM_TIMEOUT_S = 60
KEYS_TIMEOUT_S = 5.0
"""How long a program may take to say its keys; then it is taken for one that has none to say."""
TAKE_BACK_S = 2.0
"""How long an ending agent waits for its responses to be taken back."""
MAX_LINE_BYTES = 65536
EXECD = "wazuh-execd"


class Responder:
    """Carries out the orders of one agent process."""

    def __init__(
        self, home: Path, clock: Clock, log: Callable[[Log], None], restart: Callable[[], None]
    ) -> None:
        self._bin = home / "active-response" / "bin"
        self._table = home / "etc" / "shared" / "ar.conf"
        self._clock = clock
        self._log = log
        self._restart = restart
        self._brood = Brood("responses")
        self._at_work: dict[tuple[str, tuple[str, ...]], float] = {}
        self._ending = Stop()
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_enabled = True

    def respond(self, payload: bytes) -> None:
        """Takes an order of the manager; it is carried out in the background."""
        if not self.is_enabled:
            return
        order = decode_order(payload)
        if order is None:
            self._tell(
                "ERROR", "(1315): Invalid JSON message: an active response without version or command."
            )
            return
        if order.is_restart:
            self._tell("INFO", "Restart ordered by the manager.")
            self._restart()
            return
        entry = self._choose(order)
        if entry is None:
            return
        if len(self._brood) >= MOST_AT_WORK:
            self._tell("WARNING", "Too many active responses at work. Order refused.")
            return
        task = self._brood.start(self._carry_out(order, entry), name=entry.name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        """Takes every response at work back now, within TAKE_BACK_S; none outlives the agent unseen."""
        self._ending.set()
        if self._at_work:
            self._tell("INFO", "(1314): Shutdown received. Deleting responses.")
            await asyncio.wait(self._tasks, timeout=TAKE_BACK_S)
        await self._brood.end()

    def _choose(self, order: Order) -> Entry | None:
        try:
            table = decode_table(self._table.read_text("utf-8", "replace"))
        except OSError:
            table = []
        entries = candidates(order, table)
        if not entries:
            self._tell("ERROR", f"(1311): Invalid command name '{printable(order.command)}' provided.")
            return None
        for entry in entries:
            path = self._bin / entry.executable
            if path.is_file() and os.access(path, os.X_OK):
                return entry
        names = ", ".join(f"'active-response/bin/{entry.executable}'" for entry in entries)
        self._tell("WARNING", f"Active response command not present: {names}. Order refused.")
        return None

    async def _carry_out(self, order: Order, entry: Entry) -> None:
        program = f"active-response/bin/{entry.executable}"
        keys = await self._run(order, entry, "add", program)
        if keys is None or entry.timeout_s <= 0:
            return
        mark = (entry.name, keys)
        self._at_work[mark] = self._clock.monotonic() + entry.timeout_s
        try:
            await pause(self._clock, entry.timeout_s, self._ending)
        finally:
            self._at_work.pop(mark, None)
        await self._run(order, entry, "delete", program)

    async def _run(self, order: Order, entry: Entry, command: str, program: str) -> tuple[str, ...] | None:
        """The keys of the response when it was carried out, None when it was not."""
        path = self._bin / entry.executable
        try:
            process = await asyncio.create_subprocess_exec(
                path,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                cwd=self._bin.parent.parent,
                limit=MAX_LINE_BYTES,
            )
        except OSError as error:
            self._tell("ERROR", f"(1312): Error executing '{program}': {error.strerror}")
            return None
        try:
            async with asyncio.timeout(PROGRAM_TIMEOUT_S):
                return await self._talk(process, order, entry, command, program)
        except TimeoutError:
            self._tell("WARNING", f"'{program}' did not end within {PROGRAM_TIMEOUT_S} s. Killing it.")
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                if process.returncode is None:
                    process.kill()
            await process.wait()

    async def _talk(
        self, process: asyncio.subprocess.Process, order: Order, entry: Entry, command: str, program: str
    ) -> tuple[str, ...] | None:
        assert process.stdin is not None and process.stdout is not None
        carried_out: tuple[str, ...] | None = ()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(program_input(order, command, program))
            await process.stdin.drain()
            keys = decode_keys(await _one_line(process.stdout)) if command == "add" else None
            if keys is not None:
                is_known = (entry.name, keys) in self._at_work
                verdict = "abort" if is_known else "continue"
                process.stdin.write(program_input(order, verdict, program))
                await process.stdin.drain()
                carried_out = None if is_known else keys
            process.stdin.close()
        await process.wait()
        return carried_out

    def _tell(self, level: str, text: str) -> None:
        self._log(Log(level, text, EXECD))


async def _one_line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await asyncio.wait_for(stream.readline(), KEYS_TIMEOUT_S)
    except ValueError:
        return b""  # a line above the limit is no answer of ours
    except TimeoutError:
        return b""  # it reads its input to the end, perhaps: it has to see that end
